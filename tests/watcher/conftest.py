"""A venue with trades on each local chain, and watchers of it."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from pathlib import Path

import msgspec
import pytest
from tests.e2e.bench import Bench

from provenue.engine import guest_elf
from provenue.settlement.anvil import AnvilUnavailableError, find_anvil
from provenue.settlement.deploy_config import DEV_DELAYS
from provenue.settlement.local_chain import start_chain
from provenue.settlement.rpc import Rpc
from provenue.watcher.history import History
from provenue.watcher.l1 import L1
from provenue.watcher.source import Source, open_archive
from provenue.watcher.traces import GuestTraps
from provenue.watcher.verify import Verifier

PRESET = "minimal"
# Long enough that no clock runs out while a busy machine plays; waiting is done by moving the time.
DELAYS = msgspec.structs.replace(DEV_DELAYS, challenge_window_s=900, grace_s=300)


@pytest.fixture(params=["anvil", "eth-tester"])
def bench(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[Bench]:
    """The operator's parts on a chain of its own."""
    if request.param == "anvil":
        try:
            find_anvil()
        except AnvilUnavailableError as error:
            pytest.skip(f"anvil: {error}")
    with start_chain(kind=request.param, account_count=8) as chain:
        folder = tmp_path / "operator"
        folder.mkdir()
        yield Bench(chain, folder, DELAYS)


@pytest.fixture
def new_verifier(bench: Bench, tmp_path: Path) -> Callable[..., Verifier]:
    """A verifier that knows the Anchor's address and a node, and nothing else."""

    def make(folder: str = "watcher", rpc: Rpc | None = None) -> Verifier:
        anchor = bench.deployment.contracts["Anchor"]
        l1 = L1.from_anchor(rpc or Rpc(bench.chain.url), anchor)
        archive = open_archive(tmp_path / folder, l1)
        traps = GuestTraps(guest_elf(PRESET))
        history = History(archive, preset=PRESET, domain=l1.domain, traps=traps)
        return Verifier(l1, archive, history, Source(l1, archive, history, depth="latest"))

    return make
