"""Order books as clients may see them: built from durable outcomes, so never ahead of the journal.

Levels are price_ticks -> lots. Seeded once from the engine's image, then kept by events alone.
"""

from __future__ import annotations

from collections.abc import Iterable

from sortedcontainers import SortedDict

from provenue.engine import Engine
from provenue.wire import CancelReason, Event, EventKind, FillFlag, Side

__all__ = ["Book", "Books", "LevelChange"]

# (side, price_ticks, lots before, lots after): 0 means there is no such level.
LevelChange = tuple[int, int, int, int]
DEPTH_ALL = 1 << 30


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
        # A taker whose remainder is being continued has no place in a level yet; there is at most
        # one (chapter 4.2).
        self._pending = 0
        slot = engine.globals("pending_order") - 1
        if slot >= 0:
            self._pending = int(engine.tables["orders"][slot]["generation"]) << 32 | slot
        for instrument in engine.instruments():
            number = instrument["instrument"]
            view = engine.book(number, DEPTH_ALL)
            book = self.of(number)
            for level in view["bids"]:
                book.add(Side.BUY, level["price_ticks"], level["size_lots"])
            for level in view["asks"]:
                book.add(Side.SELL, level["price_ticks"], level["size_lots"])

    def of(self, instrument: int) -> Book:
        """The book of an instrument."""
        return self._books.setdefault(instrument, Book())

    def take(self, events: Iterable[Event]) -> dict[int, list[LevelChange]]:
        """Take events in order; per instrument, the levels that changed."""
        changes: dict[int, list[LevelChange]] = {}
        for event in events:
            change = self._take(event)
            if change is not None:
                changes.setdefault(event.instrument, []).append(change)
        return changes

    def _take(self, event: Event) -> LevelChange | None:
        if event.kind is EventKind.ORDER_RESTING:
            if event.order_id == self._pending:
                self._pending = 0
            return self.of(event.instrument).add(event.value, event.price, event.size)
        if event.kind is EventKind.FILL:
            # A taker that sells has met a resting buy.
            maker_side = Side.BUY if event.reason & FillFlag.TAKER_SELLS else Side.SELL
            return self.of(event.instrument).add(maker_side, event.price, -event.size)
        if event.kind is EventKind.TAKER_CONTINUES:
            self._pending = event.order_id
        elif event.kind is EventKind.ORDER_CANCELLED:
            if event.order_id == self._pending:
                self._pending = 0
            elif event.reason != CancelReason.IMMEDIATE_REMAINDER:
                return self.of(event.instrument).add(event.value, event.price, -event.size)
        return None
