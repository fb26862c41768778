"""Chapter 7.1: which messages a batch holds, cut from the posted bytes and the inbox slice."""

from collections.abc import Sequence

from provenue.spec.constants import INBOX_MESSAGE_MAX

__all__ = ["batch_messages", "inbox_message", "posted_count", "posted_message"]


def _u32_at(posted: bytes, offset: int) -> int | None:
    """None if it is not wholly inside the bytes."""
    if offset + 4 > len(posted):
        return None
    return int.from_bytes(posted[offset : offset + 4], "big")


def posted_count(posted: bytes) -> int:
    """How many messages the posted bytes say they hold; none if they hold no count."""
    return _u32_at(posted, 0) or 0


def posted_message(posted: bytes, k: int) -> bytes:
    """Posted message k; a bad offset is an empty message, which is a reject (P4)."""
    start, end = _u32_at(posted, 4 + 4 * k), _u32_at(posted, 8 + 4 * k)
    if start is None or end is None or not start <= end <= len(posted):
        return b""
    return posted[start:end]


def inbox_message(item: bytes) -> bytes:
    """An item that cannot lie in its slot is an empty message."""
    return item if len(item) <= INBOX_MESSAGE_MAX else b""


def batch_messages(posted: bytes, inbox: Sequence[bytes]) -> list[tuple[bytes, bool]]:
    """All messages with whether they came from the inbox; the items of the inbox run first."""
    from_inbox = [(inbox_message(item), True) for item in inbox]
    return from_inbox + [(posted_message(posted, k), False) for k in range(posted_count(posted))]
