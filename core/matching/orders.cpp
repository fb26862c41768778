#include "core/matching/orders.hpp"

namespace provenue::PROVENUE_PRESET_NAMESPACE {

namespace {

// Last in, first out; then the never-used slots, ascending: normative, since ids show it.
uint32_t take_slot(State& state) {
    const uint32_t head = state.globals().order_free_head;
    if (head != kNoLink) {
        const uint32_t slot = linked_index(head);
        state.edit_globals(&GlobalsRecord::order_free_head) = state.orders[slot].next;
        return slot;
    }
    const uint32_t slot = state.globals().orders_used;
    ASSERT(slot < kOrdersMax, "order table full");
    state.edit_globals(&GlobalsRecord::orders_used) = slot + 1;
    return slot;
}

}  // namespace

bool has_free_order(const State& state) {
    return state.globals().order_free_head != kNoLink || state.globals().orders_used < kOrdersMax;
}

uint32_t make_order(State& state, const NewOrder& order) {
    const uint32_t slot = take_slot(state);
    OrderRecord& record = state.orders.edit(slot);
    ASSERT(life_of(record) == OrderLife::kFree, "order slot in use");

    record.generation += 1;
    record.account = order.account;
    record.level = kNoLink;
    record.instrument = narrow<uint16_t>(order.instrument);
    record.side = static_cast<uint8_t>(order.side);
    record.flags = order.bits;
    record.next = kNoLink;
    record.prev = kNoLink;
    record.account_next = kNoLink;
    record.account_prev = kNoLink;
    record.price_ticks = order.price_ticks;
    record.live = static_cast<uint8_t>(OrderLife::kTaking);
    record.remaining_lots = order.size_lots;
    record.size_lots = order.size_lots;
    record.client_id = order.client_id;
    record.good_till_s = order.good_till_s;
    return slot;
}

uint32_t open_order(State& state, const NewOrder& order) {
    const uint32_t slot = make_order(state, order);
    AccountRecord& account = state.accounts.edit(order.account);
    ASSERT(account.open_orders < kOrdersPerAccount, "too many orders of one account");
    state.orders.edit(slot, &OrderRecord::account_prev) = account.order_tail;
    if (account.order_tail == kNoLink)
        account.order_head = link_to(slot);
    else
        state.orders.edit(linked_index(account.order_tail), &OrderRecord::account_next) =
            link_to(slot);
    account.order_tail = link_to(slot);
    account.open_orders = narrow<uint16_t>(account.open_orders + 1);
    if (order.good_till_s != 0 &&
        (account.next_expiry_s == 0 || order.good_till_s < account.next_expiry_s))
        account.next_expiry_s = order.good_till_s;
    return slot;
}

void change_terms(State& state, uint32_t slot, const NewTerms& terms) {
    OrderRecord& record = state.orders.edit(slot);
    ASSERT(life_of(record) == OrderLife::kTaking && record.level == kNoLink, "order in a book");
    ASSERT(terms.remaining_lots > 0 && terms.remaining_lots <= terms.size_lots, "order's lots");
    record.price_ticks = terms.price_ticks;
    record.size_lots = terms.size_lots;
    record.remaining_lots = terms.remaining_lots;
}

void unlist_order(State& state, uint32_t slot) {
    const OrderRecord& order = state.orders[slot];
    AccountRecord& account = state.accounts.edit(order.account);
    ASSERT(account.open_orders > 0, "account has no orders");
    if (order.account_prev == kNoLink)
        account.order_head = order.account_next;
    else
        state.orders.edit(linked_index(order.account_prev), &OrderRecord::account_next) =
            order.account_next;
    if (order.account_next == kNoLink)
        account.order_tail = order.account_prev;
    else
        state.orders.edit(linked_index(order.account_next), &OrderRecord::account_prev) =
            order.account_prev;
    account.open_orders = narrow<uint16_t>(account.open_orders - 1);
    if (account.open_orders == 0) account.next_expiry_s = 0;
}

void give_back_order(State& state, uint32_t slot) {
    OrderRecord& record = state.orders.edit(slot);
    ASSERT(life_of(record) != OrderLife::kFree, "order given back twice");
    ASSERT(record.level == kNoLink, "order given back from its level");
    const uint32_t generation = record.generation;
    record = OrderRecord{};
    record.generation = generation;
    record.next = state.globals().order_free_head;
    state.edit_globals(&GlobalsRecord::order_free_head) = link_to(slot);
}

uint64_t order_id(const State& state, uint32_t slot) {
    return uint64_t{state.orders[slot].generation} << 32 | slot;
}

bool find_order(const State& state, uint32_t account, uint64_t id, uint32_t& slot) {
    slot = static_cast<uint32_t>(id);
    if (slot >= kOrdersMax) return false;
    const OrderRecord& order = state.orders[slot];
    return life_of(order) != OrderLife::kFree && order.generation == id >> 32 &&
           order.account == account;
}

}  // namespace provenue::PROVENUE_PRESET_NAMESPACE
