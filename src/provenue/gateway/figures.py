"""Running figures of each instrument, kept from durable events: the last day's trading, and open
interest. Nothing here looks at more than one trade at a time, however long the history.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Sequence
from dataclasses import dataclass

from provenue.engine import Engine
from provenue.wire import Event, EventKind, FillFlag, InstrumentKind

__all__ = ["DayFigures", "DayWindow", "OpenInterest"]

MINUTE_MS = 60_000
DAY_MINUTES = 1_440


@dataclass(slots=True)
class _Minute:
    number: int
    high: int
    low: int
    lots: int
    value: int
    first: int


@dataclass(frozen=True, slots=True)
class DayFigures:
    """Trading of the last 24 hours (whole minutes). `value` is the sum of ticks times lots."""

    high_ticks: int = 0
    low_ticks: int = 0
    lots: int = 0
    value: int = 0
    first_ticks: int = 0


class DayWindow:
    """Minutes with trades of one instrument. The open minute is folded in when asked for, the
    others are summed once a minute.
    """

    def __init__(self) -> None:
        self._minutes: deque[_Minute] = deque()
        self._closed = DayFigures()
        self._closed_at: int | None = None

    def add(self, stamp_ms: int, price_ticks: int, lots: int) -> None:
        """Count a trade; stamps never fall."""
        number = stamp_ms // MINUTE_MS
        if not self._minutes or self._minutes[-1].number != number:
            self._minutes.append(_Minute(number, price_ticks, price_ticks, 0, 0, price_ticks))
            self._closed_at = None
        last = self._minutes[-1]
        last.high = max(last.high, price_ticks)
        last.low = min(last.low, price_ticks)
        last.lots += lots
        last.value += price_ticks * lots

    def figures(self, now_ms: int) -> DayFigures:
        """The last day up to now."""
        number = now_ms // MINUTE_MS
        minutes = self._minutes
        if number != self._closed_at:
            while minutes and minutes[0].number <= number - DAY_MINUTES:
                minutes.popleft()
            self._closed, self._closed_at = _sum(list(minutes)[:-1]), number
        if not minutes:
            return DayFigures()
        last, closed = minutes[-1], self._closed
        if not closed.lots:
            return _sum([last])
        return DayFigures(
            high_ticks=max(closed.high_ticks, last.high),
            low_ticks=min(closed.low_ticks, last.low),
            lots=closed.lots + last.lots,
            value=closed.value + last.value,
            first_ticks=closed.first_ticks,
        )


def _sum(minutes: list[_Minute]) -> DayFigures:
    if not minutes:
        return DayFigures()
    return DayFigures(
        high_ticks=max(m.high for m in minutes),
        low_ticks=min(m.low for m in minutes),
        lots=sum(m.lots for m in minutes),
        value=sum(m.value for m in minutes),
        first_ticks=minutes[0].first,
    )


class OpenInterest:
    """Sizes of all perpetual positions, and per instrument the sum of the long ones."""

    def __init__(self, engine: Engine) -> None:
        self._perpetuals: set[int] = set()
        self._sizes: dict[tuple[int, int], int] = {}
        self._long: dict[int, int] = {}
        for view in engine.instruments():
            self.listed(view["instrument"], view["kind"])
        slots = len(engine.tables["positions"]) // len(engine.tables["accounts"])
        rows = engine.tables["positions"][: engine.globals("accounts_used") * slots]
        for at in rows["size_lots"].nonzero()[0].tolist():
            row = rows[at]
            self._move(at // slots, int(row["instrument_plus_1"]) - 1, int(row["size_lots"]))
        for row in engine.positions(0):
            if row["size_lots"]:
                self._move(0, row["instrument"], row["size_lots"])

    def listed(self, instrument: int, kind: int) -> None:
        """An instrument is new."""
        if kind == InstrumentKind.PERPETUAL:
            self._perpetuals.add(instrument)

    def lots(self, instrument: int) -> int:
        """Open interest of an instrument."""
        return self._long.get(instrument, 0)

    def size(self, account: int, instrument: int) -> int:
        """The position of an account index."""
        return self._sizes.get((account, instrument), 0)

    def take(self, events: Sequence[Event]) -> None:
        """Follow fills, deleveragings and takeovers."""
        trades = (EventKind.FILL, EventKind.DELEVERAGED)
        for event in events:
            if event.kind in trades and event.instrument in self._perpetuals:
                bought = -event.size if event.reason & FillFlag.TAKER_SELLS else event.size
                self._move(event.account, event.instrument, bought)
                self._move(event.counter_account, event.instrument, -bought)
            elif event.kind is EventKind.TAKEN_OVER:
                self._move(event.account, event.instrument, -event.size)
                self._move(0, event.instrument, event.size)

    def _move(self, account: int, instrument: int, lots: int) -> None:
        key = (account, instrument)
        before = self._sizes.get(key, 0)
        after = before + lots
        if after:
            self._sizes[key] = after
        else:
            self._sizes.pop(key, None)
        change = max(after, 0) - max(before, 0)
        self._long[instrument] = self._long.get(instrument, 0) + change
