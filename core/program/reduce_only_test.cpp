// Scenarios of orders that may only reduce: cut to the position, and kept cut (chapter 4.6).
#include "core/matching/orders.hpp"
#include "core/program/venue_test.hpp"

using namespace provenue;
using namespace provenue::PROVENUE_PRESET_NAMESPACE;

namespace {

constexpr uint64_t kMark = 60'000'000'000;

OrderFields reduce_only(Side side, uint64_t price, uint64_t size) {
    OrderFields fields = limit(side, price, size);
    fields.flags = kOrderFlagReduceOnly;
    return fields;
}

Code try_place(Venue& venue, uint32_t account, const OrderFields& fields) {
    return venue.posted(venue.place(venue.id_of(account), fields));
}

// `seller` and `buyer` trade with each other, the seller first.
void trade(Venue& venue, uint32_t seller, uint32_t buyer, uint64_t lots) {
    placed(venue, seller, limit(Side::kSell, 60'000, lots));
    placed(venue, buyer, limit(Side::kBuy, 60'000, lots));
}

// Account 1 is long ten lots against account 2.
struct Long {
    Venue venue;
    explicit Long(uint64_t lots = 10) {
        venue.open(4);
        trade(venue, 2, 1, lots);
    }
    uint64_t reducing(uint64_t price, uint64_t size) {
        return placed(venue, 1, reduce_only(Side::kSell, price, size));
    }
    uint32_t remaining(uint64_t id) { return order_of(venue, id).remaining_lots; }
    uint32_t count() { return row_of(venue, 1, 0).reduce_orders; }
};

bool says(const Event& event, EventKind kind, uint64_t id, int64_t size) {
    return event.kind == static_cast<uint16_t>(kind) && event.order_id == id &&
           event.size == size && event.reason == static_cast<uint16_t>(CancelReason::kReduceOnly);
}

void test_there_must_be_something_to_reduce() {
    Long at;
    CHECK(try_place(at.venue, 3, reduce_only(Side::kSell, 61'000, 1)) == Code::kNothingToReduce);
    CHECK(try_place(at.venue, 1, reduce_only(Side::kBuy, 59'000, 1)) == Code::kNothingToReduce);
    placed(at.venue, 3, limit(Side::kSell, 61'000, 1));  // a row without a position
    CHECK(try_place(at.venue, 3, reduce_only(Side::kBuy, 59'000, 1)) == Code::kNothingToReduce);
    CHECK(try_place(at.venue, 2, reduce_only(Side::kBuy, 59'000, 1)) == Code::kOk);
}

void test_an_order_is_cut_to_the_position_and_adds_nothing_to_the_row() {
    Long at;
    const uint64_t id = at.reducing(61'000, 25);
    CHECK(at.venue.events()[0].size == 10);
    CHECK(order_of(at.venue, id).size_lots == 10 && at.remaining(id) == 10);
    const PositionRecord row = row_of(at.venue, 1, 0);
    CHECK(row.reduce_orders == 1 && row.open_sell_lots == 0 && row.open_sell_units == 0);
    CHECK(at.venue.posted(at.venue.cancel(at.venue.id_of(1), id)) == Code::kOk);
    CHECK(at.count() == 0 && row_of(at.venue, 1, 0).size_lots == 10);
}

void test_a_position_has_so_many_reduce_only_orders() {
    Long at;
    for (uint64_t i = 0; i < uint64_t{kReduceOnlyMax}; ++i) at.reducing(61'000 + i, 10);
    CHECK(try_place(at.venue, 1, reduce_only(Side::kSell, 62'000, 1)) == Code::kReduceOnlyFull);
    CHECK(at.count() == kReduceOnlyMax);
    // One that is amended leaves its place to itself.
    const uint64_t last = order_id(at.venue.state(),
                                   linked_index(at.venue.state().accounts[1].order_tail));
    CHECK(at.venue.posted(at.venue.amend(at.venue.id_of(1), last, 62'000, 7)) == Code::kOk);
    CHECK(at.count() == kReduceOnlyMax);
}

void test_it_is_cut_when_another_order_shrinks_the_position() {
    Long at;
    const uint64_t id = at.reducing(61'000, 10);
    placed(at.venue, 3, limit(Side::kBuy, 60'000, 4));
    placed(at.venue, 1, limit(Side::kSell, 60'000, 4));
    const std::vector<Event> events = at.venue.events();
    CHECK(events.size() == 3);  // accepted, the fill, and then the cut
    CHECK(says(events[2], EventKind::kOrderReduced, id, 6));
    CHECK(order_of(at.venue, id).size_lots == 6 && at.remaining(id) == 6);
    // As a maker, too.
    placed(at.venue, 1, limit(Side::kSell, 60'000, 5));
    placed(at.venue, 3, limit(Side::kBuy, 60'000, 5));
    CHECK(says(at.venue.events()[2], EventKind::kOrderReduced, id, 1));
    // A position that grows again gives nothing back.
    placed(at.venue, 3, limit(Side::kSell, 60'000, 5));
    placed(at.venue, 1, limit(Side::kBuy, 60'000, 5));
    CHECK(at.remaining(id) == 1 && row_of(at.venue, 1, 0).size_lots == 6);
}

void test_it_is_cancelled_when_the_position_is_closed_or_flips() {
    for (const uint64_t sold : {10, 16}) {
        Long at;
        const uint64_t id = at.reducing(61'000, 3);
        placed(at.venue, 3, limit(Side::kBuy, 60'000, sold));
        placed(at.venue, 1, limit(Side::kSell, 60'000, sold));
        CHECK(says(at.venue.events()[2], EventKind::kOrderCancelled, id, 3));
        CHECK(order_of(at.venue, id).live == 0 && at.count() == 0);
        const PositionRecord row = row_of(at.venue, 1, 0);
        CHECK(sold == 10 ? row.instrument_plus_1 == 0 : row.size_lots == -6);
    }
}

void test_of_several_the_first_that_is_filled_cuts_the_others() {
    Long at;
    const uint64_t far = at.reducing(61'000, 10);
    const uint64_t near = at.reducing(60'500, 10);
    placed(at.venue, 3, limit(Side::kBuy, 60'500, 7));
    CHECK(at.venue.events().size() == 3);
    CHECK(says(at.venue.events()[2], EventKind::kOrderReduced, far, 3));
    CHECK(at.remaining(near) == 3 && at.count() == 2);
    placed(at.venue, 3, limit(Side::kBuy, 60'500, 3));
    CHECK(says(at.venue.events()[2], EventKind::kOrderCancelled, far, 3));
    CHECK(row_of(at.venue, 1, 0).instrument_plus_1 == 0);
    CHECK(at.venue.state().accounts[1].open_orders == 0);
}

void test_as_a_taker_it_stops_at_the_position() {
    Long at;
    const uint64_t resting = at.reducing(61'000, 8);
    placed(at.venue, 3, limit(Side::kBuy, 60'000, 50));
    const uint64_t id = at.reducing(60'000, 40);
    const std::vector<Event> events = at.venue.events();
    CHECK(events.size() == 3 && events[0].size == 10 && events[1].size == 10);
    CHECK(says(events[2], EventKind::kOrderCancelled, resting, 8));
    CHECK(order_of(at.venue, id).live == 0);
    CHECK(row_of(at.venue, 1, 0).instrument_plus_1 == 0);
    CHECK(at.venue.state().accounts[1].open_orders == 0);
}

void test_a_pending_taker_is_counted_and_goes_on() {
    Long at;
    for (uint32_t i = 0; i <= kFillsPerMessage; ++i)
        placed(at.venue, 3, limit(Side::kBuy, 60'000, 1));
    const uint64_t id = at.reducing(60'000, 10);
    CHECK(at.venue.events(EventKind::kTakerContinues).size() == 1 && at.count() == 1);
    CHECK(at.venue.posted(Venue::resume()) == Code::kOk);
    CHECK(at.remaining(id) == 5 && row_of(at.venue, 1, 0).size_lots == 5 && at.count() == 1);
}

void test_an_amendment_is_cut_to_the_position() {
    Long at;
    const uint64_t id = at.reducing(61'000, 5);
    placed(at.venue, 3, limit(Side::kBuy, 61'000, 2));  // eight are left, two of the order filled
    CHECK(at.venue.posted(at.venue.amend(at.venue.id_of(1), id, 61'000, 30)) == Code::kOk);
    CHECK(at.venue.events()[0].size == 8);
    CHECK(order_of(at.venue, id).size_lots == 10 && at.remaining(id) == 8 && at.count() == 1);
    CHECK(at.venue.posted(at.venue.amend(at.venue.id_of(1), id, 61'000, 5)) == Code::kOk);
    CHECK(at.remaining(id) == 3 && at.count() == 1);
}

// It needs no margin of its own: the mark falls until nothing but closing is allowed.
void test_an_account_below_initial_margin_may_still_reduce() {
    Long at(120'000);
    sweep_at(at.venue, 56'000'000'000);
    CHECK(try_place(at.venue, 1, limit(Side::kBuy, 50'000, 1)) == Code::kMarginInsufficient);
    CHECK(try_place(at.venue, 1, reduce_only(Side::kSell, 57'000, 120'000)) == Code::kOk);
    CHECK(try_place(at.venue, 1, reduce_only(Side::kSell, 58'000, 120'000)) == Code::kOk);
}

// Account 2 is short 120 BTC, 100 of them against account 1, which leaves without a book.
void test_it_is_cut_by_deleveraging() {
    for (const uint64_t more : {20'000, 0}) {
        Long at(100'000);
        if (more != 0) trade(at.venue, 2, 3, more);
        const uint64_t id = placed(at.venue, 2, reduce_only(Side::kBuy, 50'000, 120'000));
        CHECK(at.remaining(id) == 100'000 + more);
        CHECK(at.venue.inbox(at.venue.forced_close(101)) == Code::kOk);
        const std::vector<Event> seen = sweep_at(at.venue, kMark);
        size_t reduced_at = 0;
        while (reduced_at < seen.size() &&
               seen[reduced_at].kind != static_cast<uint16_t>(EventKind::kDeleveraged))
            ++reduced_at;
        CHECK(reduced_at + 1 < seen.size());
        CHECK(seen[reduced_at].counter_account == 2);
        if (more != 0)
            CHECK(says(seen[reduced_at + 1], EventKind::kOrderReduced, id, 20'000));
        else
            CHECK(says(seen[reduced_at + 1], EventKind::kOrderCancelled, id, 100'000));
        CHECK(at.remaining(id) == more);
        CHECK(row_of(at.venue, 2, 0).reduce_orders == (more != 0 ? 1 : 0));
        CHECK(row_of(at.venue, 2, 0).size_lots == -static_cast<int64_t>(more));
    }
}

// Account 1 is liquidated onto the bid of account 4, which is short and closes with it.
void test_it_is_cut_by_somebody_elses_liquidation() {
    Long at(120'000);
    trade(at.venue, 4, 3, 10'000);
    const uint64_t far = placed(at.venue, 4, reduce_only(Side::kBuy, 40'000, 9'000));
    placed(at.venue, 4, limit(Side::kBuy, 53'000, 4'000));
    const std::vector<Event> seen = sweep_at(at.venue, 53'000'000'000);
    const std::vector<Event> fills = of_kind(seen, EventKind::kFill);
    CHECK(!fills.empty() && fills[0].counter_account == 4);
    const std::vector<Event> cut = of_kind(seen, EventKind::kOrderReduced);
    CHECK(cut.size() == 1 && says(cut[0], EventKind::kOrderReduced, far, 6'000));
    CHECK(row_of(at.venue, 4, 0).size_lots == -6'000);
}

}  // namespace

int main() {
    test_there_must_be_something_to_reduce();
    test_an_order_is_cut_to_the_position_and_adds_nothing_to_the_row();
    test_a_position_has_so_many_reduce_only_orders();
    test_it_is_cut_when_another_order_shrinks_the_position();
    test_it_is_cancelled_when_the_position_is_closed_or_flips();
    test_of_several_the_first_that_is_filled_cuts_the_others();
    test_as_a_taker_it_stops_at_the_position();
    test_a_pending_taker_is_counted_and_goes_on();
    test_an_amendment_is_cut_to_the_position();
    test_an_account_below_initial_margin_may_still_reduce();
    test_it_is_cut_by_deleveraging();
    test_it_is_cut_by_somebody_elses_liquidation();
    return test::finish();
}
