#include "core/clearing/settlement.hpp"

#include "core/clearing/rows.hpp"
#include "core/risk/margin.hpp"

namespace provenue::PROVENUE_PRESET_NAMESPACE {

void change_balance(State& state, uint32_t account, uint32_t asset, i128 change) {
    if (change == 0) return;
    int64_t& balance = state.edit_balance(account, asset);
    balance = narrow<int64_t>(balance + change);
}

void change_position(State& state, RowRef ref, i128 size_change, i128 cash) {
    PositionRecord& row = state.edit_row(ref);
    const i128 size = row.size_lots;
    const i128 leg = row.cash_leg_units;
    const i128 held = static_cast<i128>(magnitude(size));
    const i128 traded = static_cast<i128>(magnitude(size_change));
    if (size == 0 || sign_of(size) == sign_of(size_change)) {
        row.size_lots = narrow<int64_t>(size + size_change);
        row.cash_leg_units = narrow<int64_t>(leg + cash);
        return;
    }
    if (traded <= held) {
        // The cost basis of what remains stays; the released part is realised.
        const i128 released = mul_div_floor(leg, traded, held);
        row.size_lots = narrow<int64_t>(size + size_change);
        row.cash_leg_units = narrow<int64_t>(leg - released);
        change_balance(state, ref.account, kQuote, released + cash);
        return;
    }
    // Through zero: the old position is closed with its share of the cash flow (of a fill that is
    // exactly price * lots, of a takeover it is truncated), the rest opens the new one.
    const i128 closing = mul_div_trunc(cash, held, traded);
    row.size_lots = narrow<int64_t>(size + size_change);
    row.cash_leg_units = narrow<int64_t>(cash - closing);
    change_balance(state, ref.account, kQuote, leg + closing);
}

int64_t clear_fill(State& state, EventLog& events, const FillSide& fill) {
    const InstrumentRecord& instrument = state.instruments[fill.instrument];
    const i128 notional =
        multiply(fill.price_ticks, fill.quantity_lots, instrument.quote_per_tick_lot);
    // Rounded against the payer (P8).
    const i128 fee = mul_div_ceil(notional, fill.fee_ppm, kPpm);
    const i128 bought = fill.side == Side::kBuy ? 1 : -1;

    if (is_perpetual(instrument)) {
        ASSERT(state.row(fill.row).instrument_plus_1 == link_to(fill.instrument), "wrong row");
        settle_funding(state, events, fill.row);
        change_position(state, fill.row, bought * i128{fill.quantity_lots}, -bought * notional);
    } else {
        const i128 units = multiply(fill.quantity_lots, instrument.base_units_per_lot);
        change_balance(state, fill.account, kQuote, -bought * notional);
        change_balance(state, fill.account, instrument.base_asset, bought * units);
        ASSERT(state.balance(fill.account, instrument.base_asset) >= 0, "sold more than held");
    }
    change_balance(state, fill.account, kQuote, -fee);
    if (fill.fee_to == FeeTo::kHouse) {
        change_balance(state, kHouse, kQuote, fee);
    } else if (fee != 0) {
        int64_t& fees = state.assets.edit(kQuote, &AssetRecord::fees_units);
        fees = narrow<int64_t>(fees + fee);
    }
    return narrow<int64_t>(fee);
}

void settle_funding(State& state, EventLog& events, RowRef ref) {
    const PositionRecord& before = state.row(ref);
    const uint32_t index = linked_index(before.instrument_plus_1);
    const InstrumentRecord& instrument = state.instruments[index];
    if (before.funding_index == instrument.funding_index) return;
    const i128 due = funding_due(instrument, before);
    state.edit_row(ref).funding_index = instrument.funding_index;
    if (due == 0) return;
    change_balance(state, ref.account, kQuote, -due);
    int64_t& clearing = state.instruments.edit(index, &InstrumentRecord::clearing_units);
    clearing = narrow<int64_t>(clearing + due);

    Event event = event_of(EventKind::kFundingPaid);
    event.instrument = index;
    event.account = ref.account;
    event.value = narrow<int64_t>(due);
    events.emit(event);
}

void accrue_funding(State& state, uint64_t now_ms) {
    for (uint32_t index = 0; index < kInstrumentsMax; ++index) {
        const InstrumentRecord& instrument = state.instruments[index];
        if (instrument.listed == 0 || !is_perpetual(instrument)) continue;
        if (instrument.funding_time_ms == now_ms) continue;
        const i128 elapsed = min(now_ms - instrument.funding_time_ms, kFundingPeriodMs);
        state.instruments.edit(index, &InstrumentRecord::funding_time_ms) = now_ms;
        // A dead feed's mark and premium say nothing about the time since.
        if (!is_fresh(state.feeds[instrument.feed], now_ms)) continue;
        const i128 moved = div_trunc(
            multiply(instrument.premium_ppm, mark_of(state, instrument), elapsed, kFundingScale),
            multiply(kPpm, kFundingPeriodMs, instrument.lots_per_base));
        if (moved == 0) continue;
        int64_t& total = state.instruments.edit(index, &InstrumentRecord::funding_index);
        total = narrow<int64_t>(total + moved);
    }
}

}  // namespace provenue::PROVENUE_PRESET_NAMESPACE
