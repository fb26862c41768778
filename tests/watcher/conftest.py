"""A venue with trades on each local chain, and watchers of it."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import msgspec
import pytest
from tests.e2e.bench import Bench

from provenue.settlement.anvil import AnvilUnavailableError, find_anvil
from provenue.settlement.deploy_config import DEV_DELAYS
from provenue.settlement.local_chain import start_chain
from provenue.sim.stack import ChainKind

PRESET = "minimal"
# Long enough that no clock runs out while a busy machine plays; waiting is done by moving the time.
DELAYS = msgspec.structs.replace(DEV_DELAYS, challenge_window_s=900, grace_s=300)


def _bench(kind: ChainKind, tmp_path: Path) -> Iterator[Bench]:
    with start_chain(kind=kind, account_count=8) as chain:
        folder = tmp_path / "operator"
        folder.mkdir()
        yield Bench(chain, folder, DELAYS)


@pytest.fixture(params=["anvil", "eth-tester"])
def each_bench(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[Bench]:
    """The operator's parts on a chain of its own, on both kinds."""
    if request.param == "anvil":
        try:
            find_anvil()
        except AnvilUnavailableError as error:
            pytest.skip(f"anvil: {error}")
    yield from _bench(request.param, tmp_path)


@pytest.fixture
def bench(tmp_path: Path) -> Iterator[Bench]:
    """The same on the quickest chain, for what no chain does in its own way."""
    yield from _bench("auto", tmp_path)
