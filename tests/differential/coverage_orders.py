"""What a stream has reached of 4.1 to 4.6: how orders ended, shrank, slid, and gave way."""

from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass
from types import SimpleNamespace

from tests.differential.wire import Item

from provenue.spec.constants import (
    CancelReason,
    Code,
    EventKind,
    OrderFlag,
    OrderType,
    SelfTrade,
    Side,
    TimeInForce,
)
from provenue.spec.events import Event
from provenue.spec.messages import decode
from provenue.spec.state import Account, State

__all__ = ["ORDER_BRANCHES", "SeenOrders", "order_branches"]

_ENTRIES = ("PLACE", "AMEND", "REPLACE")
_TAKERS = (EventKind.ORDER_ACCEPTED, EventKind.ORDER_AMENDED)
_MODES = {mode.value: mode.name.lower().replace("_", " ") for mode in SelfTrade}
# The checks of an entry that AMEND and REPLACE can only fail after the order has given way.
_LATE = (
    "MARK_STALE", "NOTHING_TO_REDUCE", "NOTIONAL_TOO_LARGE", "POST_ONLY_WOULD_CROSS",
    "LEVEL_TABLE_FULL", "INSUFFICIENT_BALANCE", "POSITION_TOO_LARGE", "MARGIN_INSUFFICIENT",
)  # fmt: skip
_LATE_OF_AMEND = tuple(code for code in _LATE if code != "NOTHING_TO_REDUCE")
_EARLY = ("ACCOUNT_LEAVING", "ORDER_UNKNOWN", "BAD_SIZE", "SWEEP_PENDING", "SCOPE_MISSING")

ORDER_BRANCHES = (
    "fill-or-kill filled", "fill-or-kill by market", "fill-or-kill beyond the steps",
    "fill-or-kill at an own order", "fill-or-kill by replacement", "filled in exactly the steps",
    "order slid", "slid by amending", "no tick to slide to",
    "expired at the touch", "expired in a sweep", "expired before a liquidation or a close",
    "several expired at once", "expiry looked for in vain", "expired order named",
    "filled in its last second", "good till time rests",
    "reduce-only cut at entry", "reduce-only cut when amended", "reduce-only market order",
    "reduce-only filled", "reduce-only reduced by a fill", "reduce-only ended by a fill",
    "reduce-only reduced by deleveraging", "reduce-only ended by deleveraging",
    "the taker's own reduced", "the maker's own reduced", "both sides reduced",
    "reduced by a liquidation fill", "several ended at once", "reduce-only taker pending",
    *(f"self-trade: {mode}" for mode in _MODES.values()),
    "self-trade: maker larger", "self-trade: taker larger", "self-trade: equal",
    "self-trade after a fill", "self-trade of an amended order", "self-trade of a reduce-only",
    "amended in place", "amended in place after a fill", "amended to nothing new",
    "larger at the same price", "amended to another price", "amended through the book",
    "amended and rested again", "amended and pending",
    "replaced", "replaced after a fill", "replaced by a market order", "replacement pending",
    "replaced when the account was full",
    "a label of several", "a label of one", "a label of nothing", "a label of one instrument",
    *(f"AMEND: {code}" for code in (*_EARLY, "BAD_PRICE", *_LATE_OF_AMEND)),
    *(f"REPLACE: {code}" for code in (*_EARLY, "BAD_GOOD_TILL", "NOT_FILLED", *_LATE)),
)  # fmt: skip


@dataclass(frozen=True, slots=True)
class SeenOrders:
    """What to remember of a state before a message: price, size and remaining of each order."""

    orders: dict[int, tuple[int, int, int]]
    expiries: tuple[int, ...]

    @classmethod
    def of(cls, state: State) -> "SeenOrders":
        """A few numbers, so that it costs little."""
        orders = state.orders.values()
        return cls(
            {o.id: (o.price_ticks, o.size_lots, o.remaining_lots) for o in orders},
            tuple(account.next_expiry_s for account in state.accounts),
        )


def order_branches(
    before: SeenOrders,
    item: Item,
    kind: str,
    code: Code,
    events: Sequence[Event],
    after: State,
) -> list[str]:
    """The names of all branches that this message took."""
    name = f"{kind}: {code.name}"
    out = [name] * (name in ORDER_BRANCHES)
    if kind in (*_ENTRIES, "CANCEL_LABEL"):
        if code in (Code.BAD_LENGTH, Code.WRONG_SOURCE):
            return out
        m = decode(item.message)
        out += _killed(kind, code, m, after)
        if code == Code.OK and kind == "CANCEL_LABEL":
            count = len(events)
            out += [
                "a label of several" if count > 1 else f"a label of {('nothing', 'one')[count]}"
            ]
            out += ["a label of one instrument"] * (count > 0 and m.instrument != 0xFFFF)
        elif code == Code.OK:
            out += _entry(before, kind, m, events, after)
    if code == Code.OK:
        out += _expiries(before, kind, events, after)
        out += _reductions(events)
        out += _self_trades(events)
    return out


def _of(events: Sequence[Event], *kinds: EventKind) -> list[Event]:
    return [event for event in events if event.kind in kinds]


def _cancelled(events: Sequence[Event], reason: CancelReason) -> list[Event]:
    return [e for e in _of(events, EventKind.ORDER_CANCELLED) if e.reason == reason]


def _account(after: State, m: SimpleNamespace) -> Account | None:
    index = m.account & 0xFFFF_FFFF
    return after.accounts[index] if index < len(after.accounts) else None


# --- what a message asks for ---------------------------------------------------------------------


def _killed(kind: str, code: Code, m: SimpleNamespace, after: State) -> list[str]:
    """Fill-or-kill that was not filled, a slide without room, an order named too late."""
    account = _account(after, m)
    if account is None:
        return []
    if code == Code.ORDER_UNKNOWN and kind in ("AMEND", "REPLACE"):
        return ["expired order named"] * any(order.id == m.order_id for order in account.orders)
    if code == Code.POST_ONLY_WOULD_CROSS and kind != "AMEND":
        return ["no tick to slide to"] * bool(m.flags & OrderFlag.SLIDE)
    if code != Code.NOT_FILLED or kind != "PLACE":
        return []
    levels = after.books[m.instrument][1 - m.side]
    prices = sorted(levels, reverse=m.side == Side.SELL)
    limit = m.price_ticks or prices[-1]
    reach = [p for p in prices if (p <= limit if m.side == Side.BUY else p >= limit)]
    makers = [order for price in reach for order in levels[price]]
    out = ["fill-or-kill at an own order"] * any(o.account == account.index for o in makers)
    deep = sum(order.remaining_lots for order in makers) >= m.size_lots
    strangers = all(order.account != account.index for order in makers)
    return out + ["fill-or-kill beyond the steps"] * (
        deep and strangers and len(makers) > after.preset.fills_per_message
    )


def _entry(
    before: SeenOrders, kind: str, m: SimpleNamespace, events: Sequence[Event], after: State
) -> list[str]:
    """An order that was accepted or amended."""
    start = next(i for i, event in enumerate(events) if event.kind in _TAKERS)
    entry, then = events[start], events[start + 1 :]
    in_force, is_market = entry.reason >> 3 & 3, entry.reason >> 7 == OrderType.MARKET
    fills = [e for e in _of(then, EventKind.FILL) if e.order_id == entry.order_id]
    pending = bool(_of(then, EventKind.TAKER_CONTINUES))
    out = []
    if in_force == TimeInForce.FILL_OR_KILL:
        out += ["fill-or-kill by market" if is_market else "fill-or-kill filled"]
        out += ["fill-or-kill by replacement"] * (kind == "REPLACE")
        out += ["filled in exactly the steps"] * (len(fills) == after.preset.fills_per_message)
    rests = bool(_of(then, EventKind.ORDER_RESTING))
    out += ["good till time rests"] * (rests and in_force == TimeInForce.GOOD_TILL_TIME)
    slides = bool(entry.reason & OrderFlag.SLIDE) and entry.price != m.price_ticks
    out += ["slid by amending" if kind == "AMEND" else "order slid"] * slides
    if entry.reason & OrderFlag.REDUCE_ONLY:
        out += ["reduce-only market order"] * is_market
        out += ["reduce-only filled"] * bool(fills)
        out += ["reduce-only taker pending"] * pending
        out += ["reduce-only cut at entry"] * (kind == "PLACE" and entry.size < m.size_lots)
    if kind == "AMEND":
        out += ["amended and pending"] * pending + ["amended through the book"] * bool(fills)
        out += ["amended and rested again"] * rests
        out += _amendment(before, m, entry, then)
    elif kind == "REPLACE":
        _, size, remaining = before.orders[m.order_id]
        out += ["replaced by a market order" if is_market else "replaced"]
        out += ["replacement pending"] * pending
        out += ["replaced after a fill"] * (remaining < size)
        account = after.accounts[entry.account]
        full = after.preset.orders_per_account
        out += ["replaced when the account was full"] * (len(account.orders) == full)
    return out


def _amendment(
    before: SeenOrders, m: SimpleNamespace, entry: Event, then: Sequence[Event]
) -> list[str]:
    price, size, remaining = before.orders[m.order_id]
    filled = size - remaining
    if not then:
        out = ["amended in place"] + ["amended in place after a fill"] * (filled > 0)
        return out + ["amended to nothing new"] * (m.size_lots == size)
    out = ["amended to another price"] * (m.price_ticks != price)
    out += ["larger at the same price"] * (m.price_ticks == price and m.size_lots > size)
    cut = entry.size < m.size_lots - filled
    return out + ["reduce-only cut when amended"] * cut


# --- what happened -------------------------------------------------------------------------------


def _expiries(before: SeenOrders, kind: str, events: Sequence[Event], after: State) -> list[str]:
    gone = _cancelled(events, CancelReason.EXPIRED)
    out = ["several expired at once"] * (len(gone) > 1)
    kinds = {event.kind for event in events}
    if gone and kinds & {EventKind.LIQUIDATED, EventKind.CLOSING}:
        out += ["expired before a liquidation or a close"]
    elif gone:
        out += ["expired in a sweep"] * (kind in ("PRICES", "TICK"))
        out += ["expired at the touch"] * (kind in _ENTRIES)
    if kind in ("PRICES", "TICK", "CONTINUE"):
        looked = [a for a, old in zip(after.accounts, before.expiries, strict=True)
                  if a.orders and old != a.next_expiry_s]  # fmt: skip
        ended = {event.account for event in gone}
        out += ["expiry looked for in vain"] * any(a.index not in ended for a in looked)
    for fill in _of(events, EventKind.FILL):
        maker = after.orders.get(fill.counter_order_id & 0xFFFF_FFFF)
        if maker is not None and maker.id == fill.counter_order_id and maker.good_till_s:
            out += ["filled in its last second"] * (after.now_ms >= (maker.good_till_s - 1) * 1_000)
    return out


def _reductions(events: Sequence[Event]) -> list[str]:
    """Reduce-only orders that followed their position."""
    ended = _cancelled(events, CancelReason.REDUCE_ONLY)
    cut = [e for e in _of(events, EventKind.ORDER_REDUCED) if e.reason == CancelReason.REDUCE_ONLY]
    if not ended and not cut:
        return []
    fills, deals = _of(events, EventKind.FILL), _of(events, EventKind.DELEVERAGED)
    word = "a fill" if fills else "deleveraging"
    out = [f"reduce-only reduced by {word}"] * bool(cut)
    out += [f"reduce-only ended by {word}"] * bool(ended)
    out += ["several ended at once"] * (len(ended) > 1)
    accounts = {event.account for event in (*ended, *cut)}
    if fills:
        takers, makers = {e.account for e in fills}, {e.counter_account for e in fills}
        out += ["the taker's own reduced"] * bool(accounts & takers)
        out += ["the maker's own reduced"] * bool(accounts & makers)
        out += ["both sides reduced"] * bool(accounts & takers and accounts & makers)
        by_rule = any(fill.order_id == 0 for fill in fills)
        out += ["reduced by a liquidation fill"] * by_rule
    assert fills or deals, "reduce-only orders were cut without a change of a position"
    return out


def _self_trades(events: Sequence[Event]) -> list[str]:
    """By the taker's mode, and which of the two was the larger."""
    touched = _cancelled(events, CancelReason.SELF_TRADE)
    touched += [
        e for e in _of(events, EventKind.ORDER_REDUCED) if e.reason == CancelReason.SELF_TRADE
    ]
    entries = _of(events, *_TAKERS)
    if not touched or not entries:
        return []
    entry = entries[0]
    mode = entry.reason >> 5 & 3
    out = [f"self-trade: {_MODES[mode]}"]
    out += ["self-trade after a fill"] * bool(_of(events, EventKind.FILL))
    out += ["self-trade of an amended order"] * (entry.kind == EventKind.ORDER_AMENDED)
    out += ["self-trade of a reduce-only"] * bool(entry.reason & OrderFlag.REDUCE_ONLY)
    if mode == SelfTrade.DECREMENT:
        cut = [e.order_id for e in touched if e.kind == EventKind.ORDER_REDUCED]
        by_kind = Counter("taker" if id_ == entry.order_id else "maker" for id_ in cut)
        out += [f"self-trade: {word} larger" for word in by_kind] or ["self-trade: equal"]
    return out
