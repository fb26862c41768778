#include "core/program/lifecycle.hpp"

#include "core/clearing/rows.hpp"

namespace provenue::PROVENUE_PRESET_NAMESPACE {

Event event_of_order(const State& state, EventKind kind, uint32_t slot, uint16_t reason) {
    const OrderRecord& order = state.orders[slot];
    Event event = event_of(kind);
    event.instrument = order.instrument;
    event.account = order.account;
    event.order_id = order_id(state, slot);
    event.price = order.price_ticks;
    event.size = order.remaining_lots;
    event.extra = static_cast<int64_t>(order.client_id);  // u64 bits, as the client sent them
    event.value = order.side;
    event.reason = reason;
    return event;
}

void leave_row(State& state, RowRef row, const OrderRecord& order, uint32_t lots, bool ends) {
    if (!is_reduce_only(order))
        remove_open_lots(state, row, {side_of(order), order.price_ticks, lots});
    else if (ends)
        remove_reduce_order(state, row);
}

void end_order(State& state, uint32_t slot) {
    unlist_order(state, slot);
    give_back_order(state, slot);
}

void cancel_order(Run& run, uint32_t slot, CancelReason reason) {
    State& state = run.state;
    const OrderRecord& order = state.orders[slot];
    ASSERT(life_of(order) != OrderLife::kFree, "cancelled order is not live");
    ASSERT(order.remaining_lots > 0, "cancelled order is filled");
    if (life_of(order) == OrderLife::kResting) unrest_order(state, slot);
    if (state.globals().pending_order == link_to(slot))
        state.edit_globals(&GlobalsRecord::pending_order) = kNoLink;
    const RowRef row = row_of(state, order.account, order.instrument);
    leave_row(state, row, order, order.remaining_lots, true);
    free_row_if_unused(state, row);
    run.events.emit(event_of_order(state, EventKind::kOrderCancelled, slot,
                                   static_cast<uint16_t>(reason)));
    end_order(state, slot);
}

void cancel_orders(Run& run, uint32_t account, const OrderFilter& filter, CancelReason reason) {
    uint32_t link = run.state.accounts[account].order_head;
    for (uint32_t looks = 0; link != kNoLink; ++looks) {
        ASSERT(looks < kOrdersPerAccount, "endless list of orders");
        const uint32_t slot = linked_index(link);
        const OrderRecord& order = run.state.orders[slot];
        link = order.account_next;
        if (filter.instrument != kNoneU16 && order.instrument != filter.instrument) continue;
        if (filter.has_label && order.client_id != filter.client_id) continue;
        cancel_order(run, slot, reason);
    }
}

bool cancel_expired(Run& run, uint32_t account) {
    State& state = run.state;
    const uint32_t before_s = state.accounts[account].next_expiry_s;
    if (!is_past(before_s, run.now_ms)) return false;
    uint32_t next_s = 0;
    bool cancelled = false;
    uint32_t link = state.accounts[account].order_head;
    for (uint32_t looks = 0; link != kNoLink; ++looks) {
        ASSERT(looks < kOrdersPerAccount, "endless list of orders");
        const uint32_t slot = linked_index(link);
        const OrderRecord& order = state.orders[slot];
        link = order.account_next;
        if (is_expired(order, run.now_ms)) {
            cancel_order(run, slot, CancelReason::kExpired);
            cancelled = true;
        } else if (order.good_till_s != 0 && (next_s == 0 || order.good_till_s < next_s)) {
            next_s = order.good_till_s;
        }
    }
    if (state.accounts[account].next_expiry_s != next_s)
        state.accounts.edit(account, &AccountRecord::next_expiry_s) = next_s;
    return cancelled;
}

void shrink_order(Run& run, uint32_t slot, uint32_t lots) {
    State& state = run.state;
    const OrderRecord& order = state.orders[slot];
    ASSERT(lots < order.remaining_lots, "nothing left of an order");
    reduce_order(state, slot, lots);
    state.orders.edit(slot, &OrderRecord::size_lots) -= lots;
    leave_row(state, row_of(state, order.account, order.instrument), order, lots, false);
}

void reduce_without_fill(Run& run, uint32_t slot, uint32_t lots, CancelReason reason) {
    shrink_order(run, slot, lots);
    run.events.emit(event_of_order(run.state, EventKind::kOrderReduced, slot,
                                   static_cast<uint16_t>(reason)));
}

void cut_to_position(Run& run, RowRef ref) {
    State& state = run.state;
    const uint32_t instrument = linked_index(state.row(ref).instrument_plus_1);
    const int64_t size = state.row(ref).size_lots;
    const auto held = static_cast<uint64_t>(magnitude(size));
    uint32_t left = state.row(ref).reduce_orders;
    uint32_t link = state.accounts[ref.account].order_head;
    for (uint32_t looks = 0; left > 0; ++looks) {
        ASSERT(looks < kOrdersPerAccount && link != kNoLink, "reduce-only order is missing");
        const uint32_t slot = linked_index(link);
        const OrderRecord& order = state.orders[slot];
        link = order.account_next;
        // A taker that is filled is counted no more; it ends with its message.
        if (order.instrument != instrument || !is_reduce_only(order) || order.remaining_lots == 0)
            continue;
        left -= 1;
        const bool opposes = side_of(order) == Side::kSell ? size > 0 : size < 0;
        if (opposes && order.remaining_lots <= held) continue;
        // A taker's own fills shrink it and its position alike.
        ASSERT(life_of(order) == OrderLife::kResting, "a taker exceeds its position");
        if (opposes)
            reduce_without_fill(run, slot, order.remaining_lots - narrow<uint32_t>(held),
                                CancelReason::kReduceOnly);
        else
            cancel_order(run, slot, CancelReason::kReduceOnly);
    }
}

}  // namespace provenue::PROVENUE_PRESET_NAMESPACE
