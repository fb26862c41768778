#include "core/risk/margin.hpp"

namespace provenue::PROVENUE_PRESET_NAMESPACE {

namespace {

const InstrumentRecord& instrument_of(const State& state, const PositionRecord& row) {
    return state.instruments[linked_index(row.instrument_plus_1)];
}

i128 perpetual_initial(const InstrumentRecord& instrument, const PositionRecord& row,
                       uint64_t mark) {
    // Rounded up twice: a fraction of a unit short counts as short (P8).
    const i128 notional = mul_div_ceil(worst_size_lots(row), mark, instrument.lots_per_base);
    const i128 margin = mul_div_ceil(notional, instrument.initial_ppm, kPpm);
    return add(margin, open_order_loss(instrument, row, mark));
}

// Buys are paid in full; a sale below the collateral value of what is sold costs the difference.
i128 spot_initial(const State& state, const InstrumentRecord& instrument,
                  const PositionRecord& row) {
    if (row.open_sell_lots == 0) return row.open_buy_units;
    const AssetRecord& base = state.assets[instrument.base_asset];
    const i128 units = multiply(row.open_sell_lots, instrument.base_units_per_lot);
    const i128 value = div_floor(multiply(units, state.feeds[base.feed].price, base.weight_ppm),
                                 multiply(base.units_per_base, kPpm));
    return add(row.open_buy_units, max(0, value - row.open_sell_units));
}

}  // namespace

bool is_fresh(const FeedRecord& feed, uint64_t now_ms) {
    return feed.price != 0 && now_ms - feed.updated_at_ms <= uint64_t{kMarkStaleMs};
}

bool prices_fresh(const State& state, uint32_t account, uint64_t now_ms) {
    bool has_row = false;
    for (uint32_t slot = 0; slot < State::row_count(account); ++slot) {
        const PositionRecord& row = state.row(State::row_at(account, slot));
        if (row.instrument_plus_1 == kNoLink) continue;
        has_row = true;
        if (!is_fresh(state.feeds[instrument_of(state, row).feed], now_ms)) return false;
    }
    if (!has_row && state.balance(account, kQuote) >= 0) return true;
    for (uint32_t asset = kQuote + 1; asset < kAssetsMax; ++asset)
        if (state.balance(account, asset) != 0 &&
            !is_fresh(state.feeds[state.assets[asset].feed], now_ms))
            return false;
    return true;
}

i128 funding_due(const InstrumentRecord& instrument, const PositionRecord& row) {
    const i128 moved = i128{instrument.funding_index} - row.funding_index;
    if (moved == 0 || row.size_lots == 0) return 0;
    return mul_div_ceil(row.size_lots, moved, kFundingScale);
}

i128 asset_value(const State& state, uint32_t account, uint32_t asset) {
    const int64_t balance = state.balance(account, asset);
    if (balance == 0) return 0;
    ASSERT(balance > 0, "negative collateral");
    const AssetRecord& record = state.assets[asset];
    return div_floor(multiply(balance, state.feeds[record.feed].price, record.weight_ppm),
                     multiply(record.units_per_base, kPpm));
}

i128 reserved_units(const State& state, uint32_t account, uint32_t asset) {
    if (asset == kQuote) return 0;
    i128 reserved = 0;
    for (uint32_t slot = 0; slot < State::row_count(account); ++slot) {
        const PositionRecord& row = state.row(State::row_at(account, slot));
        if (row.instrument_plus_1 == kNoLink || row.open_sell_lots == 0) continue;
        const InstrumentRecord& instrument = instrument_of(state, row);
        if (!is_perpetual(instrument) && instrument.base_asset == asset)
            reserved = add(reserved, multiply(row.open_sell_lots, instrument.base_units_per_lot));
    }
    return reserved;
}

i128 worst_size_lots(const PositionRecord& row) {
    const u128 long_side = magnitude(i128{row.size_lots} + row.open_buy_lots);
    const u128 short_side = magnitude(i128{row.size_lots} - row.open_sell_lots);
    return static_cast<i128>(long_side > short_side ? long_side : short_side);
}

i128 open_order_loss(const InstrumentRecord& instrument, const PositionRecord& row,
                     uint64_t mark) {
    i128 loss = 0;
    if (row.open_buy_lots != 0)
        loss = max(0, row.open_buy_units -
                          mul_div_floor(row.open_buy_lots, mark, instrument.lots_per_base));
    if (row.open_sell_lots != 0)
        loss += max(0, mul_div_ceil(row.open_sell_lots, mark, instrument.lots_per_base) -
                           row.open_sell_units);
    return loss;
}

i128 row_maintenance(const InstrumentRecord& instrument, const PositionRecord& row,
                     uint64_t mark) {
    const i128 size = static_cast<i128>(magnitude(row.size_lots));
    const i128 notional = mul_div_ceil(size, mark, instrument.lots_per_base);
    return mul_div_ceil(notional, instrument.maintenance_ppm, kPpm);
}

i128 initial_margin(const State& state, uint32_t account) {
    i128 total = 0;
    for (uint32_t slot = 0; slot < State::row_count(account); ++slot) {
        const PositionRecord& row = state.row(State::row_at(account, slot));
        if (row.instrument_plus_1 == kNoLink) continue;
        const InstrumentRecord& instrument = instrument_of(state, row);
        total = add(total, is_perpetual(instrument)
                               ? perpetual_initial(instrument, row, mark_of(state, instrument))
                               : spot_initial(state, instrument, row));
    }
    return total;
}

i128 equity(const State& state, uint32_t account) {
    i128 total = state.balance(account, kQuote);
    for (uint32_t asset = kQuote + 1; asset < kAssetsMax; ++asset)
        total = add(total, asset_value(state, account, asset));
    for (uint32_t slot = 0; slot < State::row_count(account); ++slot) {
        const PositionRecord& row = state.row(State::row_at(account, slot));
        if (row.instrument_plus_1 == kNoLink) continue;
        const InstrumentRecord& instrument = instrument_of(state, row);
        if (!is_perpetual(instrument) || row.size_lots == 0) continue;
        const uint64_t mark = mark_of(state, instrument);
        total = add(total, mul_div_floor(row.size_lots, mark, instrument.lots_per_base));
        total = add(total, i128{row.cash_leg_units} - funding_due(instrument, row));
    }
    return total;
}

i128 maintenance_margin(const State& state, uint32_t account) {
    i128 total = 0;
    for (uint32_t slot = 0; slot < State::row_count(account); ++slot) {
        const PositionRecord& row = state.row(State::row_at(account, slot));
        if (row.instrument_plus_1 == kNoLink || row.size_lots == 0) continue;
        const InstrumentRecord& instrument = instrument_of(state, row);
        total = add(total, row_maintenance(instrument, row, mark_of(state, instrument)));
    }
    return total;
}

bool is_unsafe(const State& state, uint32_t account) {
    return equity(state, account) < maintenance_margin(state, account);
}

}  // namespace provenue::PROVENUE_PRESET_NAMESPACE
