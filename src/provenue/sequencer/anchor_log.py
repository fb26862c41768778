"""What the anchoring worker has done, for others to read: one SQLite row per batch.

Written by the worker process only. The chain is the truth about claims and finality; this says what
was proven before posting (P1) and what is needed to prove withdrawals: the proof of the image leaf
that holds the withdrawal root, at the end of each batch.
"""

from __future__ import annotations

import sqlite3
import threading
from dataclasses import astuple, dataclass, fields
from pathlib import Path

from provenue.sequencer.journal import JournalError

__all__ = ["AnchorLog", "BatchRecord"]


@dataclass(frozen=True, slots=True)
class BatchRecord:
    """One anchored batch. Roots are 32 bytes; the proof is 29 siblings, concatenated."""

    number: int
    first_sequence: int
    message_count: int
    posted_bytes: int
    inbox_count: int
    withdrawal_count: int
    withdrawal_root: bytes
    withdrawal_proof: bytes
    end_root: bytes
    claim_root: bytes
    root_mismatches: int
    steps_max: int
    tx_hash: str
    gas_used: int
    posted_at_s: int
    final: int


_COLUMNS = ", ".join(f.name for f in fields(BatchRecord))
_SCHEMA = f"CREATE TABLE IF NOT EXISTS batches ({_COLUMNS}, PRIMARY KEY (number))"


class AnchorLog:
    """The file; any thread or process may read, one process writes."""

    def __init__(self, path: Path) -> None:
        self._path = path
        self._local = threading.local()
        try:
            with self._db() as db:
                db.execute(_SCHEMA)
                db.execute(f"SELECT {_COLUMNS} FROM batches LIMIT 0")
        except sqlite3.Error as problem:
            raise JournalError(
                f"{path}: expected the worker's record of this version, was not ({problem}); "
                "remove it: it is written anew from the next batch on"
            ) from None

    def _db(self) -> sqlite3.Connection:
        db: sqlite3.Connection | None = getattr(self._local, "db", None)
        if db is None:
            db = self._local.db = sqlite3.connect(self._path, timeout=10)
            db.execute("PRAGMA journal_mode=WAL")
        return db

    def record(self, record: BatchRecord) -> None:
        """Add or replace one batch."""
        marks = ",".join("?" * len(fields(BatchRecord)))
        with self._db() as db:
            db.execute(f"INSERT OR REPLACE INTO batches VALUES ({marks})", astuple(record))

    def mark_final(self, below: int) -> None:
        """Batches with number < below are final."""
        with self._db() as db:
            db.execute("UPDATE batches SET final=1 WHERE number<? AND final=0", (below,))

    def _rows(self, where: str, *values: object) -> list[BatchRecord]:
        rows = self._db().execute(f"SELECT {_COLUMNS} FROM batches {where}", values)
        return [BatchRecord(*row) for row in rows]

    def newest(self, count: int) -> list[BatchRecord]:
        """The newest batches, newest first."""
        return self._rows("ORDER BY number DESC LIMIT ?", count)

    def all(self) -> list[BatchRecord]:
        """Every batch, oldest first."""
        return self._rows("ORDER BY number")

    def batch(self, number: int) -> BatchRecord | None:
        """One batch."""
        return next(iter(self._rows("WHERE number=?", number)), None)

    def newest_final(self) -> BatchRecord | None:
        """The newest final batch."""
        return next(iter(self._rows("WHERE final=1 ORDER BY number DESC LIMIT 1")), None)
