#include "core/program/trading.hpp"

#include "core/base/wide.hpp"
#include "core/clearing/accounts.hpp"
#include "core/clearing/rows.hpp"
#include "core/program/match.hpp"
#include "core/risk/margin.hpp"

namespace provenue::PROVENUE_PRESET_NAMESPACE {

namespace {

// PLACE as it came, with the limit price it works with.
struct Placement {
    uint32_t account;
    uint32_t instrument;
    uint8_t side_code;
    uint8_t type_code;
    uint8_t time_in_force_code;
    uint8_t flags;
    uint64_t price_ticks;
    uint64_t size_lots;
    uint64_t client_id;
    uint32_t limit_ticks = 0;

    Side side() const { return static_cast<Side>(side_code); }
    OrderType type() const { return static_cast<OrderType>(type_code); }
    TimeInForce time_in_force() const { return static_cast<TimeInForce>(time_in_force_code); }
};

Placement read_placement(const Run& run, uint32_t account) {
    using W = PlaceWire;
    return {
        .account = account,
        .instrument = run.u16(W::kInstrument),
        .side_code = run.u8(W::kSide),
        .type_code = run.u8(W::kOrderType),
        .time_in_force_code = run.u8(W::kTimeInForce),
        .flags = run.u8(W::kFlags),
        .price_ticks = run.u64(W::kPriceTicks),
        .size_lots = run.u64(W::kSizeLots),
        .client_id = run.u64(W::kClientId),
    };
}

// Steps 1 to 7 of 4.1: the fields by themselves.
Code check_fields(const State& state, const Placement& order) {
    if (order.instrument >= kInstrumentsMax || state.instruments[order.instrument].listed == 0)
        return Code::kInstrumentUnknown;
    if (order.side_code > static_cast<uint8_t>(Side::kSell)) return Code::kBadSide;
    if (order.type_code > static_cast<uint8_t>(OrderType::kMarket)) return Code::kBadOrderType;
    const bool market = order.type() == OrderType::kMarket;
    const bool immediate = order.time_in_force() == TimeInForce::kImmediateOrCancel;
    if (order.time_in_force_code > static_cast<uint8_t>(TimeInForce::kImmediateOrCancel) ||
        (market && !immediate))
        return Code::kBadTimeInForce;
    if ((order.flags & ~uint32_t{kOrderFlagPostOnly}) != 0 || (order.flags != 0 && immediate))
        return Code::kBadFlags;
    if (order.price_ticks > uint64_t{kPriceTicksMax} || (!market && order.price_ticks == 0))
        return Code::kBadPrice;
    if (order.size_lots == 0 || order.size_lots > uint64_t{kSizeLotsMax}) return Code::kBadSize;
    return Code::kOk;
}

// Step 10: a market order is bounded by a band around the mark and by its own price, if any.
uint32_t limit_of(const InstrumentRecord& instrument, uint64_t mark, const Placement& order) {
    if (order.type() == OrderType::kLimit) return narrow<uint32_t>(order.price_ticks);
    i128 limit = band_limit(instrument, mark, order.side(), instrument.market_band_ppm);
    if (order.price_ticks != 0)
        limit = order.side() == Side::kBuy ? min(limit, order.price_ticks)
                                           : max(limit, order.price_ticks);
    return narrow<uint32_t>(clamp(limit, 1, kPriceTicksMax));
}

i128 notional_of(const InstrumentRecord& instrument, const Placement& order) {
    return multiply(order.limit_ticks, order.size_lots, instrument.quote_per_tick_lot);
}

// Steps 8 to 10: the mark, and the limit that follows from it.
Code check_limit(const Run& run, Placement& order) {
    const InstrumentRecord& instrument = run.state.instruments[order.instrument];
    const FeedRecord& feed = run.state.feeds[instrument.feed];
    if (feed.price == 0) return Code::kMarkMissing;
    if (!is_fresh(feed, run.now_ms)) return Code::kMarkStale;
    order.limit_ticks = limit_of(instrument, feed.price, order);
    if (notional_of(instrument, order) > kNotionalMax) return Code::kNotionalTooLarge;
    return Code::kOk;
}

// Steps 11 to 15: book and tables have room.
Code check_room(const State& state, const Placement& order) {
    if ((order.flags & kOrderFlagPostOnly) != 0 &&
        crosses(state, order.instrument, order.side(), order.limit_ticks))
        return Code::kPostOnlyWouldCross;
    if (state.accounts[order.account].open_orders >= kOrdersPerAccount)
        return Code::kAccountOrdersFull;
    if (!has_free_order(state)) return Code::kOrderTableFull;
    if (order.time_in_force() == TimeInForce::kGoodTillCancelled && !has_free_level(state) &&
        !has_level(state, order.instrument, order.side(), order.limit_ticks))
        return Code::kLevelTableFull;
    RowRef row;
    return state.find_row_or_free(order.account, order.instrument, row) ? Code::kOk
                                                                         : Code::kPositionsFull;
}

// 5.5: the fee if all of it takes at its limit.
i128 fee_reserve_of(const InstrumentRecord& instrument, const Placement& order) {
    return mul_div_ceil(notional_of(instrument, order), instrument.taker_fee_ppm, kPpm);
}

// Step 16: what is sold, or paid, on a spot market must be there and not promised to another order:
// spot is not bought on credit.
Code check_holding(const State& state, const Placement& order) {
    const InstrumentRecord& instrument = state.instruments[order.instrument];
    if (is_perpetual(instrument)) return Code::kOk;
    i128 free_units = 0;
    i128 needed_units = 0;
    if (order.side() == Side::kBuy) {
        free_units = state.balance(order.account, kQuote) - spot_buy_units(state, order.account);
        needed_units = notional_of(instrument, order) + fee_reserve_of(instrument, order);
    } else {
        free_units = state.balance(order.account, instrument.base_asset) -
                     reserved_units(state, order.account, instrument.base_asset);
        needed_units = multiply(order.size_lots, instrument.base_units_per_lot);
    }
    return free_units < needed_units ? Code::kInsufficientBalance : Code::kOk;
}

// Step 17, with the order's lots in a copy of the row.
Code check_position_size(const State& state, const Placement& order) {
    const InstrumentRecord& instrument = state.instruments[order.instrument];
    if (!is_perpetual(instrument)) return Code::kOk;
    RowRef ref;
    state.find_row_or_free(order.account, order.instrument, ref);
    PositionRecord row = state.row(ref);
    int64_t& lots = order.side() == Side::kBuy ? row.open_buy_lots : row.open_sell_lots;
    lots = narrow<int64_t>(i128{lots} + order.size_lots);
    const i128 worst = worst_size_lots(row);
    if (worst > multiply(kPositionBaseMax, instrument.lots_per_base))
        return Code::kPositionTooLarge;
    const i128 notional =
        mul_div_ceil(worst, mark_of(state, instrument), instrument.lots_per_base);
    return notional > kPositionNotionalMax ? Code::kPositionTooLarge : Code::kOk;
}

// 5.5, after the order has joined the row. Keeps P6.
bool has_margin(const State& state, const Placement& order, RowRef ref) {
    const InstrumentRecord& instrument = state.instruments[order.instrument];
    const PositionRecord& row = state.row(ref);
    const bool buys = order.side() == Side::kBuy;
    const bool opposes = buys ? row.size_lots < 0 : row.size_lots > 0;
    const int64_t open = buys ? row.open_buy_lots : row.open_sell_lots;
    const bool only_reduces = is_perpetual(instrument) && opposes &&
                              static_cast<u128>(open) <= magnitude(row.size_lots);
    const i128 cost = trade_loss(state, instrument, order.side(), order.size_lots,
                                 notional_of(instrument, order)) +
                      fee_reserve_of(instrument, order);
    // What only reduces is allowed below initial margin, never below maintenance.
    return excess(state, order.account,
                  only_reduces ? Requirement::kMaintenance : Requirement::kInitial) >= cost;
}

void emit_accepted(Run& run, uint32_t slot) {
    const OrderRecord& order = run.state.orders[slot];
    Event event = event_of(EventKind::kOrderAccepted);
    event.instrument = order.instrument;
    event.account = order.account;
    event.order_id = order_id(run.state, slot);
    event.price = order.price_ticks;
    event.size = narrow<int64_t>(order.size_lots);
    event.extra = static_cast<int64_t>(order.client_id);  // u64 bits, as the client sent them
    event.value = order.side;
    event.reason = order.flags;
    run.events.emit(event);
}

uint32_t accept(Run& run, const Placement& order) {
    const uint8_t bits = order_bits(order.type(), order.time_in_force(), order.flags);
    const uint32_t slot =
        open_order(run.state, {order.account, order.instrument, order.side(), bits,
                               order.limit_ticks, order.size_lots, order.client_id});
    emit_accepted(run, slot);
    return slot;
}

}  // namespace

Code place(Run& run, const Actor& actor) {
    State& state = run.state;
    if (state.accounts[actor.account].leaving != 0) return Code::kAccountLeaving;
    Placement order = read_placement(run, actor.account);
    Code code = check_fields(state, order);
    if (code == Code::kOk) code = check_limit(run, order);
    if (code == Code::kOk) code = check_room(state, order);
    if (code == Code::kOk) code = check_holding(state, order);
    if (code == Code::kOk) code = check_position_size(state, order);
    if (code != Code::kOk) return code;
    if (!prices_fresh(state, order.account, run.now_ms, true)) return Code::kMarkStale;

    // The order joins the row before the margin check; a reject rolls it back.
    const RowRef row = open_row(state, order.account, order.instrument);
    add_open_lots(state, row, {order.side(), order.limit_ticks, order.size_lots});
    if (!has_margin(state, order, row)) return Code::kMarginInsufficient;
    match_order(run, accept(run, order));
    return Code::kOk;
}

Code cancel(Run& run, const Actor& actor) {
    uint32_t slot = 0;
    if (!find_order(run.state, actor.account, run.u64(CancelWire::kOrderId), slot))
        return Code::kOrderUnknown;
    cancel_order(run, slot, CancelReason::kUser);
    return Code::kOk;
}

Code cancel_all(Run& run, const Actor& actor) {
    const uint32_t instrument = run.u16(CancelAllWire::kInstrument);
    if (instrument != kNoneU16 &&
        (instrument >= kInstrumentsMax || run.state.instruments[instrument].listed == 0))
        return Code::kInstrumentUnknown;
    cancel_orders(run, actor.account, instrument, CancelReason::kUser);
    return Code::kOk;
}

Code forced_cancel(Run& run) {
    using W = ForcedCancelWire;
    const Holder holder{run.data + W::kOwner, run.u8(W::kSubaccount)};
    const uint32_t link = find_account(run.state, run.hasher, holder);
    if (link == kNoLink) return Code::kAccountUnknown;
    cancel_orders(run, linked_index(link), kNoneU16, CancelReason::kForced);
    return Code::kOk;
}

}  // namespace provenue::PROVENUE_PRESET_NAMESPACE
