// Scenarios of what an order may ask for: how long it stands, sliding, self-trade prevention,
// labels (chapters 4.1 to 4.3 and 4.6).
#include "core/matching/book.hpp"
#include "core/program/venue_test.hpp"

using namespace provenue;
using namespace provenue::PROVENUE_PRESET_NAMESPACE;

namespace {

constexpr uint8_t kSlides = kOrderFlagPostOnly | kOrderFlagSlide;

OrderFields order(Side side, uint64_t price, uint64_t size, TimeInForce time_in_force) {
    OrderFields fields = limit(side, price, size);
    fields.time_in_force = time_in_force;
    return fields;
}
OrderFields fill_or_kill(Side side, uint64_t price, uint64_t size) {
    return order(side, price, size, TimeInForce::kFillOrKill);
}
OrderFields good_till(Side side, uint64_t price, uint64_t size, uint32_t till_s) {
    OrderFields fields = order(side, price, size, TimeInForce::kGoodTillTime);
    fields.good_till_s = till_s;
    return fields;
}
OrderFields flagged(OrderFields fields, uint8_t flags) {
    fields.flags = flags;
    return fields;
}
OrderFields labelled(OrderFields fields, uint64_t client_id) {
    fields.client_id = client_id;
    return fields;
}

Code try_place(Venue& venue, uint32_t account, const OrderFields& fields) {
    return venue.posted(venue.place(venue.id_of(account), fields));
}

uint32_t seconds_from_now(const Venue& venue, uint32_t seconds) {
    return static_cast<uint32_t>(venue.now_ms / 1'000) + seconds;
}

bool is_cancelled(const Event& event, uint64_t id, CancelReason reason) {
    return event.kind == static_cast<uint16_t>(EventKind::kOrderCancelled) &&
           event.order_id == id && event.reason == static_cast<uint16_t>(reason);
}

// --- form ----------------------------------------------------------------------------------------

void test_what_an_order_may_not_ask_for() {
    Venue venue;
    venue.open(1);
    const uint32_t soon_s = seconds_from_now(venue, 10);
    const auto code = [&](auto change) {
        OrderFields fields = limit(Side::kBuy, 60'000, 1);
        change(fields);
        return try_place(venue, 1, fields);
    };
    using enum TimeInForce;
    const auto with = [&](TimeInForce time_in_force, uint8_t flags, uint32_t good_till_s = 0) {
        return code([&](OrderFields& fields) {
            fields.time_in_force = time_in_force;
            fields.flags = flags;
            fields.good_till_s = good_till_s;
        });
    };
    CHECK(with(static_cast<TimeInForce>(4), 0) == Code::kBadTimeInForce);
    CHECK(code([](OrderFields& fields) { fields.type = OrderType::kMarket; }) ==
          Code::kBadTimeInForce);
    CHECK(with(kGoodTillTime, 0) == Code::kBadGoodTill);
    CHECK(with(kGoodTillTime, 0, seconds_from_now(venue, 0)) == Code::kBadGoodTill);
    CHECK(with(kGoodTillCancelled, 0, soon_s) == Code::kBadGoodTill);
    CHECK(with(kFillOrKill, 0, soon_s) == Code::kBadGoodTill);
    CHECK(with(kGoodTillCancelled, 8) == Code::kBadFlags);
    CHECK(with(kGoodTillCancelled, kOrderFlagSlide) == Code::kBadFlags);
    CHECK(with(kFillOrKill, kOrderFlagPostOnly) == Code::kBadFlags);
    CHECK(with(kImmediateOrCancel, kSlides) == Code::kBadFlags);
    CHECK(code([](OrderFields& fields) { fields.self_trade = static_cast<SelfTrade>(4); }) ==
          Code::kBadSelfTrade);
    CHECK(try_place(venue, 1, flagged(limit(Side::kSell, 60'000, 1, 1), kOrderFlagReduceOnly)) ==
          Code::kBadFlags);
    CHECK(with(kGoodTillTime, kSlides, soon_s) == Code::kOk);
}

void test_an_accepted_order_shows_all_it_asked_for() {
    Venue venue;
    venue.open(1);
    OrderFields fields = good_till(Side::kBuy, 59'000, 3, seconds_from_now(venue, 10));
    fields.flags = kSlides;
    fields.self_trade = SelfTrade::kDecrement;
    const uint64_t id = placed(venue, 1, fields);
    CHECK(venue.events()[0].reason == (3 << 5 | 3 << 3 | 3));
    CHECK(order_of(venue, id).flags == (3 << 5 | 3 << 3 | 3));
    fields = fill_or_kill(Side::kBuy, 59'000, 3);
    fields.type = OrderType::kMarket;
    CHECK(try_place(venue, 1, fields) == Code::kNotFilled);
}

// --- fill or kill --------------------------------------------------------------------------------

void test_a_fill_or_kill_order_is_filled_over_several_levels() {
    Venue venue;
    venue.open(2);
    placed(venue, 1, limit(Side::kSell, 60'000, 10));
    placed(venue, 1, limit(Side::kSell, 60'001, 10));
    const uint64_t id = placed(venue, 2, fill_or_kill(Side::kBuy, 60'001, 15));
    CHECK(venue.events(EventKind::kFill).size() == 2);
    CHECK(venue.events().size() == 3);  // accepted, and two fills
    CHECK(order_of(venue, id).live == 0);
    CHECK(row_of(venue, 2, 0).size_lots == 15 && row_of(venue, 2, 0).open_buy_lots == 0);
}

void test_a_fill_or_kill_order_that_fails_leaves_nothing_but_its_nonce() {
    Venue venue;
    venue.open(3);
    placed(venue, 1, limit(Side::kSell, 60'000, 10));
    placed(venue, 3, limit(Side::kSell, 60'001, 10));
    const Bytes before = venue.image();
    CHECK(try_place(venue, 2, fill_or_kill(Side::kBuy, 60'001, 21)) == Code::kNotFilled);
    check_only_a_nonce_is_new(venue, before);
    const Bytes again = venue.image();
    CHECK(try_place(venue, 2, fill_or_kill(Side::kBuy, 59'999, 1)) == Code::kNotFilled);
    check_only_a_nonce_is_new(venue, again);
}

void test_a_fill_or_kill_order_is_not_continued() {
    Venue venue;
    venue.open(2);
    for (uint32_t i = 0; i <= kFillsPerMessage; ++i)
        placed(venue, 1, limit(Side::kSell, 60'000, 10));
    const Bytes before = venue.image();
    CHECK(try_place(venue, 2, fill_or_kill(Side::kBuy, 60'000, 10 * (kFillsPerMessage + 1))) ==
          Code::kNotFilled);
    check_only_a_nonce_is_new(venue, before);
    CHECK(try_place(venue, 2, fill_or_kill(Side::kBuy, 60'000, 10 * kFillsPerMessage)) ==
          Code::kOk);
    CHECK(venue.events(EventKind::kFill).size() == kFillsPerMessage);
}

// Lots that meet the own order are not filled; only a maker that is cancelled is in nobody's way.
void test_a_fill_or_kill_order_that_meets_its_own_account() {
    for (const SelfTrade mode : {SelfTrade::kCancelMaker, SelfTrade::kCancelTaker,
                                 SelfTrade::kCancelBoth, SelfTrade::kDecrement}) {
        Venue venue;
        venue.open(2);
        const uint64_t own = placed(venue, 2, limit(Side::kSell, 60'000, 5));
        placed(venue, 1, limit(Side::kSell, 60'001, 20));
        const Bytes before = venue.image();
        OrderFields fields = fill_or_kill(Side::kBuy, 60'001, 20);
        fields.self_trade = mode;
        const Code code = try_place(venue, 2, fields);
        if (mode == SelfTrade::kCancelMaker) {
            CHECK(code == Code::kOk && order_of(venue, own).live == 0);
            CHECK(row_of(venue, 2, 0).size_lots == 20);
        } else {
            CHECK(code == Code::kNotFilled);
            check_only_a_nonce_is_new(venue, before);
        }
    }
}

// --- good till a time ----------------------------------------------------------------------------

void test_an_order_trades_until_its_time_and_never_after() {
    Venue venue;
    venue.open(3);
    const uint32_t till_s = seconds_from_now(venue, 5);
    const uint64_t first = placed(venue, 1, good_till(Side::kSell, 60'000, 10, till_s));
    const uint64_t behind = placed(venue, 3, limit(Side::kSell, 60'000, 10));
    venue.now_ms = uint64_t{till_s} * 1'000 - 1;
    placed(venue, 2, limit(Side::kBuy, 60'000, 1));
    CHECK(venue.events(EventKind::kFill)[0].counter_order_id == first);
    venue.now_ms += 1;
    placed(venue, 2, limit(Side::kBuy, 60'000, 1));
    const std::vector<Event> events = venue.events();
    CHECK(events.size() == 3);
    CHECK(is_cancelled(events[1], first, CancelReason::kExpired) && events[1].size == 9);
    CHECK(events[2].counter_order_id == behind);
    CHECK(venue.state().accounts[1].open_orders == 0);
    CHECK(row_of(venue, 1, 0).open_sell_lots == 0);
}

// What has expired still stands in the way of a post-only order, until it has ended.
void test_an_expired_order_counts_until_it_ends() {
    Venue venue;
    venue.open(2);
    const uint32_t till_s = seconds_from_now(venue, 5);
    placed(venue, 1, good_till(Side::kSell, 60'000, 10, till_s));
    venue.now_ms = uint64_t{till_s} * 1'000;
    CHECK(try_place(venue, 2, flagged(limit(Side::kBuy, 60'000, 1), kOrderFlagPostOnly)) ==
          Code::kPostOnlyWouldCross);
    CHECK(try_place(venue, 2, flagged(limit(Side::kBuy, 60'000, 1), kSlides)) == Code::kOk);
    CHECK(venue.events(EventKind::kOrderResting)[0].price == 59'999);
    CHECK(venue.posted(venue.tick()) == Code::kOk);
    until_swept(venue);
    CHECK(try_place(venue, 2, flagged(limit(Side::kBuy, 60'000, 1), kOrderFlagPostOnly)) ==
          Code::kOk);
}

void test_a_sweep_ends_what_has_expired_oldest_first() {
    Venue venue;
    venue.open(2);
    const uint32_t early_s = seconds_from_now(venue, 5);
    const uint32_t late_s = early_s + 20;
    const uint64_t late = placed(venue, 1, good_till(Side::kSell, 61'000, 1, late_s));
    const uint64_t first = placed(venue, 1, good_till(Side::kBuy, 59'000, 1, early_s));
    const uint64_t second = placed(venue, 1, good_till(Side::kBuy, 59'001, 1, early_s + 1));
    placed(venue, 1, limit(Side::kBuy, 58'000, 1));
    const auto next_expiry_s = [&] { return venue.state().accounts[1].next_expiry_s; };
    CHECK(next_expiry_s() == early_s);
    venue.now_ms = uint64_t{early_s} * 1'000 - 1;
    CHECK(venue.posted(venue.tick()) == Code::kOk);
    CHECK(of_kind(until_swept(venue), EventKind::kOrderCancelled).empty());
    venue.now_ms = uint64_t{early_s + 1} * 1'000;
    CHECK(venue.posted(venue.tick()) == Code::kOk);
    // The part ends with the cancels; the next one looks at the account again.
    const std::vector<Event> events = venue.events();
    CHECK(events.size() == 2);
    CHECK(is_cancelled(events[0], first, CancelReason::kExpired));
    CHECK(is_cancelled(events[1], second, CancelReason::kExpired));
    CHECK(venue.state().globals().sweep_next == 1);
    CHECK(venue.state().globals().sweep_remaining != 0);
    CHECK(next_expiry_s() == late_s);
    CHECK(of_kind(until_swept(venue), EventKind::kSweepFinished).size() == 1);
    CHECK(venue.posted(venue.cancel(venue.id_of(1), late)) == Code::kOk);
    CHECK(next_expiry_s() == late_s);  // at most the earliest; the sweep makes it exact
    venue.now_ms = uint64_t{late_s} * 1'000;
    CHECK(venue.posted(venue.tick()) == Code::kOk);
    CHECK(of_kind(until_swept(venue), EventKind::kOrderCancelled).empty());
    CHECK(next_expiry_s() == 0 && venue.state().accounts[1].open_orders == 1);
}

void test_an_account_without_orders_has_no_expiry() {
    Venue venue;
    venue.open(2);
    const uint32_t till_s = seconds_from_now(venue, 5);
    placed(venue, 1, good_till(Side::kSell, 60'000, 1, till_s));
    placed(venue, 1, good_till(Side::kSell, 60'000, 1, till_s + 1));
    placed(venue, 2, limit(Side::kBuy, 60'000, 1));
    CHECK(venue.state().accounts[1].next_expiry_s == till_s);
    placed(venue, 2, limit(Side::kBuy, 60'000, 1));
    CHECK(venue.state().accounts[1].next_expiry_s == 0);
}

// --- sliding -------------------------------------------------------------------------------------

void test_an_order_slides_to_one_tick_from_the_other_side() {
    Venue venue;
    venue.open(2);
    placed(venue, 1, limit(Side::kSell, 60'010, 1));
    placed(venue, 1, limit(Side::kBuy, 59'990, 1));
    struct Case {
        Side side;
        uint64_t price;
        int64_t expected;
    };
    for (const auto& [side, price, expected] :
         {Case{Side::kBuy, 60'500, 60'009}, {Side::kBuy, 60'010, 60'009},
          {Side::kBuy, 59'000, 59'000}, {Side::kSell, 60'010, 60'010}}) {
        placed(venue, 2, flagged(limit(side, price, 1), kSlides));
        CHECK(venue.events().size() == 2);
        CHECK(venue.events()[0].price == expected && venue.events()[1].price == expected);
    }
    placed(venue, 1, flagged(limit(Side::kSell, 50'000, 1), kSlides));
    CHECK(venue.events()[1].price == 60'010);  // the best bid is 60,009 now
}

void test_an_order_does_not_slide_off_the_edge_of_prices() {
    Venue venue;
    venue.open(2);
    CHECK(venue.deposit(101, 0, 100'000'000'000'000) == Code::kOk);
    const uint64_t ask = placed(venue, 1, limit(Side::kSell, 2, 1));
    placed(venue, 2, flagged(limit(Side::kBuy, 2, 1), kSlides));
    CHECK(venue.events()[1].price == 1);
    CHECK(venue.posted(venue.cancel_all(venue.id_of(2))) == Code::kOk);
    CHECK(venue.posted(venue.amend(venue.id_of(1), ask, 1, 1)) == Code::kOk);
    const Bytes before = venue.image();
    CHECK(try_place(venue, 2, flagged(limit(Side::kBuy, 2, 1), kSlides)) ==
          Code::kPostOnlyWouldCross);
    check_only_a_nonce_is_new(venue, before);
    CHECK(venue.posted(venue.cancel_all(venue.id_of(1))) == Code::kOk);

    placed(venue, 1, limit(Side::kBuy, kPriceTicksMax - 1, 1));
    placed(venue, 2, flagged(limit(Side::kSell, 1, 1), kSlides));
    CHECK(venue.events()[1].price == kPriceTicksMax);
    CHECK(venue.posted(venue.cancel_all(venue.id_of(2))) == Code::kOk);
    placed(venue, 1, limit(Side::kBuy, kPriceTicksMax, 1));
    CHECK(try_place(venue, 2, flagged(limit(Side::kSell, 1, 1), kSlides)) ==
          Code::kPostOnlyWouldCross);
}

// --- self-trade prevention -----------------------------------------------------------------------

struct Meeting {
    Venue venue;
    uint64_t own = 0;    // of account 1, which takes
    uint64_t other = 0;  // of account 2, behind it
    std::vector<Event> events;

    // Account 1 sells `maker_lots` at 60,000, account 2 sells 100 at 60,001; then account 1 buys.
    Meeting(SelfTrade mode, uint64_t maker_lots, uint64_t taker_lots) {
        venue.open(2);
        own = placed(venue, 1, limit(Side::kSell, 60'000, maker_lots));
        other = placed(venue, 2, limit(Side::kSell, 60'001, 100));
        OrderFields fields = limit(Side::kBuy, 60'001, taker_lots);
        fields.self_trade = mode;
        placed(venue, 1, fields);
        events = venue.events();
        CHECK(venue.state().globals().pending_order == 0);
    }
};

void test_the_maker_is_cancelled_and_the_taker_goes_on() {
    Meeting at(SelfTrade::kCancelMaker, 10, 20);
    CHECK(at.events.size() == 3);
    CHECK(is_cancelled(at.events[1], at.own, CancelReason::kSelfTrade));
    CHECK(at.events[2].counter_order_id == at.other && at.events[2].size == 20);
}

void test_a_taker_that_is_stopped_does_not_rest() {
    Meeting at(SelfTrade::kCancelTaker, 10, 20);
    const uint64_t taker = at.events[0].order_id;
    CHECK(at.events.size() == 2);
    CHECK(is_cancelled(at.events[1], taker, CancelReason::kSelfTrade) && at.events[1].size == 20);
    CHECK(order_of(at.venue, taker).live == 0 && order_of(at.venue, at.own).remaining_lots == 10);
    const PositionRecord row = row_of(at.venue, 1, 0);
    CHECK(row.open_buy_lots == 0 && row.open_sell_lots == 10 && row.size_lots == 0);
    CHECK(at.venue.state().accounts[1].open_orders == 1);
    CHECK(best_price(at.venue.state(), 0, Side::kBuy) == 0);
}

void test_a_taker_keeps_what_it_got_before_it_is_stopped() {
    Venue venue;
    venue.open(2);
    placed(venue, 2, limit(Side::kSell, 59'999, 5));
    placed(venue, 1, limit(Side::kSell, 60'000, 10));
    OrderFields fields = limit(Side::kBuy, 60'000, 20);
    fields.self_trade = SelfTrade::kCancelTaker;
    const uint64_t taker = placed(venue, 1, fields);
    CHECK(venue.events(EventKind::kFill).size() == 1);
    CHECK(is_cancelled(venue.events()[2], taker, CancelReason::kSelfTrade));
    CHECK(venue.events()[2].size == 15 && row_of(venue, 1, 0).size_lots == 5);
}

void test_both_are_cancelled_maker_first() {
    Meeting at(SelfTrade::kCancelBoth, 10, 20);
    CHECK(at.events.size() == 3);
    CHECK(is_cancelled(at.events[1], at.own, CancelReason::kSelfTrade));
    CHECK(is_cancelled(at.events[2], at.events[0].order_id, CancelReason::kSelfTrade));
    CHECK(row_of(at.venue, 1, 0).instrument_plus_1 == 0);
}

void test_decrement_with_a_larger_maker() {
    Meeting at(SelfTrade::kDecrement, 30, 10);
    CHECK(at.events.size() == 3);
    const Event& reduced = at.events[1];
    CHECK(reduced.kind == static_cast<uint16_t>(EventKind::kOrderReduced));
    CHECK(reduced.order_id == at.own && reduced.size == 20 && reduced.price == 60'000);
    CHECK(reduced.reason == static_cast<uint16_t>(CancelReason::kSelfTrade));
    CHECK(is_cancelled(at.events[2], at.events[0].order_id, CancelReason::kSelfTrade));
    CHECK(order_of(at.venue, at.own).size_lots == 20);
    CHECK(order_of(at.venue, at.own).remaining_lots == 20);
    const PositionRecord row = row_of(at.venue, 1, 0);
    CHECK(row.open_sell_lots == 20 && row.open_buy_lots == 0);
}

void test_decrement_with_a_larger_taker() {
    Meeting at(SelfTrade::kDecrement, 10, 300);
    const uint64_t taker = at.events[0].order_id;
    CHECK(at.events.size() == 5);
    CHECK(is_cancelled(at.events[1], at.own, CancelReason::kSelfTrade));
    CHECK(at.events[2].kind == static_cast<uint16_t>(EventKind::kOrderReduced));
    CHECK(at.events[2].order_id == taker && at.events[2].size == 290);
    CHECK(at.events[3].counter_order_id == at.other && at.events[3].size == 100);
    CHECK(at.events[4].kind == static_cast<uint16_t>(EventKind::kOrderResting));
    CHECK(order_of(at.venue, taker).size_lots == 290);
    CHECK(order_of(at.venue, taker).remaining_lots == 190);
    CHECK(row_of(at.venue, 1, 0).open_buy_lots == 190 && row_of(at.venue, 1, 0).size_lots == 100);
}

void test_decrement_with_equal_sizes() {
    Meeting at(SelfTrade::kDecrement, 10, 10);
    CHECK(at.events.size() == 3);
    CHECK(is_cancelled(at.events[1], at.own, CancelReason::kSelfTrade));
    CHECK(is_cancelled(at.events[2], at.events[0].order_id, CancelReason::kSelfTrade));
    CHECK(row_of(at.venue, 1, 0).instrument_plus_1 == 0);
    CHECK(order_of(at.venue, at.other).remaining_lots == 100);
}

// --- labels --------------------------------------------------------------------------------------

void test_orders_are_cancelled_by_label() {
    Venue venue;
    venue.open(5);
    const uint64_t first = placed(venue, 1, labelled(limit(Side::kBuy, 59'000, 1), 7));
    const uint64_t other = placed(venue, 1, labelled(limit(Side::kBuy, 59'001, 1), 8));
    const uint64_t spot = placed(venue, 1, labelled(limit(Side::kBuy, 59'000, 1, 1), 7));
    const uint64_t last = placed(venue, 1, labelled(limit(Side::kSell, 61'000, 1), 7));
    placed(venue, 2, labelled(limit(Side::kBuy, 59'000, 1), 7));
    const uint64_t id = venue.id_of(1);
    CHECK(venue.posted(venue.cancel_label(id, 7, 3)) == Code::kInstrumentUnknown);
    CHECK(venue.posted(venue.cancel_label(id, 9)) == Code::kOk);
    CHECK(venue.events().empty());
    // Like every cancel it is served while a sweep is pending.
    venue.now_ms += 1;
    CHECK(venue.posted(venue.tick()) == Code::kOk);
    CHECK(venue.state().globals().sweep_remaining != 0);
    CHECK(venue.posted(venue.cancel_label(id, 7, 0)) == Code::kOk);
    const std::vector<Event> events = venue.events();
    CHECK(events.size() == 2);
    CHECK(is_cancelled(events[0], first, CancelReason::kUser) && events[0].extra == 7);
    CHECK(is_cancelled(events[1], last, CancelReason::kUser));
    CHECK(order_of(venue, other).live != 0 && order_of(venue, spot).live != 0);
    CHECK(venue.posted(venue.cancel_label(id, 7)) == Code::kOk);
    CHECK(venue.events().size() == 1 && order_of(venue, spot).live == 0);
    CHECK(venue.state().accounts[2].open_orders == 1);
}

}  // namespace

int main() {
    test_what_an_order_may_not_ask_for();
    test_an_accepted_order_shows_all_it_asked_for();
    test_a_fill_or_kill_order_is_filled_over_several_levels();
    test_a_fill_or_kill_order_that_fails_leaves_nothing_but_its_nonce();
    test_a_fill_or_kill_order_is_not_continued();
    test_a_fill_or_kill_order_that_meets_its_own_account();
    test_an_order_trades_until_its_time_and_never_after();
    test_an_expired_order_counts_until_it_ends();
    test_a_sweep_ends_what_has_expired_oldest_first();
    test_an_account_without_orders_has_no_expiry();
    test_an_order_slides_to_one_tick_from_the_other_side();
    test_an_order_does_not_slide_off_the_edge_of_prices();
    test_the_maker_is_cancelled_and_the_taker_goes_on();
    test_a_taker_that_is_stopped_does_not_rest();
    test_a_taker_keeps_what_it_got_before_it_is_stopped();
    test_both_are_cancelled_maker_first();
    test_decrement_with_a_larger_maker();
    test_decrement_with_a_larger_taker();
    test_decrement_with_equal_sizes();
    test_orders_are_cancelled_by_label();
    return test::finish();
}
