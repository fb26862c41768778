// Leaving through L1 (chapter 12): on the book, against the other side, from a venue without
// prices. Numbers are worked by hand.
#include "core/program/venue_test.hpp"

using namespace provenue;
using namespace provenue::PROVENUE_PRESET_NAMESPACE;

namespace {

constexpr int64_t kUsd = 1'000'000;
constexpr uint64_t kMark = 60'000'000'000;
constexpr uint64_t kDayMs = 86'400'000;

void place(Venue& venue, uint32_t account, const OrderFields& order) {
    CHECK(venue.posted(venue.place(venue.id_of(account), order)) == Code::kOk);
}

// `seller` and `buyer` trade with each other, the seller first.
void trade(Venue& venue, uint32_t seller, uint32_t buyer, uint64_t price, uint64_t lots,
           uint32_t instrument = 0) {
    place(venue, seller, limit(Side::kSell, price, lots, instrument));
    place(venue, buyer, limit(Side::kBuy, price, lots, instrument));
}

// Account 1 is long 120 BTC from 60,000 against account 2. It has 996,400 then (3,600 of fee),
// account 2 has 998,560.
void open_long(Venue& venue) { trade(venue, 2, 1, 60'000, 120'000); }

bool is_leaving(Venue& venue, uint32_t account) {
    return venue.state().accounts[account].leaving != 0;
}

bool is_scan_zero(Venue& venue) {
    const Bytes& image = venue.image();
    for (uint64_t at = kScanOffset; at < kScanRanksOffset + 4096; ++at)
        if (image[at] != 0) return false;
    return true;
}

// Bids of 50 BTC at 58,000 and at the edge of the band, 57,000; one below it. The remaining 20 BTC
// are closed against account 2 at that edge. Of 6,890,000 sold the fee is 3,445, to the house.
void test_a_close_takes_the_book_within_the_band_and_then_the_other_side() {
    Venue venue;
    venue.open(3);
    open_long(venue);
    for (const uint64_t bid : {58'000, 57'000, 56'999})
        place(venue, 3, limit(Side::kBuy, bid, 50'000));
    place(venue, 1, limit(Side::kSell, 61'000, 1'000));
    CHECK(venue.inbox(venue.forced_close(101)) == Code::kOk);
    CHECK(venue.events().size() == 2);
    CHECK(venue.events(EventKind::kOrderCancelled)[0].reason ==
          static_cast<uint16_t>(CancelReason::kForced));
    CHECK(venue.events(EventKind::kAccountLeaving)[0].account == 1);
    CHECK(is_leaving(venue, 1) && venue.state().globals().sweep_remaining == 0);
    CHECK(venue.posted(venue.place(venue.id_of(1), limit(Side::kBuy, 59'000, 1))) ==
          Code::kAccountLeaving);
    CHECK(venue.inbox(venue.forced_close(101)) == Code::kOk);
    CHECK(venue.events().empty());  // said once

    const std::vector<Event> seen = sweep_at(venue, kMark);
    const std::vector<Event> closings = of_kind(seen, EventKind::kClosing);
    CHECK(closings.size() == 2);
    CHECK(closings[0].price == 57'000 && closings[0].size == 120'000);
    CHECK(closings[1].price == 57'000 && closings[1].size == 20'000);
    const std::vector<Event> fills = of_kind(seen, EventKind::kFill);
    CHECK(fills.size() == 2 && fills[0].price == 58'000 && fills[1].price == 57'000);
    CHECK(fills[0].reason == (kFillFlagForcedClose | kFillFlagTakerSells));
    CHECK(fills[0].order_id == 0 && fills[0].value == 1'450 * kUsd);
    const std::vector<Event> reduced = of_kind(seen, EventKind::kDeleveraged);
    CHECK(reduced.size() == 1);
    CHECK(reduced[0].account == 1 && reduced[0].counter_account == 2);
    CHECK(reduced[0].price == 57'000 && reduced[0].size == 20'000);
    CHECK(reduced[0].value == 570 * kUsd && reduced[0].extra == 0);
    CHECK(reduced[0].reason == kFillFlagTakerSells);
    CHECK(of_kind(seen, EventKind::kAccountLeft).size() == 1);
    CHECK(!is_leaving(venue, 1) && is_scan_zero(venue));
    CHECK(row_of(venue, 1, 0).instrument_plus_1 == 0);
    CHECK(quote_of(venue, 1) == (996'400 - 100'000 - 150'000 - 60'000 - 3'445) * kUsd);
    CHECK(quote_of(venue, 0) == 3'445 * kUsd);
    CHECK(quote_of(venue, 2) == (998'560 + 60'000) * kUsd);
    CHECK(row_of(venue, 2, 0).size_lots == -100'000);
    CHECK(venue.inbox(venue.forced_withdraw(101, 0, uint64_t{1} << 50)) == Code::kOk);
    CHECK(quote_of(venue, 1) == 0);
}

// Shorts of 10 BTC from 60,000 (account 2), 61,000 (3 and 4), 59,000 (5) and 62,000 (6), the mark
// at 60,000: profits of 0, 10,000, 10,000, -10,000 and 20,000 of 600,000. A round takes four.
void test_the_most_profitable_are_closed_first_and_of_equals_the_lower_account() {
    Venue venue;
    venue.open(6);
    trade(venue, 2, 1, 60'000, 10'000);
    trade(venue, 3, 1, 61'000, 10'000);
    trade(venue, 4, 1, 61'000, 10'000);
    trade(venue, 5, 1, 59'000, 10'000);
    trade(venue, 6, 1, 62'000, 10'000);
    CHECK(venue.inbox(venue.forced_close(101)) == Code::kOk);
    const std::vector<Event> reduced = of_kind(sweep_at(venue, kMark), EventKind::kDeleveraged);
    CHECK(reduced.size() == 5);
    constexpr uint32_t kOrder[] = {6, 3, 4, 2, 5};
    constexpr int64_t kScores[] = {33'333, 16'666, 16'666, 0, -16'666};
    for (uint32_t i = 0; i < 5; ++i) {
        CHECK(reduced[i].counter_account == kOrder[i]);
        CHECK(reduced[i].extra == kScores[i]);
        CHECK(reduced[i].price == 57'000);
    }
    CHECK(is_scan_zero(venue) && !is_leaving(venue, 1));
}

// The parts of a scan: three accounts each, seven in all; the ranks stand in the image meanwhile.
void test_a_scan_goes_on_from_message_to_message() {
    Venue venue;
    venue.open(6);
    for (uint32_t seller = 2; seller <= 6; ++seller) trade(venue, seller, 1, 60'000, 1'000);
    CHECK(venue.inbox(venue.forced_close(101)) == Code::kOk);
    // The cursor is brought to account 1, with a full circle ahead.
    while (venue.state().globals().sweep_next != 1) {
        CHECK(venue.posted(venue.tick()) == Code::kOk);
        if (!is_scan_zero(venue)) break;
    }
    if (is_scan_zero(venue)) CHECK(venue.posted(venue.tick()) == Code::kOk);
    const ScanRecord first = venue.state().scan[0];
    CHECK(first.account_plus_1 == 2 && first.instrument_plus_1 == 1);
    CHECK(first.next == 3 && first.remaining == 4 && first.ranked == 1);
    CHECK(venue.state().scan_ranks[0].account == 2);
    CHECK(venue.state().globals().sweep_next == 1);
    CHECK(venue.posted(Venue::resume()) == Code::kOk);
    CHECK(venue.state().scan[0].remaining == 1 && venue.state().scan[0].ranked == 4);
    // A price in between starts a sweep, and restarts no scan.
    venue.now_ms += 10;
    CHECK(venue.posted(venue.prices(0, {{0, kMark}}, venue.now_ms)) == Code::kOk);
    CHECK(venue.state().scan[0].remaining == 0 && venue.state().scan[0].ranked == 4);
    CHECK(venue.posted(Venue::resume()) == Code::kOk);
    CHECK(venue.events(EventKind::kDeleveraged).size() == 4);
    CHECK(is_scan_zero(venue) && is_leaving(venue, 1));
    venue.finish_sweep();
    CHECK(!is_leaving(venue, 1));
    for (uint32_t account = 1; account <= 6; ++account)
        CHECK(row_of(venue, account, 0).instrument_plus_1 == 0);
}

// Between stale and abandoned nothing is closed, and a scan that was under way is dropped.
void test_a_scan_ends_with_the_mark_it_goes_by() {
    Venue venue;
    venue.open(6);
    for (uint32_t seller = 2; seller <= 6; ++seller) trade(venue, seller, 1, 60'000, 1'000);
    CHECK(venue.inbox(venue.forced_close(101)) == Code::kOk);
    for (int ticks = 0; ticks < 10 && is_scan_zero(venue); ++ticks)
        CHECK(venue.posted(venue.tick()) == Code::kOk);
    CHECK(!is_scan_zero(venue));
    venue.now_ms += 60'001;
    CHECK(venue.posted(venue.tick()) == Code::kOk);
    CHECK(is_scan_zero(venue) && is_leaving(venue, 1));
    CHECK(of_kind(until_swept(venue), EventKind::kDeleveraged).empty());
    CHECK(row_of(venue, 1, 0).size_lots == 5'000);
}

// The last mark is 60,000.5. A seller gets 60,000, a buyer pays 60,001, nobody pays a fee, and a
// bid at 60,000 is not looked at.
void test_an_abandoned_mark_settles_without_a_book() {
    for (const uint64_t owner : {101, 102}) {
        Venue venue;
        venue.open(3);
        open_long(venue);
        sweep_at(venue, 60'000'500'000);
        const uint64_t updated_ms = venue.now_ms;
        place(venue, 3, limit(Side::kBuy, 60'000, 1'000));
        const int64_t fees = venue.state().assets[0].fees_units;
        venue.now_ms = updated_ms + kDayMs;
        CHECK(venue.inbox(venue.forced_close(owner)) == Code::kOk);
        CHECK(venue.state().globals().sweep_remaining == 0);  // a day old, and not older
        venue.now_ms += 1;
        CHECK(venue.inbox(venue.forced_close(owner)) == Code::kOk);
        CHECK(venue.events().empty() && venue.state().globals().sweep_remaining == 4);
        const std::vector<Event> seen = until_swept(venue);
        CHECK(of_kind(seen, EventKind::kClosing).empty());
        CHECK(of_kind(seen, EventKind::kFill).empty());
        const std::vector<Event> reduced = of_kind(seen, EventKind::kDeleveraged);
        CHECK(reduced.size() == 1 && reduced[0].size == 120'000 && reduced[0].value == 0);
        CHECK(reduced[0].price == (owner == 101 ? 60'000 : 60'001));
        CHECK(of_kind(seen, EventKind::kAccountLeft).size() == 1);
        CHECK(venue.state().assets[0].fees_units == fees && quote_of(venue, 0) == 0);
        // Account 1 gains 0 or 120.
        CHECK(quote_of(venue, 1) == (996'400 + (owner == 101 ? 0 : 120)) * kUsd);
    }
}

// With a band of a millionth the limit is rounded to the far side of a mark of 60,000.5. On the
// book that is nobody's loss; who is closed against his will gets the mark or better.
void test_nobody_is_deleveraged_beyond_the_mark() {
    for (const uint64_t owner : {101, 102}) {
        Venue venue;
        venue.open(2);
        CHECK(venue.inbox(Venue::perpetual(2, 0, 1)) == Code::kOk);
        trade(venue, 2, 1, 60'000, 1'000, 2);
        sweep_at(venue, 60'000'500'000);
        CHECK(venue.inbox(venue.forced_close(owner)) == Code::kOk);
        const std::vector<Event> seen = sweep_at(venue, 60'000'500'000);
        const std::vector<Event> closings = of_kind(seen, EventKind::kClosing);
        CHECK(closings.size() == 1 && closings[0].price == (owner == 101 ? 60'001 : 60'000));
        const std::vector<Event> reduced = of_kind(seen, EventKind::kDeleveraged);
        CHECK(reduced.size() == 1 && reduced[0].price == (owner == 101 ? 60'000 : 60'001));
    }
}

// Long 100 BTC and 50 BTC, with bands of 20 %. The mark at 56,200: equity 425,500, of which the 50
// BTC need 140,500. 285,000 for 100 BTC: down to 53,350, not to the band's 44,960 or to bankruptcy.
// The fee of 2,667.50 then brings the account below its maintenance margin, and the house takes the
// 50 BTC with all that is left as its penalty.
void test_a_close_leaves_the_other_positions_their_margin() {
    Venue venue;
    venue.open(3);
    CHECK(venue.inbox(Venue::perpetual(2, 0, 200'000)) == Code::kOk);
    CHECK(venue.inbox(Venue::perpetual(3, 0, 200'000)) == Code::kOk);
    trade(venue, 2, 1, 60'000, 100'000, 2);
    trade(venue, 2, 1, 60'000, 50'000, 3);
    sweep_at(venue, 56'200'000'000);
    place(venue, 3, limit(Side::kBuy, 53'350, 100'000, 2));
    CHECK(venue.inbox(venue.forced_close(101)) == Code::kOk);
    const std::vector<Event> seen = sweep_at(venue, 56'200'000'000);
    const std::vector<Event> closings = of_kind(seen, EventKind::kClosing);
    CHECK(closings.size() == 1 && closings[0].instrument == 2 && closings[0].price == 53'350);
    CHECK(of_kind(seen, EventKind::kFill)[0].value == 2'667'500'000);
    const std::vector<Event> taken = of_kind(seen, EventKind::kCollateralTaken);
    CHECK(taken.size() == 1 && taken[0].size == 137'832'500'000);
    CHECK(of_kind(seen, EventKind::kShortfall).empty());
    CHECK(of_kind(seen, EventKind::kAccountLeft).size() == 1);
}

// At 54,000 account 1 has 276,400 and needs 324,000: it is liquidated, and leaves with nothing.
void test_who_leaves_is_liquidated_like_any_other() {
    Venue venue;
    venue.open(3);
    open_long(venue);
    place(venue, 3, limit(Side::kBuy, 53'000, 1'000));
    CHECK(venue.inbox(venue.forced_close(101)) == Code::kOk);
    const std::vector<Event> seen = sweep_at(venue, 54'000'000'000);
    CHECK(of_kind(seen, EventKind::kLiquidated)[0].account == 1);
    CHECK(of_kind(seen, EventKind::kClosing).empty());
    CHECK(of_kind(seen, EventKind::kFill)[0].reason ==
          (kFillFlagLiquidation | kFillFlagTakerSells));
    CHECK(of_kind(seen, EventKind::kTakenOver).size() == 1);
    CHECK(of_kind(seen, EventKind::kAccountLeft).size() == 1);
    CHECK(!is_leaving(venue, 1));
}

// A pending taker is one of the account's orders; it is gone before the account is closed.
void test_a_close_takes_back_a_pending_taker() {
    Venue venue;
    venue.open(2);
    for (int i = 0; i < 6; ++i) place(venue, 2, limit(Side::kSell, 60'000, 1'000));
    place(venue, 1, limit(Side::kBuy, 60'000, 9'000));
    CHECK(venue.state().globals().pending_order != 0);
    CHECK(venue.inbox(venue.forced_close(101)) == Code::kOk);
    CHECK(venue.state().globals().pending_order == 0);
    CHECK(venue.state().accounts[1].open_orders == 0 && is_leaving(venue, 1));
    CHECK(row_of(venue, 1, 0).size_lots == 4'000);
}

void test_without_a_position_a_close_only_cancels() {
    Venue venue;
    venue.open(1);
    place(venue, 1, limit(Side::kBuy, 50'000, 1'000));
    CHECK(venue.inbox(venue.forced_close(109)) == Code::kAccountUnknown);
    CHECK(venue.inbox(venue.forced_close(101)) == Code::kOk);
    CHECK(venue.events().size() == 1 && !is_leaving(venue, 1));
    CHECK(venue.posted(venue.forced_close(101)) == Code::kWrongSource);
    place(venue, 1, limit(Side::kBuy, 50'000, 1'000));
}

void test_a_key_is_revoked_by_its_owner() {
    Venue venue;
    venue.open(1);
    const Address session = address_of(0x77);
    const uint64_t id = venue.id_of(1);
    CHECK(venue.posted(venue.set_key(id, 2, session, kScopeTrade, 0)) == Code::kOk);
    CHECK(venue.inbox(venue.forced_revoke(109, 2)) == Code::kAccountUnknown);
    for (const uint64_t slot : {0, 4})
        CHECK(venue.inbox(venue.forced_revoke(101, slot)) == Code::kBadKeySlot);
    CHECK(venue.inbox(venue.forced_revoke(101, 2)) == Code::kOk);
    const std::vector<Event> set = venue.events(EventKind::kKeySet);
    CHECK(set.size() == 1 && set[0].account == 1 && set[0].extra == 2 && set[0].value == 0);
    venue.key = 2;
    venue.signer_override = &session;
    CHECK(venue.posted(venue.place(id, limit(Side::kBuy, 50'000, 1))) == Code::kKeyUnknown);
}

// Equity 996,400 at 60,000, of which 120 BTC need 720,000.
void test_a_forced_withdrawal_is_cut_to_what_margin_leaves() {
    Venue venue;
    venue.open(2);
    open_long(venue);
    CHECK(venue.inbox(venue.forced_withdraw(101, 0, 900'000 * kUsd)) == Code::kOk);
    CHECK(venue.events(EventKind::kWithdrawn)[0].size == 276'400 * kUsd);
    // Nothing is left to cut to.
    CHECK(venue.inbox(venue.forced_withdraw(101, 0, 1)) == Code::kMarginInsufficient);
    venue.now_ms += 60'001;
    CHECK(venue.inbox(venue.forced_withdraw(102, 0, 1)) == Code::kMarkStale);
}

// At 51,000 account 1 is short of 83,600; 5,040 of fees pay a part. The vault holds 3,000,000, the
// house owes 78,560: of 100,000 there are paid 97,448.15758, to the second as to the first.
void test_an_abandoned_venue_pays_pro_rata() {
    Venue venue;
    venue.open(3);
    open_long(venue);
    sweep_at(venue, 51'000'000'000);
    CHECK(quote_of(venue, 0) == -78'560 * kUsd && venue.state().assets[0].fees_units == 0);
    const uint64_t id = venue.id_of(3);
    venue.now_ms += kDayMs;
    CHECK(venue.posted(venue.withdraw(id, 0, 1'000 * kUsd, address_of(9))) == Code::kOk);
    venue.undo();
    venue.now_ms += 1;
    // A signer has named the sum, and nobody is paid in full before the others.
    CHECK(venue.posted(venue.withdraw(id, 0, 1'000 * kUsd, address_of(9))) ==
          Code::kInsufficientBalance);
    // Account 2 holds a position; the last mark counts.
    for (const uint64_t owner : {103, 102}) {
        const auto account = static_cast<uint32_t>(owner - 100);
        const int64_t had = quote_of(venue, account);
        CHECK(venue.inbox(venue.forced_withdraw(owner, 0, 100'000 * kUsd)) == Code::kOk);
        CHECK(venue.events().size() == 2);
        const Event paid = venue.events(EventKind::kWithdrawn)[0];
        CHECK(paid.account == account && paid.reason == 1 && paid.size == 97'448'157'580);
        const Event cut = venue.events(EventKind::kHaircut)[0];
        CHECK(cut.account == account && cut.size == 2'551'842'420);
        CHECK(quote_of(venue, account) == had - 100'000 * kUsd);
    }
    CHECK(quote_of(venue, 0) == -78'560 * kUsd + 2 * 2'551'842'420);
    // Less than a unit is nothing.
    CHECK(venue.inbox(venue.forced_withdraw(103, 0, 1)) == Code::kInsufficientBalance);
}

// All of the venue is gone only when no listed instrument has a price of less than a day.
void test_a_venue_with_one_live_feed_is_not_abandoned() {
    Venue venue;
    venue.open(2);
    CHECK(venue.inbox(Venue::perpetual(2, 1)) == Code::kOk);
    open_long(venue);
    venue.now_ms += kDayMs;
    for (uint64_t signer = 0; signer < 2; ++signer) {
        CHECK(venue.posted(venue.prices(signer, {{1, kMark}}, venue.now_ms)) == Code::kOk);
        venue.finish_sweep();
    }
    venue.now_ms += kDayMs;
    CHECK(venue.inbox(venue.forced_withdraw(101, 0, kUsd)) == Code::kMarkStale);
    venue.now_ms += 1;
    CHECK(venue.inbox(venue.forced_withdraw(101, 0, kUsd)) == Code::kOk);
    CHECK(venue.events().size() == 1);  // nothing is missing, so nothing is cut
}

}  // namespace

int main() {
    test_a_close_takes_the_book_within_the_band_and_then_the_other_side();
    test_the_most_profitable_are_closed_first_and_of_equals_the_lower_account();
    test_a_scan_goes_on_from_message_to_message();
    test_a_scan_ends_with_the_mark_it_goes_by();
    test_an_abandoned_mark_settles_without_a_book();
    test_nobody_is_deleveraged_beyond_the_mark();
    test_a_close_leaves_the_other_positions_their_margin();
    test_who_leaves_is_liquidated_like_any_other();
    test_a_close_takes_back_a_pending_taker();
    test_without_a_position_a_close_only_cancels();
    test_a_key_is_revoked_by_its_owner();
    test_a_forced_withdrawal_is_cut_to_what_margin_leaves();
    test_an_abandoned_venue_pays_pro_rata();
    test_a_venue_with_one_live_feed_is_not_abandoned();
    return test::finish();
}
