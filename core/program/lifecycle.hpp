// What happens to a live order besides its fills: it is cancelled, loses lots, expires, or is cut
// to the position it may reduce (chapters 4.3 and 4.6).
#pragma once

#include "core/matching/book.hpp"
#include "core/program/run.hpp"

namespace provenue::PROVENUE_PRESET_NAMESPACE {

// An event that names an order, with its remaining lots. The reason is the event's own.
Event event_of_order(const State& state, EventKind kind, uint32_t slot, uint16_t reason);

// Lots of the order leave the row: its sums, or, if the order ends, its reduce-only orders.
void leave_row(State& state, RowRef row, const OrderRecord& order, uint32_t lots, bool ends);
// The order is out of the book. Its slot goes back last.
void end_order(State& state, uint32_t slot);

// Takes a live order out of everything it is in. Event ORDER_CANCELLED.
void cancel_order(Run& run, uint32_t slot, CancelReason reason);

// Which orders of an account.
struct OrderFilter {
    uint32_t instrument = kNoneU16;  // NONE_U16: of every one
    bool has_label = false;
    uint64_t client_id = 0;  // with a label
};
// All that pass the filter, oldest first.
void cancel_orders(Run& run, uint32_t account, const OrderFilter& filter, CancelReason reason);
// Those that have expired, oldest first; then the account's next expiry is exact. False: none had.
bool cancel_expired(Run& run, uint32_t account);

// Lots leave an order without a trade, not all of it; a resting one keeps its place.
void shrink_order(Run& run, uint32_t slot, uint32_t lots);
// The same, with the event ORDER_REDUCED.
void reduce_without_fill(Run& run, uint32_t slot, uint32_t lots, CancelReason reason);

void cut_to_position(Run& run, RowRef row);
// The row's size has changed, or the row is free again: no reduce-only order exceeds the position.
inline void keep_reduce_only(Run& run, RowRef row) {
    if (run.state.row(row).reduce_orders != 0) [[unlikely]] cut_to_position(run, row);
}

}  // namespace provenue::PROVENUE_PRESET_NAMESPACE
