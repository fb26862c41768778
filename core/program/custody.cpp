#include "core/program/custody.hpp"

#include "core/base/generated/wire.hpp"
#include "core/base/wide.hpp"
#include "core/clearing/accounts.hpp"
#include "core/clearing/settlement.hpp"
#include "core/clearing/withdrawals.hpp"
#include "core/risk/margin.hpp"
#include "core/risk/positions.hpp"

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

// 12.6: of the quote asset, what the vault holds for its owners, and what is missing there, since
// neither the house nor fees can make good the bad debt.
struct Coverage {
    i128 held_units;
    i128 missing_units;
};

Coverage coverage_of(const State& state) {
    const AssetRecord& quote = state.assets[kQuote];
    return {i128{quote.applied_units} - quote.issued_units,
            max(0, -i128{state.balance(kHouse, kQuote)} - quote.fees_units)};
}

// How this withdrawal is looked at, beside its fields.
struct Exit {
    bool at_risk;    // the account needs margin
    bool abandoned;  // the venue is: there, exits go by the last marks, and pro rata
    bool priced;     // marks that it may be judged by
};

Exit exit_of(const State& state, const Withdrawal& out, uint64_t now_ms) {
    const bool at_risk =
        state.has_row_in_use(out.account) || state.balance(out.account, kQuote) < 0;
    const bool abandoned = is_venue_abandoned(state, now_ms);
    return {at_risk, abandoned,
            !at_risk || (out.forced && abandoned) || prices_fresh(state, out.account, now_ms)};
}

// 12.7: a fill of one lot must not void an exit that took days, so it gets what may leave.
i128 most_units(const State& state, const Withdrawal& out, const Exit& exit, i128 free_units) {
    if (out.asset != kQuote) return free_units;
    i128 most = free_units;
    if (exit.at_risk && exit.priced)
        most = min(most, excess(state, out.account, Requirement::kInitial));
    if (!exit.abandoned) return most;
    const Coverage coverage = coverage_of(state);
    return min(most, coverage.held_units + coverage.missing_units);
}

// 12.6: pro rata, so that nobody gains by being first. 0 when nothing can be paid, or would be paid
// that a signer has not asked for.
i128 paid_units(const State& state, const Withdrawal& out, const Exit& exit) {
    const i128 amount = out.amount_units;
    if (out.asset != kQuote || !exit.abandoned) return amount;
    const Coverage coverage = coverage_of(state);
    if (coverage.held_units <= 0) return 0;
    if (!out.forced)
        return coverage.missing_units > 0 || amount > coverage.held_units ? 0 : amount;
    const i128 paid = mul_div_floor(amount, coverage.held_units,
                                    coverage.held_units + coverage.missing_units);
    ASSERT(paid <= coverage.held_units, "more is paid than the vault holds");
    return paid;
}

// The balance is lowered already; what is not paid of it makes good a part of the bad debt.
void pay_out(Run& run, const Withdrawal& out, int64_t paid_units) {
    State& state = run.state;
    const uint64_t id =
        issue_withdrawal(state, run.hasher, out.asset, paid_units, out.recipient);
    Event event = event_of(EventKind::kWithdrawn);
    event.account = out.account;
    event.size = paid_units;
    event.extra = out.asset;
    event.value = narrow<int64_t>(id);
    event.reason = out.forced ? 1 : 0;
    run.events.emit(event);

    const i128 unpaid = i128{out.amount_units} - paid_units;
    if (unpaid == 0) return;
    change_balance(state, kHouse, kQuote, unpaid);
    Event haircut = event_of(EventKind::kHaircut);
    haircut.account = out.account;
    haircut.size = narrow<int64_t>(unpaid);
    run.events.emit(haircut);
}

// 3.5, the same for both kinds. The reject's rollback takes back the lowered balance.
Code take_out(Run& run, Withdrawal out) {
    State& state = run.state;
    if (out.asset >= kAssetsMax || state.assets[out.asset].listed == 0)
        return Code::kAssetUnknown;
    if (!is_amount(out.amount_units)) return Code::kBadAmount;
    if (is_zero_address(out.recipient)) return Code::kBadRecipient;
    const i128 free_units =
        state.balance(out.account, out.asset) - reserved_units(state, out.account, out.asset);
    const Exit exit = exit_of(state, out, run.now_ms);
    if (out.forced) {
        const i128 most = most_units(state, out, exit, free_units);
        if (most > 0 && most < out.amount_units) out.amount_units = narrow<uint64_t>(most);
    }
    if (free_units < out.amount_units) return Code::kInsufficientBalance;
    if (!exit.priced) return Code::kMarkStale;
    change_balance(state, out.account, out.asset, -i128{out.amount_units});
    // P6: nobody withdraws into a state below initial margin.
    if (exit.at_risk && excess(state, out.account, Requirement::kInitial) < 0)
        return Code::kMarginInsufficient;
    const i128 paid = paid_units(state, out, exit);
    if (paid <= 0) return Code::kInsufficientBalance;
    pay_out(run, out, narrow<int64_t>(paid));
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
