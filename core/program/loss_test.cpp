// What an order may lose against the mark is asked for when it is placed (5.5) and again when it is
// hit (4.2 step 4); spot is not bought on credit (4.1 step 16). Numbers are worked by hand.
#include "core/program/venue_test.hpp"

using namespace provenue;
using namespace provenue::PROVENUE_PRESET_NAMESPACE;

namespace {

// Account 3 trades `lots` against the book; the maker's fill, or the cancel of its order.
void take(Venue& venue, const OrderFields& order, bool fills) {
    OrderFields taker = order;
    taker.time_in_force = TimeInForce::kImmediateOrCancel;
    CHECK(venue.posted(venue.place(venue.id_of(3), taker)) == Code::kOk);
    CHECK(venue.events(EventKind::kFill).size() == (fills ? 1 : 0));
    const std::vector<Event> cancels = venue.events(EventKind::kOrderCancelled);
    size_t refused = 0;
    for (const Event& event : cancels)
        refused += event.reason == static_cast<uint16_t>(CancelReason::kMakerMargin);
    CHECK(refused == (fills ? 0 : 1));
}

// 100 BTC bid at one tick cost 600,000 of initial margin and hide nothing. 10 BTC more make it
// 660,000; bought at p they lose 10 * (p - 60,000) and reserve 10 * p * 500 ppm of fees: with
// 1,000,000 the last p is 93,953 (999,999.765).
void test_far_orders_do_not_hide_what_an_order_loses() {
    Venue venue;
    venue.open(1);
    const uint64_t id = venue.id_of(1);
    CHECK(venue.posted(venue.place(id, limit(Side::kBuy, 1, 100'000))) == Code::kOk);
    CHECK(initial_margin(venue.state(), 1) == 600'000'000'000);
    CHECK(venue.posted(venue.place(id, limit(Side::kBuy, 93'954, 10'000))) ==
          Code::kMarginInsufficient);
    CHECK(venue.posted(venue.place(id, limit(Side::kBuy, 93'953, 10'000))) == Code::kOk);
    CHECK(initial_margin(venue.state(), 1) == 660'000'000'000);
}

// The same for sells: 150 BTC asked at ten times the mark; 10 BTC at p lose 10 * (60,000 - p). Of
// 1,000,000 the worst size of 160 BTC takes 960,000: p * 0.005 + 600,000 - 10 * p <= 40,000.
void test_far_sells_do_not_hide_what_a_sell_loses() {
    Venue venue;
    venue.open(1);
    const uint64_t id = venue.id_of(1);
    CHECK(venue.posted(venue.place(id, limit(Side::kSell, 600'000, 150'000))) == Code::kOk);
    CHECK(venue.posted(venue.place(id, limit(Side::kSell, 56'028, 10'000))) ==
          Code::kMarginInsufficient);
    CHECK(venue.posted(venue.place(id, limit(Side::kSell, 56'029, 10'000))) == Code::kOk);
}

// A bid of 60 BTC at 60,000, the mark 48,000: 288,000 of 1,000,000 are initial margin, a lot loses
// 12 USDC and costs 0.012 of fee: 59,274 lots (711,999.288) fill, one more cancels the bid.
void test_a_maker_needs_initial_margin_after_the_loss_of_the_fill() {
    Venue venue;
    venue.open(3);
    CHECK(venue.posted(venue.place(venue.id_of(1), limit(Side::kBuy, 60'000, 60'000))) ==
          Code::kOk);
    venue.mark(48'000'000'000);
    take(venue, limit(Side::kSell, 48'000, 59'275), false);
    venue.undo();
    take(venue, limit(Side::kSell, 48'000, 59'274), true);
    CHECK(row_of(venue, 1, 0).size_lots == 59'274);
    CHECK(equity(venue.state(), 1) == 1'000'000'000'000 - 711'999'288'000);
}

// 120 BTC long, the mark 55,000: equity 396,400, maintenance 330,000. Two sells of 9 BTC, each
// within it. The first fill takes 63,000 and 86.4 of fee; then 333,313.6 stand over 305,250, and a
// lot at 48,001 loses 6.999 and 0.0096002: 4,004 lots fit.
void test_two_reducing_makers_do_not_spend_equity_twice() {
    Venue venue;
    venue.open(3);
    CHECK(venue.posted(venue.place(venue.id_of(2), limit(Side::kSell, 60'000, 120'000))) ==
          Code::kOk);
    CHECK(venue.posted(venue.place(venue.id_of(1), limit(Side::kBuy, 60'000, 120'000))) ==
          Code::kOk);
    venue.mark(55'000'000'000);
    for (const uint64_t price : {48'000, 48'001})
        CHECK(venue.posted(venue.place(venue.id_of(1), limit(Side::kSell, price, 9'000))) ==
              Code::kOk);
    take(venue, limit(Side::kBuy, 48'000, 9'000), true);
    CHECK(equity(venue.state(), 1) == 333'313'600'000);
    CHECK(maintenance_margin(venue.state(), 1) == 305'250'000'000);
    take(venue, limit(Side::kBuy, 48'001, 4'005), false);
    venue.undo();
    take(venue, limit(Side::kBuy, 48'001, 4'004), true);
    CHECK(!is_unsafe(venue.state(), 1));
}

// 1,000,000 USDC less 960,000 and 36,000 of open buys leave 4,000: 66 lots with 1,000 ppm of fee
// (3,963.96), not 67. Collateral does not help.
void test_spot_is_bought_with_quote_that_is_there() {
    Venue venue;
    venue.open(1);
    CHECK(venue.deposit(101, 1, 10'000'000'000) == Code::kOk);  // 100 BTC
    const uint64_t id = venue.id_of(1);
    CHECK(venue.posted(venue.place(id, limit(Side::kBuy, 60'000, 16'651, 1))) ==
          Code::kInsufficientBalance);  // 999,060 and 999.06 of fee
    CHECK(venue.posted(venue.place(id, limit(Side::kBuy, 60'000, 16'650, 1))) == Code::kOk);
    venue.undo();
    CHECK(venue.posted(venue.place(id, limit(Side::kBuy, 60'000, 16'000, 1))) == Code::kOk);
    CHECK(venue.posted(venue.place(id, limit(Side::kBuy, 60'000, 600, 1))) == Code::kOk);
    CHECK(venue.posted(venue.place(id, limit(Side::kBuy, 60'000, 67, 1))) ==
          Code::kInsufficientBalance);
    CHECK(venue.posted(venue.place(id, limit(Side::kBuy, 60'000, 66, 1))) == Code::kOk);
    // An open buy of a perpetual is no cost.
    CHECK(venue.posted(venue.place(id, limit(Side::kBuy, 60'000, 10))) == Code::kOk);
    CHECK(spot_buy_units(venue.state(), 1) == 999'960'000'000);
}

// A spot bid outlives the money: 900,000 USDC pay 14,992 lots at 60.03 with the maker's 500 ppm.
void test_a_spot_bid_is_hit_only_for_quote_that_is_there() {
    Venue venue;
    venue.open(3);
    for (const uint64_t owner : {101, 103})
        CHECK(venue.deposit(owner, 1, 10'000'000'000) == Code::kOk);
    const uint64_t id = venue.id_of(1);
    CHECK(venue.posted(venue.place(id, limit(Side::kBuy, 60'000, 16'000, 1))) == Code::kOk);
    CHECK(venue.posted(venue.withdraw(id, 0, 100'000'000'000, address_of(1))) == Code::kOk);
    take(venue, limit(Side::kSell, 60'000, 14'993, 1), false);
    venue.undo();
    take(venue, limit(Side::kSell, 60'000, 14'992, 1), true);
    CHECK(quote_of(venue, 1) == 30'240'000);
}

// 10 BTC count 540,000; a perpetual of 50 BTC cost 1,500 of fee and needs 300,000. All coins sold
// at p: 538,501 - (540,000 - 10 * p) - 0.01 * p >= 300,000 from p = 30,181 on.
void test_collateral_is_not_sold_below_what_it_covers() {
    Venue venue;
    venue.open(2);
    CHECK(venue.deposit(101, 1, 1'000'000'000) == Code::kOk);
    const uint64_t id = venue.id_of(1);
    CHECK(venue.posted(venue.withdraw(id, 0, 999'999'000'000, address_of(1))) == Code::kOk);
    CHECK(venue.posted(venue.place(venue.id_of(2), limit(Side::kSell, 60'000, 50'000))) ==
          Code::kOk);
    CHECK(venue.posted(venue.place(id, limit(Side::kBuy, 60'000, 50'000))) == Code::kOk);
    CHECK(quote_of(venue, 1) == -1'499'000'000);
    CHECK(venue.posted(venue.place(id, limit(Side::kSell, 30'180, 10'000, 1))) ==
          Code::kMarginInsufficient);
    CHECK(venue.posted(venue.place(id, limit(Side::kSell, 30'181, 10'000, 1))) == Code::kOk);
}

// The coin's feed is dead, the first order is on another one.
void test_the_first_order_asks_for_a_fresh_price_of_the_collateral() {
    Venue venue;
    venue.open(2);
    CHECK(venue.deposit(101, 1, 1'000'000'000) == Code::kOk);
    CHECK(venue.inbox(Venue::perpetual(2, 1)) == Code::kOk);
    venue.now_ms += uint64_t{kMarkStaleMs};
    for (uint64_t signer = 0; signer < 2; ++signer)
        CHECK(venue.posted(venue.prices(signer, {{1, 60'000'000'000}}, venue.now_ms)) == Code::kOk);
    venue.finish_sweep();
    const uint64_t id = venue.id_of(1);
    CHECK(venue.posted(venue.place(id, limit(Side::kBuy, 60'000, 1, 2))) == Code::kOk);
    venue.undo();
    venue.now_ms += 1;
    CHECK(venue.posted(venue.place(id, limit(Side::kBuy, 60'000, 1, 2))) == Code::kMarkStale);
    CHECK(venue.posted(venue.place(venue.id_of(2), limit(Side::kBuy, 60'000, 1, 2))) == Code::kOk);
}

}  // namespace

int main() {
    test_far_orders_do_not_hide_what_an_order_loses();
    test_far_sells_do_not_hide_what_a_sell_loses();
    test_a_maker_needs_initial_margin_after_the_loss_of_the_fill();
    test_two_reducing_makers_do_not_spend_equity_twice();
    test_spot_is_bought_with_quote_that_is_there();
    test_a_spot_bid_is_hit_only_for_quote_that_is_there();
    test_collateral_is_not_sold_below_what_it_covers();
    test_the_first_order_asks_for_a_fresh_price_of_the_collateral();
    return test::finish();
}
