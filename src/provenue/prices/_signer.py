"""Signing vectors of prices with strictly rising times, also across restarts."""

import os
from collections.abc import Mapping, Sequence
from pathlib import Path

from provenue._generated.constants import FEEDS_PER_MESSAGE, PRICE_MAX, SIGNERS_MAX
from provenue.client.keys import Key
from provenue.wire import Domain, Prices, PricesEntry

__all__ = ["PriceSigner", "RisingClock"]

_NAME = "time of the last signed price"


class RisingClock:
    """Times that rise strictly. The last one is durable before it is used.

    The program refuses a time that did not rise (PRICE_NOT_NEWER), so a clock that was set back,
    or a second start in the same millisecond, must not repeat one.
    """

    def __init__(self, path: Path | None) -> None:
        self._path = path
        self._last = 0 if path is None else self._read(path)

    @staticmethod
    def _read(path: Path) -> int:
        try:
            text = path.read_text(encoding="ascii").strip()
        except FileNotFoundError:
            return 0
        except OSError as problem:
            raise OSError(f"state: {path}: expected the {_NAME}: {problem.strerror}") from None
        except UnicodeDecodeError:
            text = "something that is no text"
        if not text.isdecimal():
            raise ValueError(
                f"state: {path}: expected the {_NAME} in ms, was {text[:40]!r}; remove the file if "
                "this signer has not signed for a minute"
            )
        return int(text)

    @property
    def last_ms(self) -> int:
        """The newest time that was given."""
        return self._last

    def next_ms(self, now_ms: int) -> int:
        """`now_ms`, or one more than the last time if that is not above it."""
        time_ms = max(now_ms, self._last + 1)
        if self._path is not None:
            self._write(self._path, time_ms)
        self._last = time_ms
        return time_ms

    @staticmethod
    def _write(path: Path, time_ms: int) -> None:
        path.parent.mkdir(parents=True, exist_ok=True)
        scratch = path.with_name(path.name + ".new")
        with scratch.open("w", encoding="ascii") as handle:
            handle.write(f"{time_ms}\n")
            handle.flush()
            os.fsync(handle.fileno())
        scratch.replace(path)


class PriceSigner:
    """Signs the prices of its feeds as signer `index` of the program's set."""

    def __init__(
        self, *, domain: Domain, index: int, key: Key, feeds: Sequence[int], clock: RisingClock
    ) -> None:
        if not 0 <= index < SIGNERS_MAX:
            raise ValueError(f"index: expected 0 to {SIGNERS_MAX - 1}, was {index}")
        if not 1 <= len(feeds) <= FEEDS_PER_MESSAGE:
            raise ValueError(f"feeds: expected 1 to {FEEDS_PER_MESSAGE}, was {len(feeds)}")
        if len(set(feeds)) != len(feeds) or not all(0 <= feed < 0xFFFF for feed in feeds):
            raise ValueError(f"feeds: expected different numbers below 65535, was {list(feeds)}")
        self.domain = domain
        self.index = index
        self.feeds = tuple(sorted(feeds))
        self._key = key
        self._clock = clock

    @property
    def address(self) -> bytes:
        """The address that the set of signers must hold at `index`."""
        return self._key.address

    def sign(self, prices: Mapping[int, int], now_ms: int) -> Prices | None:
        """The signed vector of those of its feeds that have a price; None if none has."""
        entries = tuple(
            PricesEntry(feed, prices[feed])
            for feed in self.feeds
            if feed in prices and 1 <= prices[feed] <= PRICE_MAX
        )
        if not entries:
            return None
        published_at_ms = self._clock.next_ms(now_ms)
        message = Prices(signer=self.index, published_at_ms=published_at_ms, entries=entries)
        return self._key.sign(message, self.domain)
