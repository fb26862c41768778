"""Chapter 4.6: orders that shrink or end by themselves, as the position or the clock has it."""

from provenue.spec.book import cancel, emit_order, remove_open
from provenue.spec.constants import CancelReason, EventKind, TimeInForce
from provenue.spec.state import Account, Order, State

__all__ = ["cancel_expired", "cut_reduce_only", "has_expired", "reduce_order"]


# --- reduce-only ---------------------------------------------------------------------------------


def cut_reduce_only(state: State, account: Account, instrument: int) -> None:
    """After the position has changed: none of them may add to it. Oldest first.

    One with nothing left has been filled by this very change and ends on its own.
    """
    row = account.rows.get(instrument)
    if row is None or row.reduce_orders == 0:
        return
    of_row = [order for order in account.orders if order.instrument == instrument]
    for order in [order for order in of_row if order.is_reduce_only and order.remaining_lots > 0]:
        most = row.reducible_lots(order.side)
        if most == 0:
            cancel(state, order, CancelReason.REDUCE_ONLY)
        elif order.remaining_lots > most:
            reduce_order(state, order, order.remaining_lots - most, CancelReason.REDUCE_ONLY)


def reduce_order(state: State, order: Order, lots: int, reason: CancelReason) -> None:
    """So many of its lots are given up for good; it keeps its place."""
    # UPDATE
    remove_open(state, order, lots)
    order.remaining_lots -= lots
    order.size_lots -= lots

    # EMIT
    emit_order(state, EventKind.ORDER_REDUCED, order, reason)


# --- expiry --------------------------------------------------------------------------------------


def has_expired(state: State, order: Order) -> bool:
    """It stays in the book until a taker meets it, or the sweep comes by."""
    ends = order.time_in_force == TimeInForce.GOOD_TILL_TIME
    return ends and state.now_ms >= order.good_till_s * 1_000


def cancel_expired(state: State, account: Account) -> bool:
    """The first question of a sweep's visit: whether an order was cancelled (the part ends)."""
    if account.next_expiry_s == 0 or state.now_ms < account.next_expiry_s * 1_000:
        return False
    expired = [order for order in account.orders if has_expired(state, order)]
    for order in expired:
        cancel(state, order, CancelReason.EXPIRED)
    left = [o for o in account.orders if o.time_in_force == TimeInForce.GOOD_TILL_TIME]
    account.next_expiry_s = min((order.good_till_s for order in left), default=0)
    return bool(expired)
