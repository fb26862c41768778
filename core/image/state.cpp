#include "core/image/state.hpp"

namespace provenue::PROVENUE_PRESET_NAMESPACE {

bool State::find_row(uint32_t account, uint32_t instrument, RowRef& ref) const {
    if (account == kHouse) {
        ref = row_at(kHouse, instrument);
        return row(ref).instrument_plus_1 != kNoLink;
    }
    for (uint32_t slot = 0; slot < kPositionsPerAccount; ++slot) {
        ref = row_at(account, slot);
        if (row(ref).instrument_plus_1 == link_to(instrument)) return true;
    }
    return false;
}

bool State::find_row_or_free(uint32_t account, uint32_t instrument, RowRef& ref) const {
    if (find_row(account, instrument, ref) || account == kHouse) return true;
    for (uint32_t slot = 0; slot < kPositionsPerAccount; ++slot) {
        ref = row_at(account, slot);
        if (row(ref).instrument_plus_1 == kNoLink) return true;
    }
    return false;
}

bool State::has_row_in_use(uint32_t account) const {
    for (uint32_t slot = 0; slot < row_count(account); ++slot)
        if (row(row_at(account, slot)).instrument_plus_1 != kNoLink) return true;
    return false;
}

}  // namespace provenue::PROVENUE_PRESET_NAMESPACE
