"""Chapter 7.1: which messages a batch holds, cut from the posted bytes and the inbox slice."""

from collections.abc import Sequence

__all__ = ["batch_messages", "posted_count", "posted_message"]


def _u32_at(posted: bytes, offset: int) -> int:
    """Behind the posted bytes the input holds zeros (7.2)."""
    return int.from_bytes(posted[offset : offset + 4].ljust(4, b"\0"), "big")


def posted_count(posted: bytes) -> int:
    """How many messages the posted bytes say they hold."""
    return _u32_at(posted, 0)


def posted_message(posted: bytes, k: int) -> bytes:
    """Posted message k; a bad offset is an empty message, which is a reject (P4)."""
    start, end = _u32_at(posted, 4 + 4 * k), _u32_at(posted, 8 + 4 * k)
    return posted[start:end] if start <= end <= len(posted) else b""


def batch_messages(posted: bytes, inbox: Sequence[bytes]) -> list[tuple[bytes, bool]]:
    """All messages with whether they came from the inbox; the items of the inbox run first."""
    from_inbox = [(bytes(item), True) for item in inbox]
    return from_inbox + [(posted_message(posted, k), False) for k in range(posted_count(posted))]
