"""Orders of random traders: makers on a grid, takers through several makers, high leverage."""

import random
from dataclasses import replace
from typing import Any

from tests.differential.market import Market

from provenue.spec.book import row_for
from provenue.spec.constants import (
    POSITION_NOTIONAL_MAX,
    PRICE_TICKS_MAX,
    SIZE_LOTS_MAX,
    Side,
)
from provenue.spec.margin import equity, place_margin_ok
from provenue.spec.state import Account, Instrument, Order, State

__all__ = ["Trader"]

GRID = 300  # passive prices stand on multiples of 1/300 of the feed's first price
LIMIT, MARKET = 0, 1
GTC, IOC, FOK, GTT = 0, 1, 2, 3
POST_ONLY, SLIDE, REDUCE_ONLY = 1, 2, 4
U32_MAX = (1 << 32) - 1
LABELS = (0, 1, 7, (1 << 64) - 1)


def _depth(state: State, instrument: int, side: int) -> int:
    return sum(len(queue) for queue in state.books[instrument][side].values())


class Trader:
    """Chooses instrument, side, price and size from what the book and the account look like."""

    def __init__(self, rng: random.Random, market: Market) -> None:
        self.rng = rng
        self.market = market

    def order(self, state: State, account: Account, phase: str) -> dict[str, Any]:
        """Mostly passive; in a `ladder` on many prices, in a `stack` on few."""
        rng = self.rng
        index, instrument = self._instrument(state, account)
        side = rng.randrange(2)
        reference = self._reference(state, instrument)
        tick_size = max(1, instrument.tick_size)  # 0 while nothing is listed
        grid = max(1, self.market.anchors[instrument.feed] // tick_size // GRID)
        spread = {"ladder": 30, "stack": 2, "storm": 3}.get(phase, 6)
        away = rng.randint(-1 if phase == "trade" else 1, spread) * grid
        price = reference - away if side == Side.BUY else reference + away
        price = price // grid * grid
        small = phase in ("ladder", "stack", "storm")
        size = 1 if small and rng.random() < 0.85 else self._size(state, account, instrument, price)
        if rng.random() < 0.05:
            size = self._brim(state, account, index, side, price) + rng.randrange(2)
        elif rng.random() < 0.01:  # the largest position at this mark, or one lot more
            mark = max(1, state.mark(instrument))
            largest = POSITION_NOTIONAL_MAX * instrument.lots_per_base // mark
            size, price = largest + rng.randrange(2), 1
        post = rng.choice((POST_ONLY, POST_ONLY, POST_ONLY | SLIDE))
        flags = post if rng.random() < 0.3 else 0
        immediate = rng.choice((IOC, FOK)) if not flags and rng.random() < 0.1 else GTC
        row = account.rows.get(index)
        if row is not None and row.reducible_lots(side) and rng.random() < 0.3:
            flags |= REDUCE_ONLY
            size = row.reducible_lots(side) * rng.choice((1, 1, 2)) // rng.choice((1, 1, 3))
        fields = self._fields(index, side, LIMIT, immediate, flags, price, size)
        return self._varied(state, fields, account)

    def taker(self, state: State, account: Account) -> dict[str, Any]:
        """Through the best few makers of a side, closing an open position more often than not."""
        rng = self.rng
        index, _ = self._instrument(state, account)
        side = rng.randrange(2)
        held = [i for i, row in account.rows.items() if row.size_lots]
        roll = rng.random()
        if held and roll < 0.4:
            index = rng.choice(held)
            side = Side.SELL if account.rows[index].size_lots > 0 else Side.BUY
        elif roll < 0.7:  # where the most orders stand: deeper than one message may fill
            places = [(i, s) for i in range(len(state.books)) for s in (0, 1)]
            index, against = max(places, key=lambda p: _depth(state, *p))
            side = 1 - against
        levels = state.books[index][1 - side]
        prices = sorted(levels, reverse=side == Side.SELL)[: rng.randint(1, 5)]
        if not prices:
            fields = self.order(state, account, "trade")
            market = {"order_type": MARKET, "time_in_force": rng.choice((IOC, FOK)), "flags": 0}
            return fields | market | {"good_till_s": 0}
        size = sum(order.remaining_lots for price in prices for order in levels[price])
        size = max(1, size + rng.choice((0, 0, -1, 1, size // 3)))
        if roll < 0.4 and held and rng.random() < 0.5:
            size = abs(account.rows[index].size_lots) * rng.choice((1, 1, 2)) or 1
        row = account.rows.get(index)
        closes = row is not None and row.reducible_lots(side) > 0
        flags = REDUCE_ONLY if closes and rng.random() < 0.4 else 0
        if rng.random() < 0.4:
            bound = rng.choice((0, 0, prices[-1]))
            fields = self._fields(index, side, MARKET, rng.choice((IOC, FOK)), flags, bound, size)
        else:
            immediate = rng.choice((GTC, GTC, IOC, FOK))
            fields = self._fields(index, side, LIMIT, immediate, flags, prices[-1], size)
        return self._varied(state, fields, account)

    def _varied(self, state: State, fields: dict[str, Any], account: Account) -> dict[str, Any]:
        """A mode against self-trades, a label that others share, perhaps an end."""
        rng = self.rng
        if rng.random() < 0.7:
            fields["client_id"] = rng.choice((*LABELS, account.index))
        fields["self_trade"] = rng.choice((0, 0, 1, 2, 3))
        if fields["time_in_force"] == GTC and rng.random() < 0.2:
            fields |= {"time_in_force": GTT, "good_till_s": self.soon_s(state)}
        return fields

    def soon_s(self, state: State) -> int:
        """A good-till-time some seconds ahead, seldom one that is just behind."""
        ahead_s = self.rng.choice((0, 1, 1, 2, 5, 20, 120, 3_600))
        return min(state.now_ms // 1_000 + ahead_s, U32_MAX)

    def amended(self, state: State, order: Order) -> dict[str, Any]:
        """Less, more, elsewhere, through the book; seldom nonsense."""
        rng = self.rng
        filled = order.size_lots - order.remaining_lots
        price, size = order.price_ticks, order.size_lots
        roll = rng.random()
        if roll < 0.35:
            size = filled + rng.randint(1, order.remaining_lots)
        elif roll < 0.5:
            size += rng.choice((1, order.remaining_lots, 10 * size, 1 << 32))
        if roll > 0.4:
            price = self._elsewhere(state, order)
        roll = rng.random()
        if roll < 0.05:
            size = rng.choice((0, filled, filled + 1))
        elif roll < 0.08:
            price, size = 1, SIZE_LOTS_MAX
        return {"order_id": order.id, "price_ticks": min(max(0, price), 1 << 30), "size_lots": size}

    def _elsewhere(self, state: State, order: Order) -> int:
        """Some ticks on, at the touch, or beyond the best few of the other side."""
        rng = self.rng
        against = sorted(state.books[order.instrument][1 - order.side])
        if order.side == Side.SELL:
            against.reverse()
        if against and rng.random() < 0.5:
            return against[min(rng.randrange(4), len(against) - 1)] + rng.choice((0, 0, 1, -1))
        step = max(1, order.price_ticks // GRID)
        return order.price_ticks + step * rng.randint(-3, 3)

    def replacement(self, state: State, order: Order, account: Account) -> dict[str, Any]:
        """Another order for this one; mostly in the same place."""
        rng = self.rng
        fields = self.amended(state, order)
        flags = rng.choice((0, 0, POST_ONLY, POST_ONLY | SLIDE))
        row = account.rows.get(order.instrument)
        reduces = row is not None and row.reducible_lots(order.side) > 0
        if rng.random() < (0.4 if reduces else 0.04):
            flags |= REDUCE_ONLY
        kind, in_force = LIMIT, GTC
        if not flags & POST_ONLY:
            kind = rng.choice((LIMIT, LIMIT, LIMIT, MARKET))
            in_force = rng.choice((IOC, FOK)) if kind == MARKET else rng.choice((GTC, IOC, FOK))
        fields |= {"order_type": kind, "time_in_force": in_force, "flags": flags,
                   "client_id": order.client_id, "good_till_s": 0}  # fmt: skip
        return self._varied(state, fields, account)

    def _instrument(self, state: State, account: Account) -> tuple[int, Instrument]:
        listed = [i for i, x in enumerate(state.instruments) if x.listed] or [0]
        index = self.rng.choice(listed)
        is_full = len(account.rows) >= state.preset.positions_per_account
        if is_full and self.rng.random() < 0.85:
            index = self.rng.choice(list(account.rows))
        return index, state.instruments[index]

    def _reference(self, state: State, instrument: Instrument) -> int:
        mark = state.mark(instrument) or self.market.prices[instrument.feed]
        return max(2, mark // max(1, instrument.tick_size))

    def _size(self, state: State, account: Account, instrument: Instrument, price: int) -> int:
        rng = self.rng
        have = max(equity(state, account), 10**6)
        leverage = rng.choice((0.01, 0.1, 0.5, 1, 3, 8, 15))
        lot_value = max(1, price * instrument.quote_per_tick_lot)
        size = round(have * leverage * rng.random()) // lot_value
        if not instrument.is_perpetual and instrument.listed and rng.random() < 0.5:
            held = account.balances[instrument.base_asset] // instrument.base_units_per_lot
            size = rng.choice((held, held // 2, held // 10))
        return size or 1

    def queue(self, state: State) -> tuple[dict[str, Any], dict[str, Any]]:
        """A small order near the mark, and one against it that takes many such."""
        listed = [i for i, x in enumerate(state.instruments) if x.listed and x.is_perpetual]
        index = self.rng.choice(listed or [0])
        side = self.rng.randrange(2)
        price = self._reference(state, state.instruments[index])
        maker = self._fields(index, side, LIMIT, GTC, 0, price, 1)
        immediate = self.rng.choice((GTC, IOC))
        return maker, self._fields(index, 1 - side, LIMIT, immediate, 0, price, 40)

    @staticmethod
    def _brim(state: State, account: Account, index: int, side: int, price: int) -> int:
        """The largest size that the margin check lets pass, by halving."""
        unit = price * state.instruments[index].quote_per_tick_lot
        low, high = 0, 1 << 24
        while high - low > 1:
            size = (low + high) // 2
            row = row_for(state, account, index).with_order(side, size, size * unit)
            after = replace(account, rows=account.rows | {index: row})
            if place_margin_ok(state, after, index, side, size, size * unit):
                low = size
            else:
                high = size
        return low

    @staticmethod
    def _fields(
        index: int, side: int, kind: int, immediate: int, flags: int, price: int, size: int
    ) -> dict[str, Any]:
        low = 0 if kind == MARKET else 1
        return {
            "instrument": index,
            "side": side,
            "order_type": kind,
            "time_in_force": immediate,
            "flags": flags,
            "price_ticks": min(max(low, price), PRICE_TICKS_MAX),
            "size_lots": min(max(1, size), SIZE_LOTS_MAX),
            "client_id": (size * 0x9E3779B97F4A7C15 + price) & ((1 << 64) - 1),
            "self_trade": 0,
            "good_till_s": 0,
        }
