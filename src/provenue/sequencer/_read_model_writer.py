"""The writing side of the read models: durable outcomes into SQLite rows. Private to read_model.py.

Accounts are stored as ids (generation and index): an index is used again by rule (chapter 3.3), and
its new owner must not see what the former one did.
"""

from __future__ import annotations

import sqlite3

from provenue import wire
from provenue.sequencer.sequencer import Outcome
from provenue.sequencer.tape import DELEVERAGING, Tape, TradeRow, good_till_s_of
from provenue.wire import CancelReason, Event, EventKind, Kind, OrderBits

__all__ = ["SCHEMA", "Writer", "load_tape"]

SCHEMA = """
CREATE TABLE IF NOT EXISTS progress (one INTEGER PRIMARY KEY CHECK (one = 1), sequence INTEGER);
CREATE TABLE IF NOT EXISTS trades (
  id INTEGER PRIMARY KEY, sequence INTEGER, stamp_ms INTEGER, instrument INTEGER,
  price_ticks INTEGER, size_lots INTEGER, flags INTEGER, taker INTEGER, maker INTEGER,
  taker_order TEXT, maker_order TEXT, taker_fee_units INTEGER, maker_fee_units INTEGER,
  mark_units INTEGER, tick_direction INTEGER);
CREATE INDEX IF NOT EXISTS trades_instrument ON trades (instrument, id);
CREATE INDEX IF NOT EXISTS trades_taker ON trades (taker, id);
CREATE INDEX IF NOT EXISTS trades_maker ON trades (maker, id);
CREATE INDEX IF NOT EXISTS trades_stamp ON trades (stamp_ms);
CREATE TABLE IF NOT EXISTS orders (
  id TEXT PRIMARY KEY, account INTEGER, instrument INTEGER, side INTEGER, bits INTEGER,
  price_ticks INTEGER, size_lots INTEGER, filled_lots INTEGER, filled_value TEXT, client_id TEXT,
  state TEXT, reason INTEGER, created_ms INTEGER, updated_ms INTEGER, good_till_s INTEGER,
  amended INTEGER);
CREATE INDEX IF NOT EXISTS orders_account ON orders (account, created_ms);
CREATE TABLE IF NOT EXISTS withdrawals (
  id INTEGER PRIMARY KEY, asset INTEGER, recipient BLOB, amount_units INTEGER,
  account INTEGER, forced INTEGER, bounced INTEGER, sequence INTEGER, batch INTEGER,
  haircut_units INTEGER);
CREATE TABLE IF NOT EXISTS deposits (
  sequence INTEGER PRIMARY KEY, account INTEGER, asset INTEGER, amount_units INTEGER,
  owner BLOB, subaccount INTEGER, batch INTEGER);
CREATE TABLE IF NOT EXISTS generations (account INTEGER PRIMARY KEY, generation INTEGER);
CREATE TABLE IF NOT EXISTS marks (feed INTEGER PRIMARY KEY, price INTEGER);
CREATE TABLE IF NOT EXISTS instrument_feeds (instrument INTEGER PRIMARY KEY, feed INTEGER);
"""


def load_tape(db: sqlite3.Connection) -> Tape:
    """The tape as it stands behind the last written outcome."""
    last = (
        "SELECT price_ticks, tick_direction FROM trades "
        f"WHERE instrument=? AND flags<{DELEVERAGING} ORDER BY id DESC"
    )
    tape = Tape(
        generations=dict(db.execute("SELECT account, generation FROM generations")),
        marks=dict(db.execute("SELECT feed, price FROM marks")),
        feeds=dict(db.execute("SELECT instrument, feed FROM instrument_feeds")),
    )
    for instrument in tape.feeds:
        row = db.execute(last + " LIMIT 1", (instrument,)).fetchone()
        if row:
            tape.last[instrument] = (row[0], row[1])
    return tape


class Writer:
    """Writes groups of outcomes, each in one transaction. One thread."""

    def __init__(self, db: sqlite3.Connection) -> None:
        self._db = db
        self._tape = load_tape(db)
        self._writers = {
            EventKind.ORDER_ACCEPTED: self._accepted,
            EventKind.ORDER_CANCELLED: self._cancelled,
            EventKind.ORDER_AMENDED: self._amended,
            EventKind.ORDER_REDUCED: self._reduced,
            EventKind.DEPOSITED: self._deposited,
            EventKind.WITHDRAWN: self._issued,
            EventKind.DEPOSIT_BOUNCED: self._issued,
            EventKind.HAIRCUT: self._cut,
            EventKind.ACCOUNT_OPENED: self._opened,
            EventKind.PRICE_UPDATED: self._priced,
            EventKind.INSTRUMENT_LISTED: self._listed,
        }

    def write(self, outcomes: list[Outcome]) -> None:
        """Write durable outcomes, in order."""
        with self._db:
            for outcome in outcomes:
                self._outcome(outcome)
            progress = "INSERT OR REPLACE INTO progress VALUES (1, ?)"
            self._db.execute(progress, (outcomes[-1].sequence,))

    def _outcome(self, outcome: Outcome) -> None:
        if not outcome.events:
            return
        events = wire.decode_events(outcome.events)
        trades = self._tape.take(outcome.sequence, outcome.stamp_ms, outcome.message, events)
        remaining = iter(trades)
        for event in events:
            if event.kind in (EventKind.FILL, EventKind.DELEVERAGED):
                self._trade(next(remaining))
            elif (writer := self._writers.get(event.kind)) is not None:
                writer(outcome, event)

    def _insert(self, table: str, *values: object) -> None:
        marks = ",".join("?" * len(values))
        self._db.execute(f"INSERT OR REPLACE INTO {table} VALUES ({marks})", values)

    def _trade(self, trade: TradeRow) -> None:
        self._insert("trades", *trade)
        find = "SELECT size_lots, filled_lots, filled_value FROM orders WHERE id=?"
        update = "UPDATE orders SET filled_lots=?, filled_value=?, state=?, updated_ms=? WHERE id=?"
        for order_id in (trade.taker_order, trade.maker_order):
            row = self._db.execute(find, (order_id,)).fetchone()
            if row is None:
                continue  # an order of the program itself has no id
            filled = row[1] + trade.size_lots
            # As text: sums of ticks times lots may leave 64 bits.
            value = str(int(row[2]) + trade.price_ticks * trade.size_lots)
            state = "filled" if filled == row[0] else "open"
            self._db.execute(update, (filled, value, state, trade.stamp_ms, order_id))

    def _accepted(self, outcome: Outcome, event: Event) -> None:
        self._insert(
            "orders",
            str(event.order_id),
            self._tape.account_id(event.account),
            event.instrument,
            event.value,
            event.reason,
            event.price,
            event.size,
            0,
            "0",
            str(event.extra & ((1 << 64) - 1)),
            "open",
            0,
            outcome.stamp_ms,
            outcome.stamp_ms,
            good_till_s_of(outcome.message, OrderBits.of(event.reason)),
            0,
        )

    def _cancelled(self, outcome: Outcome, event: Event) -> None:
        self._db.execute(
            "UPDATE orders SET state='cancelled', reason=?, updated_ms=? WHERE id=?",
            (int(CancelReason(event.reason)), outcome.stamp_ms, str(event.order_id)),
        )

    def _amended(self, outcome: Outcome, event: Event) -> None:
        update = "UPDATE orders SET price_ticks=?, amended=1 WHERE id=?"
        self._db.execute(update, (event.price, str(event.order_id)))
        self._reduced(outcome, event)

    def _reduced(self, outcome: Outcome, event: Event) -> None:
        """What is filled counts into the size; the event has what is left."""
        update = "UPDATE orders SET size_lots=filled_lots+?, updated_ms=? WHERE id=?"
        self._db.execute(update, (event.size, outcome.stamp_ms, str(event.order_id)))

    def _deposited(self, outcome: Outcome, event: Event) -> None:
        deposit = wire.decode(outcome.message)
        assert isinstance(deposit, wire.Deposit)
        self._insert(
            "deposits",
            outcome.sequence,
            self._tape.account_id(event.account),
            event.extra,
            event.size,
            deposit.owner,
            deposit.subaccount,
            outcome.batch,
        )

    def _issued(self, outcome: Outcome, event: Event) -> None:
        message = wire.decode(outcome.message)
        assert isinstance(message, wire.Deposit | wire.Withdraw | wire.ForcedWithdraw)
        bounced = isinstance(message, wire.Deposit)
        recipient = message.owner if isinstance(message, wire.Deposit) else message.recipient
        self._insert(
            "withdrawals",
            event.value,
            event.extra,
            recipient,
            event.size,
            0 if bounced else self._tape.account_id(event.account),
            int(message.KIND is Kind.FORCED_WITHDRAW),
            int(bounced),
            outcome.sequence,
            outcome.batch,
            0,
        )

    def _cut(self, outcome: Outcome, event: Event) -> None:
        """What the withdrawal of this message would have been more (12.6)."""
        update = "UPDATE withdrawals SET haircut_units=? WHERE sequence=?"
        self._db.execute(update, (event.size, outcome.sequence))

    def _opened(self, _: Outcome, event: Event) -> None:
        self._insert("generations", event.account, event.extra)

    def _priced(self, _: Outcome, event: Event) -> None:
        self._insert("marks", event.extra, event.price)

    def _listed(self, _: Outcome, event: Event) -> None:
        self._insert("instrument_feeds", event.instrument, self._tape.feeds[event.instrument])
