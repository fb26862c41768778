// One message under way: the state, what it emits, and what the kinds share.
#pragma once

#include <cstdint>

#include "core/base/bytes.hpp"
#include "core/base/events.hpp"
#include "core/base/hash.hpp"
#include "core/image/state.hpp"
#include "core/program/api.hpp"

namespace provenue::PROVENUE_PRESET_NAMESPACE {

struct Run {
    Run(Context& context, const MessageInput& message)
        : context(context),
          data(message.data),
          size(message.size),
          state(context.image, context.undo),
          events(context.events, context.event_count),
          hasher(context.hash_block) {}

    // A fixed-width field of the message, at its offset of the generated wire structs.
    uint8_t u8(uint32_t at) const { return data[at]; }
    uint16_t u16(uint32_t at) const { return load_big<uint16_t>(data + at); }
    uint32_t u32(uint32_t at) const { return load_big<uint32_t>(data + at); }
    uint64_t u64(uint32_t at) const { return load_big<uint64_t>(data + at); }

    Context& context;
    const uint8_t* data;
    uint32_t size;
    State state;
    EventLog events;
    Hasher hasher;
    uint64_t now_ms = 0;
    // What a reject keeps: the undo entries before this mark (the burnt nonce, P4).
    uint32_t reject_mark = 0;
};

}  // namespace provenue::PROVENUE_PRESET_NAMESPACE
