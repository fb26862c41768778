// Scenarios through apply: what a trader, an owner and an operator would see.
#include <set>

#include "core/program/venue_test.hpp"

using namespace provenue;
using namespace provenue::PROVENUE_PRESET_NAMESPACE;

namespace {

void test_framing_rejects_in_order_of_precedence() {
    Venue venue;
    const Bytes zero = venue.image();
    CHECK(venue.apply({}, false) == Code::kEmptyMessage);
    CHECK(venue.apply({0x7F}, false) == Code::kUnknownKind);
    CHECK(venue.apply({0x80, 1}, false) == Code::kWrongSource);
    CHECK(venue.apply({0x01}, true) == Code::kWrongSource);
    CHECK(venue.apply({0x12, 0}, false) == Code::kBadLength);
    CHECK(venue.apply({0x10, 0, 0}, false) == Code::kBadLength);
    CHECK(venue.apply({0x83, 1, 2}, true) == Code::kBadLength);
    CHECK(venue.apply({0x12}, false) == Code::kNotConfigured);
    CHECK(venue.image() == zero);
    CHECK(venue.genesis() == Code::kOk);
    CHECK(venue.genesis() == Code::kAlreadyConfigured);
    CHECK(venue.posted(Venue::resume()) == Code::kNothingToContinue);
}

void test_domain_separator_is_the_one_of_the_chapters() {
    Venue venue;
    CHECK(venue.genesis() == Code::kOk);
    const std::string type =
        "EIP712Domain(string name,string version,uint256 chainId,address verifyingContract)";
    Bytes preimage;
    const auto append = [&](const Bytes& bytes) {
        preimage.insert(preimage.end(), bytes.begin(), bytes.end());
    };
    append(Message::hash(Bytes(type.begin(), type.end())));
    append(Message::hash({'P', 'r', 'o', 'v', 'e', 'n', 'u', 'e'}));
    append(Message::hash({'1'}));
    Bytes chain(32);
    chain[30] = Venue::kChainId >> 8;
    chain[31] = Venue::kChainId & 0xFF;
    append(chain);
    Bytes anchor(32);
    const Address address = Venue::anchor();
    std::memcpy(&anchor[12], address.bytes, 20);
    append(anchor);
    CHECK(Message::hash(preimage) == venue.domain);
}

void test_a_trade_moves_lots_money_and_fees() {
    Venue venue;
    venue.open(2);
    CHECK(venue.posted(venue.place(venue.id_of(1), limit(Side::kSell, 60'010, 500))) == Code::kOk);
    CHECK(venue.events(EventKind::kOrderResting).size() == 1);
    CHECK(venue.posted(venue.place(venue.id_of(2), limit(Side::kBuy, 60'020, 200))) == Code::kOk);
    const std::vector<Event> fills = venue.events(EventKind::kFill);
    CHECK(fills.size() == 1);
    CHECK(fills[0].price == 60'010 && fills[0].size == 200);  // at the maker's price
    CHECK(fills[0].account == 2 && fills[0].counter_account == 1 && fills[0].reason == 0);
    // 60,010 USDC * 0.2 = 12,002 USDC; 500 and 200 ppm of it.
    constexpr int64_t kNotional = 12'002'000'000;
    CHECK(fills[0].value == 6'001'000 && fills[0].extra == 2'400'400);
    CHECK(row_of(venue, 2, 0).size_lots == 200 && row_of(venue, 1, 0).size_lots == -200);
    CHECK(row_of(venue, 2, 0).cash_leg_units == -kNotional);
    CHECK(row_of(venue, 1, 0).open_sell_lots == 300);
    CHECK(quote_of(venue, 2) == 1'000'000'000'000 - 6'001'000);
    CHECK(quote_of(venue, 1) == 1'000'000'000'000 - 2'400'400);
    CHECK(venue.state().assets[0].fees_units == 8'401'400);

    // Back again 10 USDC higher: the profit of 200 lots is realised and the row is free.
    CHECK(venue.posted(venue.place(venue.id_of(1), limit(Side::kBuy, 60'020, 200))) == Code::kOk);
    CHECK(venue.posted(venue.place(venue.id_of(2), limit(Side::kSell, 60'020, 200))) == Code::kOk);
    CHECK(row_of(venue, 2, 0).instrument_plus_1 == 0);
    const int64_t taker_fee = venue.events(EventKind::kFill)[0].value;
    CHECK(quote_of(venue, 2) == 1'000'000'000'000 - 6'001'000 + 2'000'000 - taker_fee);
}

// P8: 61,234 USDC a BTC, one lot of 0.001: 61.234 USDC; 500 ppm are 30,617 units exactly, and of
// 61.233 USDC 30,616.5, which is 30,617 for the payer.
void test_fees_are_rounded_against_the_payer() {
    Venue venue;
    venue.open(2);
    for (const uint64_t price : {61'234, 61'233}) {
        CHECK(venue.posted(venue.place(venue.id_of(1), limit(Side::kSell, price, 1))) == Code::kOk);
        CHECK(venue.posted(venue.place(venue.id_of(2), limit(Side::kBuy, price, 1))) == Code::kOk);
        CHECK(venue.events(EventKind::kFill)[0].value == 30'617);
    }
}

void test_price_time_priority_and_a_taker_that_continues() {
    Venue venue;
    venue.open(2);
    std::vector<uint64_t> ids;
    for (const uint64_t price : {60'003, 60'001, 60'002, 60'001, 60'004, 60'001}) {
        CHECK(venue.posted(venue.place(venue.id_of(1), limit(Side::kSell, price, 10))) ==
              Code::kOk);
        ids.push_back(venue.events(EventKind::kOrderAccepted)[0].order_id);
    }
    CHECK(venue.posted(venue.place(venue.id_of(2), limit(Side::kBuy, 60'003, 100))) == Code::kOk);
    std::vector<Event> fills = venue.events(EventKind::kFill);
    CHECK(fills.size() == kFillsPerMessage);
    CHECK(venue.events(EventKind::kTakerContinues).size() == 1);
    CHECK(venue.events(EventKind::kTakerContinues)[0].size == 60);
    // Nobody else is served; a cancel is not either.
    CHECK(venue.posted(venue.cancel_all(venue.id_of(1))) == Code::kTakerPending);
    CHECK(venue.posted(venue.tick()) == Code::kTakerPending);
    CHECK(venue.posted(Venue::resume()) == Code::kOk);
    for (const Event& event : venue.events(EventKind::kFill)) fills.push_back(event);
    const size_t expected[] = {1, 3, 5, 2, 0};
    CHECK(fills.size() == 5);
    for (size_t i = 0; i < 5 && i < fills.size(); ++i)
        CHECK(fills[i].counter_order_id == ids[expected[i]]);
    CHECK(venue.events(EventKind::kOrderResting).size() == 1);
    CHECK(venue.events(EventKind::kOrderResting)[0].size == 50);  // stopped at its limit
    CHECK(venue.posted(Venue::resume()) == Code::kNothingToContinue);
}

void test_an_immediate_remainder_never_rests_and_post_only_never_takes() {
    Venue venue;
    venue.open(2);
    CHECK(venue.posted(venue.place(venue.id_of(1), limit(Side::kSell, 60'000, 10))) == Code::kOk);
    OrderFields order = limit(Side::kBuy, 60'000, 20);
    order.flags = kOrderFlagPostOnly;
    CHECK(venue.posted(venue.place(venue.id_of(2), order)) == Code::kPostOnlyWouldCross);
    order.flags = 0;
    order.time_in_force = TimeInForce::kImmediateOrCancel;
    CHECK(venue.posted(venue.place(venue.id_of(2), order)) == Code::kOk);
    const std::vector<Event> cancels = venue.events(EventKind::kOrderCancelled);
    CHECK(cancels.size() == 1 && cancels[0].size == 10);
    CHECK(cancels[0].reason == static_cast<uint16_t>(CancelReason::kImmediateRemainder));
    CHECK(venue.state().globals().levels_live == 0);
    CHECK(row_of(venue, 2, 0).open_buy_lots == 0);
}

void test_a_taker_cancels_its_own_maker_instead_of_trading() {
    Venue venue;
    venue.open(1);
    CHECK(venue.posted(venue.place(venue.id_of(1), limit(Side::kSell, 60'000, 10))) == Code::kOk);
    CHECK(venue.posted(venue.place(venue.id_of(1), limit(Side::kBuy, 60'000, 10))) == Code::kOk);
    CHECK(venue.events(EventKind::kFill).empty());
    CHECK(venue.events(EventKind::kOrderCancelled)[0].reason ==
          static_cast<uint16_t>(CancelReason::kSelfTrade));
    CHECK(venue.state().accounts[1].open_orders == 1);
}

// P4: nothing but the nonce leaf changes, and the action can never run again.
void test_a_signed_reject_burns_its_nonce_and_nothing_else() {
    Venue venue;
    venue.open(1);
    const Bytes before = venue.image();
    const Message too_large = venue.place(venue.id_of(1), limit(Side::kBuy, 60'000, 400'000));
    CHECK(venue.posted(too_large) == Code::kMarginInsufficient);
    CHECK(venue.events().empty());
    uint32_t changed = 0;
    for (uint64_t at = 0; at < kImageBytes; at += 32)
        if (std::memcmp(&before[at], &venue.image()[at], 32) != 0) {
            changed += 1;
            CHECK(at == kNoncesOffset + State::key_row(1, 0) * sizeof(NonceRecord));
        }
    CHECK(changed == 1);
    CHECK(venue.undo_log().count == 1);
    CHECK(venue.posted(too_large) == Code::kNonceUsed);
    CHECK(venue.undo_log().count == 0);
}

void test_nonces_move_their_window() {
    Venue venue;
    venue.open(1);
    const uint64_t id = venue.id_of(1);
    const auto use = [&](uint64_t nonce) {
        venue.nonce = nonce;
        return venue.posted(venue.cancel_all(id));
    };
    CHECK(use(191) == Code::kOk && use(191) == Code::kNonceUsed);
    CHECK(use(192) == Code::kOk);  // base 1
    CHECK(use(5) == Code::kOk && use(191) == Code::kNonceUsed);
    CHECK(use(300) == Code::kOk);  // base 109
    CHECK(use(108) == Code::kNonceTooOld && use(109) == Code::kOk);
    CHECK(use(191) == Code::kNonceUsed && use(192) == Code::kNonceUsed);
    CHECK(use(1'000'000) == Code::kOk && use(999'809) == Code::kOk);
    CHECK(use(999'808) == Code::kNonceTooOld);
    CHECK(use(kNonceMax) == Code::kOk && use(kNonceMax) == Code::kNonceUsed);
    CHECK(use(uint64_t{kNonceMax} + 1) == Code::kNonceTooLarge);
}

// Against a set: whatever order nonces come in, each is used once and the old ones are gone.
void test_nonces_agree_with_a_set() {
    Venue venue;
    venue.open(1);
    test::Random random(7);
    const uint64_t id = venue.id_of(1);
    std::set<uint64_t> used;
    uint64_t base = 0;
    for (test::round = 0; test::round < 3'000; ++test::round) {
        const uint64_t low = base > 5 ? base - 5 : 0;
        const uint64_t nonce = low + random.below(random.one_in(9) ? 420 : 200);
        Code expected = Code::kOk;
        if (nonce < base) expected = Code::kNonceTooOld;
        else if (used.contains(nonce)) expected = Code::kNonceUsed;
        venue.nonce = nonce == 0 ? 1 : nonce;
        if (nonce == 0) continue;
        CHECK(venue.posted(venue.cancel_all(id)) == expected);
        if (expected != Code::kOk) continue;
        used.insert(nonce);
        if (nonce >= base + uint64_t{kNonceWindow}) base = nonce - uint64_t{kNonceWindow} + 1;
    }
}

void test_the_high_twin_of_a_signature_is_refused() {
    Venue venue;
    venue.open(1);
    const Message good = venue.cancel_all(venue.id_of(1));
    Message twin = good;
    uint8_t& s = twin.bytes()[twin.bytes().size() - 33];
    s = static_cast<uint8_t>(s | 0x80);
    CHECK(venue.posted(twin) == Code::kBadSignature);
    Message odd = good;
    odd.bytes().back() = 29;
    CHECK(venue.posted(odd) == Code::kBadSignature);
    CHECK(venue.posted(good) == Code::kOk);
}

void test_session_keys_are_scoped_and_expire() {
    Venue venue;
    venue.open(1);
    const uint64_t id = venue.id_of(1);
    const Address session = address_of(0x5E55);
    CHECK(venue.posted(venue.set_key(id, 0, session, 1, 0)) == Code::kBadKeySlot);
    CHECK(venue.posted(venue.set_key(id, 1, session, 16, 0)) == Code::kBadScope);
    CHECK(venue.posted(venue.set_key(id, 1, session, kScopeCancel, venue.now_ms + 100)) ==
          Code::kOk);
    venue.key = 1;
    CHECK(venue.posted(venue.cancel_all(id)) == Code::kBadSignature);  // signed by the owner
    venue.signer_override = &session;
    CHECK(venue.posted(venue.cancel_all(id)) == Code::kOk);
    CHECK(venue.posted(venue.place(id, limit(Side::kBuy, 60'000, 1))) == Code::kScopeMissing);
    CHECK(venue.posted(venue.set_key(id, 2, session, 1, 0)) == Code::kScopeMissing);
    venue.now_ms += 100;
    CHECK(venue.posted(venue.cancel_all(id)) == Code::kKeyExpired);
    venue.key = 2;
    CHECK(venue.posted(venue.cancel_all(id)) == Code::kKeyUnknown);
    venue.key = 0;
    CHECK(venue.posted(venue.cancel_all(id)) == Code::kBadSignature);
    venue.signer_override = nullptr;
    venue.expires_at_ms = venue.now_ms;
    CHECK(venue.posted(venue.cancel_all(id)) == Code::kExpired);
    CHECK(venue.posted(venue.cancel_all(id + 1)) == Code::kAccountUnknown);
    CHECK(venue.posted(venue.cancel_all(venue.id_of(0))) == Code::kAccountUnknown);
}

// Every bit of a signed message counts: flipping any of them is a reject before the nonce.
void test_a_changed_message_is_not_authentic() {
    Venue venue;
    venue.open(1);
    const Message good = venue.place(venue.id_of(1), limit(Side::kBuy, 50'000, 1));
    const Bytes before = venue.image();
    for (size_t bit = 9 * 8; bit < good.bytes().size() * 8; ++bit) {  // behind kind and stamp
        Message bad = good;
        bad.bytes()[bit / 8] = static_cast<uint8_t>(bad.bytes()[bit / 8] ^ 1 << bit % 8);
        CHECK(venue.posted(bad) != Code::kOk);
        CHECK(venue.image() == before);
    }
    CHECK(venue.posted(good) == Code::kOk);
}

Bytes naive_root(const std::vector<Bytes>& leaves, uint32_t height, uint64_t index) {
    if (height == 0) return index < leaves.size() ? leaves[index] : Bytes(32);
    if (index << height >= leaves.size()) {
        Bytes zero(32);
        for (uint32_t i = 0; i < height; ++i) {
            Bytes pair = zero;
            pair.insert(pair.end(), zero.begin(), zero.end());
            zero = Message::hash(pair);
        }
        return zero;
    }
    Bytes pair = naive_root(leaves, height - 1, 2 * index);
    const Bytes right = naive_root(leaves, height - 1, 2 * index + 1);
    pair.insert(pair.end(), right.begin(), right.end());
    return Message::hash(pair);
}

void test_withdrawals_are_leaves_of_the_tree() {
    Venue venue;
    venue.open(1);
    std::vector<Bytes> leaves;
    const Address to = address_of(0xFEED);
    for (uint64_t i = 0; i < 9; ++i) {
        const uint64_t amount = 1'000 + i;
        CHECK(venue.posted(venue.withdraw(venue.id_of(1), 0, amount, to)) == Code::kOk);
        CHECK(venue.events(EventKind::kWithdrawn)[0].value == static_cast<int64_t>(i));
        Bytes leaf(128);
        leaf[31] = static_cast<uint8_t>(i);
        std::memcpy(&leaf[64 + 12], to.bytes, 20);
        leaf[126] = static_cast<uint8_t>(amount >> 8);
        leaf[127] = static_cast<uint8_t>(amount & 0xFF);
        leaves.push_back(Message::hash(leaf));
        const Bytes root(venue.image().begin(), venue.image().begin() + 32);
        CHECK(root == naive_root(leaves, kWithdrawalTreeHeight, 0));
    }
    CHECK(venue.posted(venue.withdraw(venue.id_of(1), 0, 2'000'000'000'000, to)) ==
          Code::kInsufficientBalance);
}

void test_a_deposit_that_cannot_be_credited_bounces() {
    Venue venue;
    venue.open(1);
    CHECK(venue.deposit(999, 0, 10) == Code::kOk);
    const std::vector<Event> bounced = venue.events(EventKind::kDepositBounced);
    CHECK(bounced.size() == 1 && bounced[0].size == 10);
    CHECK(bounced[0].reason == static_cast<uint16_t>(Code::kDepositTooSmall));
    CHECK(venue.deposit(999, 2, 1'000) == Code::kOk);
    CHECK(venue.events(EventKind::kDepositBounced)[0].reason ==
          static_cast<uint16_t>(Code::kAssetUnknown));
    CHECK(venue.deposit(999, kAssetsMax, 1'000) == Code::kAssetUnknown);
    CHECK(venue.state().globals().withdrawal_count == 2);
    CHECK(venue.state().globals().accounts_used == 2);
}

void test_an_empty_account_is_reclaimed_when_the_table_is_full() {
    Venue venue;
    venue.open(kAccountsMax - 1);
    CHECK(venue.deposit(5'000, 0, 2'000'000) == Code::kOk);
    CHECK(venue.events(EventKind::kDepositBounced)[0].reason ==
          static_cast<uint16_t>(Code::kAccountTableFull));
    const uint64_t old_id = venue.id_of(3);
    CHECK(venue.posted(venue.withdraw(old_id, 0, 1'000'000'000'000, address_of(1))) == Code::kOk);
    const Message stale = venue.cancel_all(old_id);
    CHECK(venue.deposit(5'000, 0, 2'000'000) == Code::kOk);
    CHECK(venue.events(EventKind::kAccountOpened)[0].account == 3);
    CHECK(venue.events(EventKind::kAccountOpened)[0].extra == 2);
    CHECK(venue.state().globals().reclaim_next == 4);
    CHECK(venue.posted(stale) == Code::kAccountUnknown);
    // The former owner is gone from its chain; the new one is found.
    CHECK(venue.inbox(venue.forced_cancel(103)) == Code::kAccountUnknown);
    CHECK(venue.inbox(venue.forced_cancel(5'000)) == Code::kOk);
}

void test_prices_need_a_quorum_and_give_the_median() {
    Venue venue;
    venue.open(0);
    venue.now_ms += kPriceFreshMs + 1;  // what was said before no longer counts
    const auto say = [&](uint64_t signer, uint64_t price) {
        return venue.posted(venue.prices(signer, {{0, price}}, venue.now_ms));
    };
    CHECK(say(0, 70) == Code::kOk);
    CHECK(venue.events(EventKind::kPriceUpdated).empty());
    CHECK(say(0, 70) == Code::kPriceNotNewer);
    CHECK(say(1, 90) == Code::kOk);
    CHECK(venue.state().feeds[0].price == 70);  // the lower of the middle two
    CHECK(say(2, 80) == Code::kOk);
    CHECK(venue.state().feeds[0].price == 80);
    CHECK(say(3, 80) == Code::kSignerUnknown);
    venue.finish_sweep();
    CHECK(venue.posted(venue.prices(0, {{0, 5}}, venue.now_ms + kPriceAheadMaxMs + 1)) ==
          Code::kPriceFromFuture);
    CHECK(venue.posted(venue.prices(0, {{1, 5}, {1, 5}}, venue.now_ms)) == Code::kBadFeedOrder);
    CHECK(venue.posted(venue.prices(0, {{kFeedsMax, 5}}, venue.now_ms)) == Code::kFeedUnknown);
    CHECK(venue.posted(venue.prices(0, {}, venue.now_ms)) == Code::kBadCount);
}

void test_spot_sells_what_is_there_and_reserves_it() {
    Venue venue;
    venue.open(2);
    CHECK(venue.deposit(101, 1, 100'000'000) == Code::kOk);  // one BTC
    CHECK(venue.posted(venue.place(venue.id_of(1), limit(Side::kSell, 60'000, 600, 1))) ==
          Code::kOk);
    CHECK(venue.posted(venue.place(venue.id_of(1), limit(Side::kSell, 60'000, 401, 1))) ==
          Code::kInsufficientBalance);
    CHECK(venue.posted(venue.withdraw(venue.id_of(1), 1, 40'000'001, address_of(1))) ==
          Code::kInsufficientBalance);
    CHECK(venue.posted(venue.place(venue.id_of(2), limit(Side::kBuy, 60'000, 100, 1))) ==
          Code::kOk);
    CHECK(venue.state().balance(2, 1) == 10'000'000);
    CHECK(venue.state().balance(1, 1) == 90'000'000);
    CHECK(quote_of(venue, 1) == 1'000'000'000'000 + 6'000'000'000 - 3'000'000);
    CHECK(venue.inbox(venue.forced_cancel(101)) == Code::kOk);
    CHECK(venue.inbox(venue.forced_withdraw(101, 1, 90'000'000)) == Code::kOk);
    CHECK(venue.events(EventKind::kWithdrawn)[0].reason == 1);
}

// However much comes and goes, the sums of deposits and withdrawals stay inside their fields.
void test_deposits_end_before_their_sum_leaves_its_field() {
    Venue venue;
    venue.open(1);
    const int64_t held = venue.state().assets[0].applied_units;
    const auto most = static_cast<int64_t>(kAppliedTotalMax);
    venue.state().assets.edit(0, &AssetRecord::applied_units) = most - 10;
    venue.state().assets.edit(0, &AssetRecord::issued_units) = most - 10 - held;
    const Bytes before = venue.image();
    CHECK(venue.deposit(101, 0, 11) == Code::kBadAmount);
    CHECK(venue.image() == before);
    CHECK(venue.deposit(101, 0, 10) == Code::kOk);
    CHECK(venue.state().assets[0].applied_units == most);
    CHECK(venue.deposit(101, 0, 1) == Code::kBadAmount);
    // The amount is looked at before the owner.
    CHECK(venue.inbox(Message(0x90).u16(0).u64(1).address(Address{}).u8(0)) == Code::kBadAmount);
    CHECK(venue.inbox(venue.forced_withdraw(101, 0, 5)) == Code::kOk);
    CHECK(venue.deposit(101, 0, 1) == Code::kBadAmount);  // what has left counts too
}

// An exit that took days is not void for a fee of a few units; nor does it take what is promised.
void test_a_forced_withdrawal_is_cut_to_what_is_there() {
    Venue venue;
    venue.open(2);
    CHECK(venue.deposit(101, 1, 100'000'000) == Code::kOk);  // one BTC
    CHECK(venue.posted(venue.place(venue.id_of(1), limit(Side::kSell, 60'000, 600, 1))) ==
          Code::kOk);
    CHECK(venue.inbox(venue.forced_withdraw(101, 1, 100'000'000)) == Code::kOk);
    CHECK(venue.events(EventKind::kWithdrawn)[0].size == 40'000'000);
    CHECK(venue.state().balance(1, 1) == 60'000'000);
    CHECK(venue.inbox(venue.forced_withdraw(101, 1, 1)) == Code::kInsufficientBalance);
    CHECK(venue.inbox(venue.forced_withdraw(101, 0, kAmountMax)) == Code::kOk);
    CHECK(venue.events(EventKind::kWithdrawn)[0].size == 1'000'000'000'000);
    CHECK(venue.state().assets[0].issued_units == 1'000'000'000'000);
    CHECK(venue.inbox(venue.forced_withdraw(101, 0, uint64_t{kAmountMax} + 1)) ==
          Code::kBadAmount);
    // The owner asks again; only what comes through the inbox is cut.
    CHECK(venue.posted(venue.withdraw(venue.id_of(2), 0, 1'000'000'000'001, address_of(1))) ==
          Code::kInsufficientBalance);
}

void test_nothing_is_forced_out_of_an_account_while_its_taker_is_pending() {
    Venue venue;
    venue.open(2);
    for (uint32_t i = 0; i <= kFillsPerMessage; ++i)
        CHECK(venue.posted(venue.place(venue.id_of(1), limit(Side::kSell, 60'000, 1))) ==
              Code::kOk);
    CHECK(venue.posted(venue.place(venue.id_of(2), limit(Side::kBuy, 60'000, 100))) == Code::kOk);
    CHECK(venue.state().globals().pending_order != 0);
    CHECK(venue.inbox(venue.forced_withdraw(102, 0, 1)) == Code::kTakerPending);
    CHECK(venue.inbox(venue.forced_withdraw(102, 99, 0)) == Code::kTakerPending);  // comes first
    CHECK(venue.inbox(venue.forced_withdraw(999, 0, 1)) == Code::kAccountUnknown);
    CHECK(venue.inbox(venue.forced_withdraw(101, 0, 1)) == Code::kOk);
    CHECK(venue.posted(Venue::resume()) == Code::kOk);
    CHECK(venue.inbox(venue.forced_withdraw(102, 0, 1)) == Code::kOk);
}

}  // namespace

int main() {
    test_framing_rejects_in_order_of_precedence();
    test_domain_separator_is_the_one_of_the_chapters();
    test_a_trade_moves_lots_money_and_fees();
    test_fees_are_rounded_against_the_payer();
    test_price_time_priority_and_a_taker_that_continues();
    test_an_immediate_remainder_never_rests_and_post_only_never_takes();
    test_a_taker_cancels_its_own_maker_instead_of_trading();
    test_a_signed_reject_burns_its_nonce_and_nothing_else();
    test_nonces_move_their_window();
    test_nonces_agree_with_a_set();
    test_the_high_twin_of_a_signature_is_refused();
    test_session_keys_are_scoped_and_expire();
    test_a_changed_message_is_not_authentic();
    test_withdrawals_are_leaves_of_the_tree();
    test_a_deposit_that_cannot_be_credited_bounces();
    test_an_empty_account_is_reclaimed_when_the_table_is_full();
    test_prices_need_a_quorum_and_give_the_median();
    test_spot_sells_what_is_there_and_reserves_it();
    test_deposits_end_before_their_sum_leaves_its_field();
    test_a_forced_withdrawal_is_cut_to_what_is_there();
    test_nothing_is_forced_out_of_an_account_while_its_taker_is_pending();
    return test::finish();
}
