"""The book channels: a snapshot, then changes that name the one before (`prev_change_id`).

Each (instrument, interval) is one stream. A stream remembers, for every level touched since its
last notification, how large it was then; what is sent is the difference, so changes that cancel out
are not sent, and nothing is tracked for a stream that nobody listens to.
"""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

from provenue.gateway.books import LevelChange
from provenue.gateway.hub import Hub
from provenue.gateway.session import Session
from provenue.gateway.venue import Venue, now_ms
from provenue.wire import Side

__all__ = ["BookFeed"]

DEPTH_ALL = 1 << 30


class BookFeed:
    """One stream of one instrument."""

    def __init__(self, venue: Venue, hub: Hub, instrument: int, channel: str) -> None:
        self._venue = venue
        self._hub = hub
        self._instrument = instrument
        self.channel = channel
        self._before: dict[tuple[int, int], int] = {}
        self._change_id = venue.books.of(instrument).change_id

    def touch(self, changes: Iterable[LevelChange]) -> None:
        """Levels have changed; `publish` tells."""
        for side, price_ticks, before, _ in changes:
            self._before.setdefault((side, price_ticks), before)

    def publish(self) -> None:
        """Send what is different from the last notification, if anything is."""
        rows = self._rows()
        if not any(rows):
            return
        book = self._venue.books.of(self._instrument)
        data = {
            "type": "change",
            "timestamp": now_ms(),
            "instrument_name": self._venue.name_of(self._instrument),
            "prev_change_id": self._change_id,
            "change_id": book.change_id,
            "bids": rows[Side.BUY],
            "asks": rows[Side.SELL],
        }
        self._change_id = book.change_id
        self._hub.publish(self.channel, data)

    def _rows(self) -> tuple[list[Any], list[Any]]:
        rows: tuple[list[Any], list[Any]] = ([], [])
        book, scale = self._venue.books.of(self._instrument), self._venue.scale(self._instrument)
        for (side, price_ticks), before in self._before.items():
            after = book.size(side, price_ticks)
            if after != before:
                what = "delete" if after == 0 else "change" if before else "new"
                rows[side].append([what, scale.price(price_ticks), scale.amount(after)])
        self._before = {}
        return rows

    def snapshot_to(self, session: Session) -> None:
        """Bring everyone up to now, then show the whole book to a new listener."""
        self.publish()
        book, scale = self._venue.books.of(self._instrument), self._venue.scale(self._instrument)
        data = {
            "type": "snapshot",
            "timestamp": now_ms(),
            "instrument_name": self._venue.name_of(self._instrument),
            "change_id": self._change_id,
            "bids": [["new", scale.price(p), scale.amount(q)] for p, q in book.bids(DEPTH_ALL)],
            "asks": [["new", scale.price(p), scale.amount(q)] for p, q in book.asks(DEPTH_ALL)],
        }
        self._hub.publish_to(session, self.channel, data)
