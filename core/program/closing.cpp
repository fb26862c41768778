#include "core/program/closing.hpp"

#include "core/base/wide.hpp"
#include "core/risk/margin.hpp"

namespace provenue::PROVENUE_PRESET_NAMESPACE {

namespace {

const InstrumentRecord& instrument_of(const State& state, RowRef ref) {
    return state.instruments[linked_index(state.row(ref).instrument_plus_1)];
}

Side closing_side(const State& state, RowRef ref) {
    const int64_t size_lots = state.row(ref).size_lots;
    ASSERT(size_lots != 0, "closing of no position");
    return size_lots > 0 ? Side::kSell : Side::kBuy;
}

// What a position may cost its account. A liquidation: all there is (6.3); what is sold below that,
// the house would pay for. Who leaves keeps what the other positions need (12.4): else one could be
// sold to a friend for the margin of the others, and those be left to the house without a penalty.
i128 units_to_lose(const State& state, RowRef ref, Closing closing) {
    const i128 units = equity(state, ref.account);
    if (closing == Closing::kLiquidation) return max(0, units);
    const InstrumentRecord& instrument = instrument_of(state, ref);
    const i128 others = maintenance_margin(state, ref.account) -
                        row_maintenance(instrument, state.row(ref), mark_of(state, instrument));
    return max(0, units - others);
}

// Within the band, and not beyond the price at which the position has used up what it may.
i128 banded_limit(const State& state, RowRef ref, Side side, Closing closing) {
    const InstrumentRecord& instrument = instrument_of(state, ref);
    const uint64_t mark = mark_of(state, instrument);
    const i128 band = band_limit(instrument, mark, side, instrument.liquidation_band_ppm);
    const i128 room =
        mul_div_floor(units_to_lose(state, ref, closing), instrument.lots_per_base,
                      static_cast<i128>(magnitude(state.row(ref).size_lots)));
    return side == Side::kSell
               ? max(band, div_ceil(max(0, mark - room), instrument.tick_size))
               : min(band, div_floor(mark + room, instrument.tick_size));
}

// 6.5: at the mark or better. Nobody is paid for waiting until the house sells.
i128 unwind_limit(const State& state, RowRef ref, Side side) {
    const InstrumentRecord& instrument = instrument_of(state, ref);
    const i128 mark = mark_of(state, instrument);
    return side == Side::kSell ? div_ceil(mark, instrument.tick_size)
                               : div_floor(mark, instrument.tick_size);
}

uint32_t fee_of(const InstrumentRecord& instrument, Closing closing) {
    switch (closing) {
        case Closing::kLiquidation: return instrument.liquidation_fee_ppm;
        case Closing::kHouseUnwind: return 0;
        case Closing::kForcedClose: return instrument.taker_fee_ppm;
    }
    return 0;
}

uint8_t flag_of(Closing closing) {
    switch (closing) {
        case Closing::kLiquidation: return kFillFlagLiquidation;
        case Closing::kHouseUnwind: return kFillFlagHouseUnwind;
        case Closing::kForcedClose: return kFillFlagForcedClose;
    }
    return 0;
}

}  // namespace

ForcedOrder closing_order(const State& state, RowRef row, Closing closing) {
    const Side side = closing_side(state, row);
    const i128 limit = closing == Closing::kHouseUnwind
                           ? unwind_limit(state, row, side)
                           : banded_limit(state, row, side, closing);
    const i128 held = static_cast<i128>(magnitude(state.row(row).size_lots));
    return {
        .account = row.account,
        .instrument = linked_index(state.row(row).instrument_plus_1),
        .side = side,
        .limit_ticks = narrow<uint32_t>(clamp(limit, 1, kPriceTicksMax)),
        .size_lots = narrow<uint32_t>(min(held, kSizeLotsMax)),
        .fee_ppm = fee_of(instrument_of(state, row), closing),
        .fill_flag = flag_of(closing),
    };
}

void emit_closing(Run& run, EventKind kind, const ForcedOrder& order) {
    Event event = event_of(kind);
    event.instrument = order.instrument;
    event.account = order.account;
    event.price = order.limit_ticks;
    event.size = order.size_lots;
    run.events.emit(event);
}

uint64_t ticks_at_mark(const State& state, RowRef row) {
    const InstrumentRecord& instrument = instrument_of(state, row);
    const i128 mark = mark_of(state, instrument);
    return narrow<uint64_t>(closing_side(state, row) == Side::kSell
                                ? div_floor(mark, instrument.tick_size)
                                : div_ceil(mark, instrument.tick_size));
}

}  // namespace provenue::PROVENUE_PRESET_NAMESPACE
