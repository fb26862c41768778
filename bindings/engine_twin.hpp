// P1 as a program: the native engine and the guest in the machine, side by side, message by
// message. It stands here because only this folder may know both the program and the machine.
#pragma once

#include <cstdint>
#include <span>
#include <string>
#include <vector>

#include "core/native/engine.hpp"
#include "machine/machine.hpp"

namespace provenue {

// The first thing in which the two sides differ after a message.
struct Difference {
    enum class Kind : uint8_t {
        outcome,  // one side applied the message, the other broke off
        code,
        event_count,
        event,   // at: offset in the events
        image,   // at: offset in the image
        root,    // incremental root against the image rehashed
    };
    Kind kind;
    uint32_t message;  // index in the batch
    uint64_t at;
    uint64_t native;
    uint64_t guest;
    std::string note;
};

struct Outcome {
    uint32_t code;
    uint32_t event_count;
    uint64_t steps;      // instructions of the guest
    bool broke_off;      // natively by an assertion; the message counts as empty (P4)
};

struct BatchReport {
    std::vector<native::Digest> roots;  // of the image, after each message
    std::vector<Outcome> outcomes;
    std::vector<Difference> differences;  // at most one a message; the batch ends with the first
    std::vector<uint64_t> event_ends;     // number of events up to and with each message
    std::vector<Event> events;
};

struct Batch {
    std::span<const uint8_t> header;  // words of chapter 7.2; zeros behind
    std::span<const uint8_t> inbox;   // slots of INBOX_SLOT_BYTES
    std::span<const uint8_t> posted;
};

class Twin {
public:
    Twin(const ProgramTable& table, std::span<const uint8_t> elf);

    // Runs a batch on both sides. Throws std::invalid_argument for bytes that the contract would
    // never have made (a header beyond its bounds); a bad posted message is only a reject.
    // The whole images are compared every `compare_every` messages and at the end; 0: only after a
    // message that broke off.
    BatchReport check(const Batch& batch, uint32_t compare_every);

    native::Engine& engine() { return engine_; }
    machine::Machine& guest() { return guest_; }
    // Both images become these pages; see Engine::load_pages.
    void load_pages(std::span<const uint64_t> pages, std::span<const uint8_t> data);

private:
    struct Header {
        uint64_t stamp_min_ms;
        uint64_t stamp_max_ms;
        uint64_t inbox_count;
        uint64_t first_sequence;
    };

    Header read_header(const Batch& batch) const;
    void load_input(const Batch& batch);
    void step(BatchReport& report, const Batch& batch, const Header& header, uint32_t index);
    void compare_events(BatchReport& report, uint32_t index);
    void compare_leaves(BatchReport& report, uint32_t index);
    void compare_images(BatchReport& report, uint32_t index);

    native::Engine engine_;
    machine::Machine guest_;
    std::vector<uint64_t> dirty_;  // leaves that either side wrote in this message
};

}  // namespace provenue
