// The guest: message `index` of the batch in the input quarter, applied to the image quarter
// (chapter 7). Any batch bytes are safe: what cannot be sliced is an empty message.
#include <cstdint>
#include <cstring>

#include "core/base/bytes.hpp"
#include "core/program/api.hpp"

namespace provenue::PROVENUE_PRESET_NAMESPACE {

namespace {

constexpr uint64_t kOffsetBytes = 4;
constexpr uint64_t kWordsMax = uint64_t{kInboxBase - kHeaderBase} / kWordBytes;

// Scratch is zero at the start of every message, so this is a fresh Context (.bss).
Context context;

const uint8_t* at(uint64_t address) { return reinterpret_cast<const uint8_t*>(address); }

// A header word. The contract bounds them all below 2^64; the upper bytes are not looked at.
uint64_t header_word(uint64_t number) {
    static_assert(kWordsMax > 4);
    return load_big<uint64_t>(at(kHeaderBase + number * kWordBytes) + kWordBytes - 8);
}

// 7.1: posted message k, empty when its offsets are bad.
void slice_posted(uint64_t number, MessageInput& message) {
    const uint64_t length = header_word(4);
    const uint8_t* posted = at(kInputBase);
    // The offsets that matter must lie inside the posted bytes.
    const uint64_t table = kOffsetBytes * (1 + number);
    if (length > uint64_t{kBatchBytesMax} || table + 2 * kOffsetBytes > length) return;
    if (number >= load_big<uint32_t>(posted)) return;
    const uint64_t from = load_big<uint32_t>(posted + table);
    const uint64_t to = load_big<uint32_t>(posted + table + kOffsetBytes);
    if (from > to || to > length) return;
    message.data = posted + from;
    message.size = static_cast<uint32_t>(to - from);
}

void slice_inbox(uint64_t number, MessageInput& message) {
    const uint8_t* slot = at(kInboxBase + number * uint64_t{kInboxSlotBytes});
    const uint64_t size = load_big<uint64_t>(slot + kWordBytes - 8);
    message.from_inbox = true;
    if (size > uint64_t{kInboxMessageMax}) return;
    message.data = slot + kWordBytes;
    message.size = static_cast<uint32_t>(size);
}

// Whether the batch has a message of this index; `message` is it.
bool slice(uint64_t index, MessageInput& message) {
    message.stamp_min_ms = header_word(1);
    message.stamp_max_ms = header_word(2);
    const uint64_t inbox_count = header_word(3);
    if (index < inbox_count) {
        if (index >= uint64_t{kBatchInboxMax}) return false;
        slice_inbox(index, message);
        return true;
    }
    const uint64_t count = header_word(4) < kOffsetBytes
                               ? 0
                               : load_big<uint32_t>(at(kInputBase));
    if (index - inbox_count >= count) return false;
    slice_posted(index - inbox_count, message);
    return true;
}

[[noreturn]] void exit_with(uint64_t status) {
    register uint64_t a0 asm("a0") = status;
    register uint64_t a7 asm("a7") = kEcallExit;
    asm volatile("ecall" : : "r"(a0), "r"(a7) : "memory");
    __builtin_unreachable();
}

void write_output(uint32_t code) {
    uint8_t* output = reinterpret_cast<uint8_t*>(kOutputBase);
    std::memcpy(output, &code, sizeof(code));
    std::memcpy(output + sizeof(code), &context.event_count, sizeof(context.event_count));
    std::memcpy(output + kOutputEventsOffset, context.events,
                context.event_count * sizeof(Event));
}

}  // namespace

}  // namespace provenue::PROVENUE_PRESET_NAMESPACE

extern "C" [[noreturn]] void guest_main(uint64_t index, uint64_t first_sequence) {
    using namespace provenue;
    using namespace provenue::PROVENUE_PRESET_NAMESPACE;
    // The sequence number names the message in the machine's start state; no rule depends on it.
    static_cast<void>(first_sequence);
    MessageInput message{};
    if (slice(index, message)) {
        context.image = reinterpret_cast<uint8_t*>(kImageBase);
        write_output(apply(context, message));
    }
    exit_with(0);
}
