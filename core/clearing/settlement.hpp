// Settlement of fills and of funding (chapters 5.1 and 5.6). Keeps P5: what one side pays, another
// account, the fees or a clearing account receives.
#pragma once

#include <cstdint>

#include "core/base/events.hpp"
#include "core/base/wide.hpp"
#include "core/image/state.hpp"

namespace provenue::PROVENUE_PRESET_NAMESPACE {

// Balances change through here only: a balance that leaves i64 is a bug.
void change_balance(State& state, uint32_t account, uint32_t asset, i128 change);

enum class FeeTo : uint8_t { kFees, kHouse };

// One side of a fill; `row` is the account's row for the instrument.
struct FillSide {
    uint32_t account;
    RowRef row;
    uint32_t instrument;
    Side side;
    uint64_t price_ticks;  // of a deleveraging at the mark it may be 0, or beyond PRICE_TICKS_MAX
    uint64_t quantity_lots;
    uint32_t fee_ppm;
    FeeTo fee_to;
};

// Clears one side; its row is not freed here. Returns the fee.
int64_t clear_fill(State& state, EventLog& events, const FillSide& fill);

// Step 2 of 5.1: `size_change` lots for the cash flow `cash`; realised profit goes to the account's
// quote balance.
void change_position(State& state, RowRef ref, i128 size_change, i128 cash);

// Brings a row's funding index up to its instrument's, and the money with it.
void settle_funding(State& state, EventLog& events, RowRef ref);
// Moves the funding of every listed perpetual up to `now_ms`: the index only on a fresh mark.
void accrue_funding(State& state, uint64_t now_ms);

}  // namespace provenue::PROVENUE_PRESET_NAMESPACE
