#include "core/program/match.hpp"

#include "core/clearing/rows.hpp"
#include "core/clearing/settlement.hpp"
#include "core/risk/margin.hpp"

namespace provenue::PROVENUE_PRESET_NAMESPACE {

namespace {

struct Taker {
    uint32_t account;
    uint32_t instrument;
    Side side;
    uint32_t limit_ticks;
    uint32_t remaining_lots;
    uint32_t order;  // link, kNoLink for an order of the program itself
    uint64_t order_id;
    uint32_t fee_ppm;
    FeeTo fee_to;
    uint8_t fill_flag;
    SelfTrade self_trade;
    uint32_t filled_lots = 0;
    bool cancelled = false;  // by self-trade prevention
};

bool maker_reduces(const State& state, const OrderRecord& maker, RowRef row, uint32_t quantity) {
    if (!is_perpetual(state.instruments[maker.instrument])) return false;
    const i128 size = state.row(row).size_lots;
    const bool opposes = side_of(maker) == Side::kSell ? size > 0 : size < 0;
    return opposes && magnitude(size) >= quantity;
}

// 4.2 step 4: after what this very fill costs, a maker that reduces must have its maintenance, any
// other its initial margin (P6), and who buys spot the money.
bool maker_may_fill(const State& state, const OrderRecord& maker, RowRef row, uint32_t quantity) {
    const InstrumentRecord& instrument = state.instruments[maker.instrument];
    const Side side = side_of(maker);
    const i128 notional = multiply(maker.price_ticks, quantity, instrument.quote_per_tick_lot);
    const i128 fee = mul_div_ceil(notional, instrument.maker_fee_ppm, kPpm);
    if (!is_perpetual(instrument) && side == Side::kBuy &&
        state.balance(maker.account, kQuote) < notional + fee)
        return false;
    const Requirement requirement = maker_reduces(state, maker, row, quantity)
                                        ? Requirement::kMaintenance
                                        : Requirement::kInitial;
    return excess(state, maker.account, requirement) >=
           trade_loss(state, instrument, side, quantity, notional) + fee;
}

void emit_fill(Run& run, const Taker& taker, const OrderRecord& maker, uint64_t maker_id,
               uint32_t quantity, int64_t taker_fee, int64_t maker_fee) {
    Event event = event_of(EventKind::kFill);
    event.instrument = taker.instrument;
    event.account = taker.account;
    event.counter_account = maker.account;
    event.order_id = taker.order_id;
    event.counter_order_id = maker_id;
    event.price = maker.price_ticks;
    event.size = quantity;
    event.value = taker_fee;
    event.extra = maker_fee;
    event.reason = taker.fill_flag;
    if (taker.side == Side::kSell)
        event.reason = static_cast<uint16_t>(event.reason | kFillFlagTakerSells);
    run.events.emit(event);
}

// 4.2 step 5: at the maker's price, which is at or inside the taker's limit (P7).
void fill(Run& run, Taker& taker, uint32_t maker_slot, RowRef maker_row, uint32_t quantity) {
    State& state = run.state;
    const OrderRecord& maker = state.orders[maker_slot];
    const InstrumentRecord& instrument = state.instruments[taker.instrument];
    ASSERT(quantity > 0, "empty fill");
    ASSERT(taker.side == Side::kBuy ? maker.price_ticks <= taker.limit_ticks
                                    : maker.price_ticks >= taker.limit_ticks,
           "fill through the limit");

    reduce_order(state, maker_slot, quantity);
    taker.remaining_lots -= quantity;
    taker.filled_lots += quantity;
    leave_row(state, maker_row, maker, quantity, maker.remaining_lots == 0);
    const RowRef taker_row = row_of(state, taker.account, taker.instrument);
    if (taker.order != kNoLink) {
        const uint32_t slot = linked_index(taker.order);
        reduce_order(state, slot, quantity);
        leave_row(state, taker_row, state.orders[slot], quantity, taker.remaining_lots == 0);
    }
    const int64_t maker_fee =
        clear_fill(state, run.events,
                   {maker.account, maker_row, taker.instrument, opposite(taker.side),
                    maker.price_ticks, quantity, instrument.maker_fee_ppm, FeeTo::kFees});
    const int64_t taker_fee =
        clear_fill(state, run.events,
                   {taker.account, taker_row, taker.instrument, taker.side, maker.price_ticks,
                    quantity, taker.fee_ppm, taker.fee_to});
    free_row_if_unused(state, maker_row);
    free_row_if_unused(state, taker_row);
    emit_fill(run, taker, maker, order_id(state, maker_slot), quantity, taker_fee, maker_fee);
    if (maker.remaining_lots == 0) {
        unrest_order(state, maker_slot);
        end_order(state, maker_slot);
    }
    keep_reduce_only(run, maker_row);
    keep_reduce_only(run, taker_row);
}

void cancel_taker(Run& run, Taker& taker) {
    cancel_order(run, linked_index(taker.order), CancelReason::kSelfTrade);
    taker.remaining_lots = 0;
    taker.cancelled = true;
}

// The smaller of the two goes, the other becomes smaller by as much.
void decrement(Run& run, Taker& taker, uint32_t maker_slot) {
    const uint32_t maker_lots = run.state.orders[maker_slot].remaining_lots;
    const uint32_t taker_lots = taker.remaining_lots;
    if (maker_lots <= taker_lots)
        cancel_order(run, maker_slot, CancelReason::kSelfTrade);
    else
        reduce_without_fill(run, maker_slot, taker_lots, CancelReason::kSelfTrade);
    if (taker_lots <= maker_lots) {
        cancel_taker(run, taker);
        return;
    }
    reduce_without_fill(run, linked_index(taker.order), maker_lots, CancelReason::kSelfTrade);
    taker.remaining_lots -= maker_lots;
}

// 4.2 step 3: nobody trades with himself.
void meet_own_order(Run& run, Taker& taker, uint32_t maker_slot) {
    switch (taker.self_trade) {
        case SelfTrade::kCancelMaker:
            cancel_order(run, maker_slot, CancelReason::kSelfTrade);
            return;
        case SelfTrade::kCancelTaker: cancel_taker(run, taker); return;
        case SelfTrade::kCancelBoth:
            cancel_order(run, maker_slot, CancelReason::kSelfTrade);
            cancel_taker(run, taker);
            return;
        case SelfTrade::kDecrement: decrement(run, taker, maker_slot); return;
    }
}

// 4.2: until the taker is filled, nothing crosses, or the steps are used up. Returns the steps.
uint32_t match(Run& run, Taker& taker) {
    uint32_t steps = 0;
    uint32_t slot = 0;
    while (steps < kFillsPerMessage && taker.remaining_lots > 0 &&
           find_maker(run.state, taker.instrument, taker.side, taker.limit_ticks, slot)) {
        const OrderRecord& maker = run.state.orders[slot];
        steps += 1;
        if (is_expired(maker, run.now_ms)) {
            cancel_order(run, slot, CancelReason::kExpired);
            continue;
        }
        if (maker.account == taker.account) {
            meet_own_order(run, taker, slot);
            continue;
        }
        const uint32_t quantity = maker.remaining_lots < taker.remaining_lots
                                      ? maker.remaining_lots
                                      : taker.remaining_lots;
        const RowRef row = row_of(run.state, maker.account, maker.instrument);
        if (maker_may_fill(run.state, maker, row, quantity))
            fill(run, taker, slot, row, quantity);
        else
            cancel_order(run, slot, CancelReason::kMakerMargin);
    }
    return steps;
}

void emit_order(Run& run, EventKind kind, uint32_t slot, int64_t value) {
    const OrderRecord& order = run.state.orders[slot];
    Event event = event_of(kind);
    event.instrument = order.instrument;
    event.account = order.account;
    event.order_id = order_id(run.state, slot);
    event.size = order.remaining_lots;
    if (kind == EventKind::kOrderResting) event.price = order.price_ticks;
    event.value = value;
    run.events.emit(event);
}

}  // namespace

Code match_order(Run& run, uint32_t slot) {
    State& state = run.state;
    const OrderRecord& order = state.orders[slot];
    ASSERT(life_of(order) == OrderLife::kTaking, "a resting order cannot take");
    const TimeInForce time_in_force = time_in_force_of(order);
    const uint32_t wanted_lots = order.remaining_lots;
    Taker taker{
        .account = order.account,
        .instrument = order.instrument,
        .side = side_of(order),
        .limit_ticks = order.price_ticks,
        .remaining_lots = wanted_lots,
        .order = link_to(slot),
        .order_id = order_id(state, slot),
        .fee_ppm = state.instruments[order.instrument].taker_fee_ppm,
        .fee_to = FeeTo::kFees,
        .fill_flag = 0,
        .self_trade = self_trade_of(order),
    };
    match(run, taker);
    // Lots that self-trade prevention took are not filled either. The reject undoes it all (P4).
    if (time_in_force == TimeInForce::kFillOrKill && taker.filled_lots != wanted_lots)
        return Code::kNotFilled;
    if (taker.cancelled) return Code::kOk;
    ASSERT(taker.remaining_lots == order.remaining_lots, "taker's lots disagree");
    if (order.remaining_lots == 0) {
        end_order(state, slot);
    } else if (crosses(state, taker.instrument, taker.side, taker.limit_ticks)) {
        state.edit_globals(&GlobalsRecord::pending_order) = link_to(slot);
        emit_order(run, EventKind::kTakerContinues, slot, 0);
    } else if (time_in_force == TimeInForce::kImmediateOrCancel) {
        cancel_order(run, slot, CancelReason::kImmediateRemainder);
    } else {
        rest_order(state, slot);
        emit_order(run, EventKind::kOrderResting, slot, order.side);
    }
    return Code::kOk;
}

uint32_t match_forced(Run& run, const ForcedOrder& order) {
    Taker taker{
        .account = order.account,
        .instrument = order.instrument,
        .side = order.side,
        .limit_ticks = order.limit_ticks,
        .remaining_lots = order.size_lots,
        .order = kNoLink,
        .order_id = 0,
        .fee_ppm = order.fee_ppm,
        .fee_to = FeeTo::kHouse,
        .fill_flag = order.fill_flag,
        .self_trade = SelfTrade::kCancelMaker,
    };
    return match(run, taker);
}

i128 band_limit(const InstrumentRecord& instrument, uint64_t mark, Side side, uint32_t band_ppm) {
    const i128 divisor = multiply(kPpm, instrument.tick_size);
    return side == Side::kBuy ? mul_div_floor(mark, kPpm + band_ppm, divisor)
                              : mul_div_ceil(mark, kPpm - band_ppm, divisor);
}

}  // namespace provenue::PROVENUE_PRESET_NAMESPACE
