// Margin, equity and freshness (chapter 5): pure functions of balances, rows and marks.
#pragma once

#include <cstdint>

#include "core/base/generated/protocol.hpp"
#include "core/base/wide.hpp"
#include "core/image/state.hpp"

namespace provenue::PROVENUE_PRESET_NAMESPACE {

inline bool is_perpetual(const InstrumentRecord& instrument) {
    return instrument.kind == static_cast<uint8_t>(InstrumentKind::kPerpetual);
}

// The price of an instrument's feed, 0 if it has none.
inline uint64_t mark_of(const State& state, const InstrumentRecord& instrument) {
    return state.feeds[instrument.feed].price;
}
bool is_fresh(const FeedRecord& feed, uint64_t now_ms);
// 5.4: every price that the account's margin depends on is fresh. `opens_row`: an order is about to
// take a row, whose own feed the caller has checked, so that collateral matters in any case.
bool prices_fresh(const State& state, uint32_t account, uint64_t now_ms, bool opens_row = false);

// 5.1, 5.6: what the row owes (positive) or is owed since it was last settled; the payer rounds up.
i128 funding_due(const InstrumentRecord& instrument, const PositionRecord& row);
// An asset has at most so many decimals: a whole base is at most 10^8 units.
constexpr uint32_t kUnitDecimalsMax = 8;
// Collateral value of a balance other than the quote, haircut, rounded down.
i128 asset_value(const State& state, uint32_t account, uint32_t asset);
// Units of an asset that back the account's open spot sells (3.5).
i128 reserved_units(const State& state, uint32_t account, uint32_t asset);
// Quote units that the account's open spot buys will cost, without fees (4.1 step 16).
i128 spot_buy_units(const State& state, uint32_t account);

// W of 5.2: the largest size, in either direction, that the row's open orders can lead to.
i128 worst_size_lots(const PositionRecord& row);
// 5.5: what `lots` bought or sold for `notional_units` lose at once against the mark, at least 0.
i128 trade_loss(const State& state, const InstrumentRecord& instrument, Side side, uint64_t lots,
                i128 notional_units);
// Of a perpetual row, at its present size.
i128 row_maintenance(const InstrumentRecord& instrument, const PositionRecord& row, uint64_t mark);

i128 initial_margin(const State& state, uint32_t account);
i128 equity(const State& state, uint32_t account);
i128 maintenance_margin(const State& state, uint32_t account);

enum class Requirement : uint8_t { kInitial, kMaintenance };
// equity less the initial or the maintenance margin, in one pass over the rows (P3).
i128 excess(const State& state, uint32_t account, Requirement requirement);
bool is_unsafe(const State& state, uint32_t account);

}  // namespace provenue::PROVENUE_PRESET_NAMESPACE
