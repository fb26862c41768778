#include "core/image/state.hpp"

namespace provenue::PROVENUE_PRESET_NAMESPACE {

namespace {

// The first row with this link, kNoLink for an unused one.
bool find_link(const State& state, uint32_t account, uint32_t link, RowRef& ref) {
    const Rows rows = state.rows(account);
    for (uint32_t slot = 0; slot < rows.count; ++slot) {
        if (rows[slot].instrument_plus_1 != link) continue;
        ref = State::row_at(account, slot);
        return true;
    }
    return false;
}

}  // namespace

bool State::find_row(uint32_t account, uint32_t instrument, RowRef& ref) const {
    if (account != kHouse) return find_link(*this, account, link_to(instrument), ref);
    ref = row_at(kHouse, instrument);
    return row(ref).instrument_plus_1 != kNoLink;
}

bool State::find_row_or_free(uint32_t account, uint32_t instrument, RowRef& ref) const {
    if (find_row(account, instrument, ref) || account == kHouse) return true;
    return find_link(*this, account, kNoLink, ref);
}

bool State::has_row_in_use(uint32_t account) const {
    for (const PositionRecord& row : rows(account))
        if (row.instrument_plus_1 != kNoLink) return true;
    return false;
}

}  // namespace provenue::PROVENUE_PRESET_NAMESPACE
