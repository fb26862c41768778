#include "core/risk/margin.hpp"

namespace provenue::PROVENUE_PRESET_NAMESPACE {

namespace {

const InstrumentRecord& instrument_of(const State& state, const PositionRecord& row) {
    return state.instruments[linked_index(row.instrument_plus_1)];
}

constexpr Divisor kPpmDivisor{uint64_t{kPpm}};
constexpr Divisor kFundingDivisor{uint64_t{kFundingScale}};

// units_per_base * PPM, by unit decimals.
struct CollateralDivisors {
    Divisor of_decimals[kUnitDecimalsMax + 1];
};
constexpr CollateralDivisors kCollateralDivisors = [] {
    CollateralDivisors divisors;
    uint64_t value = kPpm;
    for (Divisor& divisor : divisors.of_decimals) {
        divisor = Divisor(value);
        value *= 10;
    }
    return divisors;
}();

// size * mark / lots_per_base in both directions, from one division.
struct Notional {
    i128 value;  // signed, rounded down
    i128 held;   // of the magnitude, rounded up
};

Notional notional_of(i128 size_lots, uint64_t mark, const Divisor& lots_per_base) {
    const Quotient result = divide(magnitude(multiply(size_lots, mark)), lots_per_base);
    const i128 down = static_cast<i128>(result.quotient);
    const i128 up = down + (result.remainder != 0);
    return {size_lots < 0 ? -up : down, up};
}
Notional notional_of(const InstrumentRecord& instrument, i128 size_lots, uint64_t mark) {
    return notional_of(size_lots, mark, Divisor(instrument.lots_per_base));
}

// Rounded up twice, with the notional: a fraction of a unit short counts as short (P8).
i128 initial_of(const InstrumentRecord& instrument, i128 notional_units) {
    return div_ceil(multiply(notional_units, instrument.initial_ppm), kPpmDivisor);
}
i128 maintenance_of(const InstrumentRecord& instrument, i128 notional_units) {
    return div_ceil(multiply(notional_units, instrument.maintenance_ppm), kPpmDivisor);
}

// The collateral value of so many units, haircut, rounded down.
i128 units_value(const State& state, const AssetRecord& asset, i128 units) {
    ASSERT(asset.unit_decimals <= kUnitDecimalsMax, "unit decimals");
    return div_floor(multiply(state.feeds[asset.feed].price, asset.weight_ppm, units),
                     kCollateralDivisors.of_decimals[asset.unit_decimals]);
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
    const Divisor lots_per_base(instrument.lots_per_base);
    const Notional now = notional_of(row.size_lots, mark, lots_per_base);
    const i128 worth = add(now.value, row_cash(instrument, row));
    if (requirement == Requirement::kMaintenance)
        return worth - maintenance_of(instrument, now.held);
    const i128 worst = worst_size_lots(row);
    const i128 notional = magnitude(row.size_lots) == magnitude(worst)
                              ? now.held
                              : notional_of(worst, mark, lots_per_base).held;
    return worth - initial_of(instrument, notional);
}

}  // namespace

bool is_fresh(const FeedRecord& feed, uint64_t now_ms) {
    return feed.price != 0 && now_ms - feed.updated_at_ms <= uint64_t{kMarkStaleMs};
}

bool prices_fresh(const State& state, uint32_t account, uint64_t now_ms, bool opens_row) {
    bool has_row = opens_row;
    for (const PositionRecord& row : state.rows(account)) {
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
    return div_ceil(multiply(row.size_lots, moved), kFundingDivisor);
}

i128 asset_value(const State& state, uint32_t account, uint32_t asset) {
    const int64_t balance = state.balance(account, asset);
    if (balance == 0) return 0;
    ASSERT(balance > 0, "negative collateral");
    return units_value(state, state.assets[asset], balance);
}

i128 reserved_units(const State& state, uint32_t account, uint32_t asset) {
    if (asset == kQuote) return 0;
    i128 reserved = 0;
    for (const PositionRecord& row : state.rows(account)) {
        if (row.instrument_plus_1 == kNoLink || row.open_sell_lots == 0) continue;
        const InstrumentRecord& instrument = instrument_of(state, row);
        if (!is_perpetual(instrument) && instrument.base_asset == asset)
            reserved = add(reserved, multiply(row.open_sell_lots, instrument.base_units_per_lot));
    }
    return reserved;
}

i128 spot_buy_units(const State& state, uint32_t account) {
    i128 units = 0;
    for (const PositionRecord& row : state.rows(account)) {
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
        const i128 product = multiply(lots, mark_of(state, instrument));
        const Divisor lots_per_base(instrument.lots_per_base);
        return buys ? max(0, notional_units - div_floor(product, lots_per_base))
                    : max(0, div_ceil(product, lots_per_base) - notional_units);
    }
    if (buys) return 0;  // its cost is asked for in full
    const i128 units = multiply(lots, instrument.base_units_per_lot);
    return max(0, units_value(state, state.assets[instrument.base_asset], units) - notional_units);
}

i128 row_maintenance(const InstrumentRecord& instrument, const PositionRecord& row,
                     uint64_t mark) {
    return maintenance_of(instrument, notional_of(instrument, row.size_lots, mark).held);
}

i128 initial_margin(const State& state, uint32_t account) {
    i128 total = 0;
    for (const PositionRecord& row : state.rows(account)) {
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
    for (const PositionRecord& row : state.rows(account)) {
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
    for (const PositionRecord& row : state.rows(account)) {
        if (row.instrument_plus_1 == kNoLink || row.size_lots == 0) continue;
        const InstrumentRecord& instrument = instrument_of(state, row);
        total = add(total, row_maintenance(instrument, row, mark_of(state, instrument)));
    }
    return total;
}

i128 excess(const State& state, uint32_t account, Requirement requirement) {
    i128 total = collateral_value(state, account);
    for (const PositionRecord& row : state.rows(account)) {
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
