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
// 5.4: every price that the account's margin depends on is fresh.
bool prices_fresh(const State& state, uint32_t account, uint64_t now_ms);

// 5.1, 5.6: what the row owes (positive) or is owed since it was last settled; the payer rounds up.
i128 funding_due(const InstrumentRecord& instrument, const PositionRecord& row);
// Collateral value of a balance other than the quote, haircut, rounded down.
i128 asset_value(const State& state, uint32_t account, uint32_t asset);
// Units of an asset that back the account's open spot sells (3.5).
i128 reserved_units(const State& state, uint32_t account, uint32_t asset);

// W of 5.2: the largest size, in either direction, that the row's open orders can lead to.
i128 worst_size_lots(const PositionRecord& row);
// What the row's open orders would lose at once against the mark: the last two terms of 5.2.
i128 open_order_loss(const InstrumentRecord& instrument, const PositionRecord& row, uint64_t mark);
// Of a perpetual row, at its present size.
i128 row_maintenance(const InstrumentRecord& instrument, const PositionRecord& row, uint64_t mark);

i128 initial_margin(const State& state, uint32_t account);
i128 equity(const State& state, uint32_t account);
i128 maintenance_margin(const State& state, uint32_t account);
bool is_unsafe(const State& state, uint32_t account);

}  // namespace provenue::PROVENUE_PRESET_NAMESPACE
