#include "core/program/sweep.hpp"

#include "core/clearing/deleverage.hpp"
#include "core/clearing/takeover.hpp"
#include "core/program/closing.hpp"
#include "core/program/leaving.hpp"
#include "core/risk/margin.hpp"
#include "core/risk/positions.hpp"

namespace provenue::PROVENUE_PRESET_NAMESPACE {

namespace {

// 6.3: orders first, then the largest position on the book, then the house takes over.
void liquidate(Run& run, uint32_t account) {
    if (run.state.accounts[account].open_orders != 0) {
        cancel_orders(run, account, {}, CancelReason::kLiquidation);
        return;
    }
    RowRef ref;
    if (largest_position(run.state, account, ref)) {
        const ForcedOrder order = closing_order(run.state, ref, Closing::kLiquidation);
        emit_closing(run, EventKind::kLiquidated, order);
        if (match_forced(run, order) > 0) return;
    }
    take_over(run.state, run.events, account);
}

bool must_be_liquidated(const State& state, uint32_t account) {
    if (account == kHouse || state.accounts[account].open == 0) return false;
    if (state.balance(account, kQuote) >= 0 && !state.has_row_in_use(account)) return false;
    return is_unsafe(state, account);
}

void advance(State& state) {
    const uint32_t next = state.globals().sweep_next + 1;
    state.edit_globals(&GlobalsRecord::sweep_next) =
        next >= state.globals().accounts_used ? 0 : next;
    state.edit_globals(&GlobalsRecord::sweep_remaining) -= 1;
    // A scan is always of the account at the cursor (12.3).
    drop_scan(state);
}

}  // namespace

void start_sweep(State& state) {
    state.edit_globals(&GlobalsRecord::sweep_remaining) = state.globals().accounts_used;
}

void sweep_part(Run& run) {
    State& state = run.state;
    uint32_t visits = 0;
    while (state.globals().sweep_remaining > 0 && visits < kSweepAccountsPerMessage) {
        const uint32_t account = state.globals().sweep_next;
        if (cancel_expired(run, account)) return;  // the next part looks at the account again
        if (must_be_liquidated(state, account)) {
            liquidate(run, account);
            return;  // and so it does here
        }
        if (visit_leaving(run, account)) return;
        RowRef ref;
        const bool unwinds = account == kHouse && largest_position(state, kHouse, ref);
        if (unwinds) match_forced(run, closing_order(state, ref, Closing::kHouseUnwind));
        advance(state);
        visits += 1;
        if (unwinds) break;
    }
    if (state.globals().sweep_remaining != 0) return;
    Event event = event_of(EventKind::kSweepFinished);
    event.extra = visits;
    run.events.emit(event);
}

Code resume(Run& run) {
    const uint32_t pending = run.state.globals().pending_order;
    if (pending != kNoLink) {
        run.state.edit_globals(&GlobalsRecord::pending_order) = kNoLink;
        return match_order(run, linked_index(pending));
    }
    if (run.state.globals().sweep_remaining == 0) return Code::kNothingToContinue;
    sweep_part(run);
    return Code::kOk;
}

}  // namespace provenue::PROVENUE_PRESET_NAMESPACE
