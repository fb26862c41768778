// The order table: slots, ids, and each account's list of its orders, oldest first.
#pragma once

#include <cstdint>

#include "core/base/generated/protocol.hpp"
#include "core/base/side.hpp"
#include "core/base/wide.hpp"
#include "core/image/state.hpp"

namespace provenue::PROVENUE_PRESET_NAMESPACE {

// Values of OrderRecord::live.
enum class OrderLife : uint8_t { kFree = 0, kResting = 1, kTaking = 2 };

inline OrderLife life_of(const OrderRecord& order) { return static_cast<OrderLife>(order.live); }
inline Side side_of(const OrderRecord& order) { return static_cast<Side>(order.side); }

// The order bits of chapter 4.1, kept in OrderRecord::flags.
constexpr uint8_t order_bits(OrderType type, SelfTrade self_trade, TimeInForce time_in_force,
                             uint8_t flags) {
    return static_cast<uint8_t>(static_cast<uint32_t>(type) << 7 |
                                static_cast<uint32_t>(self_trade) << 5 |
                                static_cast<uint32_t>(time_in_force) << 3 | flags);
}
constexpr SelfTrade self_trade_of(const OrderRecord& order) {
    return static_cast<SelfTrade>(order.flags >> 5 & 3);
}
constexpr TimeInForce time_in_force_of(const OrderRecord& order) {
    return static_cast<TimeInForce>(order.flags >> 3 & 3);
}
constexpr uint8_t flags_of(const OrderRecord& order) {
    return order.flags & (kOrderFlagPostOnly | kOrderFlagSlide | kOrderFlagReduceOnly);
}
constexpr bool is_reduce_only(const OrderRecord& order) {
    return (order.flags & kOrderFlagReduceOnly) != 0;
}

// 4.6: a good-till time that has come; 0 is none.
constexpr bool is_past(uint32_t good_till_s, uint64_t now_ms) {
    return good_till_s != 0 && now_ms >= uint64_t{good_till_s} * 1'000;
}
constexpr bool is_expired(const OrderRecord& order, uint64_t now_ms) {
    return is_past(order.good_till_s, now_ms);
}

struct NewOrder {
    uint32_t account;
    uint32_t instrument;
    Side side;
    uint8_t bits;
    uint32_t price_ticks;
    uint32_t size_lots;
    uint64_t client_id;
    uint32_t good_till_s;
};

bool has_free_order(const State& state);
// Takes a slot; the order is in no book and in no list yet.
uint32_t make_order(State& state, const NewOrder& order);
// The same, and it joins the tail of the account's list, whose next expiry is not after the
// order's; the order does not rest yet.
uint32_t open_order(State& state, const NewOrder& order);
// The order has left the book and takes again, with its id and its place in the account's list.
struct NewTerms {
    uint32_t price_ticks;
    uint32_t size_lots;
    uint32_t remaining_lots;
};
void change_terms(State& state, uint32_t slot, const NewTerms& terms);
// The order has left the book. Leaves the account's list.
void unlist_order(State& state, uint32_t slot);
// The order has left book and list. Clears the slot but for its generation.
void give_back_order(State& state, uint32_t slot);

uint64_t order_id(const State& state, uint32_t slot);
// The slot of a live order of the account; false when the id names none.
bool find_order(const State& state, uint32_t account, uint64_t id, uint32_t& slot);

}  // namespace provenue::PROVENUE_PRESET_NAMESPACE
