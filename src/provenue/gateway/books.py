"""Order books as clients may see them: built from durable outcomes, so never ahead of the journal.

Levels are price_ticks -> lots. Seeded once from the engine's image, then kept by events alone.
"""

from __future__ import annotations

from collections.abc import Iterable

from sortedcontainers import SortedDict

from provenue.engine import Engine
from provenue.wire import CancelReason, Event, EventKind, FillFlag, Side

__all__ = ["Book", "Books", "LevelChange"]

# (side, price_ticks, lots): 0 lots means the level is gone.
LevelChange = tuple[int, int, int]


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
        size = levels.get(price_ticks, 0) + lots
        assert size >= 0, (side, price_ticks, size)
        if size:
            levels[price_ticks] = size
        else:
            del levels[price_ticks]
        return (side, price_ticks, size)

    def has(self, side: int, price_ticks: int) -> bool:
        """Whether the level exists."""
        return price_ticks in self._sides[side]

    def bids(self, depth: int) -> list[tuple[int, int]]:
        """The best `depth` bids, best first: (price_ticks, lots)."""
        items = self._sides[Side.BUY].items()
        return list(items[-depth:][::-1]) if depth else []

    def asks(self, depth: int) -> list[tuple[int, int]]:
        """The best `depth` asks, best first."""
        return list(self._sides[Side.SELL].items()[:depth])


class Books:
    """All books, and which resting levels an event changes."""

    def __init__(self, engine: Engine) -> None:
        self._books: dict[int, Book] = {}
        # Takers whose remainder is being continued have no place in a level yet.
        self._pending: set[int] = set()
        for instrument in engine.instruments():
            number = instrument["instrument"]
            view = engine.book(number, 1 << 30)
            book = self.of(number)
            for level in view["bids"]:
                book.add(Side.BUY, level["price_ticks"], level["size_lots"])
            for level in view["asks"]:
                book.add(Side.SELL, level["price_ticks"], level["size_lots"])

    def of(self, instrument: int) -> Book:
        """The book of an instrument."""
        return self._books.setdefault(instrument, Book())

    def apply(self, events: Iterable[Event]) -> dict[int, list[LevelChange]]:
        """Take events in order; per instrument, the levels that changed."""
        changes: dict[int, list[LevelChange]] = {}
        for event in events:
            change = self._apply(event)
            if change is not None:
                changes.setdefault(event.instrument, []).append(change)
        for instrument in changes:
            self.of(instrument).change_id += 1
        return changes

    def _apply(self, event: Event) -> LevelChange | None:
        if event.kind is EventKind.ORDER_RESTING:
            self._pending.discard(event.order_id)
            return self.of(event.instrument).add(event.value, event.price, event.size)
        if event.kind is EventKind.FILL:
            # A taker that sells has met a resting buy.
            maker_side = Side.BUY if event.reason & FillFlag.TAKER_SELLS else Side.SELL
            return self.of(event.instrument).add(maker_side, event.price, -event.size)
        if event.kind is EventKind.TAKER_CONTINUES:
            self._pending.add(event.order_id)
        elif event.kind is EventKind.ORDER_CANCELLED:
            pending = event.order_id in self._pending
            self._pending.discard(event.order_id)
            if event.reason != CancelReason.IMMEDIATE_REMAINDER and not pending:
                return self.of(event.instrument).add(event.value, event.price, -event.size)
        return None
