"""What an attack is worth: the money of a gang of accounts before and after, and the house's."""

from collections.abc import Iterable
from typing import Any

from tests.differential.wire import make_signers
from tests.spec.venue import Trader, Venue

from provenue.engine import Engine
from provenue.spec.constants import Code, Kind

__all__ = ["equity", "gang_worth", "house_worth", "native", "publish_units"]


def native(venue: Venue) -> Engine:
    """The production engine behind a small venue."""
    inner: Any = venue.engine
    engine: Engine = inner.engine
    return engine


def equity(trader: Trader) -> int:
    """Quote units at the marks, by the program's own function (5.3)."""
    return native(trader.venue).equity(trader.index)


def gang_worth(traders: Iterable[Trader]) -> int:
    """What the gang could walk away with: nobody pays for an account that is below zero."""
    return sum(max(0, equity(trader)) for trader in traders)


def house_worth(venue: Venue) -> int:
    """Equity of the insurance fund; below zero it is bad debt of all depositors."""
    return native(venue).equity(0)


def publish_units(venue: Venue, units: dict[int, int]) -> None:
    """A mark between two whole USDC, and the sweep to its end."""
    venue.now_ms += 1
    fields = {
        "signer": 0, "published_at_ms": venue.now_ms, "count": len(units),
        "entries": list(units.items()),
    }  # fmt: skip
    code, _ = venue.send(Kind.PRICES, fields, signer=make_signers("price", 1)[0])
    assert code == Code.OK, code.name
    venue.finish()
