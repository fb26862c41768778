"""Where a signer's prices come from: a fixed table, or a random walk.

A price is quote units per whole base, an integer. A source answers with what it knows at a time;
feeds that it has no good price for are left out, never guessed.
"""

import hashlib
from collections.abc import Mapping
from math import isqrt
from typing import Final, Protocol

from provenue._generated.constants import NONE_U16, PPM, PRICE_MAX

__all__ = ["FixedPrices", "PriceSource", "WalkingPrices", "parse_prices"]


class PriceSource(Protocol):
    """What a signer asks at each interval."""

    def prices(self, now_ms: int) -> Mapping[int, int]:
        """Price by feed at a time."""
        ...


def _check(feed: int, price: int) -> None:
    if not 0 <= feed < NONE_U16:
        raise ValueError(f"feed: expected 0 to {NONE_U16 - 1}, was {feed}")
    if not 1 <= price <= PRICE_MAX:
        raise ValueError(
            f"price of feed {feed}: expected 1 to {PRICE_MAX} quote units per whole base, "
            f"was {price}"
        )


def parse_prices(text: str) -> dict[int, int]:
    """`0=65000000000,1=2500000000`: price in quote units per whole base, by feed."""
    found: dict[int, int] = {}
    for part in text.split(","):
        feed, equals, price = part.strip().partition("=")
        if not equals or not feed.isdecimal() or not price.isdecimal():
            raise ValueError(f"prices: expected FEED=UNITS,..., was {part.strip()!r}")
        _check(int(feed), int(price))
        if int(feed) in found:
            raise ValueError(f"prices: expected each feed once, was feed {feed} twice")
        found[int(feed)] = int(price)
    return found


class FixedPrices:
    """Always the same prices."""

    def __init__(self, prices: Mapping[int, int]) -> None:
        for feed, price in prices.items():
            _check(feed, price)
        self._prices = dict(prices)

    def prices(self, now_ms: int) -> Mapping[int, int]:
        """Price by feed at a time."""
        del now_ms
        return self._prices


# Knots of the walk: every 2^22 ms (70 minutes) a free one, halved 14 times down to 256 ms.
_KNOT_BITS: Final = 22
_LEVELS: Final = 14
# A normal number as a sum of 12 bytes: mean 1530, standard deviation 255 (12 * (256^2 - 1) / 12).
_MEAN: Final = 12 * 255 // 2
_DEVIATION: Final = 256


class WalkingPrices:
    """A random walk around start prices, a pure function of seed, feed and time.

    Levy's construction of Brownian motion: between free knots, each halving of the interval adds
    a tent whose height is normal with half the variance of the one above. So all signers with one
    seed see one market, whenever they start, and a run can be repeated. `swing_ppm` is the
    standard deviation at the knots; the walk is kept between a quarter and four times the start.
    """

    def __init__(self, start: Mapping[int, int], *, seed: int, swing_ppm: int = 10_000) -> None:
        for feed, price in start.items():
            _check(feed, price)
        if not 0 <= swing_ppm <= PPM // 4:
            raise ValueError(f"swing_ppm: expected 0 to {PPM // 4}, was {swing_ppm}")
        self._start = dict(start)
        self._seed = seed
        self._swing_ppm = swing_ppm

    def _normal(self, feed: int, level: int, index: int) -> int:
        """A normal number of standard deviation _DEVIATION, the same at every call."""
        name = f"{self._seed}/{feed}/{level}/{index}".encode()
        return sum(hashlib.blake2b(name, digest_size=12).digest()) - _MEAN

    def _shift_ppm(self, feed: int, now_ms: int) -> int:
        """How far the price is from its start, in ppm; scaled by 2^32 inside."""
        span = 1 << _KNOT_BITS
        knot, inside = divmod(now_ms, span)
        left, right = self._normal(feed, 0, knot), self._normal(feed, 0, knot + 1)
        total = (left * (span - inside) + right * inside) * self._swing_ppm << 32 - _KNOT_BITS
        for level in range(1, _LEVELS + 1):
            span >>= 1
            index, at = divmod(now_ms, span)
            tent = at if index % 2 == 0 else span - at
            # The increment over a whole interval has variance 2 * swing^2; its midpoint deviates
            # by half of that, and each level below by half of the one above.
            height = isqrt((self._swing_ppm**2 << 64) >> level) * self._normal(
                feed, level, index // 2
            )
            total += height * tent // span
        return total // _DEVIATION >> 32

    def prices(self, now_ms: int) -> Mapping[int, int]:
        """Price by feed at a time."""
        found = {}
        for feed, start in self._start.items():
            price = start * (PPM + self._shift_ppm(feed, now_ms)) // PPM
            found[feed] = min(max(price, start // 4, 1), start * 4, PRICE_MAX)
        return found
