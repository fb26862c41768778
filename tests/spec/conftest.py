"""Every behaviour is asked of both writings of the rules."""

import pytest
from tests.spec.venue import Venue

ENGINES = ["spec", "native"]


@pytest.fixture(params=ENGINES)
def engine_name(request: pytest.FixtureRequest) -> str:
    """`native` is skipped where the extension is not built."""
    return str(request.param)


@pytest.fixture
def venue(engine_name: str) -> Venue:
    """Listed, priced, without traders."""
    return Venue.listed(engine_name)
