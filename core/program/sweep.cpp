#include "core/program/sweep.hpp"

#include "core/base/wide.hpp"
#include "core/clearing/takeover.hpp"
#include "core/program/match.hpp"
#include "core/risk/margin.hpp"

namespace provenue::PROVENUE_PRESET_NAMESPACE {

namespace {

// 6.3: within the band, and not beyond the price at which the position has used up the equity: what
// is sold below it, the house would pay for.
i128 liquidation_limit(const State& state, RowRef ref, Side side) {
    const PositionRecord& row = state.row(ref);
    const InstrumentRecord& instrument = state.instruments[linked_index(row.instrument_plus_1)];
    const uint64_t mark = mark_of(state, instrument);
    const i128 band = band_limit(instrument, mark, side, instrument.liquidation_band_ppm);
    const i128 room = mul_div_floor(max(0, equity(state, ref.account)), instrument.lots_per_base,
                                    static_cast<i128>(magnitude(row.size_lots)));
    return side == Side::kSell
               ? max(band, div_ceil(max(0, mark - room), instrument.tick_size))
               : min(band, div_floor(mark + room, instrument.tick_size));
}

// 6.5: at the mark or better. Nobody is paid for waiting until the house sells.
i128 unwind_limit(const State& state, RowRef ref, Side side) {
    const PositionRecord& row = state.row(ref);
    const InstrumentRecord& instrument = state.instruments[linked_index(row.instrument_plus_1)];
    const i128 mark = mark_of(state, instrument);
    return side == Side::kSell ? div_ceil(mark, instrument.tick_size)
                               : div_floor(mark, instrument.tick_size);
}

// The order that closes a position on the book: of an account or of the house.
ForcedOrder closing_order(const State& state, RowRef ref) {
    const PositionRecord& row = state.row(ref);
    const bool house = ref.account == kHouse;
    const Side side = row.size_lots > 0 ? Side::kSell : Side::kBuy;
    const i128 limit =
        house ? unwind_limit(state, ref, side) : liquidation_limit(state, ref, side);
    const i128 held = static_cast<i128>(magnitude(row.size_lots));
    return {
        .account = ref.account,
        .instrument = linked_index(row.instrument_plus_1),
        .side = side,
        .limit_ticks = narrow<uint32_t>(clamp(limit, 1, kPriceTicksMax)),
        .size_lots = narrow<uint64_t>(min(held, kSizeLotsMax)),
        .fill_flag = house ? kFillFlagHouseUnwind : kFillFlagLiquidation,
    };
}

// 6.3: orders first, then the largest position on the book, then the house takes over.
void liquidate(Run& run, uint32_t account) {
    if (run.state.accounts[account].open_orders != 0) {
        cancel_orders(run, account, kNoneU16, CancelReason::kLiquidation);
        return;
    }
    RowRef ref;
    if (largest_position(run.state, account, ref)) {
        const ForcedOrder order = closing_order(run.state, ref);
        Event event = event_of(EventKind::kLiquidated);
        event.instrument = order.instrument;
        event.account = account;
        event.price = order.limit_ticks;
        event.size = narrow<int64_t>(order.size_lots);
        run.events.emit(event);
        if (match_forced(run, order) > 0) return;
    }
    take_over(run.state, run.events, account);
}

bool must_be_liquidated(const State& state, uint32_t account) {
    if (account == kHouse || state.accounts[account].open == 0) return false;
    if (state.balance(account, kQuote) >= 0 && !state.has_row_in_use(account)) return false;
    return is_unsafe(state, account);
}

void advance(State& state) {
    const uint32_t next = state.globals().sweep_next + 1;
    state.edit_globals(&GlobalsRecord::sweep_next) =
        next >= state.globals().accounts_used ? 0 : next;
    state.edit_globals(&GlobalsRecord::sweep_remaining) -= 1;
}

}  // namespace

void start_sweep(State& state) {
    state.edit_globals(&GlobalsRecord::sweep_remaining) = state.globals().accounts_used;
}

void sweep_part(Run& run) {
    State& state = run.state;
    uint32_t visits = 0;
    while (state.globals().sweep_remaining > 0 && visits < kSweepAccountsPerMessage) {
        const uint32_t account = state.globals().sweep_next;
        if (must_be_liquidated(state, account)) {
            liquidate(run, account);
            return;  // the next part looks at the account again
        }
        RowRef ref;
        const bool unwinds = account == kHouse && largest_position(state, kHouse, ref);
        if (unwinds) match_forced(run, closing_order(state, ref));
        advance(state);
        visits += 1;
        if (unwinds) break;
    }
    if (state.globals().sweep_remaining != 0) return;
    Event event = event_of(EventKind::kSweepFinished);
    event.extra = visits;
    run.events.emit(event);
}

Code resume(Run& run) {
    const uint32_t pending = run.state.globals().pending_order;
    if (pending != kNoLink) {
        run.state.edit_globals(&GlobalsRecord::pending_order) = kNoLink;
        match_order(run, linked_index(pending));
        return Code::kOk;
    }
    if (run.state.globals().sweep_remaining == 0) return Code::kNothingToContinue;
    sweep_part(run);
    return Code::kOk;
}

}  // namespace provenue::PROVENUE_PRESET_NAMESPACE
