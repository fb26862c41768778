"""The two levels of trees that a party plays with, and proofs in a tree it only knows by reveals.

A party knows its own trees whole. Of its opponent's it knows what was revealed: eight children of
each node on the way down. That is enough for the one proof that has to be made in a tree which may
be the opponent's: that of the last leaf on which both agree (chapter 11.4, 11.5).
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Protocol

from provenue import wire
from provenue._generated.constants import REVEAL_HEIGHT
from provenue.watcher.replay import Executed

__all__ = [
    "ARITY",
    "EndOpening",
    "InstructionTree",
    "MessageTree",
    "RevealMissingError",
    "Tree",
    "Trees",
    "children_root",
    "left_neighbour_proof",
]

ARITY = 1 << REVEAL_HEIGHT

EndOpening = tuple[Sequence[bytes], bytes, bytes, bytes]
"""The ten words of the last state, its quarter roots q0 and q1, and the node of q2 and q3."""


class RevealMissingError(Exception):
    """A node on the way down whose children nobody has revealed."""


class Tree(Protocol):
    """A whole tree: its nodes by height (0 are the leaves) and number at that height."""

    @property
    def root(self) -> bytes:
        """The node of the whole height."""
        ...

    def node(self, height: int, index: int) -> bytes:
        """One node."""
        ...

    def children(self, height: int, index: int) -> Sequence[bytes]:
        """The eight nodes three levels below a node."""
        ...

    def proof(self, index: int) -> Sequence[bytes]:
        """The siblings of a leaf, from the leaf upward."""
        ...


class InstructionTree(Tree, Protocol):
    """The machine hashes of one message (chapter 10.4); `provenue.machine.Trace` is one."""

    def end(self) -> EndOpening:
        """The opening of the last state, for `join_inner`."""
        ...

    def witness(self, index: int) -> bytes:
        """What the contract needs to make the step that leads to leaf `index`."""
        ...


class Trees(Protocol):
    """What a party holds to be right: its claim about each batch, its trace of each message.

    The watcher's are computed; a liar's are whatever it likes. Batches it knows nothing of are
    None: about those it makes no move.
    """

    def batch(self, number: int) -> MessageTree | None:
        """The claim about a batch."""
        ...

    def trace(self, number: int, message: int) -> InstructionTree:
        """The instruction tree of a message; may take seconds."""
        ...


class MessageTree:
    """A claim: the tree of image roots after each message, and the root it starts from."""

    def __init__(self, start_root: bytes, roots: Sequence[bytes]) -> None:
        self.start_root = start_root
        self._tree = wire.ClaimTree(roots)

    @classmethod
    def of(cls, executed: Executed) -> MessageTree:
        """Of a batch that was executed."""
        return cls(executed.start_root, executed.roots)

    @property
    def claim(self) -> wire.ClaimTree:
        """As a claim is posted."""
        return self._tree

    @property
    def root(self) -> bytes:
        return self._tree.root

    @property
    def end_root(self) -> bytes:
        """The image root after the batch."""
        return self._tree.final_root

    def node(self, height: int, index: int) -> bytes:
        return self._tree.node(height, index)

    def children(self, height: int, index: int) -> list[bytes]:
        below = height - REVEAL_HEIGHT
        return [self._tree.node(below, ARITY * index + k) for k in range(ARITY)]

    def proof(self, index: int) -> list[bytes]:
        return self._tree.proof(index)


def children_root(children: Sequence[bytes]) -> bytes:
    """The node above eight children."""
    nodes = list(children)
    while len(nodes) > 1:
        nodes = [wire.keccak256(nodes[k] + nodes[k + 1]) for k in range(0, len(nodes), 2)]
    return nodes[0]


def left_neighbour_proof(
    own: Tree,
    root: bytes,
    height: int,
    position: int,
    revealed: Mapping[bytes, Sequence[bytes]],
) -> list[bytes]:
    """The siblings of leaf `position` - 1, leaf upwards, in the tree with that root.

    `position` is the first leaf in which the tree differs from `own`, so everything left of it is
    known; what stands on or right of the way to it must have been revealed (RevealMissingError).
    """
    if root == own.root:
        return list(own.proof(position - 1))
    path = _path_siblings(root, height, position, revealed)
    leaf = position - 1
    siblings = []
    for level in range(height):
        sibling = (leaf >> level) ^ 1
        at = position >> level
        if sibling < at:
            siblings.append(own.node(level, sibling))
        else:
            # On the way to `position`, or beside it.
            siblings.append(path[level][sibling == at])
    return siblings


def _path_siblings(
    root: bytes, height: int, position: int, revealed: Mapping[bytes, Sequence[bytes]]
) -> list[tuple[bytes, bytes]]:
    """By level, leaf upwards: the right neighbour of the way to a leaf, and the node on the way.

    Where the way itself is the right one of a pair, its neighbour is left of it and not given.
    """
    found: list[tuple[bytes, bytes]] = []
    node = root
    for top in range(height, 0, -REVEAL_HEIGHT):
        children = revealed.get(node)
        if children is None:
            raise RevealMissingError(f"node {node.hex()} at height {top}: nobody has revealed it")
        nodes = list(children)
        way = (position >> (top - REVEAL_HEIGHT)) % ARITY
        part: list[tuple[bytes, bytes]] = []
        for _ in range(REVEAL_HEIGHT):
            part.append((nodes[way ^ 1] if way % 2 == 0 else b"", nodes[way]))
            nodes = [wire.keccak256(nodes[k] + nodes[k + 1]) for k in range(0, len(nodes), 2)]
            way //= 2
        found = part + found
        node = list(children)[(position >> (top - REVEAL_HEIGHT)) % ARITY]
    return found
