"""Events: 64-byte little-endian records, as a NumPy array or as objects."""

import struct
from typing import Final

import msgspec
import numpy as np
import numpy.typing as npt

from provenue._generated.constants import EVENT_BYTES
from provenue._generated.messages import EVENT_FIELDS, EventKind
from provenue.wire._base import WireError

__all__ = ["EVENT_DTYPE", "Event", "decode_events", "encode_events", "event_array"]

EVENT_DTYPE: Final = np.dtype(list(EVENT_FIELDS))
_RECORD: Final = struct.Struct("<HHIIIQQqqqq")

assert EVENT_DTYPE.itemsize == _RECORD.size == EVENT_BYTES


class Event(msgspec.Struct, frozen=True):
    """One event. What the fields mean is written where the chapters emit the kind."""

    kind: EventKind
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


assert EVENT_DTYPE.names == Event.__struct_fields__

_KINDS: Final = {int(kind): kind for kind in EventKind}


def _check_length(data: bytes | memoryview) -> None:
    if len(data) % EVENT_BYTES:
        raise WireError(f"events: expected a multiple of {EVENT_BYTES} bytes, was {len(data)}")


def event_array(data: bytes | memoryview) -> npt.NDArray[np.void]:
    """The events as a structured array, without a copy."""
    _check_length(data)
    return np.frombuffer(data, dtype=EVENT_DTYPE)


def decode_events(data: bytes | memoryview) -> list[Event]:
    """The events as objects."""
    _check_length(data)
    try:
        return [Event(_KINDS[kind], *rest) for kind, *rest in _RECORD.iter_unpack(data)]
    except KeyError as error:
        raise WireError(f"event.kind: expected a kind of messages.toml, was {error}") from None


def encode_events(events: list[Event]) -> bytes:
    """The records of events."""
    return b"".join(_RECORD.pack(*msgspec.structs.astuple(event)) for event in events)
