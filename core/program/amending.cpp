#include "core/program/amending.hpp"

#include "core/base/generated/wire.hpp"
#include "core/clearing/rows.hpp"
#include "core/program/placement.hpp"

namespace provenue::PROVENUE_PRESET_NAMESPACE {

namespace {

// Steps 1 and 2 of both: the order that is to change.
Code find_changing(const Run& run, uint32_t account, uint64_t id, uint32_t& slot) {
    if (run.state.accounts[account].leaving != 0) return Code::kAccountLeaving;
    if (!find_order(run.state, account, id, slot)) return Code::kOrderUnknown;
    return is_expired(run.state.orders[slot], run.now_ms) ? Code::kOrderUnknown : Code::kOk;
}

uint32_t filled_lots(const OrderRecord& order) { return order.size_lots - order.remaining_lots; }

void emit_amended(Run& run, uint32_t slot) {
    run.events.emit(event_of_order(run.state, EventKind::kOrderAmended, slot,
                                   run.state.orders[slot].flags));
}

// As it is, with another price and with `size_lots` still to be filled.
Placement placement_of(const OrderRecord& order, uint64_t price_ticks, uint32_t size_lots) {
    return {
        .account = order.account,
        .instrument = order.instrument,
        .side_code = order.side,
        .type_code = static_cast<uint8_t>(OrderType::kLimit),
        .time_in_force_code = static_cast<uint8_t>(time_in_force_of(order)),
        .flags = flags_of(order),
        .self_trade_code = static_cast<uint8_t>(self_trade_of(order)),
        .price_ticks = price_ticks,
        .size_lots = size_lots,
        .client_id = order.client_id,
        .good_till_s = order.good_till_s,
        .has_slot = true,
    };
}

// A taker again, with its id and its place in the account's list, but the last at its price.
Code take_again(Run& run, uint32_t slot, uint64_t price_ticks, uint32_t wanted_lots) {
    State& state = run.state;
    const OrderRecord& order = state.orders[slot];
    const uint32_t filled = filled_lots(order);
    Placement changed = placement_of(order, price_ticks, wanted_lots);
    unrest_order(state, slot);
    const RowRef row = row_of(state, order.account, order.instrument);
    leave_row(state, row, order, order.remaining_lots, true);
    free_row_if_unused(state, row);
    const Code code = admit(run, changed);
    if (code != Code::kOk) return code;
    change_terms(state, slot, {changed.limit_ticks, filled + changed.lots(), changed.lots()});
    emit_amended(run, slot);
    return match_order(run, slot);
}

Placement read_replacement(const Run& run, const OrderRecord& old) {
    using W = ReplaceWire;
    return {
        .account = old.account,
        .instrument = old.instrument,
        .side_code = old.side,
        .type_code = run.u8(W::kOrderType),
        .time_in_force_code = run.u8(W::kTimeInForce),
        .flags = run.u8(W::kFlags),
        .self_trade_code = run.u8(W::kSelfTrade),
        .price_ticks = run.u64(W::kPriceTicks),
        .size_lots = run.u64(W::kSizeLots) - filled_lots(old),
        .client_id = run.u64(W::kClientId),
        .good_till_s = run.u32(W::kGoodTillS),
    };
}

}  // namespace

Code amend(Run& run, const Actor& actor) {
    using W = AmendWire;
    uint32_t slot = 0;
    const Code found = find_changing(run, actor.account, run.u64(W::kOrderId), slot);
    if (found != Code::kOk) return found;
    const OrderRecord& order = run.state.orders[slot];
    const uint64_t price_ticks = run.u64(W::kPriceTicks);
    if (price_ticks == 0 || price_ticks > uint64_t{kPriceTicksMax}) return Code::kBadPrice;
    const uint64_t size_lots = run.u64(W::kSizeLots);
    const uint32_t filled = filled_lots(order);
    if (size_lots > uint64_t{kSizeLotsMax} || size_lots <= filled) return Code::kBadSize;
    const uint32_t wanted = narrow<uint32_t>(size_lots) - filled;
    if (price_ticks != order.price_ticks || wanted > order.remaining_lots)
        return take_again(run, slot, price_ticks, wanted);
    // It keeps its place.
    if (wanted < order.remaining_lots) shrink_order(run, slot, order.remaining_lots - wanted);
    emit_amended(run, slot);
    return Code::kOk;
}

Code replace(Run& run, const Actor& actor) {
    using W = ReplaceWire;
    uint32_t slot = 0;
    const Code found = find_changing(run, actor.account, run.u64(W::kOrderId), slot);
    if (found != Code::kOk) return found;
    const OrderRecord& old = run.state.orders[slot];
    // What the old one has filled counts, so that a fill on the way does not enlarge the risk.
    if (run.u64(W::kSizeLots) <= filled_lots(old)) return Code::kBadSize;
    Placement order = read_replacement(run, old);
    cancel_order(run, slot, CancelReason::kReplaced);
    return place_order(run, order);
}

}  // namespace provenue::PROVENUE_PRESET_NAMESPACE
