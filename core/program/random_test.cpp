// Random and adversarial streams through apply, with the invariants of chapter 9 after every
// message: conservation (P5), the sums of open orders, no crossed book at rest (P7), nobody unsafe
// after a sweep (P6), rejects that change nothing but a nonce (P4), exact undo, and no write that
// the undo log does not know.
//   core_program_random_test [seed [messages]]
#include <iterator>
#include <map>

#include "core/matching/book.hpp"
#include "core/program/venue_test.hpp"

using namespace provenue;
using namespace provenue::PROVENUE_PRESET_NAMESPACE;

namespace {

constexpr uint64_t kMark = 60'000'000'000;

class Fuzz {
public:
    explicit Fuzz(test::Random& random) : random_(random) {
        venue_.open(6);
        for (uint64_t owner = 101; owner <= 103; ++owner)
            CHECK(venue_.deposit(owner, 1, 500'000'000) == Code::kOk);
        CHECK(venue_.inbox(Venue::perpetual(2, 1)) == Code::kOk);
    }

    void step() {
        bool inbox = false;
        const Bytes message = next_message(inbox);
        const Bytes before = venue_.image();
        note_unsafe();
        const Code code = venue_.apply(message, inbox);
        outcomes[code] += 1;
        for (const Event& event : venue_.events()) kinds[event.kind] += 1;
        check_writes_are_recorded(before);
        if (code != Code::kOk) check_reject(before);
        check_conservation();
        check_open_sums();
        check_books();
        check_trees();
        check_sweep();
        check_fills();
        check_withdrawals();
        check_margins();
        check_leaving();
        if (code == Code::kOk && message[0] == 0x12) check_deleveraged();
        if (random_.one_in(8)) check_undo_and_again(before, message, inbox, code);
    }

    std::map<Code, uint64_t> outcomes;
    std::map<uint16_t, uint64_t> kinds;
    std::map<uint16_t, uint64_t> reasons;  // of cancels

private:
    // --- what comes in ---
    uint32_t any_account() { return static_cast<uint32_t>(random_.below(kAccountsMax)); }
    uint64_t any_owner() { return 100 + random_.between(1, 16); }

    Bytes next_message(bool& inbox) {
        venue_.now_ms += random_.one_in(50) ? random_.below(40'000) : random_.below(300);
        // Now and then nobody says a price for a day.
        if (random_.one_in(2'000)) venue_.now_ms += 86'400'001;
        inbox = false;
        State state = venue_.state();
        const bool pending = state.globals().pending_order != 0;
        if ((pending || state.globals().sweep_remaining != 0) && random_.below(4) != 0)
            return Venue::resume().bytes();
        const uint64_t choice = random_.below(100);
        if (choice < 48) return order().bytes();
        if (choice < 54) return change().bytes();
        if (choice < 62) return cancel().bytes();
        if (choice < 78) return prices().bytes();
        if (choice < 80) return venue_.tick().bytes();
        if (choice < 84) return withdrawal().bytes();
        if (choice < 85) return garbage();
        if (choice < 87) return Venue::resume().bytes();
        inbox = true;
        return from_inbox().bytes();
    }

    Message order() {
        // One account is busier than the others, so that its own limits are met.
        const uint32_t account = random_.one_in(3) ? 1 : any_account();
        OrderFields fields;
        fields.instrument = static_cast<uint32_t>(random_.below(4));
        fields.side = random_.one_in(2) ? Side::kBuy : Side::kSell;
        const uint64_t mark = venue_.state().feeds[0].price / 1'000'000;
        fields.price_ticks = mark - 40 + random_.below(81);
        // Now and then one that takes whatever stands near the mark.
        const bool greedy = random_.one_in(5);
        if (greedy) fields.price_ticks = fields.side == Side::kBuy ? mark + 300 : mark - 300;
        // The second perpetual's feed goes its own way.
        if (fields.instrument == 2) fields.price_ticks = 1'000 + random_.below(20);
        // Small ones fill the book, some are larger than what stands there.
        static constexpr uint64_t kSizes[] = {90, 900, 900, 20'000, 400'000};
        fields.size_lots = random_.between(1, kSizes[random_.below(std::size(kSizes))]);
        if (greedy) fields.size_lots = 4'000;
        if (random_.one_in(4)) fields.time_in_force = TimeInForce::kImmediateOrCancel;
        if (random_.one_in(6)) {
            fields.type = OrderType::kMarket;
            fields.time_in_force = TimeInForce::kImmediateOrCancel;
            if (random_.one_in(2)) fields.price_ticks = 0;
        }
        if (random_.one_in(5)) ask_for_more(fields, account);
        if (random_.one_in(40)) fields.price_ticks = random_.next();
        if (random_.one_in(40)) fields.size_lots = random_.next() >> random_.below(64);
        fields.client_id = random_.below(3);
        return venue_.place(venue_.id_of(account), fields);
    }

    // Flags, self-trade prevention, a time; an order that only reduces mostly has what to reduce.
    void ask_for_more(OrderFields& fields, uint32_t account) {
        fields.flags = static_cast<uint8_t>(random_.below(random_.one_in(9) ? 9 : 8));
        fields.self_trade = static_cast<SelfTrade>(random_.below(random_.one_in(9) ? 5 : 4));
        if (fields.type == OrderType::kLimit)
            fields.time_in_force = static_cast<TimeInForce>(random_.below(4));
        if (fields.time_in_force == TimeInForce::kGoodTillTime)
            fields.good_till_s =
                static_cast<uint32_t>(venue_.now_ms / 1'000 + random_.below(8));
        const bool reduces = (fields.flags & kOrderFlagReduceOnly) != 0;
        if (!reduces || random_.one_in(9)) return;
        if (fields.instrument % 2 != 0) fields.instrument = 0;
        const int64_t held = row_of(venue_, account, fields.instrument).size_lots;
        if (held != 0) fields.side = held > 0 ? Side::kSell : Side::kBuy;
        if (random_.one_in(3)) return;
        // Far from the mark, so that many gather.
        fields.price_ticks += fields.side == Side::kSell ? 500 : -uint64_t{500};
        fields.flags = kOrderFlagReduceOnly;
        if (fields.type == OrderType::kLimit && fields.good_till_s == 0)
            fields.time_in_force = TimeInForce::kGoodTillCancelled;
    }

    // The oldest order of the account, or another of it, or none at all.
    uint64_t any_order(uint32_t account) {
        State state = venue_.state();
        uint32_t link = state.accounts[account].order_head;
        if (link == kNoLink || random_.one_in(30)) return random_.next();
        for (uint64_t skips = random_.below(4); skips > 0; --skips) {
            const uint32_t next = state.orders[linked_index(link)].account_next;
            if (next != kNoLink) link = next;
        }
        return order_id(state, linked_index(link));
    }

    Message change() {
        const uint32_t account = random_.one_in(3) ? 1 : any_account();
        const uint64_t id = any_order(account);
        const OrderRecord old = order_of(venue_, id);
        const uint64_t price = random_.one_in(2) ? old.price_ticks
                                                 : old.price_ticks + random_.below(41) - 20;
        const uint64_t most = uint64_t{old.size_lots} * (random_.one_in(3) ? 2 : 1) + 1;
        const uint64_t size = random_.between(0, most);
        if (random_.one_in(2)) return venue_.amend(venue_.id_of(account), id, price, size);
        OrderFields fields = limit(static_cast<Side>(old.side), price, size, old.instrument);
        fields.client_id = random_.below(3);
        if (random_.one_in(3)) ask_for_more(fields, account);
        return venue_.replace(venue_.id_of(account), id, fields);
    }

    Message cancel() {
        const uint32_t account = any_account();
        const uint64_t id = venue_.id_of(account);
        if (random_.one_in(6))
            return venue_.cancel_all(id, random_.one_in(2) ? 0xFFFF : random_.below(5));
        if (random_.one_in(4)) {
            const uint64_t label = random_.below(3);
            return venue_.cancel_label(id, label, random_.one_in(2) ? 0xFFFF : random_.below(5));
        }
        return venue_.cancel(id, any_order(account));
    }

    Message prices() {
        std::vector<Venue::Quote> quotes;
        if (!random_.one_in(5)) {
            // Mostly calm; now and then a jump that makes accounts unsafe.
            const uint64_t width = random_.one_in(8) ? kMark / 4 : kMark / 500;
            price_ += static_cast<int64_t>(random_.below(2 * width)) - static_cast<int64_t>(width);
            if (price_ < static_cast<int64_t>(kMark) / 2) price_ = static_cast<int64_t>(kMark);
            quotes.push_back({0, static_cast<uint64_t>(price_)});
        }
        if (!random_.one_in(5))
            quotes.push_back({1, 1'000'000'000 + random_.below(30'000'000)});
        // Drawn one by one: compilers evaluate arguments in different orders.
        const uint64_t signer = random_.below(4);
        return venue_.prices(signer, quotes, venue_.now_ms - random_.below(50));
    }

    Message withdrawal() {
        const uint32_t account = any_account();
        const uint64_t asset = random_.below(3);
        const int64_t balance = asset < kAssetsMax
                                    ? venue_.state().balance(account, static_cast<uint32_t>(asset))
                                    : 0;
        const uint64_t most = balance > 0 ? static_cast<uint64_t>(balance) : 1;
        const uint64_t amount = random_.one_in(6) ? most : random_.below(most);
        return venue_.withdraw(venue_.id_of(account), asset, amount, address_of(any_owner()));
    }

    Bytes garbage() {
        Bytes bytes(random_.below(140));
        for (uint8_t& byte : bytes) byte = static_cast<uint8_t>(random_.next());
        return bytes;
    }

    Message from_inbox() {
        // Drawn one by one: compilers evaluate arguments in different orders.
        const uint64_t choice = random_.below(10);
        const uint64_t owner = any_owner();
        const uint64_t index = random_.below(5);
        const uint64_t feed = random_.below(5);
        const uint64_t asset = random_.below(4);
        const bool rarely = random_.one_in(4);
        switch (choice) {
            case 0: return venue_.forced_cancel(owner);
            case 1: return venue_.forced_withdraw(owner, asset, random_.below(1u << 30));
            case 2: return Venue::perpetual(index, feed);
            case 3: return Venue::spot(index, feed % 3, asset);
            case 4: return rarely ? venue_.forced_close(owner) : venue_.forced_cancel(owner);
            case 5: return venue_.forced_revoke(owner, index);
            default:
                return Message(0x90).u16(random_.below(kAssetsMax))
                    .u64(random_.one_in(3) ? random_.below(1'000'000)
                                           : random_.below(200'000'000'000))
                    .address(address_of(owner)).u8(random_.one_in(9) ? 1 : 0);
        }
    }

    // --- what must hold ---
    void check_writes_are_recorded(const Bytes& before) {
        const UndoLog& undo = venue_.undo_log();
        Bytes restored = venue_.image();
        for (uint32_t i = undo.count; i-- > 0;)
            std::memcpy(&restored[undo.entries[i].offset], undo.entries[i].old_leaf, 32);
        CHECK(restored == before);
    }

    void check_reject(const Bytes& before) {
        CHECK(venue_.events().empty());
        const UndoLog& undo = venue_.undo_log();
        CHECK(undo.count <= 1);
        if (undo.count == 0) {
            CHECK(venue_.image() == before);
        } else {
            const uint64_t at = undo.entries[0].offset;
            CHECK(at >= kNoncesOffset && at < kPositionsOffset);
        }
    }

    void check_conservation() {
        State state = venue_.state();
        for (uint32_t asset = 0; asset < kAssetsMax; ++asset) {
            const AssetRecord& record = state.assets[asset];
            i128 held = i128{record.issued_units} + record.fees_units;
            for (uint32_t account = 0; account < kAccountsMax; ++account)
                held += state.balance(account, asset);
            if (asset == kQuote) held += cash_legs_and_clearing(state);
            CHECK(held == record.applied_units);
        }
    }

    i128 cash_legs_and_clearing(State& state) {
        i128 sum = 0;
        i128 sizes[kInstrumentsMax] = {};
        for (uint32_t account = 0; account < kAccountsMax; ++account)
            for (uint32_t slot = 0; slot < State::row_count(account); ++slot) {
                const PositionRecord& row = state.row(State::row_at(account, slot));
                if (row.instrument_plus_1 == 0) continue;
                sum += row.cash_leg_units;
                sizes[row.instrument_plus_1 - 1] += row.size_lots;
            }
        for (uint32_t index = 0; index < kInstrumentsMax; ++index) {
            sum += state.instruments[index].clearing_units;
            CHECK(sizes[index] == 0);
        }
        return sum;
    }

    void check_open_sums() {
        State state = venue_.state();
        for (uint32_t account = 0; account < kAccountsMax; ++account) {
            uint32_t open = 0;
            for (uint32_t slot = 0; slot < kOrdersMax; ++slot)
                open += state.orders[slot].live != 0 && state.orders[slot].account == account;
            CHECK(open == state.accounts[account].open_orders);
            for (uint32_t slot = 0; slot < State::row_count(account); ++slot)
                check_row(state, account, state.row(State::row_at(account, slot)));
            for (uint32_t asset = 1; asset < kAssetsMax; ++asset)
                CHECK(state.balance(account, asset) >= reserved_units(state, account, asset));
            check_expiry(state, account);
        }
    }

    // At most the earliest, and none without orders.
    void check_expiry(State& state, uint32_t account) {
        const uint32_t next_s = state.accounts[account].next_expiry_s;
        if (state.accounts[account].open_orders == 0) CHECK(next_s == 0);
        for (uint32_t slot = 0; slot < kOrdersMax; ++slot) {
            const OrderRecord& order = state.orders[slot];
            if (order.live == 0 || order.account != account) continue;
            const bool has_time = time_in_force_of(order) == TimeInForce::kGoodTillTime;
            CHECK(has_time == (order.good_till_s != 0));
            if (has_time) CHECK(next_s != 0 && next_s <= order.good_till_s);
        }
    }

    void check_row(State& state, uint32_t account, const PositionRecord& row) {
        const PositionRecord zero{};
        if (row.instrument_plus_1 == 0) {
            CHECK(std::memcmp(&row, &zero, sizeof(row)) == 0);
            return;
        }
        int64_t lots[2] = {};
        int64_t units[2] = {};
        uint32_t reducing = 0;
        const uint32_t index = row.instrument_plus_1 - 1;
        const auto scale = static_cast<int64_t>(state.instruments[index].quote_per_tick_lot);
        for (uint32_t slot = 0; slot < kOrdersMax; ++slot) {
            const OrderRecord& order = state.orders[slot];
            if (order.live == 0 || order.account != account || order.instrument != index) continue;
            const auto remaining = static_cast<int64_t>(order.remaining_lots);
            CHECK(remaining >= 1 && order.remaining_lots <= order.size_lots);
            if (is_reduce_only(order)) {
                reducing += 1;
                CHECK(order.side == (row.size_lots > 0 ? 1 : 0) && row.size_lots != 0);
                CHECK(remaining <= (row.size_lots > 0 ? row.size_lots : -row.size_lots));
                continue;
            }
            lots[order.side] += remaining;
            units[order.side] += remaining * order.price_ticks * scale;
        }
        CHECK(row.open_buy_lots == lots[0] && row.open_sell_lots == lots[1]);
        CHECK(row.open_buy_units == units[0] && row.open_sell_units == units[1]);
        CHECK(row.reduce_orders == reducing && reducing <= kReduceOnlyMax);
        CHECK((row.size_lots | row.cash_leg_units | lots[0] | lots[1] | reducing) != 0);
    }

    void check_books() {
        State state = venue_.state();
        if (state.globals().pending_order != 0) return;
        for (uint32_t index = 0; index < kInstrumentsMax; ++index) {
            const uint32_t bid = best_price(state, index, Side::kBuy);
            const uint32_t ask = best_price(state, index, Side::kSell);
            CHECK(bid == 0 || ask == 0 || bid < ask);
        }
    }

    static void count_tree(State& state, uint32_t link, uint32_t (&seen)[kAccountsMax]) {
        if (link == 0 || ++seen[link - 1] > 1) return;
        count_tree(state, state.accounts[link - 1].bucket_left, seen);
        count_tree(state, state.accounts[link - 1].bucket_right, seen);
    }

    // Every open account but the house is in exactly one tree, once.
    void check_trees() {
        State state = venue_.state();
        uint32_t seen[kAccountsMax] = {};
        for (uint32_t bucket = 0; bucket < kAccountBucketsCount; ++bucket)
            for (uint32_t link : state.buckets[bucket].heads)
                count_tree(state, link, seen);
        for (uint32_t account = 0; account < kAccountsMax; ++account)
            CHECK(seen[account] == (account != 0 && state.accounts[account].open != 0));
    }

    void check_sweep() {
        const bool finished = !venue_.events(EventKind::kSweepFinished).empty();
        CHECK(!finished || venue_.state().globals().sweep_remaining == 0);
        if (!finished) return;
        // Those visited before the prices last changed the marks were safe by them; a sweep that
        // no other message interrupted leaves nobody unsafe.
        for (uint32_t account = 1; account < venue_.state().globals().accounts_used; ++account)
            CHECK(!is_unsafe(venue_.state(), account));
    }

    // Nobody is filled below maintenance, at whatever price: a maker never, a taker by no more than
    // the rounding of its fees, fill by fill. Who is being liquidated is below it already.
    void check_fills() {
        const std::vector<Event> fills = venue_.events(EventKind::kFill);
        for (const Event& event : venue_.events())
            if (event.kind == static_cast<uint16_t>(EventKind::kOrderCancelled))
                reasons[event.reason] += 1;
        State state = venue_.state();
        taker_fills_ = state.globals().pending_order == 0 ? taker_fills_ + fills.size()
                                                          : taker_fills_ + kFillsPerMessage;
        for (const Event& fill : fills) {
            CHECK(!is_unsafe(state, fill.counter_account));
            // Who leaves may end below maintenance by a fee.
            if ((fill.reason & ~kFillFlagTakerSells) == 0)
                CHECK(excess(state, fill.account, Requirement::kMaintenance) +
                          static_cast<int64_t>(taker_fills_) >=
                      0);
        }
        if (state.globals().pending_order == 0) taker_fills_ = 0;
    }

    // P6: what has left, left initial margin behind.
    void check_withdrawals() {
        for (const Event& event : venue_.events(EventKind::kWithdrawn))
            CHECK(excess(venue_.state(), event.account, Requirement::kInitial) >= 0);
    }

    // Who leaves has no orders; a scan is of the account at the cursor of a sweep, with its ranks
    // in order, and it has left nothing behind when there is none.
    void check_leaving() {
        State state = venue_.state();
        for (uint32_t account = 0; account < kAccountsMax; ++account)
            CHECK(state.accounts[account].leaving == 0 ||
                  (state.accounts[account].open_orders == 0 && account != kHouse));
        const ScanRecord& scan = state.scan[0];
        for (uint32_t place = scan.ranked; place < kFillsPerMessage; ++place)
            CHECK(state.scan_ranks[place].score_ppm == 0 && state.scan_ranks[place].account == 0);
        if (scan.account_plus_1 == 0) {
            CHECK((scan.instrument_plus_1 | scan.next | scan.remaining | scan.ranked) == 0);
            return;
        }
        CHECK(scan.ranked <= kFillsPerMessage && state.globals().sweep_remaining > 0);
        CHECK(scan.account_plus_1 - 1 == state.globals().sweep_next);
        for (uint32_t place = 1; place < scan.ranked; ++place) {
            const ScanRankRecord& better = state.scan_ranks[place - 1];
            const ScanRankRecord& worse = state.scan_ranks[place];
            CHECK(better.score_ppm > worse.score_ppm ||
                  (better.score_ppm == worse.score_ppm && better.account < worse.account));
        }
    }

    void note_unsafe() {
        for (uint32_t account = 0; account < kAccountsMax; ++account)
            unsafe_before_[account] = is_unsafe(venue_.state(), account);
    }

    // Whoever was safe is safe after having been closed against his will (P6).
    void check_deleveraged() {
        for (const Event& event : venue_.events(EventKind::kDeleveraged))
            CHECK(event.counter_account == kHouse || unsafe_before_[event.counter_account] ||
                  !is_unsafe(venue_.state(), event.counter_account));
    }

    // Three writings of the same sums agree.
    void check_margins() {
        State state = venue_.state();
        for (uint32_t account = 0; account < kAccountsMax; ++account) {
            const i128 worth = equity(state, account);
            CHECK(excess(state, account, Requirement::kInitial) ==
                  worth - initial_margin(state, account));
            CHECK(excess(state, account, Requirement::kMaintenance) ==
                  worth - maintenance_margin(state, account));
        }
    }

    // Undone, the image is as before; applied again, everything comes out the same.
    void check_undo_and_again(const Bytes& before, const Bytes& message, bool inbox, Code code) {
        const Bytes after = venue_.image();
        const std::vector<Event> events = venue_.events();
        venue_.undo();
        CHECK(venue_.image() == before);
        CHECK(venue_.apply(message, inbox) == code);
        CHECK(venue_.image() == after);
        const std::vector<Event> again = venue_.events();
        CHECK(again.size() == events.size());
        CHECK(events.empty() ||
              std::memcmp(again.data(), events.data(), events.size() * sizeof(Event)) == 0);
    }

    test::Random& random_;
    Venue venue_;
    int64_t price_ = static_cast<int64_t>(kMark);
    bool unsafe_before_[kAccountsMax] = {};
    uint64_t taker_fills_ = 0;  // of the order under way
};

// The stream is worth something only if it gets everywhere; the fixed seed does.
void check_coverage(const Fuzz& fuzz) {
    using enum EventKind;
    for (const EventKind kind :
         {kAccountOpened, kDeposited, kDepositBounced, kWithdrawn, kOrderAccepted, kOrderResting,
          kFill, kOrderCancelled, kTakerContinues, kFundingPaid, kPriceUpdated, kSweepFinished,
          kLiquidated, kTakenOver, kCollateralTaken, kShortfall, kAccountLeaving, kClosing,
          kDeleveraged, kAccountLeft, kOrderAmended, kOrderReduced})
        if (!fuzz.kinds.contains(static_cast<uint16_t>(kind))) {
            std::printf("no event of kind %d\n", static_cast<int>(kind));
            test::fail("coverage", __FILE__, __LINE__);
        }
    for (const Code code :
         {Code::kTakerPending, Code::kSweepPending, Code::kInsufficientBalance,
          Code::kMarginInsufficient, Code::kPostOnlyWouldCross, Code::kAccountOrdersFull,
          Code::kBadPrice, Code::kBadSize, Code::kOrderUnknown, Code::kMarkStale,
          Code::kAccountLeaving, Code::kBadGoodTill, Code::kBadSelfTrade,
          Code::kNothingToReduce, Code::kNotFilled})
        if (!fuzz.outcomes.contains(code)) {
            std::printf("no reject with code %u\n", static_cast<uint32_t>(code));
            test::fail("coverage", __FILE__, __LINE__);
        }
    for (uint16_t reason = 1; reason <= static_cast<uint16_t>(CancelReason::kExpired); ++reason)
        if (!fuzz.reasons.contains(reason)) {
            std::printf("no cancel for reason %d\n", reason);
            test::fail("coverage", __FILE__, __LINE__);
        }
}

}  // namespace

int main(int argc, char** argv) {
    test::Random random(test::seed_of(argc, argv));
    const uint64_t messages = argc > 2 ? std::strtoull(argv[2], nullptr, 10) : 20'000;
    Fuzz fuzz(random);
    for (test::round = 0; test::round < messages; ++test::round) fuzz.step();
    if (test::seed == 1 && messages >= 20'000) check_coverage(fuzz);
    if (argc > 2) {
        for (const auto& [code, count] : fuzz.outcomes)
            std::printf("code %u: %llu\n", static_cast<uint32_t>(code),
                        static_cast<unsigned long long>(count));
        for (const auto& [kind, count] : fuzz.kinds)
            std::printf("event %u: %llu\n", kind, static_cast<unsigned long long>(count));
    }
    return test::finish();
}
