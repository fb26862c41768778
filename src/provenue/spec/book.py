"""Chapter 4, the tables: order slots, price levels, open-order sums of rows, cancelling.

A book side is a dictionary from price to a queue; a level without orders does not exist (P7).
"""

from provenue.spec.constants import CancelReason, EventKind, Side
from provenue.spec.state import RESTING, Account, BookSide, Order, Row, State

__all__ = [
    "add_open", "best_price", "cancel", "crosses", "emit_order", "end_order",
    "free_row_if_unused", "join_row", "leave_book", "leave_row", "opposite", "order_of_id",
    "remove_open", "rest", "row_for", "slot_is_free", "take_slot",
]  # fmt: skip


# --- levels --------------------------------------------------------------------------------------


def opposite(side: int) -> Side:
    return Side.SELL if side == Side.BUY else Side.BUY


def best_price(state: State, instrument: int, side: int) -> int | None:
    """The highest buy or the lowest sell; None if the side is empty."""
    prices = state.books[instrument][side]
    if not prices:
        return None
    return max(prices) if side == Side.BUY else min(prices)


def crosses(side: int, limit_ticks: int, price_ticks: int) -> bool:
    """Whether an order of this side and limit may trade at a resting price."""
    return price_ticks <= limit_ticks if side == Side.BUY else price_ticks >= limit_ticks


def rest(state: State, order: Order) -> None:
    """The tail of its level: price, then time (P7)."""
    order.live = RESTING
    levels = state.books[order.instrument][order.side]
    levels.setdefault(order.price_ticks, []).append(order)


def leave_book(state: State, order: Order) -> None:
    """A resting order leaves its level; it is under way, or has ended."""
    order.live = 0
    levels: BookSide = state.books[order.instrument][order.side]
    queue = levels[order.price_ticks]
    queue.remove(order)
    if not queue:
        del levels[order.price_ticks]


# --- slots ---------------------------------------------------------------------------------------


def slot_is_free(state: State) -> bool:
    return bool(state.free_slots) or len(state.slot_generations) < state.preset.orders_max


def take_slot(state: State) -> int:
    """The slot given back last, else the next never used; its generation rises by one."""
    if state.free_slots:
        slot = state.free_slots.pop()
    else:
        slot = len(state.slot_generations)
        state.slot_generations.append(0)
    state.slot_generations[slot] += 1
    return slot


def end_order(state: State, order: Order) -> None:
    """Out of book, row and the account's list; the slot is given back."""
    account = state.accounts[order.account]
    if order.live == RESTING:
        leave_book(state, order)
    order.live = 0
    leave_row(state, order)
    account.orders.remove(order)
    if not account.orders:
        account.next_expiry_s = 0
    del state.orders[order.slot]
    state.free_slots.append(order.slot)


def order_of_id(state: State, account: Account, order_id: int) -> Order | None:
    """4.3: by id, so that a slot's next order is never hit by an old message."""
    order = state.orders.get(order_id & 0xFFFF_FFFF)
    if order is None or order.id != order_id or order.account != account.index:
        return None
    return order


# --- rows ----------------------------------------------------------------------------------------


def row_for(state: State, account: Account, instrument: int) -> Row:
    """The account's row; a new one starts at the instrument's funding index (spot: 0)."""
    row = account.rows.get(instrument)
    if row is None:
        # A spot instrument's index is always 0.
        row = Row(funding_index=state.instruments[instrument].funding_index)
    return row


def free_row_if_unused(account: Account, instrument: int) -> None:
    """A row that is all zero does not exist."""
    row = account.rows.get(instrument)
    if row is not None and not row.in_use:
        del account.rows[instrument]


def join_row(state: State, order: Order) -> None:
    """A new order, or an old one in a new place: its lots join the sums, or it is counted."""
    account = state.accounts[order.account]
    account.rows[order.instrument] = row_for(state, account, order.instrument)
    account.rows[order.instrument].reduce_orders += order.is_reduce_only
    add_open(state, order, order.remaining_lots)


def leave_row(state: State, order: Order) -> None:
    """What remains of an order leaves; the row is freed if it is then all zero."""
    account = state.accounts[order.account]
    remove_open(state, order, order.remaining_lots)
    account.rows[order.instrument].reduce_orders -= order.is_reduce_only
    free_row_if_unused(account, order.instrument)


def add_open(state: State, order: Order, lots: int) -> None:
    """Lots of an order at its own limit price join the row's open sums (or leave: negative).

    Those of a reduce-only order do not: they never add to a position (4.6).
    """
    account = state.accounts[order.account]
    units = lots * order.price_ticks * state.instruments[order.instrument].quote_per_tick_lot
    row = row_for(state, account, order.instrument)
    if order.is_reduce_only:
        lots = units = 0
    account.rows[order.instrument] = row.with_order(order.side, lots, units)


def remove_open(state: State, order: Order, lots: int) -> None:
    """The row stays, even when it is all zero, until what is under way is done."""
    add_open(state, order, -lots)


def emit_order(state: State, kind: EventKind, order: Order, reason: int) -> None:
    """What ORDER_ACCEPTED, ORDER_AMENDED, ORDER_REDUCED and ORDER_CANCELLED all say of an order."""
    state.emit(
        kind,
        reason=reason,
        instrument=order.instrument,
        account=order.account,
        order_id=order.id,
        price=order.price_ticks,
        size=order.remaining_lots,
        value=order.side,
        extra=order.client_id,
    )


# --- 4.3 cancelling ------------------------------------------------------------------------------


def cancel(state: State, order: Order, reason: CancelReason) -> None:
    """4.3: a live order, resting or a taker under way, ends with what remains of it."""
    emit_order(state, EventKind.ORDER_CANCELLED, order, reason)
    end_order(state, order)
