// An order before it is one: the checks of 4.1 in their order, shared by PLACE, AMEND and REPLACE.
#pragma once

#include "core/program/match.hpp"

namespace provenue::PROVENUE_PRESET_NAMESPACE {

// The fields as they came; step 10 makes limit and size of them.
struct Placement {
    uint32_t account;
    uint32_t instrument;
    uint8_t side_code;
    uint8_t type_code;
    uint8_t time_in_force_code;
    uint8_t flags;
    uint8_t self_trade_code;
    uint64_t price_ticks;
    uint64_t size_lots;
    uint64_t client_id;
    uint32_t good_till_s;
    bool has_slot = false;  // an order that is amended: steps 12 and 13 do not ask
    uint32_t limit_ticks = 0;

    Side side() const { return static_cast<Side>(side_code); }
    OrderType type() const { return static_cast<OrderType>(type_code); }
    TimeInForce time_in_force() const { return static_cast<TimeInForce>(time_in_force_code); }
    SelfTrade self_trade() const { return static_cast<SelfTrade>(self_trade_code); }
    bool has(uint8_t flag) const { return (flags & flag) != 0; }
    // Once step 10 has passed.
    uint32_t lots() const { return narrow<uint32_t>(size_lots); }
};

// Steps 8 to 19. With OK the order has joined the row; a reject rolls it back.
Code admit(Run& run, Placement& order);
// Steps 2 to 19, and the effect: the order is accepted and matched.
Code place_order(Run& run, Placement& order);

}  // namespace provenue::PROVENUE_PRESET_NAMESPACE
