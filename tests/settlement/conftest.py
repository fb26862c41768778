"""Both local chains, one suite: what holds on anvil holds on the pip-only chain."""

import itertools
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Literal

import pytest

from provenue.settlement.anvil import AnvilUnavailableError, find_anvil
from provenue.settlement.artifacts import Artifact, compile_contract
from provenue.settlement.contract import Contract, deploy
from provenue.settlement.local_chain import LocalChain, start_chain
from provenue.settlement.tx import Account, Sender

KINDS = ("anvil", "eth-tester")
_PROBE = Path(__file__).with_name("Probe.vy")


@pytest.fixture(scope="session", params=KINDS)
def chain_kind(request: pytest.FixtureRequest) -> Literal["anvil", "eth-tester"]:
    """Which chain; anvil is skipped with its reason where it cannot be had."""
    if request.param == "anvil":
        try:
            find_anvil()
        except AnvilUnavailableError as error:
            pytest.skip(f"anvil: {error}")
    return request.param


@pytest.fixture(scope="session")
def chain(chain_kind: Literal["anvil", "eth-tester"]) -> Iterator[LocalChain]:
    """One chain for all tests that neither travel in time nor revert it."""
    with start_chain(chain_kind) as running:
        print(f"{running.kind}: {running.version} at {running.url}")
        yield running


@pytest.fixture
def own_chain(chain_kind: Literal["anvil", "eth-tester"]) -> Iterator[LocalChain]:
    """A chain for one test alone, for what changes the whole chain."""
    with start_chain(chain_kind) as running:
        yield running


@pytest.fixture(scope="session")
def _account_numbers() -> Iterator[int]:
    return itertools.count()


@pytest.fixture
def new_sender(chain: LocalChain, _account_numbers: Iterator[int]) -> Callable[[], Sender]:
    """Senders from accounts no other test uses (until all 40 have been)."""

    def make() -> Sender:
        key = chain.accounts[next(_account_numbers) % len(chain.accounts)][1]
        return Sender(chain.rpc, Account(key), timeout_s=20)

    return make


@pytest.fixture
def sender(new_sender: Callable[[], Sender]) -> Sender:
    return new_sender()


@pytest.fixture(scope="session")
def probe_artifact() -> Artifact:
    return compile_contract(_PROBE)


@pytest.fixture
def probe(sender: Sender, probe_artifact: Artifact) -> Contract:
    return deploy(sender, probe_artifact, "probe", 7)
