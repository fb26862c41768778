#include "core/program/placement.hpp"

#include "core/base/wide.hpp"
#include "core/clearing/rows.hpp"
#include "core/risk/margin.hpp"

namespace provenue::PROVENUE_PRESET_NAMESPACE {

namespace {

// Steps 2 to 5: what the order is to be.
Code check_form(const Placement& order, uint64_t now_ms) {
    using enum TimeInForce;
    if (order.side_code > static_cast<uint8_t>(Side::kSell)) return Code::kBadSide;
    if (order.type_code > static_cast<uint8_t>(OrderType::kMarket)) return Code::kBadOrderType;
    const TimeInForce time_in_force = order.time_in_force();
    const bool rests = time_in_force == kGoodTillCancelled || time_in_force == kGoodTillTime;
    if (order.time_in_force_code > static_cast<uint8_t>(kGoodTillTime) ||
        (order.type() == OrderType::kMarket && rests))
        return Code::kBadTimeInForce;
    const bool has_time = time_in_force == kGoodTillTime;
    if (has_time ? now_ms >= uint64_t{order.good_till_s} * 1'000 : order.good_till_s != 0)
        return Code::kBadGoodTill;
    constexpr uint8_t kAllFlags = kOrderFlagPostOnly | kOrderFlagSlide | kOrderFlagReduceOnly;
    if ((order.flags & ~uint32_t{kAllFlags}) != 0) return Code::kBadFlags;
    const bool post_only = order.has(kOrderFlagPostOnly);
    if ((post_only && !rests) || (order.has(kOrderFlagSlide) && !post_only))
        return Code::kBadFlags;
    return Code::kOk;
}

// Steps 2 to 7 of 4.1: the fields by themselves.
Code check_fields(const State& state, const Placement& order, uint64_t now_ms) {
    const Code form = check_form(order, now_ms);
    if (form != Code::kOk) return form;
    if (order.has(kOrderFlagReduceOnly) && !is_perpetual(state.instruments[order.instrument]))
        return Code::kBadFlags;
    if (order.self_trade_code > static_cast<uint8_t>(SelfTrade::kDecrement))
        return Code::kBadSelfTrade;
    const bool market = order.type() == OrderType::kMarket;
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

// Of step 10: a post-only order that slides stops one tick short of the other side. False when
// there is no such price.
bool slide(const State& state, Placement& order) {
    if (!order.has(kOrderFlagSlide) ||
        !crosses(state, order.instrument, order.side(), order.limit_ticks))
        return true;
    const uint32_t best = best_price(state, order.instrument, opposite(order.side()));
    order.limit_ticks = order.side() == Side::kBuy ? best - 1 : best + 1;
    return order.limit_ticks >= 1 && order.limit_ticks <= uint64_t{kPriceTicksMax};
}

// Of step 10: an order that may only reduce is cut to the position.
Code check_reducing(const State& state, Placement& order) {
    if (!order.has(kOrderFlagReduceOnly)) return Code::kOk;
    RowRef ref;
    if (!state.find_row(order.account, order.instrument, ref)) return Code::kNothingToReduce;
    const PositionRecord& row = state.row(ref);
    const bool opposes = order.side() == Side::kSell ? row.size_lots > 0 : row.size_lots < 0;
    if (!opposes) return Code::kNothingToReduce;
    if (row.reduce_orders >= kReduceOnlyMax) return Code::kReduceOnlyFull;
    const auto held = static_cast<uint64_t>(magnitude(row.size_lots));
    if (order.size_lots > held) order.size_lots = held;
    return Code::kOk;
}

// Steps 8 to 10: the mark, and limit and size that the order works with.
Code check_limit(const Run& run, Placement& order) {
    const InstrumentRecord& instrument = run.state.instruments[order.instrument];
    const FeedRecord& feed = run.state.feeds[instrument.feed];
    if (feed.price == 0) return Code::kMarkMissing;
    if (!is_fresh(feed, run.now_ms)) return Code::kMarkStale;
    order.limit_ticks = limit_of(instrument, feed.price, order);
    if (!slide(run.state, order)) return Code::kPostOnlyWouldCross;
    const Code code = check_reducing(run.state, order);
    if (code != Code::kOk) return code;
    return notional_of(instrument, order) > kNotionalMax ? Code::kNotionalTooLarge : Code::kOk;
}

// Steps 11 to 15: book and tables have room.
Code check_room(const State& state, const Placement& order) {
    if (order.has(kOrderFlagPostOnly) &&
        crosses(state, order.instrument, order.side(), order.limit_ticks))
        return Code::kPostOnlyWouldCross;
    if (!order.has_slot) {
        if (state.accounts[order.account].open_orders >= kOrdersPerAccount)
            return Code::kAccountOrdersFull;
        if (!has_free_order(state)) return Code::kOrderTableFull;
    }
    const bool rests = order.time_in_force() == TimeInForce::kGoodTillCancelled ||
                       order.time_in_force() == TimeInForce::kGoodTillTime;
    if (rests && !has_free_level(state) &&
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
    if (!is_perpetual(instrument) || order.has(kOrderFlagReduceOnly)) return Code::kOk;
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
    const bool only_reduces = order.has(kOrderFlagReduceOnly) ||
                              (is_perpetual(instrument) && opposes &&
                               static_cast<u128>(open) <= magnitude(row.size_lots));
    const i128 cost = trade_loss(state, instrument, order.side(), order.size_lots,
                                 notional_of(instrument, order)) +
                      fee_reserve_of(instrument, order);
    // What only reduces is allowed below initial margin, never below maintenance.
    return excess(state, order.account,
                  only_reduces ? Requirement::kMaintenance : Requirement::kInitial) >= cost;
}

void join_row(State& state, RowRef row, const Placement& order) {
    if (order.has(kOrderFlagReduceOnly))
        add_reduce_order(state, row);
    else
        add_open_lots(state, row, {order.side(), order.limit_ticks, order.lots()});
}

uint32_t accept(Run& run, const Placement& order) {
    const uint8_t bits =
        order_bits(order.type(), order.self_trade(), order.time_in_force(), order.flags);
    const uint32_t slot = open_order(
        run.state, {order.account, order.instrument, order.side(), bits, order.limit_ticks,
                    order.lots(), order.client_id, order.good_till_s});
    run.events.emit(event_of_order(run.state, EventKind::kOrderAccepted, slot, bits));
    return slot;
}

}  // namespace

Code admit(Run& run, Placement& order) {
    State& state = run.state;
    Code code = check_limit(run, order);
    if (code == Code::kOk) code = check_room(state, order);
    if (code == Code::kOk) code = check_holding(state, order);
    if (code == Code::kOk) code = check_position_size(state, order);
    if (code != Code::kOk) return code;
    if (!prices_fresh(state, order.account, run.now_ms, true)) return Code::kMarkStale;
    // The order joins the row before the margin check; a reject rolls it back.
    const RowRef row = open_row(state, order.account, order.instrument);
    join_row(state, row, order);
    return has_margin(state, order, row) ? Code::kOk : Code::kMarginInsufficient;
}

Code place_order(Run& run, Placement& order) {
    Code code = check_fields(run.state, order, run.now_ms);
    if (code == Code::kOk) code = admit(run, order);
    return code == Code::kOk ? match_order(run, accept(run, order)) : code;
}

}  // namespace provenue::PROVENUE_PRESET_NAMESPACE
