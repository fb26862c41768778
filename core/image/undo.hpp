// The undo log of one message: every 32-byte leaf of the image that is written is recorded once,
// with the bytes it had before the message. It restores rejects, traps and failed assertions
// exactly (P4), and tells the host which leaves of the Merkle tree are dirty.
#pragma once

#include <cstdint>
#include <cstring>

#include "core/base/assert.hpp"

namespace provenue {

constexpr uint32_t kUndoLeafBytes = 32;
// The most leaves one message can touch (P3); core/program/bounds.hpp proves that it is enough.
constexpr uint32_t kUndoEntriesMax = 4096;
// Open addressing, at most half full.
constexpr uint32_t kUndoSlots = 2 * kUndoEntriesMax;

struct UndoEntry {
    uint64_t offset;  // of the leaf, from the start of the image; a multiple of 32
    uint64_t old_leaf[4];
};

struct UndoLog {
    uint32_t count;
    uint32_t tag;  // in the upper half of the word, the lower is zero
    UndoEntry entries[kUndoEntriesMax];
    // By hash of the offset: the message's tag and entry + 1. A slot with another tag is free, so
    // that beginning a message costs nothing.
    uint32_t slots[kUndoSlots];

    // Record a leaf before it is written. Recording it again costs a probe.
    void record(const uint8_t* image, uint64_t offset) {
#if defined(PROVENUE_UNMARKED)
        return;  // the book benchmark's second library: what marking costs is the difference
#endif
        const uint64_t leaf = offset / kUndoLeafBytes;
        uint32_t slot = slot_of(leaf);
        // Bounded by kUndoSlots: the table is at most half full.
        for (; is_taken(slot); slot = (slot + 1) % kUndoSlots)
            if (entries[(slots[slot] & kEntryMask) - 1].offset == leaf * kUndoLeafBytes) return;
        ASSERT(count < kUndoEntriesMax, "undo log full");
        UndoEntry& entry = entries[count];
        entry.offset = leaf * kUndoLeafBytes;
        // The builtin is four words, where a freestanding memcpy is a call.
        __builtin_memcpy(entry.old_leaf, __builtin_assume_aligned(image + entry.offset, 8),
                         kUndoLeafBytes);
        count += 1;
        slots[slot] = tag | count;
    }

    // Record every leaf of a range.
    void record_range(const uint8_t* image, uint64_t offset, uint64_t bytes) {
        const uint64_t end = offset + bytes;
        for (uint64_t at = offset - offset % kUndoLeafBytes; at < end; at += kUndoLeafBytes)
            record(image, at);
    }

    // Restore every leaf first recorded after the log had `mark` entries, and forget it.
    void rollback(uint8_t* image, uint32_t mark) {
        ASSERT(mark <= count, "undo mark ahead of log");
        while (count > mark) {
            const UndoEntry& entry = entries[count - 1];
            std::memcpy(image + entry.offset, entry.old_leaf, kUndoLeafBytes);
            forget_last();
        }
    }

    // Begin a new message: what is in the image now is what a rollback restores.
    void clear() {
        if (count == 0) return;
        count = 0;
        tag += kTagStep;
        if (tag == 0) std::memset(slots, 0, sizeof slots);  // tags begin anew
    }

private:
    static constexpr uint32_t kTagStep = 1u << 16;
    static constexpr uint32_t kEntryMask = kTagStep - 1;
    static_assert(kUndoEntriesMax < kTagStep);

    bool is_taken(uint32_t slot) const {
        return (slots[slot] & ~kEntryMask) == tag && (slots[slot] & kEntryMask) != 0;
    }

    static uint32_t slot_of(uint64_t leaf) {
        constexpr uint64_t kMultiplier = 0x9E37'79B9'7F4A'7C15;  // 2^64 / golden ratio
        static_assert(kUndoSlots == 1 << 13);
        return static_cast<uint32_t>((leaf * kMultiplier) >> (64 - 13));
    }

    // The last entry was the last one inserted, so no probe sequence passes through its slot to
    // a later entry: clearing the slot is a correct removal.
    void forget_last() {
        uint32_t slot = slot_of(entries[count - 1].offset / kUndoLeafBytes);
        while (slots[slot] != (tag | count)) slot = (slot + 1) % kUndoSlots;
        slots[slot] = tag;  // free
        count -= 1;
    }
};

}  // namespace provenue
