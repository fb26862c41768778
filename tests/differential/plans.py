"""Plans of several messages towards rules that single random orders seldom reach.

Each function returns the first message and leaves the rest in the stream's plan: positions closed
at the worst price that margin lets pass (5.5, 4.2 step 4), spot bids without the money for their
fee, exits while an own taker is under way (3.5).
"""

from collections.abc import Callable
from dataclasses import replace
from typing import TYPE_CHECKING, Any

from tests.differential.steps import Make, leave_only_margin, move, when_quiet, withdraw_quote
from tests.differential.wire import Item

from provenue.spec.book import best_price
from provenue.spec.constants import (
    MARK_STALE_MS,
    NONE_U16,
    PRICE_FRESH_MS,
    PRICE_TICKS_MAX,
    SIZE_LOTS_MAX,
    Kind,
    Side,
)
from provenue.spec.margin import place_margin_ok
from provenue.spec.state import HOUSE, QUOTE, Account, State

if TYPE_CHECKING:
    from tests.differential.streams import Stream

__all__ = ["PLANS", "exit_beside_a_taker"]

GTC, IOC = 0, 1


def _limit(index: int, side: int, price: int, size: int, immediate: int = GTC) -> dict[str, Any]:
    return {
        "instrument": index, "side": side, "order_type": 0, "time_in_force": immediate, "flags": 0,
        "self_trade": 0, "price_ticks": price, "size_lots": min(max(1, size), SIZE_LOTS_MAX),
        "client_id": size, "good_till_s": 0,
    }  # fmt: skip


def _against(stream: "Stream", index: int, side: int, *, but: Account) -> Make:
    """Somebody else, as rich as they come, takes the best level of a side."""

    def make(state: State) -> Item:
        others = [a for a in state.accounts[HOUSE + 1 :] if a.index != but.index] or [but]
        instrument = state.instruments[index]
        asset = QUOTE
        if not instrument.is_perpetual and side == Side.BUY:
            asset = instrument.base_asset
        taker = max(others, key=lambda a: a.balances[asset])
        levels = state.books[index][side]
        if not levels:
            return stream.place(state)
        best = max(levels) if side == Side.BUY else min(levels)
        lots = sum(order.remaining_lots for order in levels[best])
        if asset != QUOTE:
            lots = min(lots, taker.balances[asset] // instrument.base_units_per_lot)
        fields = _limit(index, 1 - side, best, lots, IOC)
        return stream.signed(state, Kind.PLACE, taker, key=0, **fields)

    return make


# --- 5.5: reducing orders with the largest loss --------------------------------------------------


def close_at_the_brim(stream: "Stream", state: State) -> Item:
    """One account without spare margin offers a position cheaply; the mark leaves; it is taken."""
    rng = stream.rng
    accounts = state.accounts[HOUSE + 1 :]
    held = [(a, i) for a in accounts for i, row in a.rows.items() if row.size_lots]
    if not held:
        return stream.take(state)
    account, index = rng.choice(held)
    others = [i for i, row in account.rows.items() if row.size_lots and i != index]
    gains = 1 if account.rows[index].size_lots > 0 else -1
    side = Side.SELL if gains > 0 else Side.BUY
    plan = [_cancel_all(stream, account)] + [leave_only_margin(stream, account)] * 2
    plan += [_offer(stream, account, i) for i in (index, *others[:1])]
    if rng.random() < 0.7:
        feed, share = state.instruments[index].feed, gains * rng.choice((0.01, 0.03, 0.1))
        plan += [move(stream, feed, share)] + [stream.prices] * max(1, state.price_quorum)
    plan += [_against(stream, i, side, but=account) for i in (index, *others[:1])]
    stream.plan.extend(when_quiet(stream, make) for make in plan)
    return stream.prices(state)


def _cancel_all(stream: "Stream", account: Account) -> Make:
    return lambda s: stream.signed(
        s, Kind.CANCEL_ALL, s.accounts[account.index], key=0, instrument=NONE_U16
    )


def _offer(stream: "Stream", account: Account, index: int) -> Make:
    """The whole position at the last price that passes, mostly without meeting a maker."""

    def make(state: State) -> Item:
        now = state.accounts[account.index]
        row = now.rows.get(index)
        if row is None or row.size_lots == 0:
            return stream.place(state)
        side = Side.SELL if row.size_lots > 0 else Side.BUY
        price = _worst_price(state, now, index, side) + stream.rng.choice((0, 0, 0, 1, -1))
        best = best_price(state, index, 1 - side)
        if best is not None and stream.rng.random() < 0.8:
            price = max(price, best + 1) if side == Side.SELL else min(price, best - 1)
        fields = _limit(index, side, min(max(1, price), PRICE_TICKS_MAX), abs(row.size_lots))
        return stream.signed(state, Kind.PLACE, now, key=0, **fields)

    return make


def _worst_price(state: State, account: Account, index: int, side: int) -> int:
    """By halving."""
    instrument, row = state.instruments[index], account.rows[index]
    lots = min(abs(row.size_lots), SIZE_LOTS_MAX)
    mark_ticks = max(1, state.mark(instrument) // instrument.tick_size)
    good, bad = mark_ticks, 0 if side == Side.SELL else min(4 * mark_ticks, PRICE_TICKS_MAX)
    while abs(good - bad) > 1:
        price = (good + bad) // 2
        notional = price * lots * instrument.quote_per_tick_lot
        rows = account.rows | {index: row.with_order(side, lots, notional)}
        if place_margin_ok(state, replace(account, rows=rows), index, side, lots, notional):
            good = price
        else:
            bad = price
    return good


# --- 4.2: a bid that cannot pay its fee any more -------------------------------------------------


def drain_a_bidder(stream: "Stream", state: State) -> Item:
    """A spot bid at the top of the book; all quote but its cost is withdrawn; then it is hit."""
    rng = stream.rng
    spots = [i for i, x in enumerate(state.instruments) if x.listed and not x.is_perpetual]
    if not spots:
        return stream.place(state)
    index = rng.choice(spots)
    instrument = state.instruments[index]
    account = max(stream.some(state, 3), key=lambda a: a.balances[QUOTE])
    levels = state.books[index]
    price = max([1, state.mark(instrument) // instrument.tick_size, *levels[Side.BUY]])
    if levels[Side.SELL]:
        price = min(price, max(1, min(levels[Side.SELL]) - 1))
    lots = max(1, account.balances[QUOTE] // 50 // (price * instrument.quote_per_tick_lot))
    fields = _limit(index, Side.BUY, price, min(lots, 10_000))

    def bid(later: State) -> Item:
        now = later.accounts[account.index]
        return stream.signed(later, Kind.PLACE, now, key=0, **fields)

    taker = _against(stream, index, Side.BUY, but=account)
    plan = (bid, _leave_only_the_cost(stream, account), taker)
    stream.plan.extend(when_quiet(stream, make) for make in plan)
    return stream.prices(state)


def _leave_only_the_cost(stream: "Stream", account: Account) -> Make:
    def make(state: State) -> Item:
        now = state.accounts[account.index]
        rows = now.rows.items()
        bids = sum(r.open_buy_units for i, r in rows if not state.instruments[i].is_perpetual)
        spare = now.balances[QUOTE] - bids - stream.rng.choice((0, 0, 1, 1_000))
        return withdraw_quote(stream, state, now, spare)

    return make


# --- 5.4: collateral without a price -------------------------------------------------------------


def dead_feed(stream: "Stream", state: State) -> Item:
    """The feed of a collateral asset falls silent; its holders, without any row, place orders."""
    rng = stream.rng
    asset = rng.choice((1, 2))
    feed = state.assets[asset].feed
    stream.wait_ms(MARK_STALE_MS + rng.choice((1, 1_000)))
    stream.plan.extend(
        [lambda s: stream.prices(s, dead=feed)] * (max(1, state.price_quorum) + rng.randrange(3))
    )
    accounts = state.accounts[HOUSE + 1 :]
    flat = [a for a in accounts if not any(row.size_lots for row in a.rows.values())]
    for account in rng.sample(flat, min(3, len(flat))):
        plan = (_cancel_all(stream, account), _first_order(stream, account, feed))
        stream.plan.append(_give(stream, account, asset))
        stream.plan.extend(when_quiet(stream, make) for make in plan)
    # After the silence the last signed time before it is behind: too old by a millisecond, or not.
    published_ms = stream.clock_ms - PRICE_FRESH_MS - rng.randrange(2)
    return stream.prices(state, dead=feed, published_at_ms=published_ms)


def _give(stream: "Stream", account: Account, asset: int) -> Make:
    return lambda _: stream.deposit_of(asset, 10**6, account.owner, account.subaccount)


def _first_order(stream: "Stream", account: Account, feed: int) -> Make:
    """In an instrument whose own feed is fine."""

    def make(state: State) -> Item:
        instruments = enumerate(state.instruments)
        others = [i for i, x in instruments if x.listed and x.is_perpetual and x.feed != feed]
        index = stream.rng.choice(others or [0])
        now = state.accounts[account.index]
        side = stream.rng.randrange(2)
        instrument = state.instruments[index]
        price = state.mark(instrument) // max(1, instrument.tick_size)
        price = max(1, price if side == Side.BUY else price + 1)
        return stream.signed(state, Kind.PLACE, now, key=0, **_limit(index, side, price, 1))

    return make


# --- 3.5: exits ----------------------------------------------------------------------------------


def exit_beside_a_taker(stream: "Stream", state: State) -> Item:
    """The owner of the pending taker, or of another account, wants everything through L1."""
    account = stream.account(state)
    if state.pending_taker is not None and stream.rng.random() < 0.6:
        account = state.accounts[state.pending_taker.account]
    return stream.forced_exit(account, QUOTE, max(1, account.balances[QUOTE]))


# By their names in the weights of a phase.
PLANS: dict[str, Callable[["Stream", State], Item]] = {
    "brim": close_at_the_brim,
    "drain": drain_a_bidder,
    "dead_feed": dead_feed,
}
