// Which positions an account has, and what a mark is good for (chapters 6.3, 12.2): reads only.
#pragma once

#include <cstdint>

#include "core/image/state.hpp"

namespace provenue::PROVENUE_PRESET_NAMESPACE {

// 12.2: the feed has a price, and it is a day old. Between stale and abandoned nothing is closed.
bool is_abandoned(const FeedRecord& feed, uint64_t now_ms);
// No listed instrument has a price that is not abandoned, and one at least is listed.
bool is_venue_abandoned(const State& state, uint64_t now_ms);
// The row holds a position whose mark is fresh or abandoned.
bool is_closable(const State& state, const PositionRecord& row, uint64_t now_ms);

bool has_position(const State& state, uint32_t account);
bool has_abandoned_position(const State& state, uint32_t account, uint64_t now_ms);
// The row with a position and the largest maintenance margin, of equals the lowest instrument.
// False when there is none.
bool largest_position(const State& state, uint32_t account, RowRef& ref);
// The same among the closable ones.
bool largest_closable(const State& state, uint32_t account, uint64_t now_ms, RowRef& ref);

}  // namespace provenue::PROVENUE_PRESET_NAMESPACE
