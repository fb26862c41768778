// Limits of forced orders, and what a takeover costs whom (6.3 to 6.5). Numbers are worked by hand.
#include <array>

#include "core/program/venue_test.hpp"

using namespace provenue;
using namespace provenue::PROVENUE_PRESET_NAMESPACE;

namespace {

constexpr int64_t kUsd = 1'000'000;

// Account 1 is long 120 BTC from 60,000 against account 2. Fees: 3,600 of the taker, 1,440 of the
// maker. At a mark m account 1 has 996,400 - 120 * (60,000 - m).
void open_long(Venue& venue) {
    CHECK(venue.posted(venue.place(venue.id_of(2), limit(Side::kSell, 60'000, 120'000))) ==
          Code::kOk);
    CHECK(venue.posted(venue.place(venue.id_of(1), limit(Side::kBuy, 60'000, 120'000))) ==
          Code::kOk);
}

// At 54,000 equity is 276,400: 2,303.33 USDC a BTC, so that 51,696.67 is the bankruptcy price.
void test_a_long_is_not_sold_below_its_bankruptcy_price() {
    for (const uint64_t bid : {51'696, 51'697}) {
        Venue venue;
        venue.open(3);
        open_long(venue);
        CHECK(venue.posted(venue.place(venue.id_of(3), limit(Side::kBuy, bid, 1'000))) ==
              Code::kOk);
        const std::vector<Event> seen = sweep_at(venue, 54'000'000'000);
        CHECK(of_kind(seen, EventKind::kLiquidated)[0].price == 51'697);
        const std::vector<Event> fills = of_kind(seen, EventKind::kFill);
        CHECK(fills.size() == (bid == 51'697 ? 1 : 0));
        CHECK(of_kind(seen, EventKind::kShortfall).empty() || bid == 51'697);
    }
}

// At 66,000 the short has 998,560 - 720,000 = 278,560: 2,321.33 a BTC over the mark.
void test_a_short_is_not_bought_back_above_its_bankruptcy_price() {
    Venue venue;
    venue.open(3);
    open_long(venue);
    CHECK(venue.posted(venue.place(venue.id_of(3), limit(Side::kSell, 68'322, 1'000))) ==
          Code::kOk);
    const std::vector<Event> seen = sweep_at(venue, 66'000'000'000);
    CHECK(of_kind(seen, EventKind::kLiquidated)[0].price == 68'321);
    CHECK(of_kind(seen, EventKind::kLiquidated)[0].account == 2);
    CHECK(of_kind(seen, EventKind::kFill).empty());
}

// Below zero there is no room: only at the mark or better.
void test_who_is_bankrupt_is_closed_at_the_mark() {
    Venue venue;
    venue.open(3);
    open_long(venue);
    CHECK(venue.posted(venue.place(venue.id_of(3), limit(Side::kBuy, 50'999, 1'000))) == Code::kOk);
    const std::vector<Event> seen = sweep_at(venue, 51'000'000'000);
    CHECK(of_kind(seen, EventKind::kLiquidated)[0].price == 51'000);
    CHECK(of_kind(seen, EventKind::kFill).empty());
}

// Equity 276,400 and 0.9 BTC (43,740) stand below 324,000 of maintenance: all of it is the penalty.
// It takes the quote balance to -43,740, for which the house takes the coin.
void test_a_takeover_takes_the_maintenance_margin() {
    Venue venue;
    venue.open(2);
    CHECK(venue.deposit(101, 1, 90'000'000) == Code::kOk);
    open_long(venue);
    const std::vector<Event> seen = sweep_at(venue, 54'000'000'000);
    const std::vector<Event> taken = of_kind(seen, EventKind::kCollateralTaken);
    CHECK(taken.size() == 2);
    CHECK(taken[0].account == 1 && taken[0].size == 320'140 * kUsd);
    CHECK(taken[0].value == 0 && taken[0].extra == 0);
    CHECK(taken[1].size == 90'000'000 && taken[1].value == 43'740 * kUsd && taken[1].extra == 1);
    CHECK(of_kind(seen, EventKind::kShortfall).empty());
    CHECK(quote_of(venue, 1) == 0 && venue.state().balance(1, 1) == 0);
    CHECK(quote_of(venue, 0) == 276'400 * kUsd && venue.state().balance(0, 1) == 90'000'000);
    CHECK(venue.state().assets[0].fees_units == 5'040 * kUsd);
    CHECK(row_of(venue, 0, 0).size_lots == 120'000);
    CHECK(row_of(venue, 0, 0).cash_leg_units == -6'480'000 * kUsd);
}

// Equity -2,000 at 51,680 and -83,600 at 51,000; there are 5,040 of fees.
void test_fees_pay_for_a_shortfall_as_far_as_they_go() {
    using Case = std::array<int64_t, 3>;
    for (const auto& [mark, missing, fees_left] : {Case{51'680, 2'000, 3'040},
                                                   Case{51'000, 83'600, 0}}) {
        Venue venue;
        venue.open(2);
        open_long(venue);
        const std::vector<Event> seen = sweep_at(venue, static_cast<uint64_t>(mark * kUsd));
        CHECK(of_kind(seen, EventKind::kCollateralTaken).empty());  // no penalty of nothing
        const std::vector<Event> shortfalls = of_kind(seen, EventKind::kShortfall);
        CHECK(shortfalls.size() == 1 && shortfalls[0].value == missing * kUsd);
        CHECK(venue.state().assets[0].fees_units == fees_left * kUsd);
        CHECK(quote_of(venue, 0) == (5'040 - fees_left - missing) * kUsd);
        CHECK(quote_of(venue, 1) == 0);
    }
}

// What the house already has pays first: 276,400 of a penalty, then a shortfall of the short.
void test_fees_stay_while_the_house_can_pay() {
    Venue venue;
    venue.open(3);
    open_long(venue);
    sweep_at(venue, 54'000'000'000);
    CHECK(quote_of(venue, 0) == 276'400 * kUsd);
    // Account 2: 998,560 + 120 * (60,000 - 69,000) = -81,440.
    const std::vector<Event> seen = sweep_at(venue, 69'000'000'000);
    const std::vector<Event> shortfalls = of_kind(seen, EventKind::kShortfall);
    CHECK(shortfalls.size() == 1 && shortfalls[0].account == 2);
    CHECK(shortfalls[0].value == 81'440 * kUsd);
    CHECK(venue.state().assets[0].fees_units == 5'040 * kUsd);
    // The house was long 120 BTC from 54,000 and is flat now: 1,800,000 of profit.
    CHECK(row_of(venue, 0, 0).instrument_plus_1 == 0);
    CHECK(quote_of(venue, 0) == (276'400 + 1'800'000 - 81'440) * kUsd);
}

// A mark of 54,000.5: a bid at 54,000 is below it, one at 54,001 is not.
void test_the_house_sells_at_the_mark_or_better() {
    Venue venue;
    venue.open(3);
    open_long(venue);
    sweep_at(venue, 54'000'500'000);
    CHECK(row_of(venue, 0, 0).size_lots == 120'000);
    CHECK(venue.posted(venue.place(venue.id_of(3), limit(Side::kBuy, 54'000, 1'000))) == Code::kOk);
    CHECK(of_kind(sweep_at(venue, 54'000'500'000), EventKind::kFill).empty());
    CHECK(venue.posted(venue.place(venue.id_of(3), limit(Side::kBuy, 54'001, 1'000))) == Code::kOk);
    const std::vector<Event> fills = of_kind(sweep_at(venue, 54'000'500'000), EventKind::kFill);
    CHECK(fills.size() == 1 && fills[0].price == 54'001 && fills[0].size == 1'000);
    CHECK(fills[0].reason == (kFillFlagHouseUnwind | kFillFlagTakerSells));
    CHECK(fills[0].value == 0 && fills[0].account == 0);
}

void test_the_house_buys_at_the_mark_or_better() {
    Venue venue;
    venue.open(3);
    open_long(venue);
    sweep_at(venue, 66'000'500'000);
    CHECK(row_of(venue, 0, 0).size_lots == -120'000);
    CHECK(venue.posted(venue.place(venue.id_of(3), limit(Side::kSell, 66'001, 1'000))) ==
          Code::kOk);
    CHECK(of_kind(sweep_at(venue, 66'000'500'000), EventKind::kFill).empty());
    CHECK(venue.posted(venue.place(venue.id_of(3), limit(Side::kSell, 66'000, 1'000))) ==
          Code::kOk);
    CHECK(of_kind(sweep_at(venue, 66'000'500'000), EventKind::kFill).size() == 1);
    CHECK(row_of(venue, 0, 0).size_lots == -119'000);
}

}  // namespace

int main() {
    test_a_long_is_not_sold_below_its_bankruptcy_price();
    test_a_short_is_not_bought_back_above_its_bankruptcy_price();
    test_who_is_bankrupt_is_closed_at_the_mark();
    test_a_takeover_takes_the_maintenance_margin();
    test_fees_pay_for_a_shortfall_as_far_as_they_go();
    test_fees_stay_while_the_house_can_pay();
    test_the_house_sells_at_the_mark_or_better();
    test_the_house_buys_at_the_mark_or_better();
    return test::finish();
}
