"""Chapter 4.1 and 4.3: PLACE with its checks in order, and the cancels."""

from dataclasses import dataclass, replace
from types import SimpleNamespace

from provenue.spec.book import (
    best_price,
    cancel,
    crosses,
    emit_order,
    join_row,
    opposite,
    order_of_id,
    row_for,
    slot_is_free,
    take_slot,
)
from provenue.spec.constants import (
    MARK_STALE_MS,
    NONE_U16,
    NOTIONAL_MAX,
    POSITION_BASE_MAX,
    POSITION_NOTIONAL_MAX,
    PPM,
    PRICE_TICKS_MAX,
    REDUCE_ONLY_MAX,
    SIZE_LOTS_MAX,
    CancelReason,
    Code,
    EventKind,
    OrderFlag,
    OrderType,
    SelfTrade,
    Side,
    TimeInForce,
)
from provenue.spec.margin import (
    fee_reserve,
    place_margin_ok,
    prices_fresh,
    reserved,
    worst_size_lots,
)
from provenue.spec.matching import match_order
from provenue.spec.notation import Reject, ceil_div, clamp
from provenue.spec.state import QUOTE, Account, Instrument, Order, State

__all__ = [
    "Ticket", "band_limit", "cancel_all", "cancel_label", "cancel_one", "check_entry", "enter",
    "place",
]  # fmt: skip

_IMMEDIATE = (TimeInForce.IMMEDIATE_OR_CANCEL, TimeInForce.FILL_OR_KILL)


@dataclass(frozen=True, slots=True)
class Ticket:
    """What an order asks for, whichever message says it."""

    instrument: int
    side: int
    order_type: int
    time_in_force: int
    flags: int
    self_trade: int
    price_ticks: int
    size_lots: int
    client_id: int
    good_till_s: int

    @property
    def is_immediate(self) -> bool:
        return self.time_in_force in _IMMEDIATE

    @property
    def is_reduce_only(self) -> bool:
        return bool(self.flags & OrderFlag.REDUCE_ONLY)

    @property
    def order_bits(self) -> int:
        return self.order_type << 7 | self.self_trade << 5 | self.time_in_force << 3 | self.flags


# --- 4.1 PLACE -----------------------------------------------------------------------------------


def place(state: State, account: Account, m: SimpleNamespace) -> None:
    """4.1: an accepted order always takes a slot, also one that never rests."""
    # CHECK
    if account.leaving:
        raise Reject(Code.ACCOUNT_LEAVING)
    if state.listed_instrument(m.instrument) is None:
        raise Reject(Code.INSTRUMENT_UNKNOWN)

    enter(state, account, Ticket(**{name: getattr(m, name) for name in Ticket.__slots__}))


def enter(state: State, account: Account, asked: Ticket) -> None:
    """Checks 2 to 19 and the effect."""
    # CHECK
    _check_fields(state, asked)
    ticket = check_entry(state, account, asked, takes_slot=True)

    # UPDATE
    slot = take_slot(state)
    order = Order(
        slot=slot,
        generation=state.slot_generations[slot],
        account=account.index,
        instrument=ticket.instrument,
        side=ticket.side,
        price_ticks=ticket.price_ticks,
        size_lots=ticket.size_lots,
        remaining_lots=ticket.size_lots,
        client_id=ticket.client_id,
        flags=ticket.order_bits,
        good_till_s=ticket.good_till_s,
    )
    state.orders[slot] = order
    account.orders.append(order)
    join_row(state, order)
    if order.good_till_s != 0:
        soonest = account.next_expiry_s or order.good_till_s
        account.next_expiry_s = min(soonest, order.good_till_s)

    # EMIT
    emit_order(state, EventKind.ORDER_ACCEPTED, order, order.flags)
    match_order(state, order)


def _check_fields(state: State, t: Ticket) -> None:
    """Checks 2 to 7: what the order says."""
    if t.side > Side.SELL:
        raise Reject(Code.BAD_SIDE)
    if t.order_type > OrderType.MARKET:
        raise Reject(Code.BAD_ORDER_TYPE)
    is_market = t.order_type == OrderType.MARKET
    if t.time_in_force > TimeInForce.GOOD_TILL_TIME or (is_market and not t.is_immediate):
        raise Reject(Code.BAD_TIME_IN_FORCE)
    if t.time_in_force == TimeInForce.GOOD_TILL_TIME:
        good_till_fits = state.now_ms < t.good_till_s * 1_000
    else:
        good_till_fits = t.good_till_s == 0
    if not good_till_fits:
        raise Reject(Code.BAD_GOOD_TILL)
    if not _flags_fit(state, t):
        raise Reject(Code.BAD_FLAGS)
    if t.self_trade > SelfTrade.DECREMENT:
        raise Reject(Code.BAD_SELF_TRADE)
    if t.price_ticks > PRICE_TICKS_MAX or (t.price_ticks == 0 and not is_market):
        raise Reject(Code.BAD_PRICE)
    if not 1 <= t.size_lots <= SIZE_LOTS_MAX:
        raise Reject(Code.BAD_SIZE)


def _flags_fit(state: State, t: Ticket) -> bool:
    """Check 5: known, and together with the rest of the order."""
    if t.flags > OrderFlag.POST_ONLY | OrderFlag.SLIDE | OrderFlag.REDUCE_ONLY:
        return False
    if t.flags & (OrderFlag.POST_ONLY | OrderFlag.SLIDE) and t.is_immediate:
        return False
    if t.flags & OrderFlag.SLIDE and not t.flags & OrderFlag.POST_ONLY:
        return False
    return not t.is_reduce_only or state.instruments[t.instrument].is_perpetual


# --- 4.1 checks that an order meets again when it is amended (4.4) -------------------------------


def check_entry(state: State, account: Account, asked: Ticket, *, takes_slot: bool) -> Ticket:
    """Checks 8 to 19: the ticket with the limit and the size that the order is to have."""
    instrument = state.instruments[asked.instrument]
    feed = state.feeds[instrument.feed]
    if feed.price == 0:
        raise Reject(Code.MARK_MISSING)
    if state.now_ms - feed.updated_at_ms > MARK_STALE_MS:
        raise Reject(Code.MARK_STALE)
    ticket = replace(asked, price_ticks=_limit(state, instrument, asked))
    if ticket.is_reduce_only:
        ticket = replace(ticket, size_lots=_reducing_size(state, account, ticket))
    notional = ticket.price_ticks * ticket.size_lots * instrument.quote_per_tick_lot
    if notional > NOTIONAL_MAX:
        raise Reject(Code.NOTIONAL_TOO_LARGE)
    if ticket.flags & OrderFlag.POST_ONLY and _would_cross(state, ticket, ticket.price_ticks):
        raise Reject(Code.POST_ONLY_WOULD_CROSS)
    if takes_slot:
        _check_slot(state, account)
    _check_room(state, account, ticket)
    _check_risk(state, account, instrument, ticket, notional)
    return ticket


def band_limit(state: State, instrument: Instrument, side: int, band_ppm: int) -> int:
    """The mark moved by a band against the taker, on the tick inside it; not yet clamped."""
    mark, ticks_per_mark = state.mark(instrument), PPM * instrument.tick_size
    if side == Side.BUY:
        return mark * (PPM + band_ppm) // ticks_per_mark
    return ceil_div(mark * (PPM - band_ppm), ticks_per_mark)


def _limit(state: State, instrument: Instrument, t: Ticket) -> int:
    """Check 10: from here on every order has a limit price."""
    if t.order_type == OrderType.LIMIT:
        slides = t.flags & OrderFlag.SLIDE and _would_cross(state, t, t.price_ticks)
        return _slid(state, t) if slides else t.price_ticks
    limit = band_limit(state, instrument, t.side, instrument.market_band_ppm)
    if t.price_ticks != 0:
        limit = (min if t.side == Side.BUY else max)(limit, t.price_ticks)
    return clamp(limit, 1, PRICE_TICKS_MAX)


def _would_cross(state: State, t: Ticket, limit: int) -> bool:
    """Orders that have expired but not ended yet count."""
    best = best_price(state, t.instrument, opposite(t.side))
    return best is not None and crosses(t.side, limit, best)


def _slid(state: State, t: Ticket) -> int:
    """One tick away from the best price of the other side."""
    best = best_price(state, t.instrument, opposite(t.side))
    assert best is not None
    limit = best - 1 if t.side == Side.BUY else best + 1
    if not 1 <= limit <= PRICE_TICKS_MAX:
        raise Reject(Code.POST_ONLY_WOULD_CROSS)
    return limit


def _reducing_size(state: State, account: Account, t: Ticket) -> int:
    """Check 10 of a reduce-only order: at most the position."""
    row = row_for(state, account, t.instrument)
    if row.reducible_lots(t.side) == 0:
        raise Reject(Code.NOTHING_TO_REDUCE)
    if row.reduce_orders >= REDUCE_ONLY_MAX:
        raise Reject(Code.REDUCE_ONLY_FULL)
    return min(t.size_lots, row.reducible_lots(t.side))


def _check_slot(state: State, account: Account) -> None:
    """Checks 12 and 13."""
    if len(account.orders) >= state.preset.orders_per_account:
        raise Reject(Code.ACCOUNT_ORDERS_FULL)
    if not slot_is_free(state):
        raise Reject(Code.ORDER_TABLE_FULL)


def _check_room(state: State, account: Account, t: Ticket) -> None:
    """Checks 14 and 15: a level and a row."""
    has_level = t.price_ticks in state.books[t.instrument][t.side]
    if not t.is_immediate and not has_level and state.levels_live >= state.preset.levels_max:
        raise Reject(Code.LEVEL_TABLE_FULL)
    rows = account.rows
    if t.instrument not in rows and len(rows) >= state.preset.positions_per_account:
        raise Reject(Code.POSITIONS_FULL)


def _check_risk(
    state: State, account: Account, instrument: Instrument, t: Ticket, notional: int
) -> None:
    """Checks 16 to 19: enough to deliver, not too large, fresh prices, margin (P6)."""
    if not instrument.is_perpetual and not _can_deliver(state, account, instrument, t, notional):
        raise Reject(Code.INSUFFICIENT_BALANCE)
    row = row_for(state, account, t.instrument)
    if not t.is_reduce_only:
        row = row.with_order(t.side, t.size_lots, notional)
        if instrument.is_perpetual and _is_too_large(state, instrument, worst_size_lots(row)):
            raise Reject(Code.POSITION_TOO_LARGE)
    if not prices_fresh(state, account, placing=True):
        raise Reject(Code.MARK_STALE)
    after = replace(account, rows=account.rows | {t.instrument: row})
    if not place_margin_ok(
        state, after, t.instrument, t.side, t.size_lots, notional, reduce_only=t.is_reduce_only
    ):
        raise Reject(Code.MARGIN_INSUFFICIENT)


def _is_too_large(state: State, instrument: Instrument, worst: int) -> bool:
    """Check 17."""
    value = ceil_div(worst * state.mark(instrument), instrument.lots_per_base)
    return worst > POSITION_BASE_MAX * instrument.lots_per_base or value > POSITION_NOTIONAL_MAX


def _can_deliver(
    state: State, account: Account, instrument: Instrument, t: Ticket, notional: int
) -> bool:
    """Check 16: what a spot order gives away is there, beside what others may; no credit."""
    if t.side == Side.SELL:
        base = instrument.base_asset
        free = account.balances[base] - reserved(state, account, base)
        return free >= t.size_lots * instrument.base_units_per_lot
    rows = account.rows.items()
    bids = sum(r.open_buy_units for i, r in rows if not state.instruments[i].is_perpetual)
    return account.balances[QUOTE] - bids >= notional + fee_reserve(instrument, notional)


# --- 4.3 cancels ---------------------------------------------------------------------------------


def cancel_one(state: State, account: Account, m: SimpleNamespace) -> None:
    """4.3: by id."""
    order = order_of_id(state, account, m.order_id)
    if order is None:
        raise Reject(Code.ORDER_UNKNOWN)
    cancel(state, order, CancelReason.USER)


def cancel_all(state: State, account: Account, m: SimpleNamespace) -> None:
    """4.3: an account without orders is fine."""
    _check_cancels(state, m.instrument)
    _cancel_each(state, account.orders, m.instrument)


def cancel_label(state: State, account: Account, m: SimpleNamespace) -> None:
    """4.3: those that carry the client id."""
    _check_cancels(state, m.instrument)
    labelled = [order for order in account.orders if order.client_id == m.client_id]
    _cancel_each(state, labelled, m.instrument)


def _check_cancels(state: State, instrument: int) -> None:
    if instrument != NONE_U16 and state.listed_instrument(instrument) is None:
        raise Reject(Code.INSTRUMENT_UNKNOWN)


def _cancel_each(state: State, orders: list[Order], instrument: int) -> None:
    """Oldest first, of one instrument or of all."""
    for order in list(orders):
        if instrument in (NONE_U16, order.instrument):
            cancel(state, order, CancelReason.USER)
