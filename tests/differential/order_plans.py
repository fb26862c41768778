"""Plans of several messages towards the rules of chapter 4 that single orders seldom reach.

Fill-or-kill at the edges of what stands and of one message's steps, own orders in the way, several
reduce-only orders on one position, orders that expire, orders that slide.
"""

from collections.abc import Callable
from typing import TYPE_CHECKING, Any

from tests.differential.leaving import close
from tests.differential.steps import Make, leave_only_margin, move, when_quiet
from tests.differential.wire import Item

from provenue.spec.constants import PRICE_TICKS_MAX, REDUCE_ONLY_MAX, SIZE_LOTS_MAX, Kind, Side
from provenue.spec.state import HOUSE, QUOTE, Account, State

if TYPE_CHECKING:
    from tests.differential.streams import Stream

__all__ = ["ORDER_PLANS"]

GTC, IOC, FOK, GTT = 0, 1, 2, 3
POST_ONLY, SLIDE, REDUCE_ONLY = 1, 2, 4


# --- orders --------------------------------------------------------------------------------------


def _order(index: int, side: int, price: int, size: int, **fields: Any) -> dict[str, Any]:
    return {
        "instrument": index, "side": side, "order_type": 0, "time_in_force": GTC, "flags": 0,
        "self_trade": 0, "price_ticks": min(max(1, price), PRICE_TICKS_MAX),
        "size_lots": min(max(1, size), SIZE_LOTS_MAX), "client_id": size, "good_till_s": 0,
    } | fields  # fmt: skip


def _placing(stream: "Stream", account: Account, fields: dict[str, Any]) -> Make:
    """The account's order, made when its turn comes."""

    def make(state: State) -> Item:
        now = state.accounts[account.index]
        return stream.signed(state, Kind.PLACE, now, key=0, **fields)

    return make


def _clearing(stream: "Stream", account: Account, index: int) -> Make:
    """All its orders of the instrument are cancelled."""
    return lambda s: stream.signed(
        s, Kind.CANCEL_ALL, s.accounts[account.index], key=0, instrument=index
    )


def _then(stream: "Stream", state: State, *plan: Make) -> Item:
    """Each when nothing is pending."""
    stream.plan.extend(when_quiet(stream, make) for make in plan)
    return stream.prices(state)


def _perpetual(stream: "Stream", state: State) -> tuple[int, int]:
    """An instrument, and the price that splits its book, or its mark in ticks."""
    listed = [i for i, x in enumerate(state.instruments) if x.listed and x.is_perpetual] or [1]
    index = stream.rng.choice(listed)
    return index, _middle(state, index)


def _middle(state: State, index: int) -> int:
    instrument = state.instruments[index]
    price = max(2, state.mark(instrument) // max(1, instrument.tick_size))
    bids, asks = state.books[index]
    if bids and price <= max(bids):
        price = max(bids) + 1
    if asks and price >= min(asks):
        price = max(1, min(asks) - 1)
    return price


def _rich(state: State, count: int) -> list[Account]:
    """Those with the most quote."""
    accounts = sorted(state.accounts[HOUSE + 1 :], key=lambda a: -a.balances[QUOTE])
    return (accounts * count)[:count]


def _held(state: State) -> list[tuple[Account, int]]:
    accounts = state.accounts[HOUSE + 1 :]
    return [(a, i) for a in accounts for i, row in a.rows.items() if row.size_lots]


# --- fill-or-kill --------------------------------------------------------------------------------


def kill(stream: "Stream", state: State) -> Item:
    """As many makers as one message may fill, one fewer or more, an own one among them or not."""
    rng = stream.rng
    index, price = _perpetual(stream, state)
    side = rng.randrange(2)
    taker, *makers = _rich(state, 4)
    count = state.preset.fills_per_message + rng.choice((-1, 0, 0, 1))
    plan = [_placing(stream, rng.choice(makers), _order(index, side, price, 1))] * count
    if rng.random() < 0.3:
        plan.insert(rng.randrange(count), _placing(stream, taker, _order(index, side, price, 1)))
    size, mode = count + rng.choice((0, 0, 0, 1)), rng.randrange(4)
    fields = _order(index, 1 - side, price, size, time_in_force=FOK, self_trade=mode)
    if rng.random() < 0.4:
        away = max(1, price // 50) * (1 if side == Side.BUY else -1)
        plan.append(_placing(stream, taker, _order(index, 1 - side, price + away, 2)))
        return _then(stream, state, *plan, _replacing(stream, taker, index, 1 - side, fields))
    return _then(stream, state, *plan, _placing(stream, taker, fields))


def deep_again(stream: "Stream", state: State) -> Item:
    """More makers than one message may fill; who takes them all had an order, or a position."""
    rng = stream.rng
    index, price = _perpetual(stream, state)
    side = rng.randrange(2)
    taker, *makers = _rich(state, 4)
    flags = 0
    holders = [a for a, i in _held(state) if abs(a.rows[i].size_lots) > 5]
    if holders and rng.random() < 0.6:
        taker = rng.choice(holders)
        index = max(taker.rows, key=lambda i: abs(taker.rows[i].size_lots))
        price = _middle(state, index)
        side = Side.BUY if taker.rows[index].size_lots > 0 else Side.SELL
        flags = REDUCE_ONLY
    away = max(1, price // 50) * (1 if side == Side.BUY else -1)
    resting = _order(index, 1 - side, price + away, 2, flags=flags)
    count = state.preset.fills_per_message + rng.choice((1, 1, 3, 5))
    plan = [_placing(stream, rng.choice(makers), _order(index, side, price, 1))] * count
    plan += [_placing(stream, taker, resting)]
    roll = rng.random()
    if roll < 0.4:
        plan += [_amending(stream, taker, index, 1 - side, price, count + 1)]
    elif roll < 0.8:
        order = resting | {"price_ticks": price, "size_lots": count + 1}
        order |= {"time_in_force": rng.choice((GTC, IOC))}
        plan += [_replacing(stream, taker, index, 1 - side, order)]
    else:
        plan += [_placing(stream, taker, resting | {"price_ticks": price, "size_lots": count})]
    return _then(stream, state, *plan)


# --- self-trades ---------------------------------------------------------------------------------


def own(stream: "Stream", state: State) -> Item:
    """An own order, smaller, as large or larger, perhaps behind another's; every mode."""
    rng = stream.rng
    index, price = _perpetual(stream, state)
    side = rng.randrange(2)
    account, other = _rich(state, 2)
    size = rng.choice((2, 5, 9))
    plan = [_placing(stream, account, _order(index, side, price, size))]
    if rng.random() < 0.5:
        plan.insert(0, _placing(stream, other, _order(index, side, price, 2)))
    if rng.random() < 0.3:
        plan.append(_placing(stream, account, _order(index, side, price, 3)))
    fields = _order(
        index, 1 - side, price, size + rng.choice((0, 0, 2, 4, -1)),
        time_in_force=rng.choice((GTC, GTC, IOC, FOK)), self_trade=rng.randrange(4),
    )  # fmt: skip
    taking = _placing(stream, account, fields)
    if fields["time_in_force"] == GTC and rng.random() < 0.3:
        away = 1 if fields["side"] == Side.SELL else -1
        resting = fields | {"price_ticks": max(1, price + 3 * away)}
        plan.insert(0, _placing(stream, account, resting))
        taking = _amending(stream, account, index, 1 - side, price)
    return _then(stream, state, *plan, taking)


def _amending(
    stream: "Stream", account: Account, index: int, side: int, price: int, size: int = 0
) -> Make:
    """The account's newest order of the side goes to a price."""

    def make(state: State) -> Item:
        now = state.accounts[account.index]
        orders = [o for o in now.orders if (o.instrument, o.side) == (index, side)]
        if not orders:
            return stream.amend(state)
        total = size or orders[-1].size_lots + stream.rng.choice((0, 0, 1, 3))
        fields: dict[str, Any] = {"order_id": orders[-1].id, "size_lots": total}
        return stream.signed(state, Kind.AMEND, now, key=0, price_ticks=max(1, price), **fields)

    return make


def _replacing(
    stream: "Stream", account: Account, index: int, side: int, fields: dict[str, Any]
) -> Make:
    """The account's newest order of the side gives way to another."""

    def make(state: State) -> Item:
        now = state.accounts[account.index]
        orders = [o for o in now.orders if (o.instrument, o.side) == (index, side)]
        if not orders:
            return stream.replace(state)
        new = {name: x for name, x in fields.items() if name not in ("instrument", "side")}
        return stream.signed(state, Kind.REPLACE, now, key=0, order_id=orders[-1].id, **new)

    return make


# --- reduce-only ---------------------------------------------------------------------------------


def crowd(stream: "Stream", state: State) -> Item:
    """More reduce-only orders than a position may have; then it shrinks, ends or turns."""
    held = _held(state)
    if not held:
        return stream.take(state)
    rng = stream.rng
    account, index = rng.choice(held)
    plan = _reducers(stream, state, account, index, rng.randint(2, REDUCE_ONLY_MAX + 1))
    return _then(stream, state, *plan, *[_changing(stream, account, index)] * rng.randint(1, 2))


def both_reduce(stream: "Stream", state: State) -> Item:
    """A long and a short, each with reduce-only orders of all they have, trade with each other."""
    held = _held(state)
    pairs = [(a, b, i) for a, i in held for b, j in held
             if i == j and a.rows[i].size_lots > 0 > b.rows[i].size_lots]  # fmt: skip
    if not pairs:
        return stream.take(state)
    rng = stream.rng
    long, short, index = rng.choice(pairs)
    size = min(long.rows[index].size_lots, -short.rows[index].size_lots)
    price = _middle(state, index)
    orders = [
        (long, _order(index, Side.SELL, price + 1, 1 << 31, flags=REDUCE_ONLY)),
        (short, _order(index, Side.BUY, price - 1, 1 << 31, flags=REDUCE_ONLY)),
        (long, _order(index, Side.SELL, price, size, flags=rng.choice((0, REDUCE_ONLY)))),
        (short, _order(index, Side.BUY, price, size, flags=rng.choice((0, REDUCE_ONLY)))),
    ]
    plan = [_clearing(stream, account, index) for account in (long, short)]
    return _then(stream, state, *plan, *[_placing(stream, a, fields) for a, fields in orders])


def _reducers(
    stream: "Stream", state: State, account: Account, index: int, count: int
) -> list[Make]:
    """Around the touch and behind it."""
    rng = stream.rng
    size = account.rows[index].size_lots
    side = Side.SELL if size > 0 else Side.BUY
    instrument = state.instruments[index]
    mark = max(2, state.mark(instrument) // max(1, instrument.tick_size))
    plan = []
    for _ in range(count):
        away = rng.randint(1, 12) * max(1, mark // 300)
        price = mark + away if side == Side.SELL else mark - away
        lots = max(1, abs(size) * rng.choice((1, 1, 2, 3)) // rng.choice((1, 2, 4)))
        flags = REDUCE_ONLY | rng.choice((0, POST_ONLY, POST_ONLY | SLIDE))
        plan.append(_placing(stream, account, _order(index, side, price, lots, flags=flags)))
    return plan


def _changing(stream: "Stream", account: Account, index: int) -> Make:
    """The account trades against the other side's best, or somebody takes what it offers."""

    def make(state: State) -> Item:
        rng = stream.rng
        now = state.accounts[account.index]
        row = now.rows.get(index)
        if row is None or row.size_lots == 0:
            return stream.take(state)
        side = Side.SELL if row.size_lots > 0 else Side.BUY
        size = abs(row.size_lots)
        party = now if rng.random() < 0.6 else _rich(state, 1)[0]
        against = 1 - side if party is now else side
        lots = max(1, size * rng.choice((1, 1, 2, 3)) // rng.choice((1, 2, 3)))
        levels = state.books[index][against]
        if not levels:
            return stream.take(state)
        deep = sorted(levels, reverse=against == Side.BUY)[min(2, len(levels) - 1)]
        flags = rng.choice((0, 0, REDUCE_ONLY)) if party is now else 0
        fields = _order(index, 1 - against, deep, lots, flags=flags, time_in_force=IOC)
        return stream.signed(state, Kind.PLACE, party, key=0, **fields)

    return make


def loser_leaves(stream: "Stream", state: State) -> Item:
    """Everybody offers to reduce; one leaves, and is closed against the others."""
    held = _held(state)
    if not held:
        return stream.take(state)
    rng = stream.rng
    account, index = rng.choice(held)
    long = account.rows[index].size_lots > 0
    others = [a for a, i in held if i == index and (a.rows[i].size_lots > 0) != long]
    plan: list[Make] = []
    for other in rng.sample(others, min(4, len(others))):
        plan += _reducers(stream, state, other, index, rng.randint(1, 2))
    makers = {o.account for queue in state.books[index][not long].values() for o in queue}
    for other in others:
        if other.index in makers:
            plan.insert(0, _clearing(stream, other, index))
    stream.plan.extend(when_quiet(stream, make) for make in plan)
    stream.plan.append(lambda s: close(stream, s.accounts[account.index]))
    stream.plan.extend([stream.prices] * max(1, state.price_quorum))
    return stream.prices(state)


# --- expiry --------------------------------------------------------------------------------------


def expire(stream: "Stream", state: State) -> Item:
    """Orders good till the next seconds; a taker meets them, or a sweep, or their owner."""
    rng = stream.rng
    index, price = _perpetual(stream, state)
    side = rng.randrange(2)
    maker, taker = _rich(state, 2)
    plan = []
    for _ in range(rng.randint(1, 3)):
        away = rng.choice((0, 0, 1)) * (1 if side == Side.SELL else -1)
        fields = _order(index, side, price + away, 3, time_in_force=GTT)
        plan.append(_ending(stream, maker, fields))
    if rng.random() < 0.5:
        plan.append(_placing(stream, taker, _order(index, side, price, 3)))
    plan.append(_at_an_end(stream, maker))
    roll = rng.random()
    if roll < 0.5:
        ends = rng.choice((GTC, IOC, FOK))
        fields = _order(index, 1 - side, price, 4, time_in_force=ends)
        plan.append(_placing(stream, taker, fields))
    elif roll < 0.7:
        plan.append(_amending(stream, maker, index, side, price))
    elif roll < 0.85:
        plan.append(stream.tick)
    return _then(stream, state, *plan)


def expired_bids(stream: "Stream", state: State) -> Item:
    """What would take a liquidated position has expired, and no sweep has come by yet."""
    rng = stream.rng
    held = _held(state)
    if not held:
        return stream.take(state)
    account, index = rng.choice(held)
    price = _middle(state, index)
    gains = 1 if account.rows[index].size_lots > 0 else -1
    side = Side.BUY if gains > 0 else Side.SELL
    plan = [when_quiet(stream, leave_only_margin(stream, account))]
    for maker in _rich(state, 2):
        if maker.index != account.index:
            fields = _order(index, side, price, 5, time_in_force=GTT)
            plan.append(when_quiet(stream, _ending(stream, maker, fields)))
            plan.append(when_quiet(stream, _at_an_end(stream, maker)))
    if rng.random() < 0.3:
        plan.append(lambda s: close(stream, s.accounts[account.index]))
    share = -gains * rng.choice((0.05, 0.1, 0.3))
    plan += [when_quiet(stream, move(stream, state.instruments[index].feed, share))]
    stream.plan.extend([*plan, *[stream.prices] * max(1, state.price_quorum)])
    return stream.prices(state)


def _ending(stream: "Stream", account: Account, fields: dict[str, Any]) -> Make:
    def make(state: State) -> Item:
        now = state.accounts[account.index]
        ends_s = min(stream.clock_ms // 1_000 + stream.rng.choice((1, 2, 2, 9)), (1 << 32) - 1)
        return stream.signed(state, Kind.PLACE, now, key=0, **(fields | {"good_till_s": ends_s}))

    return make


def _at_an_end(stream: "Stream", account: Account) -> Make:
    """Time moves to the very end of an order, or to the millisecond before it."""

    def make(state: State) -> Item:
        ends = [o.good_till_s for o in state.accounts[account.index].orders if o.good_till_s]
        if ends:
            at_ms = stream.rng.choice(ends) * 1_000 - stream.rng.choice((0, 0, 1))
            stream.clock_ms = max(stream.clock_ms, min(at_ms, stream.clock_ms + 20_000))
            stream.on_edge = True
        return stream.go_on(state)

    return make


# --- sliding -------------------------------------------------------------------------------------


def slide(stream: "Stream", state: State) -> Item:
    """A limit that would cross; sometimes there is no tick left to slide to."""
    rng = stream.rng
    index, price = _perpetual(stream, state)
    side = rng.randrange(2)
    if rng.random() < 0.5:
        price = 1 if side == Side.SELL else PRICE_TICKS_MAX
        flat = [i for i, x in enumerate(state.instruments)
                if x.listed and x.is_perpetual and not state.books[i][1 - side]]  # fmt: skip
        # At the edge of all prices the order with the smallest stake is the likeliest to pass.
        cheap = min(flat, key=lambda i: state.instruments[i].quote_per_tick_lot, default=index)
        index = cheap if side == Side.BUY else rng.choice(flat or [index])
    maker, slider = _rich(state, 2)
    beyond = price + rng.choice((0, 1, 5)) * (1 if side == Side.SELL else -1)
    crossing = _order(index, 1 - side, beyond, 2, flags=POST_ONLY | SLIDE)
    plan = [_placing(stream, maker, _order(index, side, price, 1)),
            _placing(stream, slider, crossing)]  # fmt: skip
    if rng.random() < 0.4:  # the same by an order that stands already
        away = max(1, price + (-3 if side == Side.SELL else 3))
        plan.insert(1, _placing(stream, slider, crossing | {"price_ticks": away}))
        plan[-1] = _amending(stream, slider, index, 1 - side, beyond)
    return _then(stream, state, *plan, stream.cancel_all)


# By their names in the weights of a phase.
ORDER_PLANS: dict[str, Callable[["Stream", State], Item]] = {
    "kill": kill,
    "deep_again": deep_again,
    "both_reduce": both_reduce,
    "expired_bids": expired_bids,
    "own": own,
    "crowd": crowd,
    "expire": expire,
    "slide": slide,
    "loser_leaves": loser_leaves,
}
