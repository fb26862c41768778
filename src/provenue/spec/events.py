"""Chapter 8.1: one record of 64 little-endian bytes for every kind of event."""

import struct
from collections.abc import Iterable
from typing import NamedTuple

__all__ = ["Event", "pack_events"]

_RECORD = struct.Struct("<HHIIIQQqqqQ")
_BITS_64 = (1 << 64) - 1


class Event(NamedTuple):
    """Fields that the chapters do not name for a kind are 0. Accounts are indexes, not ids."""

    kind: int
    reason: int = 0
    instrument: int = 0
    account: int = 0
    counter_account: int = 0
    order_id: int = 0
    counter_order_id: int = 0
    price: int = 0
    size: int = 0
    value: int = 0
    extra: int = 0


def pack_events(events: Iterable[Event]) -> bytes:
    """The records one after the other, as the program writes them to its output.

    `extra` is an i64, in which a client id (u64) keeps its 64 bits as they are.
    """
    return b"".join(_RECORD.pack(*event[:-1], event.extra & _BITS_64) for event in events)
