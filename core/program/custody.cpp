#include "core/program/custody.hpp"

#include "core/base/wide.hpp"
#include "core/clearing/accounts.hpp"
#include "core/clearing/settlement.hpp"
#include "core/clearing/withdrawals.hpp"
#include "core/risk/margin.hpp"

namespace provenue::PROVENUE_PRESET_NAMESPACE {

namespace {

bool is_amount(uint64_t units) { return units > 0 && units <= uint64_t{kAmountMax}; }

struct Credit {
    Holder holder;
    uint32_t asset;
    int64_t amount_units;
};

// Why a deposit cannot be credited; OK and the account's link when it can. May open the account.
Code credit_account(Run& run, const Credit& credit, uint32_t& link, bool& opened) {
    State& state = run.state;
    const AssetRecord& asset = state.assets[credit.asset];
    if (asset.listed == 0) return Code::kAssetUnknown;
    if (i128{asset.applied_units} - asset.issued_units > kAssetTotalMax) return Code::kAssetCap;
    link = find_account(state, run.hasher, credit.holder);
    opened = link == kNoLink;
    if (!opened) return Code::kOk;
    if (static_cast<uint64_t>(credit.amount_units) < asset.opening_min_units)
        return Code::kDepositTooSmall;
    link = open_account(state, run.hasher, credit.holder);
    return link == kNoLink ? Code::kAccountTableFull : Code::kOk;
}

// Money that cannot be credited goes straight back to the depositor.
void bounce(Run& run, const Credit& credit, Code reason) {
    const uint64_t id = issue_withdrawal(run.state, run.hasher, credit.asset,
                                         credit.amount_units, credit.holder.owner);
    Event event = event_of(EventKind::kDepositBounced);
    event.reason = narrow<uint16_t>(static_cast<uint32_t>(reason));
    event.size = credit.amount_units;
    event.extra = credit.asset;
    event.value = narrow<int64_t>(id);
    run.events.emit(event);
}

void emit_opened(Run& run, uint32_t account) {
    const AccountRecord& record = run.state.accounts[account];
    Event event = event_of(EventKind::kAccountOpened);
    event.account = account;
    event.extra = record.generation;
    event.value = record.subaccount;
    run.events.emit(event);
}

struct Withdrawal {
    uint32_t account;
    uint32_t asset;
    uint64_t amount_units;
    const uint8_t* recipient;
    bool forced;
};

// 3.5, the same for both kinds. The reject's rollback takes back the lowered balance.
Code take_out(Run& run, Withdrawal out) {
    State& state = run.state;
    if (out.asset >= kAssetsMax || state.assets[out.asset].listed == 0)
        return Code::kAssetUnknown;
    if (!is_amount(out.amount_units)) return Code::kBadAmount;
    if (is_zero_address(out.recipient)) return Code::kBadRecipient;
    const i128 free_units =
        state.balance(out.account, out.asset) - reserved_units(state, out.account, out.asset);
    // A fill of one lot must not void an exit that took days: it gets what there is.
    if (out.forced && free_units > 0 && free_units < out.amount_units)
        out.amount_units = narrow<uint64_t>(free_units);
    if (free_units < out.amount_units) return Code::kInsufficientBalance;
    const bool at_risk =
        state.has_row_in_use(out.account) || state.balance(out.account, kQuote) < 0;
    if (at_risk && !prices_fresh(state, out.account, run.now_ms)) return Code::kMarkStale;
    change_balance(state, out.account, out.asset, -i128{out.amount_units});
    // P6: nobody withdraws into a state below initial margin.
    if (at_risk && excess(state, out.account, Requirement::kInitial) < 0)
        return Code::kMarginInsufficient;

    const int64_t amount = narrow<int64_t>(out.amount_units);
    const uint64_t id =
        issue_withdrawal(state, run.hasher, out.asset, amount, out.recipient);
    Event event = event_of(EventKind::kWithdrawn);
    event.account = out.account;
    event.size = amount;
    event.extra = out.asset;
    event.value = narrow<int64_t>(id);
    event.reason = out.forced ? 1 : 0;
    run.events.emit(event);
    return Code::kOk;
}

}  // namespace

Code deposit(Run& run) {
    using W = DepositWire;
    const uint32_t asset = run.u16(W::kAsset);
    const uint64_t amount = run.u64(W::kAmountUnits);
    const Holder holder{run.data + W::kOwner, run.u8(W::kSubaccount)};
    if (asset >= kAssetsMax) return Code::kAssetUnknown;
    if (!is_amount(amount)) return Code::kBadAmount;
    // All deposits ever: far below i64, so that no withdrawal can be stopped by a sum that is full.
    const i128 applied = i128{run.state.assets[asset].applied_units} + amount;
    if (applied > kAppliedTotalMax) return Code::kBadAmount;
    if (is_zero_address(holder.owner)) return Code::kBadRecipient;

    const Credit credit{holder, asset, narrow<int64_t>(amount)};
    run.state.assets.edit(asset, &AssetRecord::applied_units) = narrow<int64_t>(applied);
    uint32_t link = kNoLink;
    bool opened = false;
    const Code reason = credit_account(run, credit, link, opened);
    if (reason != Code::kOk) {
        bounce(run, credit, reason);
        return Code::kOk;
    }
    const uint32_t account = linked_index(link);
    if (opened) emit_opened(run, account);
    change_balance(run.state, account, asset, credit.amount_units);
    Event event = event_of(EventKind::kDeposited);
    event.account = account;
    event.size = credit.amount_units;
    event.extra = asset;
    run.events.emit(event);
    return Code::kOk;
}

Code withdraw(Run& run, const Actor& actor) {
    using W = WithdrawWire;
    return take_out(run, {actor.account, run.u16(W::kAsset), run.u64(W::kAmountUnits),
                          run.data + W::kRecipient, false});
}

Code forced_withdraw(Run& run) {
    using W = ForcedWithdrawWire;
    const Holder holder{run.data + W::kOwner, run.u8(W::kSubaccount)};
    const uint32_t link = find_account(run.state, run.hasher, holder);
    if (link == kNoLink) return Code::kAccountUnknown;
    const uint32_t pending = run.state.globals().pending_order;
    // The remainder of its taker may still cost what the account has.
    if (pending != kNoLink &&
        run.state.orders[linked_index(pending)].account == linked_index(link))
        return Code::kTakerPending;
    return take_out(run, {linked_index(link), run.u16(W::kAsset), run.u64(W::kAmountUnits),
                          run.data + W::kRecipient, true});
}

}  // namespace provenue::PROVENUE_PRESET_NAMESPACE
