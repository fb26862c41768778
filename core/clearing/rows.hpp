// The life of position rows: a row is in use while any of its sums is not zero (chapter 4).
#pragma once

#include <cstdint>

#include "core/base/generated/protocol.hpp"
#include "core/image/state.hpp"

namespace provenue::PROVENUE_PRESET_NAMESPACE {

// The account's row for an instrument, taken if it has none; one is free.
RowRef open_row(State& state, uint32_t account, uint32_t instrument);
// The row exists.
RowRef row_of(const State& state, uint32_t account, uint32_t instrument);
// Clears the row if all its sums are zero.
void free_row_if_unused(State& state, RowRef ref);

// Lots at a limit price join or leave the row's sums of open orders.
struct OpenLots {
    Side side;
    uint32_t price_ticks;
    uint32_t lots;
};
void add_open_lots(State& state, RowRef ref, const OpenLots& open);
void remove_open_lots(State& state, RowRef ref, const OpenLots& open);
// A reduce-only order adds nothing to a position: it is only counted.
void add_reduce_order(State& state, RowRef ref);
void remove_reduce_order(State& state, RowRef ref);

}  // namespace provenue::PROVENUE_PRESET_NAMESPACE
