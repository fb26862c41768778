// Deleveraging (chapter 12.5): whoever leaves and finds no book is closed against positions of the
// other side, the most profitable first. A scan over all accounts ranks them, part by part; its
// place and its ranks are in the image.
#pragma once

#include <cstdint>

#include "core/base/events.hpp"
#include "core/image/state.hpp"

namespace provenue::PROVENUE_PRESET_NAMESPACE {

bool is_scan_under_way(const State& state);
bool is_scan_finished(const State& state);
// Of the account and instrument of a row, from the first account on.
void start_scan(State& state, RowRef row);
// Looks at the next sweep_accounts_per_message accounts.
void scan_part(State& state);
// No scan is under way afterwards: every field and rank is zero.
void drop_scan(State& state);

struct DeleveragingTerms {
    uint64_t price_ticks;
    uint32_t fee_ppm;  // of the account that leaves, to the house
};
// Closes the row of a finished scan against the next rank from `place` on that still has a position
// of the other side, `other`; false when the row is closed or the ranks are used up.
bool deleverage_next(State& state, EventLog& events, RowRef row, const DeleveragingTerms& terms,
                     uint32_t& place, RowRef& other);

}  // namespace provenue::PROVENUE_PRESET_NAMESPACE
