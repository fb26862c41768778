#include "core/clearing/rows.hpp"

#include "core/base/wide.hpp"
#include "core/risk/margin.hpp"

namespace provenue::PROVENUE_PRESET_NAMESPACE {

namespace {

// Both sums of a side change together; neither goes below zero.
void change_open(State& state, RowRef ref, const OpenLots& open, int direction) {
    PositionRecord& row = state.edit_row(ref);
    const InstrumentRecord& instrument = state.instruments[linked_index(row.instrument_plus_1)];
    int64_t& lots = open.side == Side::kBuy ? row.open_buy_lots : row.open_sell_lots;
    int64_t& units = open.side == Side::kBuy ? row.open_buy_units : row.open_sell_units;
    const i128 value = multiply(open.price_ticks, open.lots, instrument.quote_per_tick_lot);
    lots = narrow<int64_t>(lots + direction * i128{open.lots});
    units = narrow<int64_t>(units + direction * value);
    ASSERT(lots >= 0 && units >= 0, "open-order sum below zero");
    ASSERT((lots == 0) == (units == 0), "open-order sums disagree");
}

}  // namespace

RowRef open_row(State& state, uint32_t account, uint32_t instrument) {
    RowRef ref;
    const bool found = state.find_row_or_free(account, instrument, ref);
    ASSERT(found, "no free position row");
    PositionRecord& row = state.edit_row(ref);
    if (row.instrument_plus_1 != kNoLink) return ref;
    const InstrumentRecord& record = state.instruments[instrument];
    row.instrument_plus_1 = link_to(instrument);
    row.funding_index = is_perpetual(record) ? record.funding_index : 0;
    return ref;
}

RowRef row_of(const State& state, uint32_t account, uint32_t instrument) {
    RowRef ref;
    const bool found = state.find_row(account, instrument, ref);
    ASSERT(found, "no position row");
    return ref;
}

void free_row_if_unused(State& state, RowRef ref) {
    const PositionRecord& row = state.row(ref);
    const bool used = (row.size_lots | row.cash_leg_units | row.open_buy_lots |
                       row.open_sell_lots | row.open_buy_units | row.open_sell_units |
                       row.reduce_orders) != 0;
    if (!used) state.edit_row(ref) = PositionRecord{};
}

void add_open_lots(State& state, RowRef ref, const OpenLots& open) {
    change_open(state, ref, open, 1);
}

void remove_open_lots(State& state, RowRef ref, const OpenLots& open) {
    change_open(state, ref, open, -1);
}

void add_reduce_order(State& state, RowRef ref) {
    PositionRecord& row = state.edit_row(ref);
    ASSERT(row.reduce_orders < kReduceOnlyMax, "too many reduce-only orders");
    row.reduce_orders += 1;
}

void remove_reduce_order(State& state, RowRef ref) {
    PositionRecord& row = state.edit_row(ref);
    ASSERT(row.reduce_orders > 0, "no reduce-only order");
    row.reduce_orders -= 1;
}

}  // namespace provenue::PROVENUE_PRESET_NAMESPACE
