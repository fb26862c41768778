"""Every behaviour is asked of both writings of the rules."""

import pytest
from tests.spec.venue import CheckedVenue, Trader, Venue

ENGINES = ["spec", "native"]


@pytest.fixture(params=ENGINES)
def engine_name(request: pytest.FixtureRequest) -> str:
    """`native` is skipped where the extension is not built."""
    return str(request.param)


@pytest.fixture
def venue(engine_name: str) -> Venue:
    """Listed, priced, without traders; judged after every message."""
    return CheckedVenue.listed(engine_name)


@pytest.fixture
def trader(venue: Venue) -> Trader:
    """With 1,000 USDC."""
    return venue.trader()


@pytest.fixture
def other(venue: Venue) -> Trader:
    """Who is on the other side."""
    return venue.trader()
