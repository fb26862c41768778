"""The contracts for the attacks on them, by the compiler of record only."""

from collections.abc import Iterator

import boa
import pytest
from tests.contracts.system import Sources, System


@pytest.fixture(scope="session")
def sources() -> Sources:
    return Sources.compile("legacy")


@pytest.fixture(scope="session")
def _deployed(sources: Sources) -> System:
    return System(sources)


@pytest.fixture
def system(_deployed: System) -> Iterator[System]:
    """A deployed system, as new for every test."""
    items, image = list(_deployed.items), _deployed.image
    with boa.env.anchor():
        yield _deployed
    _deployed.items = items
    _deployed.image = type(image)()
