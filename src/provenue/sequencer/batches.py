"""Batches as the journal tells them: payloads of the journal records, and closed batches read back.

A batch is: BATCH_OPEN, the inbox items of its slice (INBOX_MESSAGE), posted messages
(POSTED_MESSAGE, each possibly followed by a SKIP), BATCH_CLOSE. Chapter 7 says what becomes of it
on the chain. STATE_ROOT stands between batches, where a snapshot was taken.
"""

from __future__ import annotations

import struct
from dataclasses import dataclass, field

from provenue.sequencer.journal import JournalError, Record, RecordType

__all__ = [
    "BatchOpen",
    "BatchReader",
    "ClosedBatch",
    "OpenBatch",
    "decode_close",
    "decode_skip",
    "encode_close",
    "encode_skip",
]

_OPEN = struct.Struct(">QQQQI32s")
_CLOSE = struct.Struct(">QQI")
_SKIP = struct.Struct(">Q")
# Chapter 7.1: a count word and one offset word more than there are messages.
_TABLE_BYTES_FIXED = 8
_TABLE_BYTES_PER_MESSAGE = 4


@dataclass(frozen=True, slots=True)
class BatchOpen:
    """What is decided when a batch opens (payload of BATCH_OPEN)."""

    number: int
    first_sequence: int
    stamp_min_ms: int
    inbox_first: int
    inbox_count: int
    inbox_accumulator: bytes

    def encode(self) -> bytes:
        """The record payload."""
        return _OPEN.pack(
            self.number,
            self.first_sequence,
            self.stamp_min_ms,
            self.inbox_first,
            self.inbox_count,
            self.inbox_accumulator,
        )

    @classmethod
    def decode(cls, payload: bytes) -> BatchOpen:
        """From a record payload; raises JournalError on a wrong length."""
        if len(payload) != _OPEN.size:
            raise JournalError(f"BATCH_OPEN: expected {_OPEN.size} bytes, got {len(payload)}")
        return cls(*_OPEN.unpack(payload))


def encode_close(number: int, stamp_max_ms: int, message_count: int) -> bytes:
    """Payload of BATCH_CLOSE."""
    return _CLOSE.pack(number, stamp_max_ms, message_count)


def decode_close(payload: bytes) -> tuple[int, int, int]:
    """(number, stamp_max_ms, message_count) of BATCH_CLOSE."""
    number, stamp_max_ms, count = _CLOSE.unpack(payload)
    return number, stamp_max_ms, count


def encode_skip(sequence: int) -> bytes:
    """Payload of SKIP: the message with this sequence number trapped and has no effect."""
    return _SKIP.pack(sequence)


def decode_skip(payload: bytes) -> int:
    """The sequence number that a SKIP names."""
    (sequence,) = _SKIP.unpack(payload)
    return int(sequence)


@dataclass(slots=True)
class OpenBatch:
    """The batch being filled: how many messages and posted bytes it has."""

    head: BatchOpen
    message_count: int = 0
    posted_bytes: int = _TABLE_BYTES_FIXED
    stamp_max_ms: int = 0

    @property
    def next_sequence(self) -> int:
        """Sequence number of the next message."""
        return self.head.first_sequence + self.message_count

    def bytes_with(self, message: bytes) -> int:
        """Posted bytes of the batch once this message is in it."""
        return self.posted_bytes + _TABLE_BYTES_PER_MESSAGE + len(message)

    def add_inbox(self) -> None:
        """Count one item of the inbox slice."""
        self.message_count += 1

    def add_posted(self, message: bytes) -> None:
        """Count one posted message."""
        self.posted_bytes = self.bytes_with(message)
        self.message_count += 1


@dataclass(slots=True)
class ClosedBatch:
    """A whole batch, ready to be proven and anchored."""

    head: BatchOpen
    stamp_max_ms: int
    inbox: list[bytes]
    posted: list[bytes]
    skipped: list[int]
    end_index: int
    """Journal index of the first record behind the batch."""

    @property
    def message_count(self) -> int:
        """Inbox items and posted messages."""
        return len(self.inbox) + len(self.posted)


@dataclass(slots=True)
class _Filling:
    head: BatchOpen
    inbox: list[bytes] = field(default_factory=list)
    posted: list[bytes] = field(default_factory=list)
    skipped: list[int] = field(default_factory=list)


class BatchReader:
    """Puts journal records together to closed batches; start at a batch boundary."""

    def __init__(self) -> None:
        self._filling: _Filling | None = None

    def take(self, record: Record) -> ClosedBatch | None:
        """One record; the batch that it closes, if it does."""
        if record.type is RecordType.BATCH_OPEN:
            if self._filling is not None:
                raise JournalError(
                    f"record {record.index}: a batch opens inside {self._filling.head.number}"
                )
            self._filling = _Filling(BatchOpen.decode(record.payload))
            return None
        if record.type is RecordType.STATE_ROOT:
            return None
        filling = self._filling
        if filling is None:
            raise JournalError(f"record {record.index}: {record.type.name} outside a batch")
        if record.type is RecordType.BATCH_CLOSE:
            self._filling = None
            return _close(filling, record)
        if record.type is RecordType.INBOX_MESSAGE:
            filling.inbox.append(record.payload)
        elif record.type is RecordType.POSTED_MESSAGE:
            filling.posted.append(record.payload)
        else:
            filling.skipped.append(decode_skip(record.payload))
        return None


def _close(filling: _Filling, record: Record) -> ClosedBatch:
    number, stamp_max_ms, count = decode_close(record.payload)
    found = len(filling.inbox) + len(filling.posted)
    if number != filling.head.number or count != found:
        raise JournalError(
            f"record {record.index}: BATCH_CLOSE says batch {number} with {count} messages, "
            f"the records before it are batch {filling.head.number} with {found}"
        )
    return ClosedBatch(
        head=filling.head,
        stamp_max_ms=stamp_max_ms,
        inbox=filling.inbox,
        posted=filling.posted,
        skipped=filling.skipped,
        end_index=record.index + 1,
    )
