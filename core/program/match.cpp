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
    uint64_t remaining_lots;
    uint32_t order;  // link, kNoLink for an order of the program itself
    uint64_t order_id;
    uint32_t fee_ppm;
    FeeTo fee_to;
    uint8_t fill_flag;
};

OpenLots open_lots(const OrderRecord& order, uint64_t lots) {
    return {side_of(order), order.price_ticks, lots};
}

// The order is out of the book. Its slot goes back last.
void end_order(Run& run, uint32_t slot) {
    unlist_order(run.state, slot);
    give_back_order(run.state, slot);
}

bool maker_reduces(const State& state, const OrderRecord& maker, RowRef row, uint64_t quantity) {
    if (!is_perpetual(state.instruments[maker.instrument])) return false;
    const i128 size = state.row(row).size_lots;
    const bool opposes = side_of(maker) == Side::kSell ? size > 0 : size < 0;
    return opposes && magnitude(size) >= quantity;
}

// 4.2 step 4: after what this very fill costs, a maker that reduces must have its maintenance, any
// other its initial margin (P6), and who buys spot the money.
bool maker_may_fill(const State& state, const OrderRecord& maker, RowRef row, uint64_t quantity) {
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
               uint64_t quantity, int64_t taker_fee, int64_t maker_fee) {
    Event event = event_of(EventKind::kFill);
    event.instrument = taker.instrument;
    event.account = taker.account;
    event.counter_account = maker.account;
    event.order_id = taker.order_id;
    event.counter_order_id = maker_id;
    event.price = maker.price_ticks;
    event.size = narrow<int64_t>(quantity);
    event.value = taker_fee;
    event.extra = maker_fee;
    event.reason = taker.fill_flag;
    if (taker.side == Side::kSell)
        event.reason = static_cast<uint16_t>(event.reason | kFillFlagTakerSells);
    run.events.emit(event);
}

// 4.2 step 5: at the maker's price, which is at or inside the taker's limit (P7).
void fill(Run& run, Taker& taker, uint32_t maker_slot, RowRef maker_row, uint64_t quantity) {
    State& state = run.state;
    const OrderRecord& maker = state.orders[maker_slot];
    const InstrumentRecord& instrument = state.instruments[taker.instrument];
    ASSERT(quantity > 0, "empty fill");
    ASSERT(taker.side == Side::kBuy ? maker.price_ticks <= taker.limit_ticks
                                    : maker.price_ticks >= taker.limit_ticks,
           "fill through the limit");

    reduce_order(state, maker_slot, quantity);
    taker.remaining_lots -= quantity;
    remove_open_lots(state, maker_row, open_lots(maker, quantity));
    const RowRef taker_row = row_of(state, taker.account, taker.instrument);
    if (taker.order != kNoLink) {
        const uint32_t slot = linked_index(taker.order);
        reduce_order(state, slot, quantity);
        remove_open_lots(state, taker_row, open_lots(state.orders[slot], quantity));
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
        end_order(run, maker_slot);
    }
}

// 4.2: until the taker is filled, nothing crosses, or the steps are used up. Returns the steps.
uint32_t match(Run& run, Taker& taker) {
    uint32_t steps = 0;
    uint32_t slot = 0;
    while (steps < kFillsPerMessage && taker.remaining_lots > 0 &&
           find_maker(run.state, taker.instrument, taker.side, taker.limit_ticks, slot)) {
        const OrderRecord& maker = run.state.orders[slot];
        const uint64_t quantity = maker.remaining_lots < taker.remaining_lots
                                      ? maker.remaining_lots
                                      : taker.remaining_lots;
        steps += 1;
        if (maker.account == taker.account) {
            cancel_order(run, slot, CancelReason::kSelfTrade);
            continue;
        }
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
    event.size = narrow<int64_t>(order.remaining_lots);
    if (kind == EventKind::kOrderResting) event.price = order.price_ticks;
    event.value = value;
    run.events.emit(event);
}

}  // namespace

void match_order(Run& run, uint32_t slot) {
    State& state = run.state;
    const OrderRecord& order = state.orders[slot];
    ASSERT(life_of(order) == OrderLife::kTaking, "a resting order cannot take");
    Taker taker{
        .account = order.account,
        .instrument = order.instrument,
        .side = side_of(order),
        .limit_ticks = order.price_ticks,
        .remaining_lots = order.remaining_lots,
        .order = link_to(slot),
        .order_id = order_id(state, slot),
        .fee_ppm = state.instruments[order.instrument].taker_fee_ppm,
        .fee_to = FeeTo::kFees,
        .fill_flag = 0,
    };
    match(run, taker);
    ASSERT(taker.remaining_lots == order.remaining_lots, "taker's lots disagree");
    if (order.remaining_lots == 0) {
        end_order(run, slot);
    } else if (crosses(state, taker.instrument, taker.side, taker.limit_ticks)) {
        state.edit_globals(&GlobalsRecord::pending_order) = link_to(slot);
        emit_order(run, EventKind::kTakerContinues, slot, 0);
    } else if (is_immediate(order)) {
        cancel_order(run, slot, CancelReason::kImmediateRemainder);
    } else {
        rest_order(state, slot);
        emit_order(run, EventKind::kOrderResting, slot, order.side);
    }
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
    };
    return match(run, taker);
}

void cancel_order(Run& run, uint32_t slot, CancelReason reason) {
    State& state = run.state;
    const OrderRecord& order = state.orders[slot];
    ASSERT(life_of(order) != OrderLife::kFree, "cancelled order is not live");
    if (life_of(order) == OrderLife::kResting) unrest_order(state, slot);
    if (state.globals().pending_order == link_to(slot))
        state.edit_globals(&GlobalsRecord::pending_order) = kNoLink;
    const RowRef row = row_of(state, order.account, order.instrument);
    remove_open_lots(state, row, open_lots(order, order.remaining_lots));
    free_row_if_unused(state, row);

    Event event = event_of(EventKind::kOrderCancelled);
    event.instrument = order.instrument;
    event.account = order.account;
    event.order_id = order_id(state, slot);
    event.price = order.price_ticks;
    event.size = narrow<int64_t>(order.remaining_lots);
    event.extra = static_cast<int64_t>(order.client_id);  // u64 bits, as the client sent them
    event.value = order.side;
    event.reason = static_cast<uint16_t>(reason);
    run.events.emit(event);
    end_order(run, slot);
}

void cancel_orders(Run& run, uint32_t account, uint32_t instrument, CancelReason reason) {
    uint32_t link = run.state.accounts[account].order_head;
    for (uint32_t looks = 0; link != kNoLink; ++looks) {
        ASSERT(looks < kOrdersPerAccount, "endless list of orders");
        const uint32_t slot = linked_index(link);
        const OrderRecord& order = run.state.orders[slot];
        link = order.account_next;
        if (instrument == kNoneU16 || order.instrument == instrument)
            cancel_order(run, slot, reason);
    }
}

i128 band_limit(const InstrumentRecord& instrument, uint64_t mark, Side side, uint32_t band_ppm) {
    const i128 divisor = multiply(kPpm, instrument.tick_size);
    return side == Side::kBuy ? mul_div_floor(mark, kPpm + band_ppm, divisor)
                              : mul_div_ceil(mark, kPpm - band_ppm, divisor);
}

}  // namespace provenue::PROVENUE_PRESET_NAMESPACE
