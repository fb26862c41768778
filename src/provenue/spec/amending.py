"""Chapter 4.4 and 4.5: AMEND and REPLACE: an order gives way to what its owner wants instead."""

from types import SimpleNamespace

from provenue.spec.book import (
    cancel,
    emit_order,
    join_row,
    leave_book,
    leave_row,
    order_of_id,
    remove_open,
)
from provenue.spec.conditions import has_expired
from provenue.spec.constants import (
    PRICE_TICKS_MAX,
    SIZE_LOTS_MAX,
    CancelReason,
    Code,
    EventKind,
    OrderFlag,
    OrderType,
)
from provenue.spec.matching import match_order
from provenue.spec.notation import Reject
from provenue.spec.state import Account, Order, State
from provenue.spec.trading import Ticket, check_entry, enter

__all__ = ["amend", "replace_order"]

_ALL_FLAGS = OrderFlag.POST_ONLY | OrderFlag.SLIDE | OrderFlag.REDUCE_ONLY


def _named_order(state: State, account: Account, order_id: int) -> Order:
    """The first two checks of both."""
    if account.leaving:
        raise Reject(Code.ACCOUNT_LEAVING)
    order = order_of_id(state, account, order_id)
    if order is None or has_expired(state, order):
        raise Reject(Code.ORDER_UNKNOWN)
    return order


# --- 4.4 AMEND -----------------------------------------------------------------------------------


def amend(state: State, account: Account, m: SimpleNamespace) -> None:
    """4.4: only who asks for less, at the same price, keeps the place in the queue."""
    # CHECK
    order = _named_order(state, account, m.order_id)
    if not 1 <= m.price_ticks <= PRICE_TICKS_MAX:
        raise Reject(Code.BAD_PRICE)
    filled = order.size_lots - order.remaining_lots
    if not filled < m.size_lots <= SIZE_LOTS_MAX:
        raise Reject(Code.BAD_SIZE)
    wanted = m.size_lots - filled

    # UPDATE
    if m.price_ticks == order.price_ticks and wanted <= order.remaining_lots:
        remove_open(state, order, order.remaining_lots - wanted)
        order.size_lots, order.remaining_lots = m.size_lots, wanted
        emit_order(state, EventKind.ORDER_AMENDED, order, order.flags)
    else:
        _enter_again(state, account, order, m.price_ticks, wanted, filled)


def _enter_again(
    state: State, account: Account, order: Order, price_ticks: int, wanted: int, filled: int
) -> None:
    """It makes room for itself first, and is judged as a new order; a reject undoes it all."""
    # UPDATE
    leave_book(state, order)
    leave_row(state, order)

    # CHECK
    asked = Ticket(
        instrument=order.instrument,
        side=order.side,
        order_type=OrderType.LIMIT,
        time_in_force=order.time_in_force,
        flags=order.flags & _ALL_FLAGS,
        self_trade=order.self_trade,
        price_ticks=price_ticks,
        size_lots=wanted,
        client_id=order.client_id,
        good_till_s=order.good_till_s,
    )
    ticket = check_entry(state, account, asked, takes_slot=False)

    # UPDATE
    order.price_ticks = ticket.price_ticks
    order.size_lots = filled + ticket.size_lots
    order.remaining_lots = ticket.size_lots
    join_row(state, order)
    emit_order(state, EventKind.ORDER_AMENDED, order, order.flags)
    match_order(state, order)


# --- 4.5 REPLACE ---------------------------------------------------------------------------------


def replace_order(state: State, account: Account, m: SimpleNamespace) -> None:
    """4.5: what the old order has filled counts, so a fill on the way does not enlarge the risk."""
    # CHECK
    old = _named_order(state, account, m.order_id)
    filled = old.size_lots - old.remaining_lots
    if m.size_lots <= filled:
        raise Reject(Code.BAD_SIZE)

    # UPDATE: from here on a reject undoes it all
    cancel(state, old, CancelReason.REPLACED)
    ticket = Ticket(
        instrument=old.instrument,
        side=old.side,
        order_type=m.order_type,
        time_in_force=m.time_in_force,
        flags=m.flags,
        self_trade=m.self_trade,
        price_ticks=m.price_ticks,
        size_lots=m.size_lots - filled,
        client_id=m.client_id,
        good_till_s=m.good_till_s,
    )
    enter(state, account, ticket)
