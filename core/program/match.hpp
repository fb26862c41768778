// Matching: the life of a taker between book and clearing, fill by fill (chapter 4.2).
#pragma once

#include "core/program/lifecycle.hpp"

namespace provenue::PROVENUE_PRESET_NAMESPACE {

// Matches a live order that does not rest, then rests, cancels, ends or keeps it pending.
// NOT_FILLED, with effects that a reject has to undo, for a fill-or-kill order that was not.
Code match_order(Run& run, uint32_t slot);

// An order of the program itself, without a slot (closing.hpp). Its fees go to the house.
struct ForcedOrder {
    uint32_t account;
    uint32_t instrument;
    Side side;
    uint32_t limit_ticks;
    uint32_t size_lots;
    uint32_t fee_ppm;
    uint8_t fill_flag;
};
// At most fills_per_message steps; what remains is dropped. Returns the steps.
uint32_t match_forced(Run& run, const ForcedOrder& order);

// floor (buy) or ceil (sell) of mark * (PPM +- band) / (PPM * tick_size), not clamped.
i128 band_limit(const InstrumentRecord& instrument, uint64_t mark, Side side, uint32_t band_ppm);

}  // namespace provenue::PROVENUE_PRESET_NAMESPACE
