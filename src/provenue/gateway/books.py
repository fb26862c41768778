"""Order books as clients may see them: built from durable outcomes, so never ahead of the journal.

Levels are price_ticks -> lots. Seeded once from the engine's image, then kept by events alone.
"""

from __future__ import annotations

from collections.abc import Sequence

from sortedcontainers import SortedDict

from provenue.engine import Engine
from provenue.wire import Event, EventKind, Side

__all__ = ["Book", "Books", "LevelChange"]

# (side, price_ticks, lots before, lots after): 0 means there is no such level.
LevelChange = tuple[int, int, int, int]


class Book:
    """Both sides of one instrument."""

    def __init__(self) -> None:
        self._sides: tuple[SortedDict[int, int], SortedDict[int, int]] = (
            SortedDict(),
            SortedDict(),
        )
        self.change_id = 0

    def add(self, side: int, price_ticks: int, lots: int) -> LevelChange:
        """Add (or with negative `lots` remove) size at a price; the level as it is then."""
        levels = self._sides[side]
        before = levels.get(price_ticks, 0)
        size = before + lots
        assert size >= 0, (side, price_ticks, size)
        if size:
            levels[price_ticks] = size
        else:
            del levels[price_ticks]
        return (side, price_ticks, before, size)

    def size(self, side: int, price_ticks: int) -> int:
        """Lots at a price."""
        return int(self._sides[side].get(price_ticks, 0))

    def bids(self, depth: int) -> list[tuple[int, int]]:
        """The best `depth` bids, best first: (price_ticks, lots)."""
        levels = self._sides[Side.BUY]
        return [(price, levels[price]) for price in levels.islice(-depth, reverse=True)]

    def asks(self, depth: int) -> list[tuple[int, int]]:
        """The best `depth` asks, best first."""
        levels = self._sides[Side.SELL]
        return [(price, levels[price]) for price in levels.islice(stop=depth)]

    def best_bid(self) -> tuple[int, int] | None:
        """The best bid: (price_ticks, lots)."""
        levels = self._sides[Side.BUY]
        return levels.peekitem(-1) if levels else None

    def best_ask(self) -> tuple[int, int] | None:
        """The best ask."""
        levels = self._sides[Side.SELL]
        return levels.peekitem(0) if levels else None


class Books:
    """All books, and which resting levels an event changes."""

    def __init__(self, engine: Engine) -> None:
        self._books: dict[int, Book] = {}
        # Order id -> (side, price_ticks, lots) of what rests. A taker is not here, also while its
        # remainder is being continued: what happens to it changes no level.
        self._resting: dict[int, tuple[int, int, int]] = {}
        used = engine.tables["orders"][: engine.globals("orders_used")]
        for slot in used["live"].nonzero()[0].tolist():
            view = engine.order(int(used[slot]["generation"]) << 32 | slot)
            assert view is not None
            if not view["pending"]:
                place = (view["side"], view["price_ticks"], view["remaining_lots"])
                self._rest(view["instrument"], view["order_id"], place)

    def of(self, instrument: int) -> Book:
        """The book of an instrument."""
        book = self._books.get(instrument)
        if book is None:
            book = self._books[instrument] = Book()
        return book

    def take(self, events: Sequence[Event]) -> dict[int, list[LevelChange]]:
        """Take the events of one message; per instrument, the levels that changed."""
        changes: dict[int, list[LevelChange]] = {}
        for event in events:
            change = self._take(event, is_last=event is events[-1])
            if change is not None:
                changes.setdefault(event.instrument, []).append(change)
        return changes

    def _take(self, event: Event, *, is_last: bool) -> LevelChange | None:
        if event.kind is EventKind.ORDER_RESTING:
            place = (event.value, event.price, event.size)
            return self._rest(event.instrument, event.order_id, place)
        if event.kind is EventKind.FILL:
            (_, _, lots) = self._resting[event.counter_order_id]
            return self._leave(event.instrument, event.counter_order_id, lots - event.size)
        if event.kind is EventKind.ORDER_CANCELLED:
            return self._leave(event.instrument, event.order_id, 0)
        if event.kind is EventKind.ORDER_REDUCED:
            return self._leave(event.instrument, event.order_id, event.size)
        if event.kind is EventKind.ORDER_AMENDED:
            # It has kept its place if nothing more happened; else it is a taker now, and the next
            # events say what becomes of it (4.4). The price does not tell: an order may slide back.
            return self._leave(event.instrument, event.order_id, event.size if is_last else 0)
        return None

    def _rest(self, instrument: int, order_id: int, place: tuple[int, int, int]) -> LevelChange:
        self._resting[order_id] = place
        return self.of(instrument).add(*place)

    def _leave(self, instrument: int, order_id: int, lots: int) -> LevelChange | None:
        """Only `lots` of an order rest from now on; None if nothing in the book is different."""
        side, price_ticks, before = self._resting.get(order_id, (0, 0, 0))
        assert lots <= before or not before, (order_id, before, lots)
        if lots == before or not before:
            return None
        if lots:
            self._resting[order_id] = (side, price_ticks, lots)
        else:
            del self._resting[order_id]
        return self.of(instrument).add(side, price_ticks, lots - before)
