// The native engine: one image, the program's working memory, and the tree over the image.
// For one thread at a time. Not a place for rules: all of those are in the program.
#pragma once

#include <cstdint>
#include <memory>
#include <span>
#include <string>
#include <vector>

#include "core/native/host_native.hpp"
#include "core/native/layout.hpp"
#include "core/native/mapping.hpp"
#include "core/native/merkle.hpp"
#include "core/program/api.hpp"
#include "core/program/margins.hpp"

namespace provenue::native {

// Source and stamps of messages, as the batch header has them.
struct Arrival {
    bool from_inbox;
    uint64_t stamp_min_ms;
    uint64_t stamp_max_ms;
};

class Engine {
public:
    // A zero image of the table's preset. With `image_path` it lies in that file (see Mapping).
    explicit Engine(const ProgramTable& table, const char* image_path = nullptr);

    // One message: the reject code, 0 for OK. Throws EngineFault; the image is then as before.
    uint32_t apply(std::span<const uint8_t> message, const Arrival& arrival);
    // Of the last message that was applied; valid until the next.
    std::span<const Event> events() const;
    // Offsets of the leaves the last message recorded as written, in the order of first writing.
    void dirty_leaves(std::vector<uint64_t>& offsets) const;

    Digest root() { return tree_.root(); }
    // The roots after many messages, cheaper than one by one: see ImageTree.
    void commit_root() { tree_.commit(); }
    std::vector<Digest> take_roots() { return tree_.take_roots(); }
    Digest rehash() const { return tree_.rehash(); }
    std::vector<Digest> proof(uint64_t leaf) { return tree_.proof(leaf); }
    // 4096-byte pages that hold anything but zeros, ascending.
    std::vector<uint64_t> pages();

    const char* preset() const { return table_.preset; }
    const uint8_t* image() const { return image_.data(); }
    uint64_t image_bytes() const { return table_.image_bytes; }
    // Replaces the image: `data` holds the pages one after another, all others are zero.
    void load_pages(std::span<const uint64_t> pages, std::span<const uint8_t> data);
    // Changes bytes behind the program's back, as a drill or a test of the checks.
    void poke(uint64_t offset, std::span<const uint8_t> data);

    // The n-th host call (hash, recover) of the next message fails; 0: none. Drills and tests.
    void fail_at_call(uint32_t n) { fail_at_call_ = n; }

    // By the program's own functions; `function` is that of the table's preset.
    Margins margins(MarginsFunction function, uint32_t account);

    // The canonical dump of protocol chapter 8 (dump.cpp).
    std::string dump() const;

private:
    struct ContextDeleter {
        size_t align;
        void operator()(Context* context) const;
    };

    const ProgramTable& table_;
    const Layout& layout_;
    Mapping image_;
    ImageTree tree_;
    std::unique_ptr<Context, ContextDeleter> context_;
    uint32_t fail_at_call_ = 0;
};

}  // namespace provenue::native
