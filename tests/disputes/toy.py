"""A machine as small as can be: what is true, and what liars can make up.

Message i of a batch, started from an image root, walks through `steps` states and ends in one root.
A lie is any other state; it never meets a true one again. A liar can also make up a last state that
gives whatever root it likes.
"""

import functools
from typing import NamedTuple

from tests.disputes.trees import Tree, leaf


class State(NamedTuple):
    """A state of the machine: `run`, `halt` or `lie`."""

    kind: str
    batch: int = 0
    message: int = 0
    root: bytes = b""  # before the message while running, behind it when halted
    count: int = 0
    mark: str = ""


@functools.cache
def state_hash(state: State) -> bytes:
    return leaf("state", *state)


def root_after(batch: int, message: int, root: bytes) -> bytes:
    """The image root behind a message; every message changes the image."""
    return leaf("root", batch, message, root)


class Toy:
    """The machine, with trees of all true states."""

    def __init__(
        self, claim_height: int, trace_height: int, arity: int, *, messages: int, steps: int
    ) -> None:
        assert messages <= 1 << claim_height
        assert 1 <= steps <= 1 << trace_height
        self.claim_height, self.trace_height, self.arity = claim_height, trace_height, arity
        self.messages, self.steps = messages, steps
        self.claim_tree = functools.cache(self._claim_tree)
        self.trace_tree = functools.cache(self._trace_tree)

    # -- Machine ----------------------------------------------------------------------------------

    def start(self, batch: int, message: int, pre_root: bytes) -> State:
        return State("run", batch, message, pre_root)

    def start_hash(self, batch: int, message: int, pre_root: bytes) -> bytes:
        return state_hash(self.start(batch, message, pre_root))

    def next(self, state: State) -> State:
        if state.kind == "halt":
            return state
        if state.kind == "lie" or state.count + 1 < self.steps:
            return state._replace(count=state.count + 1)
        return self.halted(self.root_behind(state.batch, state.message, state.root))

    def step(self, witness: object) -> tuple[bytes, bytes]:
        assert isinstance(witness, State)
        return state_hash(witness), state_hash(self.next(witness))

    def end(self, opening: object, pre_root: bytes) -> tuple[bytes, bytes]:
        assert isinstance(opening, State)
        return state_hash(opening), opening.root if opening.kind == "halt" else pre_root

    # -- the truth --------------------------------------------------------------------------------

    def root_behind(self, batch: int, message: int, pre_root: bytes) -> bytes:
        return root_after(batch, message, pre_root) if message < self.messages else pre_root

    def halted(self, root: bytes, mark: str = "") -> State:
        return State("halt", root=root, mark=mark)

    # -- what liars make up -----------------------------------------------------------------------

    def lie_root(self, *parts: object) -> bytes:
        """A wrong leaf of a claim."""
        return leaf(*parts)

    def lie_state(self, *parts: object) -> bytes:
        """A wrong leaf of an instruction tree; nobody has its preimage."""
        return leaf("lie", *parts)

    def made_end(self, root: bytes, mark: str) -> tuple[State, bytes]:
        """A last state that gives a root, opened, and its hash."""
        state = self.halted(root, mark)
        return state, state_hash(state)

    # -- trees ------------------------------------------------------------------------------------

    def end_opening(self, batch: int, message: int, pre_root: bytes) -> State:
        return self.state_at(batch, message, pre_root, self.steps)

    def witness(self, batch: int, message: int, pre_root: bytes, count: int) -> State:
        return self.state_at(batch, message, pre_root, count)

    def _claim_tree(self, batch: int, start_root: bytes) -> Tree:
        roots, root = {}, start_root
        for message in range(self.messages):
            root = roots[message] = self.root_behind(batch, message, root)
        return Tree(self.claim_height, root, roots, arity=self.arity)

    def state_at(self, batch: int, message: int, pre_root: bytes, count: int) -> State:
        """`state[count]` of chapter 10.4."""
        if count < self.steps:
            return self.start(batch, message, pre_root)._replace(count=count)
        return self.halted(self.root_behind(batch, message, pre_root))

    def _trace_tree(self, batch: int, message: int, pre_root: bytes) -> Tree:
        last = state_hash(self.state_at(batch, message, pre_root, self.steps))
        states = {
            j: state_hash(self.state_at(batch, message, pre_root, j + 1))
            for j in range(self.steps - 1)
        }
        return Tree(self.trace_height, last, states, arity=self.arity)
