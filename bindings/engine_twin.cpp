#include "bindings/engine_twin.hpp"

#include <algorithm>
#include <cstring>
#include <optional>
#include <stdexcept>

#include "core/base/bytes.hpp"
#include "core/native/recover.hpp"

namespace provenue {

namespace {

using machine::Status;

constexpr uint64_t kLeaf = 32;
constexpr uint64_t kPage = 4096;
constexpr uint64_t kHeaderOffset = kHeaderBase - kInputBase;
constexpr uint64_t kInboxOffset = kInboxBase - kInputBase;
constexpr uint64_t kHeaderSpace = kInboxBase - kHeaderBase;
constexpr auto kSlotBytes = static_cast<uint64_t>(kInboxSlotBytes);
constexpr auto kMessagesMax = static_cast<uint64_t>(kBatchMessagesMax);

// A word of 32 bytes, big-endian, beyond the end zero. The contract never makes one above 64 bits.
uint64_t word_at(std::span<const uint8_t> bytes, uint64_t offset, const char* what) {
    uint8_t word[kLeaf] = {};
    if (offset < bytes.size())
        std::memcpy(word, bytes.data() + offset, std::min(kLeaf, bytes.size() - offset));
    for (uint64_t i = 0; i < kLeaf - 8; ++i)
        if (word[i] != 0) throw std::invalid_argument(std::string(what) + ": expected 64 bits");
    return load_big<uint64_t>(word + kLeaf - 8);
}

// None if it is not wholly inside the bytes.
std::optional<uint64_t> posted_u32(std::span<const uint8_t> posted, uint64_t offset) {
    if (offset + 4 > posted.size()) return std::nullopt;
    return load_big<uint32_t>(posted.data() + offset);
}

// Chapter 7.1, written apart from the guest's own slicing, so that each checks the other.
std::span<const uint8_t> posted_message(std::span<const uint8_t> posted, uint64_t k) {
    const std::optional<uint64_t> from = posted_u32(posted, 4 + 4 * k);
    const std::optional<uint64_t> to = posted_u32(posted, 8 + 4 * k);
    if (!from || !to || *from > *to || *to > posted.size()) return {};
    return posted.subspan(*from, *to - *from);
}

std::span<const uint8_t> inbox_message(std::span<const uint8_t> inbox, uint64_t slot) {
    const uint64_t length = word_at(inbox, slot * kSlotBytes, "inbox: length of an item");
    if (length > static_cast<uint64_t>(kInboxMessageMax)) return {};
    return inbox.subspan(slot * kSlotBytes + kLeaf, length);
}

uint32_t guest_u32(const uint8_t* at) {
    uint32_t value;
    std::memcpy(&value, at, sizeof value);
    return value;
}

}  // namespace

Twin::Twin(const ProgramTable& table, std::span<const uint8_t> elf) : engine_(table) {
    guest_.load_elf(elf);
    guest_.set_recover(native::recover_callback, nullptr);
}

void Twin::load_pages(std::span<const uint64_t> pages, std::span<const uint8_t> data) {
    engine_.load_pages(pages, data);
    guest_.clear_image();
    for (size_t i = 0; i < pages.size(); ++i)
        guest_.set_image(pages[i] * kPage, data.subspan(i * kPage, kPage));
}

Twin::Header Twin::read_header(const Batch& batch) const {
    if (batch.header.size() > kHeaderSpace)
        throw std::invalid_argument("header: expected at most 32 KiB");
    const Header header{word_at(batch.header, 1 * kLeaf, "header: stamp_min_ms"),
                        word_at(batch.header, 2 * kLeaf, "header: stamp_max_ms"),
                        word_at(batch.header, 3 * kLeaf, "header: inbox_count"),
                        word_at(batch.header, 6 * kLeaf, "header: first sequence number")};
    if (header.stamp_min_ms > header.stamp_max_ms)
        throw std::invalid_argument("header: expected stamp_min_ms <= stamp_max_ms");
    if (word_at(batch.header, 4 * kLeaf, "header: length") != batch.posted.size())
        throw std::invalid_argument("header: expected word 4 to be the length of the posted bytes");
    const uint64_t slots = batch.inbox.size() / kSlotBytes;
    if (batch.inbox.size() % kSlotBytes != 0 || header.inbox_count > slots ||
        slots > static_cast<uint64_t>(kBatchInboxMax))
        throw std::invalid_argument("inbox: expected whole slots, inbox_count of them or more");
    if (batch.posted.size() > static_cast<uint64_t>(kBatchBytesMax))
        throw std::invalid_argument("posted: expected at most BATCH_BYTES_MAX");
    return header;
}

void Twin::load_input(const Batch& batch) {
    guest_.clear_input();
    guest_.set_input(0, batch.posted);
    guest_.set_input(kHeaderOffset, batch.header);
    guest_.set_input(kInboxOffset, batch.inbox);
}

BatchReport Twin::check(const Batch& batch, uint32_t compare_every) {
    const Header header = read_header(batch);
    const uint64_t count = header.inbox_count + posted_u32(batch.posted, 0).value_or(0);
    if (count == 0 || count > kMessagesMax)
        throw std::invalid_argument("batch: expected 1 to BATCH_MESSAGES_MAX messages");
    load_input(batch);
    BatchReport report;
    engine_.take_roots();  // what a call that broke off may have left
    for (uint32_t i = 0; i < count && report.differences.empty(); ++i) {
        step(report, batch, header, i);
        const bool due = compare_every != 0 && ((i + 1) % compare_every == 0 || i + 1 == count);
        const bool whole = due || report.outcomes.back().broke_off;
        if (whole && report.differences.empty()) compare_images(report, i);
    }
    report.roots = engine_.take_roots();
    return report;
}

void Twin::step(BatchReport& report, const Batch& batch, const Header& header, uint32_t index) {
    const bool from_inbox = index < header.inbox_count;
    const auto message = from_inbox ? inbox_message(batch.inbox, index)
                                    : posted_message(batch.posted, index - header.inbox_count);
    const native::Arrival arrival{from_inbox, header.stamp_min_ms, header.stamp_max_ms};
    Outcome outcome{};
    std::string fault;
    try {
        outcome.code = engine_.apply(message, arrival);
    } catch (const native::EngineFault& error) {
        outcome.broke_off = true;
        fault = error.what();
    }
    dirty_.clear();
    engine_.dirty_leaves(dirty_);
    outcome.event_count = static_cast<uint32_t>(engine_.events().size());

    guest_.begin_message(index, header.first_sequence);
    const machine::RunResult run = guest_.run(static_cast<uint64_t>(kMessageInstructionsMax));
    outcome.steps = run.steps;
    for (const uint64_t leaf : guest_.dirty_image_leaves()) dirty_.push_back(leaf);
    const bool halted = run.status == Status::halted && run.exit_code == 0;
    if (!halted) guest_.rollback_image();

    report.outcomes.push_back(outcome);
    for (const Event& event : engine_.events()) report.events.push_back(event);
    report.event_ends.push_back(report.events.size());
    if (halted == outcome.broke_off) {
        report.differences.push_back({Difference::Kind::outcome, index, run.pc, outcome.code,
                                      static_cast<uint64_t>(run.event), fault});
    } else if (halted) {
        compare_events(report, index);
    }
    if (report.differences.empty()) compare_leaves(report, index);
    engine_.commit_root();
}

void Twin::compare_events(BatchReport& report, uint32_t index) {
    using Kind = Difference::Kind;
    const Outcome& outcome = report.outcomes.back();
    const uint8_t* output = guest_.output();
    const uint32_t code = guest_u32(output);
    const uint32_t count = guest_u32(output + 4);
    if (code != outcome.code) {
        report.differences.push_back({Kind::code, index, 0, outcome.code, code, {}});
        return;
    }
    if (count != outcome.event_count) {
        report.differences.push_back({Kind::event_count, index, 0, outcome.event_count, count, {}});
        return;
    }
    const auto* native = reinterpret_cast<const uint8_t*>(engine_.events().data());
    const uint8_t* guest = output + kOutputEventsOffset;
    for (uint64_t at = 0; at < count * sizeof(Event); ++at)
        if (native[at] != guest[at]) {
            report.differences.push_back({Kind::event, index, at, native[at], guest[at], {}});
            return;
        }
}

void Twin::compare_leaves(BatchReport& report, uint32_t index) {
    std::sort(dirty_.begin(), dirty_.end());
    dirty_.erase(std::unique(dirty_.begin(), dirty_.end()), dirty_.end());
    const uint64_t extent = engine_.image_bytes();
    for (const uint64_t leaf : dirty_) {
        static constexpr uint8_t kZeros[kLeaf] = {};
        const uint8_t* native = leaf < extent ? engine_.image() + leaf : kZeros;
        const uint8_t* guest = guest_.image() + leaf;
        if (std::memcmp(native, guest, kLeaf) == 0) continue;
        uint64_t i = 0;
        while (native[i] == guest[i]) ++i;
        report.differences.push_back(
            {Difference::Kind::image, index, leaf + i, native[i], guest[i], {}});
        return;
    }
}

void Twin::compare_images(BatchReport& report, uint32_t index) {
    for (uint64_t page = 0; page < engine_.image_bytes(); page += kPage) {
        const uint8_t* native = engine_.image() + page;
        const uint8_t* guest = guest_.image() + page;
        if (std::memcmp(native, guest, kPage) == 0) continue;
        uint64_t i = 0;
        while (native[i] == guest[i]) ++i;
        report.differences.push_back(
            {Difference::Kind::image, index, page + i, native[i], guest[i], {}});
        return;
    }
    if (engine_.rehash() != engine_.root())
        report.differences.push_back({Difference::Kind::root, index, 0, 0, 0, {}});
}

}  // namespace provenue
