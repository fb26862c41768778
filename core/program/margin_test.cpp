// Scenarios of margin, liquidation and funding through apply.
#include "core/program/venue_test.hpp"

using namespace provenue;
using namespace provenue::PROVENUE_PRESET_NAMESPACE;

namespace {

constexpr uint64_t kMark = 60'000'000'000;  // quote units per BTC: 60,000 ticks of 1 USDC

void test_an_unsafe_account_is_liquidated_before_anyone_is_served() {
    Venue venue;
    venue.open(3);
    // 1 has 1,000,000 USDC and goes long 120 BTC against 2 (7.2 million at 60,000).
    CHECK(venue.posted(venue.place(venue.id_of(2), limit(Side::kSell, 60'000, 120'000))) ==
          Code::kOk);
    CHECK(venue.posted(venue.place(venue.id_of(1), limit(Side::kBuy, 60'000, 120'000))) ==
          Code::kOk);
    CHECK(venue.posted(venue.place(venue.id_of(1), limit(Side::kSell, 70'000, 10))) == Code::kOk);
    CHECK(venue.posted(venue.place(venue.id_of(3), limit(Side::kBuy, 54'000, 20'000))) ==
          Code::kOk);
    venue.now_ms += 10;
    std::vector<Event> seen;
    const auto keep = [&] {
        for (const Event& event : venue.events()) seen.push_back(event);
    };
    for (uint64_t signer = 0; signer < 2; ++signer) {
        CHECK(venue.posted(venue.prices(signer, {{0, 54'000'000'000}}, venue.now_ms)) ==
              Code::kOk);
        keep();
        // A lower price by one signer of two is the median already.
        CHECK(venue.state().globals().sweep_remaining != 0);
        CHECK(venue.posted(venue.place(venue.id_of(3), limit(Side::kBuy, 1, 1))) ==
              Code::kSweepPending);
        for (int i = 0; i < 100 && venue.state().globals().sweep_remaining != 0; ++i) {
            CHECK(venue.posted(Venue::resume()) == Code::kOk);
            keep();
        }
    }
    const auto count = [&](EventKind kind) {
        size_t found = 0;
        for (const Event& event : seen) found += event.kind == static_cast<uint16_t>(kind);
        return found;
    };
    CHECK(count(EventKind::kOrderCancelled) == 1);
    CHECK(count(EventKind::kLiquidated) == 2);  // one with a fill, one in vain
    CHECK(count(EventKind::kFill) == 1);
    CHECK(count(EventKind::kTakenOver) == 1);
    CHECK(!is_unsafe(venue.state(), 1));
    CHECK(row_of(venue, 1, 0).instrument_plus_1 == 0);
    CHECK(row_of(venue, 0, 0).size_lots == 100'000);
    CHECK(row_of(venue, 3, 0).size_lots == 20'000);
}

// Account 1 is long 120 BTC from 60,000 against account 2; fees leave it 996,400 USDC of a million.
void open_long(Venue& venue) {
    CHECK(venue.posted(venue.place(venue.id_of(2), limit(Side::kSell, 60'000, 120'000))) ==
          Code::kOk);
    CHECK(venue.posted(venue.place(venue.id_of(1), limit(Side::kBuy, 60'000, 120'000))) ==
          Code::kOk);
}

// Below initial margin (660,000) an account may only reduce, and not into maintenance (330,000).
void test_an_account_below_initial_margin_may_only_reduce() {
    Venue venue;
    venue.open(2);
    open_long(venue);
    venue.mark(55'000'000'000);  // equity 396,400
    const uint64_t id = venue.id_of(1);
    CHECK(venue.posted(venue.place(id, limit(Side::kBuy, 50'000, 1))) == Code::kMarginInsufficient);
    CHECK(venue.posted(venue.place(id, limit(Side::kSell, 55'000, 120'001))) ==
          Code::kMarginInsufficient);  // through zero
    CHECK(venue.posted(venue.place(id, limit(Side::kSell, 48'000, 10'000))) ==
          Code::kMarginInsufficient);  // would lose 70,000 against the mark
    CHECK(venue.posted(venue.place(id, limit(Side::kSell, 48'000, 5'000))) == Code::kOk);
    CHECK(venue.posted(venue.cancel_all(id)) == Code::kOk);
    CHECK(venue.posted(venue.place(id, limit(Side::kSell, 55'000, 120'000))) == Code::kOk);
    CHECK(venue.posted(venue.withdraw(id, 0, 1, address_of(1))) == Code::kMarginInsufficient);
}

void test_a_maker_below_initial_margin_fills_only_to_reduce() {
    Venue venue;
    venue.open(3);
    CHECK(venue.deposit(103, 0, 2'000'000'000'000) == Code::kOk);
    open_long(venue);
    const uint64_t id = venue.id_of(1);
    CHECK(venue.posted(venue.place(id, limit(Side::kBuy, 50'000, 30'000))) == Code::kOk);
    CHECK(venue.posted(venue.place(id, limit(Side::kSell, 61'000, 120'000))) == Code::kOk);
    venue.mark(57'000'000'000);  // equity 636,400, initial 855,000
    CHECK(venue.posted(venue.place(venue.id_of(2), limit(Side::kSell, 50'000, 10))) == Code::kOk);
    const std::vector<Event> cancels = venue.events(EventKind::kOrderCancelled);
    CHECK(cancels.size() == 1 && cancels[0].account == 1 && cancels[0].size == 30'000);
    CHECK(cancels[0].reason == static_cast<uint16_t>(CancelReason::kMakerMargin));
    CHECK(venue.events(EventKind::kFill).empty());
    CHECK(venue.posted(venue.cancel_all(venue.id_of(2))) == Code::kOk);
    // The whole position at once still reduces.
    CHECK(venue.posted(venue.place(venue.id_of(3), limit(Side::kBuy, 61'000, 120'000))) ==
          Code::kOk);
    CHECK(venue.events(EventKind::kFill).size() == 1);
    CHECK(row_of(venue, 1, 0).instrument_plus_1 == 0);
}

// Two positions of the same maintenance margin: the lower instrument first, whatever row it has.
void test_liquidation_and_takeover_go_by_instrument() {
    Venue venue;
    venue.open(2);
    CHECK(venue.inbox(Venue::perpetual(2, 0)) == Code::kOk);
    for (const uint32_t instrument : {2u, 0u}) {
        CHECK(venue.posted(venue.place(venue.id_of(2),
                                       limit(Side::kSell, 60'000, 60'000, instrument))) ==
              Code::kOk);
        CHECK(venue.posted(venue.place(venue.id_of(1),
                                       limit(Side::kBuy, 60'000, 60'000, instrument))) ==
              Code::kOk);
    }
    venue.now_ms += 10;
    CHECK(venue.posted(venue.prices(0, {{0, 54'000'000'000}}, venue.now_ms)) == Code::kOk);
    std::vector<Event> seen;
    for (int i = 0; i < 100 && venue.state().globals().sweep_remaining != 0; ++i) {
        for (const Event& event : venue.events()) seen.push_back(event);
        CHECK(venue.posted(Venue::resume()) == Code::kOk);
    }
    std::vector<uint32_t> taken;
    std::vector<uint32_t> tried;
    for (const Event& event : seen) {
        if (event.kind == static_cast<uint16_t>(EventKind::kTakenOver))
            taken.push_back(event.instrument);
        if (event.kind == static_cast<uint16_t>(EventKind::kLiquidated))
            tried.push_back(event.instrument);
    }
    CHECK((taken == std::vector<uint32_t>{0, 2}));
    CHECK((tried == std::vector<uint32_t>{0}));
    // Its equity of 276,400 would last 4,606 USDC a BTC; the band of 5 % is nearer.
    for (const Event& event : seen)
        CHECK(event.kind != static_cast<uint16_t>(EventKind::kLiquidated) || event.price == 51'300);
}

// P8: a lot at 60,000.000001 USDC is worth 60,000,000.001 units: a long has 60,000,000 of it, a
// short owes 60,000,001, and of that both need 10 and 5 %, rounded up.
void test_values_and_margins_are_rounded_against_the_account() {
    Venue venue;
    venue.open(2);
    CHECK(venue.posted(venue.place(venue.id_of(2), limit(Side::kSell, 60'000, 1))) == Code::kOk);
    CHECK(venue.posted(venue.place(venue.id_of(1), limit(Side::kBuy, 60'000, 1))) == Code::kOk);
    venue.mark(kMark + 1);
    State state = venue.state();
    CHECK(equity(state, 1) == 1'000'000'000'000 - 30'000);
    CHECK(equity(state, 2) == 1'000'000'000'000 - 12'000 - 1);
    for (const uint32_t account : {1u, 2u}) {
        CHECK(initial_margin(state, account) == 6'000'001);
        CHECK(maintenance_margin(state, account) == 3'000'001);
        const i128 worth = equity(state, account);
        CHECK(excess(state, account, Requirement::kInitial) == worth - 6'000'001);
        CHECK(excess(state, account, Requirement::kMaintenance) == worth - 3'000'001);
    }
}

void test_funding_is_paid_between_the_sides() {
    Venue venue;
    venue.open(2);
    CHECK(venue.posted(venue.place(venue.id_of(1), limit(Side::kSell, 60'300, 1'000))) ==
          Code::kOk);
    CHECK(venue.posted(venue.place(venue.id_of(2), limit(Side::kBuy, 60'300, 500))) == Code::kOk);
    CHECK(venue.posted(venue.place(venue.id_of(2), limit(Side::kBuy, 60'100, 500))) == Code::kOk);
    venue.mark(kMark);  // the book stands 200 USDC above the mark
    CHECK(venue.state().instruments[0].premium_ppm == 3'333);
    venue.now_ms += 57'600;
    CHECK(venue.posted(venue.tick()) == Code::kOk);
    venue.finish_sweep();
    // trunc(3,333 * 60e9 * dt * 1e6 / (1e6 * 28,800,000 * 1,000)): of the 10 ms between the two
    // signers' messages 69,437.5, of a 500th of a period 399,960,000.
    CHECK(venue.state().instruments[0].funding_index == 69'437 + 399'960'000);
    venue.mark(kMark);
    CHECK(venue.posted(venue.place(venue.id_of(2), limit(Side::kBuy, 60'300, 1))) == Code::kOk);
    const std::vector<Event> paid = venue.events(EventKind::kFundingPaid);
    CHECK(paid.size() == 2);
    CHECK(paid[0].account == 1 && paid[0].value < 0);  // the short receives, first the maker
    CHECK(paid[1].account == 2 && paid[1].value > 0);
    CHECK(paid[0].value + paid[1].value == venue.state().instruments[0].clearing_units);
    CHECK(venue.state().instruments[0].clearing_units >= 0);  // dust stays (P8)
}

// The mark is 60,000 ms old at most while the index moves; then only the time goes on.
void test_funding_stands_still_on_a_stale_feed() {
    Venue venue;
    venue.open(2);
    CHECK(venue.posted(venue.place(venue.id_of(1), limit(Side::kSell, 60'300, 1))) == Code::kOk);
    CHECK(venue.posted(venue.place(venue.id_of(2), limit(Side::kBuy, 60'100, 1))) == Code::kOk);
    venue.mark(kMark);
    const int64_t before = venue.state().instruments[0].funding_index;
    venue.now_ms += 60'000;
    CHECK(venue.posted(venue.tick()) == Code::kOk);
    venue.finish_sweep();
    // 60,000 ms of 28,800,000: 3,333 * 60e9 / 1,000 / 480.
    CHECK(venue.state().instruments[0].funding_index - before == 416'625'000);
    for (int i = 0; i < 3; ++i) {
        venue.now_ms += 1;
        CHECK(venue.posted(venue.tick()) == Code::kOk);
        venue.finish_sweep();
        CHECK(venue.state().instruments[0].funding_index - before == 416'625'000);
        CHECK(venue.state().instruments[0].funding_time_ms == venue.now_ms);
    }
    // A fresh mark says nothing about the time before it either.
    venue.now_ms += 1'000'000;
    CHECK(venue.posted(venue.prices(0, {{0, kMark}}, venue.now_ms)) == Code::kOk);
    CHECK(venue.posted(venue.prices(1, {{0, kMark}}, venue.now_ms)) == Code::kOk);
    CHECK(venue.state().feeds[0].updated_at_ms == venue.now_ms);
    CHECK(venue.state().instruments[0].funding_index - before == 416'625'000);
}

}  // namespace

int main() {
    test_an_unsafe_account_is_liquidated_before_anyone_is_served();
    test_an_account_below_initial_margin_may_only_reduce();
    test_a_maker_below_initial_margin_fills_only_to_reduce();
    test_liquidation_and_takeover_go_by_instrument();
    test_values_and_margins_are_rounded_against_the_account();
    test_funding_is_paid_between_the_sides();
    test_funding_stands_still_on_a_stale_feed();
    return test::finish();
}
