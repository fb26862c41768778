"""What a run needs of a world: the machine, the truth, and what liars can make up in it."""

from typing import Protocol

from tests.disputes.game import Machine
from tests.disputes.honest import Truth


class World(Machine, Truth, Protocol):
    """The toy machine, or a real one."""

    messages: int
    steps: int

    def lie_root(self, *parts: object) -> bytes:
        """A wrong leaf of a claim."""

    def lie_state(self, *parts: object) -> bytes:
        """A wrong leaf of an instruction tree; nobody has its preimage."""

    def made_end(self, root: bytes, mark: str) -> tuple[object, bytes]:
        """A last state that gives a root, opened, and its hash."""
