// The books: levels of resting orders in price-time priority (P7). Knows nothing of money: the
// program asks for the best maker, decides, and says what leaves.
#pragma once

#include <cstdint>

#include "core/matching/orders.hpp"
#include "core/matching/price_index.hpp"

namespace provenue::PROVENUE_PRESET_NAMESPACE {

// Best price of a side, 0 when it is empty.
uint32_t best_price(const State& state, uint32_t instrument, Side side);
// Whether an order of `side` with this limit would trade at once.
bool crosses(const State& state, uint32_t instrument, Side side, uint32_t limit_ticks);
// The oldest order of the best opposite level that crosses the limit; false when none does.
bool find_maker(const State& state, uint32_t instrument, Side side, uint32_t limit_ticks,
                uint32_t& slot);
bool has_level(const State& state, uint32_t instrument, Side side, uint32_t price_ticks);
bool has_free_level(const State& state);

// Joins the tail of its price's level. The level exists or one is free.
void rest_order(State& state, uint32_t slot);
// Leaves its level, which ends with its last order. The rest of the queue keeps its places. The
// order may take again.
void unrest_order(State& state, uint32_t slot);
// Lots of a live order are gone: of a resting order, which keeps its place, or of a taker.
void reduce_order(State& state, uint32_t slot, uint32_t lots);

}  // namespace provenue::PROVENUE_PRESET_NAMESPACE
