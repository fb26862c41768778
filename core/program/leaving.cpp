#include "core/program/leaving.hpp"

#include "core/base/generated/wire.hpp"
#include "core/base/wide.hpp"
#include "core/clearing/accounts.hpp"
#include "core/clearing/deleverage.hpp"
#include "core/clearing/rows.hpp"
#include "core/program/authorise.hpp"
#include "core/program/closing.hpp"
#include "core/program/sweep.hpp"
#include "core/risk/margin.hpp"
#include "core/risk/positions.hpp"

namespace provenue::PROVENUE_PRESET_NAMESPACE {

namespace {

void emit_account(Run& run, EventKind kind, uint32_t account) {
    Event event = event_of(kind);
    event.account = account;
    run.events.emit(event);
}

void set_leaving(Run& run, uint32_t account, bool leaving) {
    run.state.accounts.edit(account, &AccountRecord::leaving) = leaving ? 1 : 0;
    emit_account(run, leaving ? EventKind::kAccountLeaving : EventKind::kAccountLeft, account);
}

bool has_fresh_mark(const Run& run, RowRef row) {
    const PositionRecord& record = run.state.row(row);
    const uint32_t instrument = linked_index(record.instrument_plus_1);
    return is_fresh(run.state.feeds[run.state.instruments[instrument].feed], run.now_ms);
}

// 12.5: at the edge of the band, so that who leaves pays the slippage; an abandoned mark has no
// band. Nobody is closed against his will beyond the mark: he was visited before and is safe (P6).
DeleveragingTerms terms_of(const Run& run, RowRef row) {
    const uint64_t at_mark = ticks_at_mark(run.state, row);
    if (!has_fresh_mark(run, row)) return {at_mark, 0};
    const ForcedOrder order = closing_order(run.state, row, Closing::kForcedClose);
    const i128 price = order.side == Side::kSell ? min(order.limit_ticks, at_mark)
                                                 : max(order.limit_ticks, at_mark);
    return {narrow<uint64_t>(price), order.fee_ppm};
}

// 12.4: the row of the scan under way while it can be closed, so that marks which move keep no scan
// from its end; else the largest. False when there is none.
bool row_to_close(Run& run, uint32_t account, RowRef& row) {
    State& state = run.state;
    if (is_scan_under_way(state)) {
        const ScanRecord& scan = state.scan[0];
        ASSERT(scan.account_plus_1 == link_to(account), "scan of another account");
        if (state.find_row(account, linked_index(scan.instrument_plus_1), row) &&
            is_closable(state, state.row(row), run.now_ms))
            return true;
    }
    if (!largest_closable(state, account, run.now_ms, row)) return false;
    drop_scan(state);
    return true;
}

// 12.5: against the ranks of a finished scan, as far as they go.
void deleverage(Run& run, RowRef row) {
    const DeleveragingTerms terms = terms_of(run, row);
    uint32_t place = 0;
    RowRef other;
    while (deleverage_next(run.state, run.events, row, terms, place, other)) {
        keep_reduce_only(run, other);
        keep_reduce_only(run, row);
    }
    drop_scan(run.state);
}

// 12.4: the scan goes on, else the book is tried, else a scan starts.
void closing_step(Run& run, RowRef row) {
    State& state = run.state;
    if (is_scan_finished(state)) {
        deleverage(run, row);
        return;
    }
    if (!is_scan_under_way(state)) {
        if (has_fresh_mark(run, row)) {
            const ForcedOrder order = closing_order(state, row, Closing::kForcedClose);
            emit_closing(run, EventKind::kClosing, order);
            if (match_forced(run, order) > 0) return;
        }
        start_scan(state, row);
    }
    scan_part(state);
}

}  // namespace

bool visit_leaving(Run& run, uint32_t account) {
    if (run.state.accounts[account].leaving == 0) return false;
    if (!has_position(run.state, account)) {
        set_leaving(run, account, false);
        return false;
    }
    RowRef row;
    if (!row_to_close(run, account, row)) return false;
    closing_step(run, row);
    return true;
}

Code forced_close(Run& run) {
    using W = ForcedCloseWire;
    State& state = run.state;
    const Holder holder{run.data + W::kOwner, run.u8(W::kSubaccount)};
    const uint32_t link = find_account(state, run.hasher, holder);
    if (link == kNoLink) return Code::kAccountUnknown;
    const uint32_t account = linked_index(link);
    cancel_orders(run, account, {}, CancelReason::kForced);
    if (!has_position(state, account)) return Code::kOk;
    if (state.accounts[account].leaving == 0) set_leaving(run, account, true);
    // No price will start the sweep that closes it.
    if (has_abandoned_position(state, account, run.now_ms)) start_sweep(state);
    return Code::kOk;
}

Code forced_revoke(Run& run) {
    using W = ForcedRevokeWire;
    const Holder holder{run.data + W::kOwner, run.u8(W::kSubaccount)};
    const uint32_t link = find_account(run.state, run.hasher, holder);
    if (link == kNoLink) return Code::kAccountUnknown;
    const uint8_t slot = run.u8(W::kSlot);
    if (!is_session_slot(slot)) return Code::kBadKeySlot;
    put_key(run, linked_index(link), slot, KeyRecord{});
    return Code::kOk;
}

}  // namespace provenue::PROVENUE_PRESET_NAMESPACE
