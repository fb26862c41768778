"""SQLite read models of what happened: trades, orders, withdrawals, deposits, anchored batches.

Never truth (design section 6): everything here can be rebuilt by replaying the journal, and nothing
in the path of an order waits for it. Outcomes are handed over after they are durable and written by
a thread of its own; `last_sequence` says how far the file is, so that recovery can catch it up.

Amounts are protocol integers: ticks, lots, asset units, milliseconds.
"""

from __future__ import annotations

import queue
import sqlite3
import threading
from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import Any, NamedTuple

from provenue import wire
from provenue.sequencer.sequencer import Outcome
from provenue.wire import CancelReason, EventKind, FillFlag, Kind

__all__ = ["ReadModel", "TradeRow", "WithdrawalRow"]

_SCHEMA = """
CREATE TABLE IF NOT EXISTS progress (one INTEGER PRIMARY KEY CHECK (one = 1), sequence INTEGER);
CREATE TABLE IF NOT EXISTS trades (
  id INTEGER PRIMARY KEY, sequence INTEGER, stamp_ms INTEGER, instrument INTEGER,
  price_ticks INTEGER, size_lots INTEGER, taker_sells INTEGER, flags INTEGER,
  taker INTEGER, maker INTEGER, taker_order TEXT, maker_order TEXT,
  taker_fee INTEGER, maker_fee INTEGER);
CREATE INDEX IF NOT EXISTS trades_instrument ON trades (instrument, id);
CREATE INDEX IF NOT EXISTS trades_taker ON trades (taker, id);
CREATE INDEX IF NOT EXISTS trades_maker ON trades (maker, id);
CREATE TABLE IF NOT EXISTS orders (
  id TEXT PRIMARY KEY, account INTEGER, instrument INTEGER, side INTEGER, bits INTEGER,
  price_ticks INTEGER, size_lots INTEGER, filled_lots INTEGER, filled_value TEXT, client_id TEXT,
  state TEXT, reason INTEGER, created_ms INTEGER, updated_ms INTEGER);
CREATE INDEX IF NOT EXISTS orders_account ON orders (account, created_ms);
CREATE TABLE IF NOT EXISTS withdrawals (
  id INTEGER PRIMARY KEY, asset INTEGER, recipient BLOB, amount_units INTEGER,
  account INTEGER, forced INTEGER, bounced INTEGER, sequence INTEGER, batch INTEGER);
CREATE TABLE IF NOT EXISTS deposits (
  sequence INTEGER PRIMARY KEY, account INTEGER, asset INTEGER, amount_units INTEGER,
  owner BLOB, subaccount INTEGER, batch INTEGER);
"""


class TradeRow(NamedTuple):
    """One fill. Order ids are decimal text (SQLite integers are signed)."""

    id: int
    sequence: int
    stamp_ms: int
    instrument: int
    price_ticks: int
    size_lots: int
    taker_sells: int
    flags: int
    taker: int
    maker: int
    taker_order: str
    maker_order: str
    taker_fee: int
    maker_fee: int


class WithdrawalRow(NamedTuple):
    """One leaf of the withdrawal tree (chapter 3.6) and where it came from."""

    id: int
    asset: int
    recipient: bytes
    amount_units: int
    account: int
    forced: int
    bounced: int
    sequence: int
    batch: int


class ReadModel:
    """Writes outcomes to SQLite in a thread; answers queries from any thread."""

    def __init__(self, path: Path) -> None:
        self._path = path
        self._queue: queue.SimpleQueue[list[Outcome] | threading.Event | None] = queue.SimpleQueue()
        self._local = threading.local()
        self._failed: BaseException | None = None
        with self._connect() as db:
            db.executescript(_SCHEMA)
        self._thread = threading.Thread(target=self._write_all, name="read-model", daemon=True)
        self._thread.start()

    # --- writing ---------------------------------------------------------------------------------

    def take(self, outcomes: list[Outcome]) -> None:
        """Queue durable outcomes (in sequence order) for writing."""
        self._queue.put(outcomes)

    def flush(self) -> None:
        """Wait until everything taken so far is written; raises what stopped the writer."""
        done = threading.Event()
        self._queue.put(done)
        while not done.wait(0.1):
            if not self._thread.is_alive():
                break
        if self._failed is not None:
            raise self._failed

    def close(self) -> None:
        """Write what is queued and end the thread."""
        self._queue.put(None)
        self._thread.join()

    def last_sequence(self) -> int:
        """Sequence number of the newest outcome written; -1 when there is none."""
        row = self._db().execute("SELECT sequence FROM progress").fetchone()
        return int(row[0]) if row else -1

    def _connect(self) -> sqlite3.Connection:
        db = sqlite3.connect(self._path, timeout=10)
        db.execute("PRAGMA journal_mode=WAL")
        db.execute("PRAGMA synchronous=OFF")  # rebuildable: speed before durability
        return db

    def _db(self) -> sqlite3.Connection:
        db: sqlite3.Connection | None = getattr(self._local, "db", None)
        if db is None:
            db = self._local.db = self._connect()
        return db

    def _write_all(self) -> None:
        try:
            db = self._connect()
            while (item := self._queue.get()) is not None:
                if isinstance(item, threading.Event):
                    item.set()
                    continue
                with db:
                    for outcome in item:
                        _write_outcome(db, outcome)
                    db.execute(
                        "INSERT OR REPLACE INTO progress VALUES (1, ?)", (item[-1].sequence,)
                    )
            db.close()
        except BaseException as problem:
            self._failed = problem
            raise

    # --- asking ----------------------------------------------------------------------------------

    def _rows(self, sql: str, *values: object) -> Iterator[tuple[Any, ...]]:
        return iter(self._db().execute(sql, values).fetchall())

    def trades(
        self, instrument: int, *, count: int = 10, before_id: int | None = None
    ) -> list[TradeRow]:
        """Newest trades of an instrument, newest first."""
        limit = before_id if before_id is not None else 1 << 62
        sql = "SELECT * FROM trades WHERE instrument=? AND id<? ORDER BY id DESC LIMIT ?"
        return [TradeRow(*row) for row in self._rows(sql, instrument, limit, count)]

    def day_stats(self, instrument: int, since_ms: int) -> tuple[int, int, int, int]:
        """(high_ticks, low_ticks, lots, sum of ticks * lots) of the trades since a time."""
        sql = (
            "SELECT max(price_ticks), min(price_ticks), sum(size_lots), "
            "sum(price_ticks * size_lots) FROM trades WHERE instrument=? AND stamp_ms>=?"
        )
        row = next(self._rows(sql, instrument, since_ms))
        return row[0] or 0, row[1] or 0, row[2] or 0, row[3] or 0

    def account_trades(
        self, account: int, *, instrument: int | None = None, count: int = 10
    ) -> list[TradeRow]:
        """Newest trades in which the account took part, newest first."""
        where = "" if instrument is None else f" AND instrument={int(instrument)}"
        sql = (
            f"SELECT * FROM trades WHERE taker=?{where} UNION "
            f"SELECT * FROM trades WHERE maker=?{where} ORDER BY id DESC LIMIT ?"
        )
        return [TradeRow(*row) for row in self._rows(sql, account, account, count)]

    def order(self, order_id: int) -> dict[str, Any] | None:
        """One order, alive or ended, by id."""
        return next(self._orders("WHERE id=?", str(order_id)), None)

    def account_orders(self, account: int, *, count: int = 20) -> list[dict[str, Any]]:
        """An account's orders, newest first."""
        return list(
            self._orders("WHERE account=? ORDER BY created_ms DESC LIMIT ?", account, count)
        )

    def _orders(self, where: str, *values: object) -> Iterator[dict[str, Any]]:
        cursor = self._db().execute(f"SELECT * FROM orders {where}", values)
        names = [column[0] for column in cursor.description]
        return (dict(zip(names, row, strict=True)) for row in cursor.fetchall())

    def withdrawals(self, *, up_to_id: int | None = None) -> list[WithdrawalRow]:
        """Leaves of the withdrawal tree by id, ids 0 .. up_to_id - 1 (all when None)."""
        limit = up_to_id if up_to_id is not None else 1 << 62
        sql = "SELECT * FROM withdrawals WHERE id<? ORDER BY id"
        return [WithdrawalRow(*row) for row in self._rows(sql, limit)]

    def withdrawal(self, withdrawal_id: int) -> WithdrawalRow | None:
        """One withdrawal."""
        rows = self._rows("SELECT * FROM withdrawals WHERE id=?", withdrawal_id)
        row = next(rows, None)
        return WithdrawalRow(*row) if row else None


def _write_outcome(db: sqlite3.Connection, outcome: Outcome) -> None:
    for event in wire.event_array(outcome.events).tolist():
        kind = event[0]
        writer = _WRITERS.get(kind)
        if writer is not None:
            writer(db, outcome, event)


# Event tuples in the order of EVENT_FIELDS.
_REASON, _INSTRUMENT, _ACCOUNT, _COUNTER, _ORDER, _COUNTER_ORDER = 1, 2, 3, 4, 5, 6
_PRICE, _SIZE, _VALUE, _EXTRA = 7, 8, 9, 10
_Event = tuple[int, ...]


def _write_accepted(db: sqlite3.Connection, outcome: Outcome, event: _Event) -> None:
    db.execute(
        "INSERT OR REPLACE INTO orders VALUES (?,?,?,?,?,?,?,0,'0',?,'open',0,?,?)",
        (
            str(event[_ORDER]),
            event[_ACCOUNT],
            event[_INSTRUMENT],
            event[_VALUE],
            event[_REASON],
            event[_PRICE],
            event[_SIZE],
            str(event[_EXTRA] & ((1 << 64) - 1)),
            outcome.stamp_ms,
            outcome.stamp_ms,
        ),
    )


def _write_fill(db: sqlite3.Connection, outcome: Outcome, event: _Event) -> None:
    db.execute(
        "INSERT INTO trades VALUES (NULL,?,?,?,?,?,?,?,?,?,?,?,?,?)",
        (
            outcome.sequence,
            outcome.stamp_ms,
            event[_INSTRUMENT],
            event[_PRICE],
            event[_SIZE],
            int(bool(event[_REASON] & FillFlag.TAKER_SELLS)),
            event[_REASON],
            event[_ACCOUNT],
            event[_COUNTER],
            str(event[_ORDER]),
            str(event[_COUNTER_ORDER]),
            event[_VALUE],
            event[_EXTRA],
        ),
    )
    for order_id in (event[_ORDER], event[_COUNTER_ORDER]):
        row = db.execute(
            "SELECT size_lots, filled_lots, filled_value FROM orders WHERE id=?", (str(order_id),)
        ).fetchone()
        if row is None:
            continue  # a liquidation order has no id
        filled = row[1] + event[_SIZE]
        value = int(row[2]) + event[_PRICE] * event[_SIZE]
        db.execute(
            "UPDATE orders SET filled_lots=?, filled_value=?, state=?, updated_ms=? WHERE id=?",
            (
                filled,
                str(value),
                "filled" if filled == row[0] else "open",
                outcome.stamp_ms,
                str(order_id),
            ),
        )


def _write_cancelled(db: sqlite3.Connection, outcome: Outcome, event: _Event) -> None:
    reason = CancelReason(event[_REASON])
    db.execute(
        "UPDATE orders SET state='cancelled', reason=?, updated_ms=? WHERE id=?",
        (int(reason), outcome.stamp_ms, str(event[_ORDER])),
    )


def _write_deposited(db: sqlite3.Connection, outcome: Outcome, event: _Event) -> None:
    deposit = wire.decode(outcome.message)
    assert isinstance(deposit, wire.Deposit)
    db.execute(
        "INSERT OR REPLACE INTO deposits VALUES (?,?,?,?,?,?,?)",
        (
            outcome.sequence,
            event[_ACCOUNT],
            event[_EXTRA],
            event[_SIZE],
            bytes(deposit.owner),
            deposit.subaccount,
            outcome.batch,
        ),
    )


def _write_issued(db: sqlite3.Connection, outcome: Outcome, event: _Event) -> None:
    message = wire.decode(outcome.message)
    bounced = isinstance(message, wire.Deposit)
    assert isinstance(message, wire.Deposit | wire.Withdraw | wire.ForcedWithdraw)
    recipient = message.owner if isinstance(message, wire.Deposit) else message.recipient
    db.execute(
        "INSERT OR REPLACE INTO withdrawals VALUES (?,?,?,?,?,?,?,?,?)",
        (
            event[_VALUE],
            event[_EXTRA],
            bytes(recipient),
            event[_SIZE],
            event[_ACCOUNT],
            int(message.KIND is Kind.FORCED_WITHDRAW),
            int(bounced),
            outcome.sequence,
            outcome.batch,
        ),
    )


_WRITERS = {
    EventKind.ORDER_ACCEPTED: _write_accepted,
    EventKind.FILL: _write_fill,
    EventKind.ORDER_CANCELLED: _write_cancelled,
    EventKind.DEPOSITED: _write_deposited,
    EventKind.WITHDRAWN: _write_issued,
    EventKind.DEPOSIT_BOUNCED: _write_issued,
}


def replay_into(model: ReadModel, outcomes: Iterable[Outcome], *, group: int = 1_000) -> None:
    """Hand over many outcomes in groups (rebuilding from the journal)."""
    waiting: list[Outcome] = []
    for outcome in outcomes:
        waiting.append(outcome)
        if len(waiting) >= group:
            model.take(waiting)
            waiting = []
    if waiting:
        model.take(waiting)
    model.flush()
