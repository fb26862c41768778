#include "core/risk/positions.hpp"

#include "core/risk/margin.hpp"

namespace provenue::PROVENUE_PRESET_NAMESPACE {

namespace {

const FeedRecord& feed_of(const State& state, const PositionRecord& row) {
    return state.feeds[state.instruments[linked_index(row.instrument_plus_1)].feed];
}

// Of the positions that are asked for, the one with the largest maintenance margin.
template <typename Asked>
bool largest(const State& state, uint32_t account, RowRef& ref, Asked asked) {
    i128 largest_units = -1;
    uint32_t lowest = kNoLink;
    const Rows rows = state.rows(account);
    for (uint32_t slot = 0; slot < rows.count; ++slot) {
        const PositionRecord& row = rows[slot];
        if (row.size_lots == 0 || !asked(row)) continue;
        const InstrumentRecord& instrument =
            state.instruments[linked_index(row.instrument_plus_1)];
        const i128 units = row_maintenance(instrument, row, mark_of(state, instrument));
        if (units < largest_units ||
            (units == largest_units && row.instrument_plus_1 > lowest))
            continue;
        largest_units = units;
        lowest = row.instrument_plus_1;
        ref = State::row_at(account, slot);
    }
    return lowest != kNoLink;
}

}  // namespace

bool is_abandoned(const FeedRecord& feed, uint64_t now_ms) {
    return feed.price != 0 && now_ms - feed.updated_at_ms > uint64_t{kMarkAbandonedMs};
}

bool is_venue_abandoned(const State& state, uint64_t now_ms) {
    bool listed = false;
    for (uint32_t index = 0; index < kInstrumentsMax; ++index) {
        const InstrumentRecord& instrument = state.instruments[index];
        if (instrument.listed == 0) continue;
        const FeedRecord& feed = state.feeds[instrument.feed];
        if (feed.price != 0 && !is_abandoned(feed, now_ms)) return false;
        listed = true;
    }
    return listed;
}

bool is_closable(const State& state, const PositionRecord& row, uint64_t now_ms) {
    if (row.size_lots == 0) return false;
    const FeedRecord& feed = feed_of(state, row);
    return is_fresh(feed, now_ms) || is_abandoned(feed, now_ms);
}

bool has_position(const State& state, uint32_t account) {
    for (const PositionRecord& row : state.rows(account))
        if (row.size_lots != 0) return true;
    return false;
}

bool has_abandoned_position(const State& state, uint32_t account, uint64_t now_ms) {
    for (const PositionRecord& row : state.rows(account))
        if (row.size_lots != 0 && is_abandoned(feed_of(state, row), now_ms)) return true;
    return false;
}

bool largest_position(const State& state, uint32_t account, RowRef& ref) {
    return largest(state, account, ref, [](const PositionRecord&) { return true; });
}

bool largest_closable(const State& state, uint32_t account, uint64_t now_ms, RowRef& ref) {
    return largest(state, account, ref, [&](const PositionRecord& row) {
        return is_closable(state, row, now_ms);
    });
}

}  // namespace provenue::PROVENUE_PRESET_NAMESPACE
