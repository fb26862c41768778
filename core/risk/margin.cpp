#include "core/risk/margin.hpp"

namespace provenue::PROVENUE_PRESET_NAMESPACE {

namespace {

const InstrumentRecord& instrument_of(const State& state, const PositionRecord& row) {
    return state.instruments[linked_index(row.instrument_plus_1)];
}

// size * mark / lots_per_base in both directions, from one division.
struct Notional {
    i128 value;  // signed, rounded down
    i128 held;   // of the magnitude, rounded up
};

Notional notional_of(const InstrumentRecord& instrument, i128 size_lots, uint64_t mark) {
    const i128 product = multiply(static_cast<i128>(magnitude(size_lots)), mark);
    const Division result = divide(static_cast<u128>(product), instrument.lots_per_base);
    const i128 down = static_cast<i128>(result.quotient);
    const i128 up = result.remainder == 0 ? down : down + 1;
    return {size_lots < 0 ? -up : down, up};
}

// Rounded up twice, with the notional: a fraction of a unit short counts as short (P8).
i128 initial_of(const InstrumentRecord& instrument, i128 notional_units) {
    return mul_div_ceil(notional_units, instrument.initial_ppm, kPpm);
}
i128 maintenance_of(const InstrumentRecord& instrument, i128 notional_units) {
    return mul_div_ceil(notional_units, instrument.maintenance_ppm, kPpm);
}

i128 collateral_value(const State& state, uint32_t account) {
    i128 total = state.balance(account, kQuote);
    for (uint32_t asset = kQuote + 1; asset < kAssetsMax; ++asset)
        total = add(total, asset_value(state, account, asset));
    return total;
}

// What a row of a perpetual adds to equity beside the value of its position.
i128 row_cash(const InstrumentRecord& instrument, const PositionRecord& row) {
    return i128{row.cash_leg_units} - funding_due(instrument, row);
}

// Of a perpetual row: what it adds to equity less what it requires.
i128 row_excess(const InstrumentRecord& instrument, const PositionRecord& row, uint64_t mark,
                Requirement requirement) {
    const Notional now = notional_of(instrument, row.size_lots, mark);
    const i128 worth = add(now.value, row_cash(instrument, row));
    if (requirement == Requirement::kMaintenance)
        return worth - maintenance_of(instrument, now.held);
    const i128 worst = worst_size_lots(row);
    const i128 notional = magnitude(row.size_lots) == magnitude(worst)
                              ? now.held
                              : notional_of(instrument, worst, mark).held;
    return worth - initial_of(instrument, notional);
}

}  // namespace

bool is_fresh(const FeedRecord& feed, uint64_t now_ms) {
    return feed.price != 0 && now_ms - feed.updated_at_ms <= uint64_t{kMarkStaleMs};
}

bool prices_fresh(const State& state, uint32_t account, uint64_t now_ms, bool opens_row) {
    bool has_row = opens_row;
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

i128 spot_buy_units(const State& state, uint32_t account) {
    i128 units = 0;
    for (uint32_t slot = 0; slot < State::row_count(account); ++slot) {
        const PositionRecord& row = state.row(State::row_at(account, slot));
        if (row.open_buy_units != 0 && !is_perpetual(instrument_of(state, row)))
            units = add(units, row.open_buy_units);
    }
    return units;
}

i128 worst_size_lots(const PositionRecord& row) {
    const u128 long_side = magnitude(i128{row.size_lots} + row.open_buy_lots);
    const u128 short_side = magnitude(i128{row.size_lots} - row.open_sell_lots);
    return static_cast<i128>(long_side > short_side ? long_side : short_side);
}

i128 trade_loss(const State& state, const InstrumentRecord& instrument, Side side, uint64_t lots,
                i128 notional_units) {
    const bool buys = side == Side::kBuy;
    if (is_perpetual(instrument)) {
        const i128 mark = mark_of(state, instrument);
        return buys ? max(0, notional_units - mul_div_floor(lots, mark, instrument.lots_per_base))
                    : max(0, mul_div_ceil(lots, mark, instrument.lots_per_base) - notional_units);
    }
    if (buys) return 0;  // its cost is asked for in full
    const AssetRecord& base = state.assets[instrument.base_asset];
    const i128 units = multiply(lots, instrument.base_units_per_lot);
    const i128 value = div_floor(multiply(units, state.feeds[base.feed].price, base.weight_ppm),
                                 multiply(base.units_per_base, kPpm));
    return max(0, value - notional_units);
}

i128 row_maintenance(const InstrumentRecord& instrument, const PositionRecord& row,
                     uint64_t mark) {
    return maintenance_of(instrument, notional_of(instrument, row.size_lots, mark).held);
}

i128 initial_margin(const State& state, uint32_t account) {
    i128 total = 0;
    for (uint32_t slot = 0; slot < State::row_count(account); ++slot) {
        const PositionRecord& row = state.row(State::row_at(account, slot));
        if (row.instrument_plus_1 == kNoLink) continue;
        const InstrumentRecord& instrument = instrument_of(state, row);
        const i128 required =
            is_perpetual(instrument)
                ? initial_of(instrument, notional_of(instrument, worst_size_lots(row),
                                                     mark_of(state, instrument)).held)
                : row.open_buy_units;
        total = add(total, required);
    }
    return total;
}

i128 equity(const State& state, uint32_t account) {
    i128 total = collateral_value(state, account);
    for (uint32_t slot = 0; slot < State::row_count(account); ++slot) {
        const PositionRecord& row = state.row(State::row_at(account, slot));
        if (row.instrument_plus_1 == kNoLink || row.size_lots == 0) continue;
        const InstrumentRecord& instrument = instrument_of(state, row);
        const uint64_t mark = mark_of(state, instrument);
        total = add(total, notional_of(instrument, row.size_lots, mark).value);
        total = add(total, row_cash(instrument, row));
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

i128 excess(const State& state, uint32_t account, Requirement requirement) {
    i128 total = collateral_value(state, account);
    for (uint32_t slot = 0; slot < State::row_count(account); ++slot) {
        const PositionRecord& row = state.row(State::row_at(account, slot));
        if (row.instrument_plus_1 == kNoLink) continue;
        if (requirement == Requirement::kMaintenance && row.size_lots == 0) continue;
        const InstrumentRecord& instrument = instrument_of(state, row);
        const i128 more = is_perpetual(instrument)
                              ? row_excess(instrument, row, mark_of(state, instrument), requirement)
                              : -i128{row.open_buy_units};
        total = add(total, more);
    }
    return total;
}

bool is_unsafe(const State& state, uint32_t account) {
    return excess(state, account, Requirement::kMaintenance) < 0;
}

}  // namespace provenue::PROVENUE_PRESET_NAMESPACE
