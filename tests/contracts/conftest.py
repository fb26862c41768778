"""The contracts under titanoboa, by the compiler of record and by the second one."""

from collections.abc import Iterator

import boa
import pytest
from tests.contracts.game_world import GameSources, World
from tests.contracts.step_cases import Contracts
from tests.contracts.step_contract import CODEGENS, RevmStep, bytecode_of, pyrevm
from tests.contracts.system import Sources, System


@pytest.fixture(scope="session", params=["legacy", "venom"])
def sources(request: pytest.FixtureRequest) -> Sources:
    """Deployers by both compilers: a difference between them is a bug of a compiler."""
    return Sources.compile(request.param)


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


@pytest.fixture(scope="session")
def _world(sources: Sources) -> World:
    """A system of its own: here the game is no stand-in."""
    return World(System(sources), GameSources.compile(sources.codegen))


@pytest.fixture
def world(_world: World) -> Iterator[World]:
    """A system with its dispute game, as new for every test."""
    system = _world.system
    items = list(system.items)
    with boa.env.anchor():
        yield _world
    system.items = items


@pytest.fixture(scope="session")
def step_contracts() -> Contracts:
    """The step contract by each compiler, under revm."""
    if pyrevm is None:
        pytest.skip("needs pyrevm, which has no wheel for this Python; py-evm still runs some")
    return {name: RevmStep(bytecode_of(name)) for name in CODEGENS}
