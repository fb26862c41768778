"""Who is on the other side of a connection, what it has subscribed to, how fast it may ask."""

from __future__ import annotations

import time
from collections import OrderedDict
from collections.abc import Callable, Hashable
from dataclasses import dataclass, field
from typing import Generic, TypeVar

__all__ = ["Bucket", "Buckets", "RateLimit", "Session"]

BUCKETS_MAX = 10_000
Who = TypeVar("Who", bound=Hashable)


@dataclass(frozen=True, slots=True)
class RateLimit:
    """A token bucket's size: `burst` requests at once, `per_second` in the long run."""

    per_second: float = 1_000.0
    burst: float = 2_000.0


class Bucket:
    """Requests that a connection (over HTTP: a peer address) may still send."""

    __slots__ = ("_at_s", "_clock", "_left", "_limit")

    def __init__(self, limit: RateLimit, clock: Callable[[], float] = time.monotonic) -> None:
        self._limit = limit
        self._clock = clock
        self._left = limit.burst
        self._at_s = clock()

    def take(self) -> bool:
        """Take one; False when none is left."""
        now_s = self._clock()
        refill = (now_s - self._at_s) * self._limit.per_second
        self._left = min(self._limit.burst, self._left + refill)
        self._at_s = now_s
        if self._left < 1:
            return False
        self._left -= 1
        return True

    def give_back(self) -> None:
        """What was taken turned out to be free."""
        self._left = min(self._limit.burst, self._left + 1)


class Buckets(Generic[Who]):
    """A bucket for each peer (or account); the longest idle are forgotten first."""

    def __init__(self, limit: RateLimit) -> None:
        self._limit = limit
        self._buckets: OrderedDict[Who, Bucket] = OrderedDict()

    def of(self, who: Who) -> Bucket:
        """Somebody's bucket."""
        bucket = self._buckets.get(who)
        if bucket is None:
            bucket = self._buckets[who] = Bucket(self._limit)
            if len(self._buckets) > BUCKETS_MAX:
                self._buckets.popitem(last=False)
        else:
            self._buckets.move_to_end(who)
        return bucket


@dataclass(slots=True, eq=False)
class Session:
    """One WebSocket connection, or one HTTP request."""

    owner: bytes | None = None
    """Address (20 bytes) that has logged in with its wallet; None before."""
    send: Callable[[bytes], None] | None = None
    """Queue a notification; None over HTTP, which cannot receive any."""
    bucket: Bucket | None = None
    """None: unlimited."""
    channels: set[str] = field(default_factory=set)
    """Keys of the hub (see `Hub`)."""
    after_answer: list[Callable[[], None]] = field(default_factory=list)
    """To be done right after the answer under way has been queued (snapshots)."""
    heartbeat_interval_s: int = 0
    requests: int = 0
    """Requests so far: a heartbeat's test_request must be followed by one."""
