// The life of an order between book and clearing: matching fill by fill, resting, ending. The only
// place where matching and clearing meet (chapters 4.2 and 4.3).
#pragma once

#include "core/matching/book.hpp"
#include "core/program/run.hpp"

namespace provenue::PROVENUE_PRESET_NAMESPACE {

// Matches a live order that does not rest, then rests, cancels, ends or keeps it pending.
void match_order(Run& run, uint32_t slot);

// An order of the program itself, without a slot (closing.hpp). Its fees go to the house.
struct ForcedOrder {
    uint32_t account;
    uint32_t instrument;
    Side side;
    uint32_t limit_ticks;
    uint64_t size_lots;
    uint32_t fee_ppm;
    uint8_t fill_flag;
};
// At most fills_per_message steps; what remains is dropped. Returns the steps.
uint32_t match_forced(Run& run, const ForcedOrder& order);

// Takes a live order out of everything it is in. Event ORDER_CANCELLED.
void cancel_order(Run& run, uint32_t slot, CancelReason reason);
// All orders of the account (of one instrument, or of all: NONE_U16), oldest first.
void cancel_orders(Run& run, uint32_t account, uint32_t instrument, CancelReason reason);

// floor (buy) or ceil (sell) of mark * (PPM +- band) / (PPM * tick_size), not clamped.
i128 band_limit(const InstrumentRecord& instrument, uint64_t mark, Side side, uint32_t band_ppm);

}  // namespace provenue::PROVENUE_PRESET_NAMESPACE
