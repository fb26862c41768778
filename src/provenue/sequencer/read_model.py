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
from collections.abc import Iterator
from pathlib import Path
from typing import Any, NamedTuple

from provenue.sequencer._read_model_writer import SCHEMA, Writer, load_tape
from provenue.sequencer.journal import JournalError
from provenue.sequencer.sequencer import Outcome
from provenue.sequencer.tape import DELEVERAGING, Tape, TradeRow

__all__ = ["ReadModel", "TradeRow", "WithdrawalRow"]


GATHER_S = 0.02


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
    haircut_units: int
    """What an abandoned venue did not pay (12.6); not part of `amount_units`."""


class ReadModel:
    """Writes outcomes to SQLite in a thread; answers queries from any thread."""

    def __init__(self, path: Path) -> None:
        self._path = path
        self._queue: queue.SimpleQueue[list[Outcome] | threading.Event | None] = queue.SimpleQueue()
        self._hurry = threading.Event()
        self._local = threading.local()
        self._failed: BaseException | None = None
        try:
            with self._connect() as db:
                db.executescript(SCHEMA)
        except sqlite3.Error as problem:
            raise JournalError(
                f"{path}: expected the read models of this version, was not ({problem}); remove "
                "it: it is rebuilt from the journal"
            ) from None
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
        self._hurry.set()
        while not done.wait(0.1):
            if not self._thread.is_alive():
                break
        if self._failed is not None:
            raise self._failed

    def close(self) -> None:
        """Write what is queued and end the thread."""
        self._queue.put(None)
        self._hurry.set()
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
            writer = Writer(db)
            ending = False
            while not ending:
                items = self._next_items()
                outcomes = [o for item in items if isinstance(item, list) for o in item]
                if outcomes:
                    writer.write(outcomes)
                for item in items:
                    if isinstance(item, threading.Event):
                        item.set()
                ending = None in items
            db.close()
        except BaseException as problem:
            self._failed = problem
            raise

    def _next_items(self) -> list[list[Outcome] | threading.Event | None]:
        """All that waits, some milliseconds after its first: waking up for each group would cost
        the sequencer's thread more than the writing does.
        """
        items = [self._queue.get()]
        if isinstance(items[0], list):
            self._hurry.wait(GATHER_S)
        self._hurry.clear()
        while not self._queue.empty():
            items.append(self._queue.get())
        return items

    # --- asking ----------------------------------------------------------------------------------

    def _rows(self, sql: str, *values: object) -> Iterator[tuple[Any, ...]]:
        return iter(self._db().execute(sql, values).fetchall())

    def tape(self) -> Tape:
        """Where the tape stands behind the last written outcome (flush first)."""
        return load_tape(self._db())

    def trades(
        self,
        instruments: list[int] | None,
        *,
        count: int = 10,
        start_ms: int = 0,
        end_ms: int = 1 << 62,
        ascending: bool = False,
    ) -> list[TradeRow]:
        """Fills of instruments (None: of all) between two times, newest first or not."""
        where, values = _instrument_filter(instruments)
        order = "ASC" if ascending else "DESC"
        sql = (
            f"SELECT * FROM trades WHERE flags<{DELEVERAGING} AND +stamp_ms>=? AND +stamp_ms<=?"
            f"{where} ORDER BY id {order} LIMIT ?"
        )
        rows = self._rows(sql, start_ms, end_ms, *values, count)
        return [TradeRow(*row) for row in rows]

    def trades_since(self, since_ms: int) -> Iterator[tuple[int, int, int, int]]:
        """(instrument, stamp_ms, price_ticks, size_lots) of every fill since a time, in order."""
        sql = (
            "SELECT instrument, stamp_ms, price_ticks, size_lots FROM trades "
            f"WHERE stamp_ms>=? AND flags<{DELEVERAGING} ORDER BY id"
        )
        return self._rows(sql, since_ms)

    def account_trades(
        self,
        account_id: int,
        *,
        instruments: list[int] | None = None,
        order_id: int | None = None,
        count: int = 10,
    ) -> list[TradeRow]:
        """Newest trades in which the account took part, newest first; deleveragings too."""
        where, values = _instrument_filter(instruments)
        if order_id is not None:
            where += " AND (taker_order=? OR maker_order=?)"
            values += [str(order_id), str(order_id)]
        sql = (
            f"SELECT * FROM trades WHERE taker=?{where} UNION "
            f"SELECT * FROM trades WHERE maker=?{where} ORDER BY id DESC LIMIT ?"
        )
        rows = self._rows(sql, account_id, *values, account_id, *values, count)
        return [TradeRow(*row) for row in rows]

    def order(self, order_id: int) -> dict[str, Any] | None:
        """One order, alive or ended, by id."""
        return next(self._orders("WHERE id=?", str(order_id)), None)

    def account_orders(
        self,
        account_id: int,
        *,
        instruments: list[int] | None = None,
        unfilled: bool = True,
        count: int = 20,
        offset: int = 0,
    ) -> list[dict[str, Any]]:
        """An account's ended orders, newest first; `unfilled` ones, too."""
        where, values = _instrument_filter(instruments)
        if not unfilled:
            where += " AND filled_lots>0"
        sql = (
            f"WHERE account=? AND state<>'open'{where} ORDER BY created_ms DESC, rowid DESC "
            "LIMIT ? OFFSET ?"
        )
        return list(self._orders(sql, account_id, *values, count, offset))

    def _orders(self, where: str, *values: object) -> Iterator[dict[str, Any]]:
        cursor = self._db().execute(f"SELECT * FROM orders {where}", values)
        names = [column[0] for column in cursor.description]
        return (dict(zip(names, row, strict=True)) for row in cursor.fetchall())

    def withdrawals(self, *, from_id: int = 0, up_to_id: int | None = None) -> list[WithdrawalRow]:
        """Leaves of the withdrawal tree by id, ids from_id .. up_to_id - 1 (None: all)."""
        limit = up_to_id if up_to_id is not None else 1 << 62
        sql = "SELECT * FROM withdrawals WHERE id>=? AND id<? ORDER BY id"
        return [WithdrawalRow(*row) for row in self._rows(sql, from_id, limit)]

    def account_withdrawals(self, account_id: int, *, count: int = 10) -> list[WithdrawalRow]:
        """An account's withdrawals, newest first."""
        sql = "SELECT * FROM withdrawals WHERE account=? ORDER BY id DESC LIMIT ?"
        return [WithdrawalRow(*row) for row in self._rows(sql, account_id, count)]

    def withdrawal(self, withdrawal_id: int) -> WithdrawalRow | None:
        """One withdrawal."""
        rows = self._rows("SELECT * FROM withdrawals WHERE id=?", withdrawal_id)
        row = next(rows, None)
        return WithdrawalRow(*row) if row else None


def _instrument_filter(instruments: list[int] | None) -> tuple[str, list[object]]:
    if instruments is None:
        return "", []
    marks = ",".join("?" * len(instruments))
    return f" AND instrument IN ({marks})", list(instruments)
