#include "core/clearing/takeover.hpp"

#include "core/clearing/rows.hpp"
#include "core/clearing/settlement.hpp"
#include "core/risk/margin.hpp"

namespace provenue::PROVENUE_PRESET_NAMESPACE {

namespace {

// The row with a size of the lowest instrument, false when there is none left.
bool lowest_position(const State& state, uint32_t account, RowRef& ref) {
    uint32_t lowest = kNoLink;
    const Rows rows = state.rows(account);
    for (uint32_t slot = 0; slot < rows.count; ++slot) {
        const PositionRecord& row = rows[slot];
        if (row.size_lots == 0) continue;
        if (lowest != kNoLink && row.instrument_plus_1 > lowest) continue;
        lowest = row.instrument_plus_1;
        ref = State::row_at(account, slot);
    }
    return lowest != kNoLink;
}

void take_position(State& state, EventLog& events, RowRef ref) {
    settle_funding(state, events, ref);
    const PositionRecord row = state.row(ref);
    const uint32_t index = linked_index(row.instrument_plus_1);
    const RowRef house = open_row(state, kHouse, index);
    settle_funding(state, events, house);

    const InstrumentRecord& instrument = state.instruments[index];
    const i128 value =
        mul_div_floor(row.size_lots, mark_of(state, instrument), instrument.lots_per_base);
    change_balance(state, ref.account, kQuote, row.cash_leg_units + value);
    PositionRecord& left = state.edit_row(ref);
    left.size_lots = 0;
    left.cash_leg_units = 0;
    free_row_if_unused(state, ref);
    change_position(state, house, row.size_lots, -value);
    free_row_if_unused(state, house);

    Event event = event_of(EventKind::kTakenOver);
    event.instrument = index;
    event.account = ref.account;
    event.size = row.size_lots;
    event.value = narrow<int64_t>(value);
    events.emit(event);
}

void take_collateral(State& state, EventLog& events, uint32_t account) {
    for (uint32_t asset = kQuote + 1; asset < kAssetsMax; ++asset) {
        if (state.balance(account, kQuote) >= 0) return;
        const int64_t units = state.balance(account, asset);
        const i128 value = asset_value(state, account, asset);
        if (units == 0 || value == 0) continue;
        change_balance(state, account, asset, -i128{units});
        change_balance(state, kHouse, asset, units);
        change_balance(state, account, kQuote, value);
        change_balance(state, kHouse, kQuote, -value);

        Event event = event_of(EventKind::kCollateralTaken);
        event.account = account;
        event.size = units;
        event.value = narrow<int64_t>(value);
        event.extra = asset;
        events.emit(event);
    }
}

// Who leaves its position to the house leaves its maintenance margin too.
void take_penalty(State& state, EventLog& events, uint32_t account, i128 penalty_units) {
    if (penalty_units == 0) return;
    change_balance(state, account, kQuote, -penalty_units);
    change_balance(state, kHouse, kQuote, penalty_units);
    Event event = event_of(EventKind::kCollateralTaken);
    event.account = account;
    event.size = narrow<int64_t>(penalty_units);
    event.extra = kQuote;
    events.emit(event);
}

// The house pays what is missing, and fees pay what the house has not. The rest is bad debt.
void cover_shortfall(State& state, EventLog& events, uint32_t account) {
    const i128 missing = -i128{state.balance(account, kQuote)};
    if (missing <= 0) return;
    change_balance(state, account, kQuote, missing);
    change_balance(state, kHouse, kQuote, -missing);
    Event event = event_of(EventKind::kShortfall);
    event.account = account;
    event.value = narrow<int64_t>(missing);
    events.emit(event);

    const i128 fees = state.assets[kQuote].fees_units;
    const i128 paid = min(fees, max(0, -i128{state.balance(kHouse, kQuote)}));
    if (paid == 0) return;
    state.assets.edit(kQuote, &AssetRecord::fees_units) = narrow<int64_t>(fees - paid);
    change_balance(state, kHouse, kQuote, paid);
}

}  // namespace

void take_over(State& state, EventLog& events, uint32_t account) {
    ASSERT(account != kHouse, "the house takes over itself");
    // Noted first: afterwards there is no maintenance margin left.
    const i128 penalty =
        clamp(equity(state, account), 0, maintenance_margin(state, account));
    RowRef ref;
    // Each round ends one position.
    for (uint32_t rounds = 0; lowest_position(state, account, ref); ++rounds) {
        ASSERT(rounds < kPositionsPerAccount, "takeover does not end");
        take_position(state, events, ref);
    }
    take_penalty(state, events, account, penalty);
    take_collateral(state, events, account);
    cover_shortfall(state, events, account);
}

}  // namespace provenue::PROVENUE_PRESET_NAMESPACE
