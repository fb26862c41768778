#include "core/program/trading.hpp"

#include "core/base/generated/wire.hpp"
#include "core/clearing/accounts.hpp"
#include "core/program/placement.hpp"

namespace provenue::PROVENUE_PRESET_NAMESPACE {

namespace {

Placement read_placement(const Run& run, uint32_t account) {
    using W = PlaceWire;
    return {
        .account = account,
        .instrument = run.u16(W::kInstrument),
        .side_code = run.u8(W::kSide),
        .type_code = run.u8(W::kOrderType),
        .time_in_force_code = run.u8(W::kTimeInForce),
        .flags = run.u8(W::kFlags),
        .self_trade_code = run.u8(W::kSelfTrade),
        .price_ticks = run.u64(W::kPriceTicks),
        .size_lots = run.u64(W::kSizeLots),
        .client_id = run.u64(W::kClientId),
        .good_till_s = run.u32(W::kGoodTillS),
    };
}

bool is_listed(const State& state, uint32_t instrument) {
    return instrument < kInstrumentsMax && state.instruments[instrument].listed != 0;
}

Code cancel_user_orders(Run& run, const Actor& actor, const OrderFilter& filter) {
    if (filter.instrument != kNoneU16 && !is_listed(run.state, filter.instrument))
        return Code::kInstrumentUnknown;
    cancel_orders(run, actor.account, filter, CancelReason::kUser);
    return Code::kOk;
}

}  // namespace

Code place(Run& run, const Actor& actor) {
    if (run.state.accounts[actor.account].leaving != 0) return Code::kAccountLeaving;
    Placement order = read_placement(run, actor.account);
    if (!is_listed(run.state, order.instrument)) return Code::kInstrumentUnknown;
    return place_order(run, order);
}

Code cancel(Run& run, const Actor& actor) {
    uint32_t slot = 0;
    if (!find_order(run.state, actor.account, run.u64(CancelWire::kOrderId), slot))
        return Code::kOrderUnknown;
    cancel_order(run, slot, CancelReason::kUser);
    return Code::kOk;
}

Code cancel_all(Run& run, const Actor& actor) {
    return cancel_user_orders(run, actor, {.instrument = run.u16(CancelAllWire::kInstrument)});
}

Code cancel_label(Run& run, const Actor& actor) {
    using W = CancelLabelWire;
    return cancel_user_orders(run, actor,
                              {.instrument = run.u16(W::kInstrument),
                               .has_label = true,
                               .client_id = run.u64(W::kClientId)});
}

Code forced_cancel(Run& run) {
    using W = ForcedCancelWire;
    const Holder holder{run.data + W::kOwner, run.u8(W::kSubaccount)};
    const uint32_t link = find_account(run.state, run.hasher, holder);
    if (link == kNoLink) return Code::kAccountUnknown;
    cancel_orders(run, linked_index(link), {}, CancelReason::kForced);
    return Code::kOk;
}

}  // namespace provenue::PROVENUE_PRESET_NAMESPACE
