// Orders of the program itself: they close a position on the book, without a slot. Of an account in
// liquidation (6.3), of the house (6.5), of an account that leaves (12.4).
#pragma once

#include "core/program/match.hpp"

namespace provenue::PROVENUE_PRESET_NAMESPACE {

enum class Closing : uint8_t { kLiquidation, kHouseUnwind, kForcedClose };

// The row holds a position.
ForcedOrder closing_order(const State& state, RowRef row, Closing closing);
// The event that says so, before it is matched.
void emit_closing(Run& run, EventKind kind, const ForcedOrder& order);

// 12.5: what a position is worth in whole ticks, rounded against whoever closes it (P8). Any mark
// is a price here: it may be 0, or beyond what an order can say.
uint64_t ticks_at_mark(const State& state, RowRef row);

}  // namespace provenue::PROVENUE_PRESET_NAMESPACE
