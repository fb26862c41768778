"""Who is on the other side of a connection, and what it has subscribed to."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field

__all__ = ["Session"]


@dataclass(slots=True, eq=False)
class Session:
    """One WebSocket connection, or one HTTP request."""

    owner: bytes | None = None
    """Address (20 bytes) that has logged in with its wallet; None before."""
    send: Callable[[bytes], None] | None = None
    """Queue a notification; None over HTTP, which cannot receive any."""
    channels: set[str] = field(default_factory=set)
    heartbeat_interval_s: int = 0
    requests: float = 0.0
    """Rate limit bucket: requests charged and not yet drained."""
    requests_at_s: float = 0.0
