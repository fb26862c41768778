#include "core/matching/book.hpp"

namespace provenue::PROVENUE_PRESET_NAMESPACE {

namespace {

uint32_t take_level(State& state) {
    ASSERT(has_free_level(state), "level table full");
    state.edit_globals(&GlobalsRecord::levels_live) += 1;
    const uint32_t head = state.globals().level_free_head;
    if (head != kNoLink) {
        const uint32_t index = linked_index(head);
        state.edit_globals(&GlobalsRecord::level_free_head) = state.levels[index].next_free;
        state.levels.edit(index).next_free = kNoLink;
        return index;
    }
    const uint32_t index = state.globals().levels_used;
    state.edit_globals(&GlobalsRecord::levels_used) = index + 1;
    return index;
}

void free_level(State& state, uint32_t index) {
    LevelRecord& level = state.levels.edit(index);
    ASSERT(level.order_count == 0 && level.total_lots == 0, "level freed with orders");
    level = LevelRecord{};
    level.next_free = state.globals().level_free_head;
    state.edit_globals(&GlobalsRecord::level_free_head) = link_to(index);
    state.edit_globals(&GlobalsRecord::levels_live) -= 1;
}

}  // namespace

uint32_t best_price(const State& state, uint32_t instrument, Side side) {
    const uint32_t link = best_level(state, instrument, side);
    return link == kNoLink ? 0 : state.levels[linked_index(link)].price_ticks;
}

bool find_maker(const State& state, uint32_t instrument, Side side, uint32_t limit_ticks,
                uint32_t& slot) {
    const uint32_t link = best_level(state, instrument, opposite(side));
    if (link == kNoLink) return false;
    const LevelRecord& level = state.levels[linked_index(link)];
    slot = linked_index(level.head);
    return side == Side::kBuy ? level.price_ticks <= limit_ticks
                              : level.price_ticks >= limit_ticks;
}

bool crosses(const State& state, uint32_t instrument, Side side, uint32_t limit_ticks) {
    uint32_t slot = 0;
    return find_maker(state, instrument, side, limit_ticks, slot);
}

bool has_level(const State& state, uint32_t instrument, Side side, uint32_t price_ticks) {
    return level_at(state, instrument, side, price_ticks) != kNoLink;
}

bool has_free_level(const State& state) { return state.globals().levels_live < kLevelsMax; }

void rest_order(State& state, uint32_t slot) {
    OrderRecord& order = state.orders.edit(slot);
    ASSERT(life_of(order) == OrderLife::kTaking && order.level == kNoLink, "order rests twice");
    ASSERT(order.remaining_lots > 0, "nothing left to rest");
    const Side side = side_of(order);
    uint32_t link = level_at(state, order.instrument, side, order.price_ticks);
    if (link == kNoLink) {
        link = link_to(take_level(state));
        index_level(state, order.instrument, side, order.price_ticks, link);
        state.levels.edit(linked_index(link)).price_ticks = order.price_ticks;
    }
    LevelRecord& level = state.levels.edit(linked_index(link));
    ASSERT(level.price_ticks == order.price_ticks, "level of another price");

    order.live = static_cast<uint8_t>(OrderLife::kResting);
    order.level = link;
    order.next = kNoLink;
    order.prev = level.tail;
    if (level.tail == kNoLink)
        level.head = link_to(slot);
    else
        state.orders.edit(linked_index(level.tail), &OrderRecord::next) = link_to(slot);
    level.tail = link_to(slot);
    level.order_count += 1;
    level.total_lots += order.remaining_lots;
}

void unrest_order(State& state, uint32_t slot) {
    OrderRecord& order = state.orders.edit(slot);
    ASSERT(life_of(order) == OrderLife::kResting, "order does not rest");
    const uint32_t index = linked_index(order.level);
    LevelRecord& level = state.levels.edit(index);
    ASSERT(level.order_count > 0, "order in an empty level");
    if (order.prev == kNoLink)
        level.head = order.next;
    else
        state.orders.edit(linked_index(order.prev), &OrderRecord::next) = order.next;
    if (order.next == kNoLink)
        level.tail = order.prev;
    else
        state.orders.edit(linked_index(order.next), &OrderRecord::prev) = order.prev;
    level.order_count -= 1;
    level.total_lots -= order.remaining_lots;
    order.live = static_cast<uint8_t>(OrderLife::kTaking);
    order.level = kNoLink;
    order.next = kNoLink;
    order.prev = kNoLink;
    if (level.order_count > 0) return;
    unindex_level(state, order.instrument, side_of(order), level.price_ticks);
    free_level(state, index);
}

void reduce_order(State& state, uint32_t slot, uint32_t lots) {
    OrderRecord& order = state.orders.edit(slot);
    ASSERT(lots > 0 && lots <= order.remaining_lots, "order reduced below zero");
    order.remaining_lots -= lots;
    if (life_of(order) != OrderLife::kResting) return;
    LevelRecord& level = state.levels.edit(linked_index(order.level));
    ASSERT(lots <= level.total_lots, "level reduced below zero");
    level.total_lots -= lots;
}

}  // namespace provenue::PROVENUE_PRESET_NAMESPACE
