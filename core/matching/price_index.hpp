// The price index of one side of one book: a 64-ary bitmap trie over 30-bit prices. Every operation
// looks at five nodes, however far the price has moved and however deep the book is; nothing is
// cached, so nothing goes stale.
#pragma once

#include <cstdint>

#include "core/base/generated/protocol.hpp"
#include "core/image/state.hpp"

namespace provenue::PROVENUE_PRESET_NAMESPACE {

// All return a level link, kNoLink when there is none.
uint32_t best_level(const State& state, uint32_t instrument, Side side);
uint32_t level_at(const State& state, uint32_t instrument, Side side, uint32_t price_ticks);
// The best level strictly worse than a price: lower for buys, higher for sells.
uint32_t level_behind(const State& state, uint32_t instrument, Side side, uint32_t price_ticks);

// The price has no level yet.
void index_level(State& state, uint32_t instrument, Side side, uint32_t price_ticks,
                 uint32_t level_link);
// The price has one.
void unindex_level(State& state, uint32_t instrument, Side side, uint32_t price_ticks);

}  // namespace provenue::PROVENUE_PRESET_NAMESPACE
