#include "core/clearing/deleverage.hpp"

#include "core/base/side.hpp"
#include "core/clearing/rows.hpp"
#include "core/clearing/settlement.hpp"
#include "core/risk/margin.hpp"

namespace provenue::PROVENUE_PRESET_NAMESPACE {

namespace {

constexpr i128 kScoreMax = i128{1} << 62;

// Profit over the worth of the position, in ppm; funding is left aside.
int64_t score_of(const State& state, const PositionRecord& row) {
    const InstrumentRecord& instrument = state.instruments[linked_index(row.instrument_plus_1)];
    const i128 worth =
        mul_div_floor(row.size_lots, mark_of(state, instrument), instrument.lots_per_base);
    const i128 score = mul_div_trunc(worth + row.cash_leg_units, kPpm,
                                     max(1, static_cast<i128>(magnitude(worth))));
    return narrow<int64_t>(clamp(score, -kScoreMax, kScoreMax));
}

// The account's position against the leaving one, false if it has none.
bool find_opposite(const State& state, uint32_t account, uint32_t instrument, int leaving_sign,
                   RowRef& ref) {
    if (state.accounts[account].open == 0 || !state.find_row(account, instrument, ref))
        return false;
    return sign_of(state.row(ref).size_lots) == -leaving_sign;
}

// Puts a candidate behind all that have its score or a higher one; the last of a full list falls
// out of it. Candidates come in the order of their accounts, so of equals the lower one is first.
void rank(State& state, uint32_t account, int64_t score_ppm) {
    const uint32_t ranked = state.scan[0].ranked;
    uint32_t place = ranked;
    while (place > 0 && state.scan_ranks[place - 1].score_ppm < score_ppm) --place;
    if (place == kFillsPerMessage) return;
    const bool full = ranked == kFillsPerMessage;
    for (uint32_t at = full ? ranked - 1 : ranked; at > place; --at)
        state.scan_ranks.edit(at) = state.scan_ranks[at - 1];
    ScanRankRecord& record = state.scan_ranks.edit(place);
    record.score_ppm = score_ppm;
    record.account = account;
    if (!full) state.scan.edit(0).ranked = ranked + 1;
}

// One candidate against the leaving row, the candidate first.
void reduce(State& state, EventLog& events, RowRef row, RowRef other, int64_t score_ppm,
            const DeleveragingTerms& terms) {
    const uint32_t instrument = linked_index(state.row(row).instrument_plus_1);
    const Side side = state.row(row).size_lots > 0 ? Side::kSell : Side::kBuy;
    const i128 held = static_cast<i128>(magnitude(state.row(row).size_lots));
    const i128 against = static_cast<i128>(magnitude(state.row(other).size_lots));
    const auto quantity = narrow<uint64_t>(min(min(held, against), kSizeLotsMax));
    clear_fill(state, events,
               {other.account, other, instrument, opposite(side), terms.price_ticks, quantity, 0,
                FeeTo::kHouse});
    const int64_t fee = clear_fill(state, events,
                                   {row.account, row, instrument, side, terms.price_ticks,
                                    quantity, terms.fee_ppm, FeeTo::kHouse});
    free_row_if_unused(state, other);
    free_row_if_unused(state, row);

    Event event = event_of(EventKind::kDeleveraged);
    event.instrument = instrument;
    event.account = row.account;
    event.counter_account = other.account;
    event.price = narrow<int64_t>(terms.price_ticks);
    event.size = narrow<int64_t>(quantity);
    event.value = fee;
    event.extra = score_ppm;
    event.reason = side == Side::kSell ? kFillFlagTakerSells : 0;
    events.emit(event);
}

}  // namespace

bool is_scan_under_way(const State& state) { return state.scan[0].account_plus_1 != kNoLink; }

bool is_scan_finished(const State& state) {
    return is_scan_under_way(state) && state.scan[0].remaining == 0;
}

void start_scan(State& state, RowRef row) {
    ASSERT(!is_scan_under_way(state), "a scan is under way");
    ScanRecord& scan = state.scan.edit(0);
    scan.account_plus_1 = link_to(row.account);
    scan.instrument_plus_1 = state.row(row).instrument_plus_1;
    scan.remaining = state.globals().accounts_used;
}

void scan_part(State& state) {
    ScanRecord& scan = state.scan.edit(0);
    const uint32_t leaving = linked_index(scan.account_plus_1);
    const uint32_t instrument = linked_index(scan.instrument_plus_1);
    const int leaving_sign =
        sign_of(state.row(row_of(state, leaving, instrument)).size_lots);
    ASSERT(leaving_sign != 0, "scan for a position that is closed");
    for (uint32_t visits = 0; scan.remaining > 0 && visits < kSweepAccountsPerMessage; ++visits) {
        const uint32_t account = scan.next;
        RowRef ref;
        // An account has one sign, so the leaving one is no candidate of its own.
        if (find_opposite(state, account, instrument, leaving_sign, ref))
            rank(state, account, score_of(state, state.row(ref)));
        scan.next += 1;
        scan.remaining -= 1;
    }
}

void drop_scan(State& state) {
    if (!is_scan_under_way(state)) return;
    for (uint32_t place = 0; place < state.scan[0].ranked; ++place)
        state.scan_ranks.edit(place) = ScanRankRecord{};
    state.scan.edit(0) = ScanRecord{};
}

bool deleverage_next(State& state, EventLog& events, RowRef row, const DeleveragingTerms& terms,
                     uint32_t& place, RowRef& other) {
    ASSERT(is_scan_finished(state), "scan has not ended");
    ASSERT(state.scan[0].account_plus_1 == link_to(row.account), "scan of another account");
    // The row is freed with its last lot, and its size is then 0 as well.
    const int leaving_sign = sign_of(state.row(row).size_lots);
    if (leaving_sign == 0) return false;
    const uint32_t instrument = linked_index(state.scan[0].instrument_plus_1);
    ASSERT(state.row(row).instrument_plus_1 == link_to(instrument), "scan of another instrument");
    while (place < state.scan[0].ranked) {
        const ScanRankRecord& candidate = state.scan_ranks[place];
        place += 1;
        // A liquidation in between may have closed what the scan saw.
        if (!find_opposite(state, candidate.account, instrument, leaving_sign, other)) continue;
        reduce(state, events, row, other, candidate.score_ppm, terms);
        return true;
    }
    return false;
}

}  // namespace provenue::PROVENUE_PRESET_NAMESPACE
