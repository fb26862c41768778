"""The tape: fills as trades, with what events alone do not say (ids, marks, account generations).

Deleveragings (chapter 12.5) are trades of their two accounts as well, but of no book: they are no
part of the market's history (last price, ticks, volume).

A trade's id is its place in the journal: `sequence * EVENTS_MAX + index of the event`. So ids rise,
never repeat, and are the same in every copy that is made from the journal.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import NamedTuple

from provenue import wire
from provenue._generated.constants import EVENTS_MAX
from provenue.wire import Event, EventKind, FillFlag, OrderBits, TimeInForce

__all__ = ["DELEVERAGING", "HOUSE_ACCOUNT_ID", "Tape", "TradeRow", "good_till_s_of"]

# Account 0 in its first and only generation.
HOUSE_ACCOUNT_ID = 1 << 32
# A bit of TradeRow.flags above those of the protocol's fill flags.
DELEVERAGING = 1 << 8


class TradeRow(NamedTuple):
    """One fill, or one deleveraging: then the taker is who leaves, and there are no orders.
    Accounts are ids (with their generation), order ids decimal text ("0": none).
    """

    id: int
    sequence: int
    stamp_ms: int
    instrument: int
    price_ticks: int
    size_lots: int
    flags: int
    taker: int
    maker: int
    taker_order: str
    maker_order: str
    taker_fee_units: int
    maker_fee_units: int
    mark_units: int
    tick_direction: int

    @property
    def taker_sells(self) -> bool:
        """Whether the taker sold."""
        return bool(self.flags & FillFlag.TAKER_SELLS)

    @property
    def is_deleveraging(self) -> bool:
        """Whether it was no fill of a book."""
        return bool(self.flags & DELEVERAGING)


def good_till_s_of(message: bytes, bits: OrderBits) -> int:
    """When an order ends that a message has placed, 0 for never: no event says it."""
    if bits.time_in_force is not TimeInForce.GOOD_TILL_TIME:
        return 0
    placed = wire.decode(message)
    assert isinstance(placed, wire.Place | wire.Replace)
    return placed.good_till_s


@dataclass(slots=True)
class Tape:
    """Follows outcomes in order and turns their fills into trades."""

    generations: dict[int, int] = field(default_factory=dict)
    """Account index -> generation; an index is used again when its account was empty."""
    marks: dict[int, int] = field(default_factory=dict)
    """Feed -> price in quote units per whole base."""
    feeds: dict[int, int] = field(default_factory=dict)
    """Instrument -> feed."""
    last: dict[int, tuple[int, int]] = field(default_factory=dict)
    """Instrument -> (price_ticks, tick_direction) of its newest trade."""

    def account_id(self, index: int) -> int:
        """The id of the account that has this index now."""
        return self.generations.get(index, 1) << 32 | index

    def take(
        self, sequence: int, stamp_ms: int, message: bytes, events: Sequence[Event]
    ) -> list[TradeRow]:
        """The trades of one durable message, one for each FILL and DELEVERAGED, in order."""
        trades = []
        for index, event in enumerate(events):
            if event.kind in (EventKind.FILL, EventKind.DELEVERAGED):
                trades.append(self._trade(sequence * EVENTS_MAX + index, sequence, stamp_ms, event))
            elif event.kind is EventKind.PRICE_UPDATED:
                self.marks[event.extra] = event.price
            elif event.kind is EventKind.ACCOUNT_OPENED:
                self.generations[event.account] = event.extra
            elif event.kind is EventKind.INSTRUMENT_LISTED:
                listing = wire.decode(message)
                assert isinstance(listing, wire.ListInstrument)
                self.feeds[event.instrument] = listing.feed
        return trades

    def _trade(self, trade_id: int, sequence: int, stamp_ms: int, event: Event) -> TradeRow:
        direction = self._tick_direction(event.instrument, event.price)
        is_fill = event.kind is EventKind.FILL
        if is_fill:
            self.last[event.instrument] = (event.price, direction)
        return TradeRow(
            id=trade_id,
            sequence=sequence,
            stamp_ms=stamp_ms,
            instrument=event.instrument,
            price_ticks=event.price,
            size_lots=event.size,
            flags=event.reason if is_fill else event.reason | DELEVERAGING,
            taker=self.account_id(event.account),
            maker=self.account_id(event.counter_account),
            taker_order=str(event.order_id),
            maker_order=str(event.counter_order_id),
            taker_fee_units=event.value,
            maker_fee_units=event.extra if is_fill else 0,  # of the other, `extra` is the score
            mark_units=self.marks.get(self.feeds.get(event.instrument, -1), 0),
            tick_direction=direction,
        )

    def _tick_direction(self, instrument: int, price_ticks: int) -> int:
        """0 up, 1 the same after up, 2 down, 3 the same after down (Deribit's numbers)."""
        before = self.last.get(instrument)
        if before is None:
            return 0
        if price_ticks != before[0]:
            return 0 if price_ticks > before[0] else 2
        return before[1] | 1
