// Scenarios of orders that change: AMEND and REPLACE (chapters 4.4 and 4.5).
#include "core/matching/book.hpp"
#include "core/program/venue_test.hpp"

using namespace provenue;
using namespace provenue::PROVENUE_PRESET_NAMESPACE;

namespace {

Code amend(Venue& venue, uint32_t account, uint64_t id, uint64_t price, uint64_t size) {
    return venue.posted(venue.amend(venue.id_of(account), id, price, size));
}
Code replace(Venue& venue, uint32_t account, uint64_t id, const OrderFields& order) {
    return venue.posted(venue.replace(venue.id_of(account), id, order));
}

// Who is hit first at 60,000.
uint64_t first_maker(Venue& venue) {
    placed(venue, 2, limit(Side::kBuy, 60'000, 1));
    return venue.events(EventKind::kFill)[0].counter_order_id;
}

// --- AMEND ---------------------------------------------------------------------------------------

void test_an_order_keeps_its_place_only_when_it_shrinks_at_the_same_price() {
    struct Case {
        uint64_t price;
        uint64_t size;
        bool keeps;
    };
    for (const auto& [price, size, keeps] :
         {Case{60'000, 5, true}, {60'000, 10, true}, {60'000, 11, false}, {60'001, 5, false}}) {
        Venue venue;
        venue.open(3);
        const uint64_t first = placed(venue, 1, limit(Side::kSell, 60'000, 10));
        const uint64_t second = placed(venue, 3, limit(Side::kSell, 60'000, 10));
        CHECK(amend(venue, 1, first, price, size) == Code::kOk);
        const Event amended = venue.events()[0];
        CHECK(amended.kind == static_cast<uint16_t>(EventKind::kOrderAmended));
        CHECK(amended.order_id == first && amended.price == static_cast<int64_t>(price));
        CHECK(amended.size == static_cast<int64_t>(size) && amended.value == 1);
        CHECK(venue.events(EventKind::kOrderResting).size() == (keeps ? 0 : 1));
        CHECK(row_of(venue, 1, 0).open_sell_lots == static_cast<int64_t>(size));
        CHECK(order_of(venue, first).size_lots == size);
        // Back at the old price, it stands behind.
        if (price != 60'000) CHECK(amend(venue, 1, first, 60'000, size) == Code::kOk);
        CHECK(first_maker(venue) == (keeps ? first : second));
    }
}

void test_an_amended_order_stays_what_it_is() {
    Venue venue;
    venue.open(2);
    OrderFields fields = limit(Side::kSell, 60'000, 10);
    fields.client_id = 77;
    fields.flags = kOrderFlagPostOnly;
    fields.self_trade = SelfTrade::kCancelBoth;
    fields.time_in_force = TimeInForce::kGoodTillTime;
    fields.good_till_s = static_cast<uint32_t>(venue.now_ms / 1'000) + 60;
    const uint64_t id = placed(venue, 1, fields);
    const uint64_t younger = placed(venue, 1, limit(Side::kSell, 60'000, 10));
    const uint8_t bits = order_of(venue, id).flags;
    CHECK(amend(venue, 1, id, 60'005, 20) == Code::kOk);
    CHECK(venue.events()[0].extra == 77 && venue.events()[0].reason == bits);
    const OrderRecord order = order_of(venue, id);
    CHECK(order.flags == bits && order.client_id == 77 && order.good_till_s == fields.good_till_s);
    // Its place in the account's list, too: the oldest.
    CHECK(venue.state().accounts[1].order_head == link_to(static_cast<uint32_t>(id)));
    CHECK(order.account_next == link_to(static_cast<uint32_t>(younger)));
    CHECK(venue.state().accounts[1].open_orders == 2);
}

void test_an_amended_order_that_crosses_trades_and_does_not_rest_crossed() {
    Venue venue;
    venue.open(2);
    placed(venue, 2, limit(Side::kBuy, 60'000, 5));
    const uint64_t id = placed(venue, 1, limit(Side::kSell, 60'010, 8));
    CHECK(amend(venue, 1, id, 59'990, 8) == Code::kOk);
    std::vector<Event> events = venue.events();
    CHECK(events.size() == 3);
    CHECK(events[0].price == 59'990 && events[0].size == 8);
    CHECK(events[1].kind == static_cast<uint16_t>(EventKind::kFill));
    CHECK(events[1].order_id == id && events[1].price == 60'000 && events[1].size == 5);
    CHECK(events[2].kind == static_cast<uint16_t>(EventKind::kOrderResting));
    CHECK(best_price(venue.state(), 0, Side::kBuy) == 0);
    CHECK(best_price(venue.state(), 0, Side::kSell) == 59'990);
    // The size of an amendment is the total, with the five that are filled.
    CHECK(amend(venue, 1, id, 59'990, 5) == Code::kBadSize);
    CHECK(amend(venue, 1, id, 59'990, 7) == Code::kOk);
    CHECK(venue.events()[0].size == 2 && order_of(venue, id).size_lots == 7);
    // Filled by what it meets, it ends.
    placed(venue, 2, limit(Side::kBuy, 59'980, 50));
    CHECK(amend(venue, 1, id, 59'980, 25) == Code::kOk);
    CHECK(venue.events(EventKind::kFill)[0].size == 20);
    CHECK(venue.events(EventKind::kOrderResting).empty() && order_of(venue, id).live == 0);
    CHECK(venue.state().accounts[1].open_orders == 0 && row_of(venue, 1, 0).size_lots == -25);
}

void test_an_amended_order_may_become_a_pending_taker() {
    Venue venue;
    venue.open(2);
    for (uint32_t i = 0; i <= kFillsPerMessage; ++i)
        placed(venue, 2, limit(Side::kBuy, 60'000, 1));
    const uint64_t id = placed(venue, 1, limit(Side::kSell, 60'010, 10));
    CHECK(amend(venue, 1, id, 60'000, 10) == Code::kOk);
    CHECK(venue.events(EventKind::kTakerContinues)[0].order_id == id);
    CHECK(venue.posted(Venue::resume()) == Code::kOk);
    CHECK(venue.events(EventKind::kFill).size() == 1);
    CHECK(venue.events(EventKind::kOrderResting)[0].size == 5);
}

void test_a_rejected_amendment_leaves_the_order_where_it_was() {
    Venue venue;
    venue.open(3);
    placed(venue, 2, limit(Side::kBuy, 60'000, 5));
    OrderFields fields = limit(Side::kSell, 60'010, 8);
    fields.flags = kOrderFlagPostOnly;
    const uint64_t id = placed(venue, 1, fields);
    const auto rejects = [&](uint32_t account, uint64_t order, uint64_t price, uint64_t size) {
        const Bytes before = venue.image();
        const Code code = amend(venue, account, order, price, size);
        check_only_a_nonce_is_new(venue, before);
        return code;
    };
    CHECK(rejects(1, id, 0, 8) == Code::kBadPrice);
    CHECK(rejects(1, id, uint64_t{kPriceTicksMax} + 1, 8) == Code::kBadPrice);
    CHECK(rejects(1, id, 60'010, 0) == Code::kBadSize);
    CHECK(rejects(1, id, 60'010, uint64_t{kSizeLotsMax} + 1) == Code::kBadSize);
    CHECK(rejects(1, id, 60'000, 8) == Code::kPostOnlyWouldCross);
    CHECK(rejects(1, id, 60'010, 1'000'000) == Code::kMarginInsufficient);
    CHECK(rejects(1, id, 60'010, kSizeLotsMax) == Code::kNotionalTooLarge);
    CHECK(rejects(3, id, 60'010, 8) == Code::kOrderUnknown);
    CHECK(rejects(1, id + (uint64_t{1} << 32), 60'010, 8) == Code::kOrderUnknown);
    CHECK(amend(venue, 1, id, 60'009, 8) == Code::kOk);
}

void test_an_order_that_has_expired_cannot_be_changed() {
    Venue venue;
    venue.open(1);
    OrderFields fields = limit(Side::kSell, 60'000, 10);
    fields.time_in_force = TimeInForce::kGoodTillTime;
    fields.good_till_s = static_cast<uint32_t>(venue.now_ms / 1'000) + 5;
    const uint64_t id = placed(venue, 1, fields);
    venue.now_ms = uint64_t{fields.good_till_s} * 1'000;
    CHECK(amend(venue, 1, id, 60'000, 5) == Code::kOrderUnknown);
    CHECK(replace(venue, 1, id, limit(Side::kSell, 60'000, 5)) == Code::kOrderUnknown);
    CHECK(venue.posted(venue.cancel(venue.id_of(1), id)) == Code::kOk);
}

void test_a_full_account_can_change_its_orders() {
    Venue venue;
    venue.open(1);
    std::vector<uint64_t> ids;
    for (uint32_t i = 0; i < kOrdersPerAccount; ++i)
        ids.push_back(placed(venue, 1, limit(Side::kBuy, 59'000 + i, 1)));
    CHECK(venue.posted(venue.place(venue.id_of(1), limit(Side::kBuy, 58'000, 1))) ==
          Code::kAccountOrdersFull);
    CHECK(amend(venue, 1, ids[0], 59'500, 3) == Code::kOk);
    CHECK(replace(venue, 1, ids[1], limit(Side::kBuy, 59'501, 3)) == Code::kOk);
    CHECK(venue.state().accounts[1].open_orders == kOrdersPerAccount);
}

void test_a_key_that_may_only_cancel_changes_nothing() {
    Venue venue;
    venue.open(1);
    const uint64_t id = placed(venue, 1, limit(Side::kSell, 60'000, 10));
    const Address session = address_of(0xABC);
    CHECK(venue.posted(venue.set_key(venue.id_of(1), 1, session, kScopeCancel, 0)) == Code::kOk);
    venue.key = 1;
    venue.signer_override = &session;
    CHECK(amend(venue, 1, id, 60'000, 5) == Code::kScopeMissing);
    CHECK(replace(venue, 1, id, limit(Side::kSell, 60'000, 5)) == Code::kScopeMissing);
    CHECK(venue.posted(venue.cancel_label(venue.id_of(1), 0)) == Code::kOk);
    CHECK(venue.events(EventKind::kOrderCancelled).size() == 1);
}

// --- REPLACE -------------------------------------------------------------------------------------

void test_a_replacement_counts_what_is_filled() {
    Venue venue;
    venue.open(2);
    const uint64_t old = placed(venue, 1, limit(Side::kSell, 60'000, 10));
    placed(venue, 2, limit(Side::kBuy, 60'000, 4));
    CHECK(replace(venue, 1, old, limit(Side::kSell, 60'010, 4)) == Code::kBadSize);
    OrderFields fields = limit(Side::kSell, 60'010, 12);
    fields.client_id = 9;
    CHECK(replace(venue, 1, old, fields) == Code::kOk);
    const std::vector<Event> events = venue.events();
    CHECK(events.size() == 3);
    CHECK(events[0].order_id == old && events[0].size == 6);
    CHECK(events[0].reason == static_cast<uint16_t>(CancelReason::kReplaced));
    CHECK(events[1].kind == static_cast<uint16_t>(EventKind::kOrderAccepted));
    CHECK(events[1].order_id != old && events[1].size == 8 && events[1].extra == 9);
    CHECK(events[2].kind == static_cast<uint16_t>(EventKind::kOrderResting));
    CHECK(order_of(venue, old).live == 0);
    CHECK(order_of(venue, events[1].order_id).size_lots == 8);
    CHECK(row_of(venue, 1, 0).open_sell_lots == 8 && row_of(venue, 1, 0).size_lots == -4);
}

void test_a_replacement_takes_and_may_be_of_another_kind() {
    Venue venue;
    venue.open(2);
    placed(venue, 2, limit(Side::kBuy, 60'000, 5));
    const uint64_t old = placed(venue, 1, limit(Side::kSell, 60'010, 8));
    OrderFields fields = limit(Side::kSell, 60'000, 6);
    fields.time_in_force = TimeInForce::kImmediateOrCancel;
    CHECK(replace(venue, 1, old, fields) == Code::kOk);
    CHECK(venue.events(EventKind::kFill)[0].size == 5);
    CHECK(venue.events(EventKind::kOrderCancelled).size() == 2);
    CHECK(venue.state().accounts[1].open_orders == 0);
}

void test_a_rejected_replacement_leaves_the_old_order_where_it_was() {
    Venue venue;
    venue.open(2);
    placed(venue, 2, limit(Side::kBuy, 60'000, 5));
    const uint64_t old = placed(venue, 1, limit(Side::kSell, 60'010, 8));
    const auto rejects = [&](auto change) {
        OrderFields fields = limit(Side::kSell, 60'000, 8);
        change(fields);
        const Bytes before = venue.image();
        const Code code = replace(venue, 1, old, fields);
        check_only_a_nonce_is_new(venue, before);
        return code;
    };
    CHECK(rejects([](OrderFields& f) { f.flags = kOrderFlagPostOnly; }) ==
          Code::kPostOnlyWouldCross);
    CHECK(rejects([](OrderFields& f) { f.time_in_force = TimeInForce::kFillOrKill; }) ==
          Code::kNotFilled);
    CHECK(rejects([](OrderFields& f) { f.flags = kOrderFlagReduceOnly; }) ==
          Code::kNothingToReduce);
    CHECK(rejects([](OrderFields& f) { f.price_ticks = 0; }) == Code::kBadPrice);
    CHECK(rejects([](OrderFields& f) { f.size_lots = 1'000'000; }) == Code::kMarginInsufficient);
    CHECK(rejects([](OrderFields& f) { f.size_lots = UINT64_MAX; }) == Code::kBadSize);
    CHECK(rejects([](OrderFields& f) { f.good_till_s = 1; }) == Code::kBadGoodTill);
    CHECK(order_of(venue, old).remaining_lots == 8);
}

void test_who_leaves_changes_no_orders() {
    Venue venue;
    venue.open(2);
    placed(venue, 2, limit(Side::kSell, 60'000, 10));
    placed(venue, 1, limit(Side::kBuy, 60'000, 10));
    const uint64_t id = placed(venue, 1, limit(Side::kBuy, 59'000, 10));
    CHECK(venue.inbox(venue.forced_close(101)) == Code::kOk);
    CHECK(amend(venue, 1, id, 59'000, 5) == Code::kAccountLeaving);
    CHECK(replace(venue, 1, id, limit(Side::kBuy, 59'000, 5)) == Code::kAccountLeaving);
}

}  // namespace

int main() {
    test_an_order_keeps_its_place_only_when_it_shrinks_at_the_same_price();
    test_an_amended_order_stays_what_it_is();
    test_an_amended_order_that_crosses_trades_and_does_not_rest_crossed();
    test_an_amended_order_may_become_a_pending_taker();
    test_a_rejected_amendment_leaves_the_order_where_it_was();
    test_an_order_that_has_expired_cannot_be_changed();
    test_a_full_account_can_change_its_orders();
    test_a_key_that_may_only_cancel_changes_nothing();
    test_a_replacement_counts_what_is_filled();
    test_a_replacement_takes_and_may_be_of_another_kind();
    test_a_rejected_replacement_leaves_the_old_order_where_it_was();
    test_who_leaves_changes_no_orders();
    return test::finish();
}
