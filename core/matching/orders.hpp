// The order table: slots, ids, and each account's list of its orders, oldest first.
#pragma once

#include <cstdint>

#include "core/base/generated/protocol.hpp"
#include "core/base/side.hpp"
#include "core/base/wide.hpp"
#include "core/image/state.hpp"

namespace provenue::PROVENUE_PRESET_NAMESPACE {

// Values of OrderRecord::live.
enum class OrderLife : uint32_t { kFree = 0, kResting = 1, kTaking = 2 };

inline OrderLife life_of(const OrderRecord& order) { return static_cast<OrderLife>(order.live); }
inline Side side_of(const OrderRecord& order) { return static_cast<Side>(order.side); }

// The order bits of chapter 4.1, kept in OrderRecord::flags.
constexpr uint8_t order_bits(OrderType type, TimeInForce time_in_force, uint8_t flags) {
    return static_cast<uint8_t>(static_cast<uint32_t>(type) << 5 |
                                static_cast<uint32_t>(time_in_force) << 4 | flags);
}
constexpr bool is_immediate(const OrderRecord& order) {
    return (order.flags >> 4 & 1) == static_cast<uint8_t>(TimeInForce::kImmediateOrCancel);
}

struct NewOrder {
    uint32_t account;
    uint32_t instrument;
    Side side;
    uint8_t bits;
    uint32_t price_ticks;
    uint64_t size_lots;
    uint64_t client_id;
};

bool has_free_order(const State& state);
// Takes a slot and joins the tail of the account's list; the order does not rest yet.
uint32_t open_order(State& state, const NewOrder& order);
// The order has left the book. Leaves the account's list.
void unlist_order(State& state, uint32_t slot);
// The order has left book and list. Clears the slot but for its generation.
void give_back_order(State& state, uint32_t slot);

uint64_t order_id(const State& state, uint32_t slot);
// The slot of a live order of the account; false when the id names none.
bool find_order(const State& state, uint32_t account, uint64_t id, uint32_t& slot);

}  // namespace provenue::PROVENUE_PRESET_NAMESPACE
