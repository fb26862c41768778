// Takeover by the house, the last resort of a liquidation (chapter 6.4).
#pragma once

#include <cstdint>

#include "core/base/events.hpp"
#include "core/image/state.hpp"

namespace provenue::PROVENUE_PRESET_NAMESPACE {

// The house takes the account's positions at the mark, its maintenance margin as a penalty and its
// collateral as far as needed, and pays what is still missing, at the last with fees. The account
// has no open orders.
void take_over(State& state, EventLog& events, uint32_t account);

}  // namespace provenue::PROVENUE_PRESET_NAMESPACE
