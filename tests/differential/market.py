"""What a random stream lists and how its prices walk: ordinary markets and extreme ones."""

import random
from dataclasses import dataclass, field
from typing import Any

from provenue.spec.constants import NONE_U16, PPM, PRICE_MAX

__all__ = ["Market"]

USDC = {"asset": 0, "chain": 0, "unit_decimals": 6, "feed": NONE_U16, "weight_ppm": PPM}


@dataclass
class Market:
    """Listing parameters of one stream and the true price of each feed."""

    rng: random.Random
    feeds_max: int
    extreme: bool
    calm: bool = False
    anchors: list[int] = field(default_factory=list)
    prices: list[int] = field(default_factory=list)

    def __post_init__(self) -> None:
        first = [60_000_000_000, 3_000_000_000, 500_000, 40]
        if self.extreme:
            first = [PRICE_MAX // 3, 3_000_000_000, 3, PRICE_MAX - 5]
        self.anchors = first + [10_000_000] * (self.feeds_max - 4)
        self.prices = list(self.anchors)

    def step(self) -> None:
        """A small move of every feed, now and then a jump of 25 to 40 %, never far away."""
        for feed, anchor in enumerate(self.anchors):
            price = self.prices[feed]
            move = self.rng.gauss(0, 0.012)
            roll = self.rng.random()
            if roll < 0.15:
                move = self.rng.choice((-0.06, 0.06))
            elif roll < 0.2:
                jump = self.rng.uniform(0.25, 0.4) * self.rng.choice((-1, -1, 1))
                move = jump / 5 if self.calm else jump  # calm: shortfalls that fees can pay
            pull = 0.03 * (anchor - price) / anchor
            price = round(price * (1 + move + pull))
            self.prices[feed] = min(max(price, anchor // 6, 1), anchor * 6, PRICE_MAX)

    def assets(self) -> list[dict[str, Any]]:
        """The quote first, then two that are valued by a feed."""
        rng = self.rng
        minimum = rng.choice((0, 1_000_000, 100_000_000))
        return [
            USDC | {"opening_min_units": minimum, "token": bytes(range(20))},
            {
                "asset": 1, "chain": 0, "unit_decimals": 8, "feed": 0,
                "weight_ppm": rng.choice((900_000, PPM, 500_000)),
                "opening_min_units": rng.choice((0, 10_000)), "token": b"\x11" * 20,
            },
            {
                "asset": 2, "chain": 1, "unit_decimals": rng.choice((2, 8)), "feed": 1,
                "weight_ppm": rng.choice((800_000, 0, 333_333)),
                "opening_min_units": 7, "token": b"\x22" * 20,
            },
        ]  # fmt: skip

    def instruments(self) -> list[dict[str, Any]]:
        """A spot pair and perpetuals with coarse and fine ticks and lots."""
        rng = self.rng
        spot = self._instrument(0, 0, base_asset=1, feed=0, tick=10**6, lots=10**4)
        perps = [
            self._instrument(1, 1, feed=0, tick=10**6, lots=1_000),
            self._instrument(2, 1, feed=1, tick=10**5, lots=100),
        ]
        choices = [(2, 1, 1), (2, 30, 3), (3, 7, 7), (3, 1, 1)]
        feed, tick, lots = rng.choice(choices)
        if self.extreme:
            feed, tick, lots = rng.choice([(2, 1, 1), (3, 2**20, 2**10), (3, PRICE_MAX // 64, 1)])
        return [spot, *perps, self._instrument(3, 1, feed=feed, tick=tick, lots=lots)]

    def _instrument(
        self, index: int, kind: int, *, feed: int, tick: int, lots: int, base_asset: int = NONE_U16
    ) -> dict[str, Any]:
        rng = self.rng
        initial = rng.choice((100_000, 50_000, 20_000, 333_333)) if kind else 0
        taker = rng.choice((500, 0, 100_000, 333))
        return {
            "instrument": index,
            "instrument_kind": kind,
            "base_asset": base_asset,
            "feed": feed,
            "tick_size": tick,
            "lots_per_base": lots,
            "initial_ppm": initial,
            "maintenance_ppm": rng.choice((initial, initial * 3 // 5, initial // 2)),
            "taker_fee_ppm": taker if rng.random() < 0.8 else 500,
            "maker_fee_ppm": rng.choice((taker, taker // 3, 0)) if taker <= 500 else 0,
            "liquidation_fee_ppm": rng.choice((0, 5_000, 12_345)),
            "market_band_ppm": rng.choice((20_000, 100_000, 1, 999_999)),
            "liquidation_band_ppm": rng.choice((30_000, 100_000, 100_000, 500_000, 500_000, 1)),
            "funding_cap_ppm": rng.choice((0, 7_500, 100_000)),
            "name": f"INSTRUMENT-{index}".encode().ljust(16, b"\0"),
        }
