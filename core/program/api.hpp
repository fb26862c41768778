// What the native engine and the guest see of the program: apply(image, message) -> code, events.
// Total, deterministic, bounded (P3, P4). All memory is the caller's.
//
// The program is compiled once per preset; apply and undo_message live in the preset's namespace,
// and one ProgramTable per preset lets a host choose at run time. Context and MessageInput are the
// same for all presets.
#pragma once

#include <cstddef>
#include <cstdint>

#include "core/base/generated/protocol.hpp"
#include "core/base/preset.hpp"
#include "core/image/undo.hpp"

namespace provenue {

struct MessageInput {
    const uint8_t* data;  // any alignment; may be null when size is 0
    uint32_t size;
    bool from_inbox;        // an item of the inbox, else posted by the operator
    uint64_t stamp_min_ms;  // of the batch header, stamp_min_ms <= stamp_max_ms
    uint64_t stamp_max_ms;
};

// Working memory of the program. The caller owns it, aligned to alignof(Context) and zeroed before
// the first use; one Context serves one image, one message at a time.
struct Context {
    uint8_t* image;  // image_bytes bytes, 4096-aligned
    uint32_t event_count;
    uint32_t pad;
    // What the last message wrote: entries[0 .. undo.count) are its dirty leaves. A leaf may be
    // recorded and yet hold its old bytes. Empty after undo_message.
    UndoLog undo;
    Event events[kEventsMax];  // of the last message, event_count of them
    alignas(1024) uint8_t hash_block[1024];
    alignas(128) uint8_t recover_block[128];
};

// One message. Returns the number of a Code; 0 (OK) means applied. On a reject the image is as it
// was but for the burnt nonce, and there are no events. Undo log and events describe this message
// until the next call.
//
// A failed assertion leaves apply through assert_failed; the host then calls undo_message.
using ApplyFunction = uint32_t (*)(Context& context, const MessageInput& message);
// Restores the image exactly as it was before the last apply, also in the middle of one.
using UndoFunction = void (*)(Context& context);

struct ProgramTable {
    const char* preset;
    uint64_t image_bytes;  // a multiple of 4096
    uint64_t context_bytes;
    uint64_t context_align;
    ApplyFunction apply;
    UndoFunction undo_message;
};

// Defined by the build of each preset; PROVENUE_PROGRAM_TABLE names the one of this build.
extern const ProgramTable program_table_minimal;
extern const ProgramTable program_table_dev;
extern const ProgramTable program_table_main;

namespace PROVENUE_PRESET_NAMESPACE {

uint32_t apply(Context& context, const MessageInput& message);
void undo_message(Context& context);

}  // namespace PROVENUE_PRESET_NAMESPACE
}  // namespace provenue
