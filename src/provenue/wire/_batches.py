"""Posted bytes, header, inbox slots and the input quarter's roots (chapter 7)."""

import itertools
import struct
from collections.abc import Sequence
from dataclasses import astuple, dataclass
from typing import Final

from provenue._generated.constants import (
    BATCH_BYTES_MAX,
    BATCH_INBOX_MAX,
    BATCH_MESSAGES_MAX,
    HEADER_BASE,
    INBOX_BASE,
    INBOX_MESSAGE_MAX,
    INBOX_SLOT_BYTES,
    INBOX_SLOT_HEIGHT,
    INPUT_BASE,
    QUARTER_HEIGHT,
)
from provenue.wire._base import WireError
from provenue.wire._hashing import keccak256
from provenue.wire._trees import merkle_root

__all__ = [
    "STAMP_MAX_LIVE",
    "Header",
    "decode_posted",
    "decode_slot",
    "encode_posted",
    "encode_slot",
    "header_root",
    "inbox_accumulator",
    "input_root",
    "posted_root",
    "posted_size_bytes",
    "slot_root",
]

_WORD: Final = 4
_HALF_HEIGHT: Final = QUARTER_HEIGHT - 1
_SLICE_OFFSET: Final = INBOX_BASE - HEADER_BASE
# stamp_max_ms of the header while the operator executes live (chapter 7.2).
STAMP_MAX_LIVE: Final = (1 << 64) - 1

assert HEADER_BASE - INPUT_BASE == 32 << _HALF_HEIGHT


def posted_size_bytes(message_count: int, message_bytes: int) -> int:
    """The size of posted bytes with so many messages of so many bytes together."""
    return _WORD * (message_count + 2) + message_bytes


def encode_posted(messages: Sequence[bytes]) -> bytes:
    """Count, offsets, messages."""
    if len(messages) > BATCH_MESSAGES_MAX:
        raise WireError(
            f"batch: expected at most {BATCH_MESSAGES_MAX} messages, was {len(messages)}"
        )
    total = posted_size_bytes(len(messages), sum(map(len, messages)))
    if total > BATCH_BYTES_MAX:
        raise WireError(f"batch: expected at most {BATCH_BYTES_MAX} bytes, was {total}")
    offsets = [posted_size_bytes(len(messages), 0)]
    for message in messages:
        offsets.append(offsets[-1] + len(message))
    return struct.pack(f">{len(offsets) + 1}I", len(messages), *offsets) + b"".join(messages)


def decode_posted(data: bytes) -> list[bytes]:
    """The messages in posted bytes; one with bad offsets is empty, as the program sees it.

    A count above BATCH_MESSAGES_MAX is no batch: the contract refuses to take it.
    """
    if len(data) < _WORD:
        return []
    count = int.from_bytes(data[:_WORD], "big")
    if count > BATCH_MESSAGES_MAX:
        raise WireError(f"batch.count: expected at most {BATCH_MESSAGES_MAX}, was {count}")
    # Offsets that are not wholly inside the bytes make their messages empty.
    inside = min(count + 1, len(data) // _WORD - 1)
    offsets = struct.unpack_from(f">{inside}I", data, _WORD)
    messages = [
        data[start:end] if start <= end <= len(data) else b""
        for start, end in itertools.pairwise(offsets)
    ]
    return messages + [b""] * (count - len(messages))


@dataclass(frozen=True, slots=True, kw_only=True)
class Header:
    """The contract-made header, in the order of its words."""

    batch: int = 0
    stamp_min_ms: int = 0
    stamp_max_ms: int = STAMP_MAX_LIVE
    inbox_count: int = 0
    posted_bytes: int = 0
    inbox_first: int = 0
    sequence_first: int = 0
    posted_at_s: int = 0
    forced: int = 0
    inbox_accumulator: bytes = bytes(32)

    def encode(self) -> bytes:
        """Ten words of 32 bytes."""
        *numbers, _ = astuple(self)
        if len(self.inbox_accumulator) != 32:
            raise WireError(
                f"header.inbox_accumulator: expected 32 bytes, was {len(self.inbox_accumulator)}"
            )
        for name, number in zip(self.__slots__, numbers, strict=False):
            if not 0 <= number < 1 << 256:
                raise WireError(f"header.{name}: expected 0 to 2^256 - 1, was {number}")
        return b"".join(number.to_bytes(32, "big") for number in numbers) + self.inbox_accumulator

    @classmethod
    def decode(cls, data: bytes) -> "Header":
        """The header in ten words."""
        if len(data) != 320:
            raise WireError(f"header: expected 320 bytes, was {len(data)}")
        numbers = [int.from_bytes(data[at : at + 32], "big") for at in range(0, 288, 32)]
        names = cls.__slots__[:-1]
        return cls(**dict(zip(names, numbers, strict=True)), inbox_accumulator=data[288:])


def encode_slot(message: bytes) -> bytes:
    """An inbox slot: a length word, the message, zeros."""
    if len(message) > INBOX_MESSAGE_MAX:
        raise WireError(
            f"inbox item: expected at most {INBOX_MESSAGE_MAX} bytes, was {len(message)}"
        )
    return (len(message).to_bytes(32, "big") + message).ljust(INBOX_SLOT_BYTES, b"\0")


def decode_slot(slot: bytes) -> bytes:
    """The message in an inbox slot."""
    length = int.from_bytes(slot[:32], "big")
    if len(slot) != INBOX_SLOT_BYTES or length > INBOX_MESSAGE_MAX:
        raise WireError(
            f"inbox slot: expected {INBOX_SLOT_BYTES} bytes with a message of at most "
            f"{INBOX_MESSAGE_MAX}, was {len(slot)} with {length}"
        )
    return slot[32 : 32 + length]


def slot_root(message: bytes) -> bytes:
    """The root of an item's slot (chapter 7.3)."""
    return merkle_root(encode_slot(message), INBOX_SLOT_HEIGHT)


def inbox_accumulator(before: bytes, messages: Sequence[bytes]) -> bytes:
    """The accumulator after more items; before the first item of all it is 32 zero bytes."""
    for message in messages:
        before = keccak256(before + slot_root(message))
    return before


def posted_root(posted: bytes) -> bytes:
    """The root of the input quarter's lower half."""
    return merkle_root(posted, _HALF_HEIGHT)


def header_root(header: Header, inbox: Sequence[bytes]) -> bytes:
    """The root of the input quarter's upper half: header and inbox slice."""
    if len(inbox) > BATCH_INBOX_MAX:
        raise WireError(f"inbox slice: expected at most {BATCH_INBOX_MAX} items, was {len(inbox)}")
    slots = b"".join(map(encode_slot, inbox))
    return merkle_root(header.encode().ljust(_SLICE_OFFSET, b"\0") + slots, _HALF_HEIGHT)


def input_root(posted: bytes, header: Header, inbox: Sequence[bytes]) -> bytes:
    """The root of the whole input quarter."""
    return keccak256(posted_root(posted) + header_root(header, inbox))
