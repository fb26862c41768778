"""Order flow to replay: recorded Bitstamp order events, or a seeded flow of the same shape.

A flow yields `FlowEvent`s in order: an order is created, or an order that was created before goes
away. Prices are quote units (1e-6) per whole base, amounts 1e-8 base. The recording is not ours and
never part of the project: it is read from a file when there is one.
"""

from __future__ import annotations

import csv
import gzip
import heapq
import io
import lzma
import random
import zlib
from collections.abc import Iterator
from dataclasses import dataclass
from decimal import Decimal, InvalidOperation
from pathlib import Path

from provenue._generated.constants import PRICE_MAX, SIZE_LOTS_MAX

__all__ = ["E8_PER_LOT", "FlowError", "FlowEvent", "bitstamp_events", "open_flow", "seeded_events"]

BITSTAMP_FILE = Path("data") / "bitstamp_l3_2015" / "orders.csv.xz"
_COLUMNS = ("id", "timestamp", "price", "volume", "action", "direction")
_QUOTE_UNITS = Decimal(1_000_000)
E8_PER_LOT = 10_000
# A mid moves by hundredths of itself, so it has at least a hundred units; the rest: the protocol.
_PRICE_MIN, _PRICE_MAX = 100 / _QUOTE_UNITS, PRICE_MAX / _QUOTE_UNITS
_AMOUNT_E8_MAX = SIZE_LOTS_MAX * E8_PER_LOT
# How the readers say that a file is damaged, cut off, or no text.
_UNREADABLE = (OSError, EOFError, UnicodeDecodeError, csv.Error, lzma.LZMAError, zlib.error)


class FlowError(ValueError):
    """A flow file cannot be used; the text names the file, the line, and what was expected."""


@dataclass(frozen=True, slots=True)
class FlowEvent:
    """`created` or gone; `time_ms` is the recording's clock."""

    time_ms: int
    order: int
    created: bool
    is_buy: bool
    price_units: int
    amount_e8: int


def _open_text(path: Path) -> io.TextIOBase:
    try:
        if path.suffix == ".xz":
            return lzma.open(path, "rt", encoding="utf-8", newline="")
        if path.suffix == ".gz":
            return gzip.open(path, "rt", encoding="utf-8", newline="")
        return path.open(encoding="utf-8", newline="")
    except OSError as problem:
        raise FlowError(f"{path}: {problem.strerror or problem}") from None


def bitstamp_events(path: Path) -> Iterator[FlowEvent]:
    """Events of a Bitstamp order capture (csv, .xz or .gz).

    `changed` rows (partial fills of that venue) are passed over: our own matching decides fills.
    """
    orders = 0
    for line, row in _rows(path):
        action = row["action"]
        if action not in ("created", "changed", "deleted") or row["direction"] not in (
            "bid",
            "ask",
        ):
            raise FlowError(
                f"{path}: line {line}: action and direction: expected created, changed or "
                f"deleted and bid or ask, was {action!r}, {row['direction']!r}"
            )
        if action == "changed":
            continue
        orders += action == "created"
        yield _bitstamp_event(path, line, row)
    if not orders:
        raise FlowError(f"{path}: expected at least one created order, found none")


def _rows(path: Path) -> Iterator[tuple[int, dict[str, str]]]:
    """The rows and the lines they stand in; FlowError where the file cannot be read on."""
    line = 1
    with _open_text(path) as file:
        try:
            reader = csv.DictReader(file)
            fields = reader.fieldnames or []
            missing = [name for name in _COLUMNS if name not in fields]
            if missing:
                raise FlowError(f"{path}: line 1: columns missing: {', '.join(missing)}")
            line = 2
            for row in reader:
                yield line, row
                line += 1
        except _UNREADABLE as problem:
            raise FlowError(
                f"{path}: line {line}: not readable: {problem}; damaged, cut off, or another "
                "format than its name says (csv, .csv.xz or .csv.gz)"
            ) from None


def _bitstamp_event(path: Path, line: int, row: dict[str, str]) -> FlowEvent:
    try:
        price, amount_e8 = Decimal(row["price"]), int(row["volume"])
        time_ms, order = int(row["timestamp"]), int(row["id"])
    except (ValueError, InvalidOperation, TypeError):
        shown = {name: str(row[name])[:40] for name in _COLUMNS}
        raise FlowError(f"{path}: line {line}: expected numbers, was {shown}") from None
    # Compared as decimals: an exponent can be larger than any integer that fits into memory.
    if not (price.is_finite() and _PRICE_MIN <= price <= _PRICE_MAX):
        raise FlowError(
            f"{path}: line {line}: price: expected {_PRICE_MIN:f} to {_PRICE_MAX:f}, "
            f"was {row['price'][:40]}"
        )
    if not 0 <= amount_e8 <= _AMOUNT_E8_MAX:
        raise FlowError(
            f"{path}: line {line}: volume: expected 0 to {_AMOUNT_E8_MAX} (1e-8 of the base), "
            f"was {row['volume'][:40]}"
        )
    return FlowEvent(
        time_ms=time_ms,
        order=order,
        created=row["action"] == "created",
        is_buy=row["direction"] == "bid",
        price_units=int(price * _QUOTE_UNITS),
        amount_e8=amount_e8,
    )


def seeded_events(seed: int) -> Iterator[FlowEvent]:
    """An endless flow: a mid price that wanders, orders around it, most of them soon cancelled."""
    rng = random.Random(seed)
    time_ms, order, mid_units = 0, 0, 236_000_000
    leaving: list[tuple[int, int, FlowEvent]] = []
    while True:
        time_ms += rng.randrange(1, 60)
        while leaving and leaving[0][0] <= time_ms:
            gone_ms, number, event = heapq.heappop(leaving)
            yield FlowEvent(
                gone_ms, number, False, event.is_buy, event.price_units, event.amount_e8
            )
        mid_units += round(rng.gauss(0, 12_000))
        order += 1
        is_buy = rng.random() < 0.5
        # Most orders stand a little behind the mid; a few reach across it.
        distance_units = round(rng.expovariate(1 / 600_000)) - 60_000
        price_units = mid_units - distance_units if is_buy else mid_units + distance_units
        event = FlowEvent(
            time_ms=time_ms,
            order=order,
            created=True,
            is_buy=is_buy,
            price_units=max(price_units, 10_000),
            amount_e8=rng.randrange(1_000_000, 500_000_000),
        )
        yield event
        life_ms = round(rng.expovariate(1 / 8_000)) + 50
        heapq.heappush(leaving, (time_ms + life_ms, order, event))


def open_flow(replay: Path | None, shared: Path, seed: int) -> tuple[Iterator[FlowEvent], str]:
    """(events, what they are): `replay` if given, else the recording in `shared`, else seeded."""
    if replay is not None:
        if not replay.is_file():
            raise FlowError(f"--replay: expected a file, {replay} is none")
        return bitstamp_events(replay), f"recorded orders from {replay.name}"
    recording = shared / BITSTAMP_FILE
    if recording.is_file():
        return bitstamp_events(recording), "recorded Bitstamp BTC/USD orders of 2015-05-01"
    return seeded_events(seed), f"seeded order flow (seed {seed}; no recording found)"
