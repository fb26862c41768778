"""Binary hash trees with few leaves that differ from a default, and what a match needs of them.

A tree of height h has 2^h leaves. It is held by its default leaf and the others, so the tree over
2^24 machine states costs no more than the states that differ. Which hash joins two nodes is a
parameter: a cheap one where only times matter, keccak where a contract has to agree.
"""

import functools
import hashlib
from collections.abc import Callable, Mapping, Sequence

Join = Callable[[bytes, bytes], bytes]


@functools.cache
def cheap(left: bytes, right: bytes) -> bytes:
    """A node of a tree that no contract sees."""
    return hashlib.blake2b(left + right, digest_size=8).digest()


def leaf(*parts: object) -> bytes:
    """A leaf that no contract sees, from what it stands for."""
    return hashlib.blake2b(repr(parts).encode(), digest_size=8).digest()


def fold(children: Sequence[bytes], join: Join) -> bytes:
    """The node above 2^k children."""
    row = list(children)
    while len(row) > 1:
        row = [join(row[i], row[i + 1]) for i in range(0, len(row), 2)]
    return row[0]


def root_of_path(value: bytes, index: int, siblings: Sequence[bytes], join: Join) -> bytes:
    """The root that a leaf and its siblings, leaf upwards, lead to."""
    node = value
    for sibling in siblings:
        node = join(sibling, node) if index & 1 else join(node, sibling)
        index >>= 1
    return node


class Tree:
    """All nodes of one tree.

    `arity` children are revealed at a time; the height is a multiple of its logarithm.
    """

    def __init__(
        self,
        height: int,
        default: bytes,
        others: Mapping[int, bytes],
        *,
        arity: int = 8,
        join: Join = cheap,
    ) -> None:
        self.height, self.default, self.others = height, default, dict(others)
        self.arity, self.join = arity, join
        self.levels = arity.bit_length() - 1
        assert height % self.levels == 0
        assert all(0 <= index < 1 << height for index in others)
        self._uniform = [default]
        for _ in range(height):
            self._uniform.append(join(self._uniform[-1], self._uniform[-1]))
        self._rows = [self.others]
        for _ in range(height):
            below, fill = self._rows[-1], self._uniform[len(self._rows) - 1]
            row = {}
            for index in {i >> 1 for i in below}:
                left, right = below.get(2 * index, fill), below.get(2 * index + 1, fill)
                row[index] = join(left, right)
            self._rows.append(row)

    @property
    def root(self) -> bytes:
        return self.node(self.height, 0)

    def node(self, height: int, index: int) -> bytes:
        return self._rows[height].get(index, self._uniform[height])

    def leaf(self, index: int) -> bytes:
        return self.node(0, index)

    @property
    def last(self) -> bytes:
        return self.leaf((1 << self.height) - 1)

    def children(self, height: int, index: int) -> tuple[bytes, ...]:
        """What a reveal of this node shows, `levels` levels down."""
        first = index * self.arity
        return tuple(self.node(height - self.levels, first + k) for k in range(self.arity))

    def proof(self, index: int) -> tuple[bytes, ...]:
        """Siblings of a leaf, leaf upwards."""
        return tuple(self.node(h, (index >> h) ^ 1) for h in range(self.height))

    def claim(self, start_root: bytes) -> tuple[bytes, bytes, bytes, tuple[bytes, ...]]:
        """A claim with this tree: root, start root, end root, and the opening of its last leaf."""
        return (self.root, start_root, self.last, self.proof((1 << self.height) - 1))

    def nodes(self) -> dict[bytes, tuple[bytes, ...]]:
        """Every node that can be revealed, with its children: for small trees only."""
        found = {}
        for height in range(self.levels, self.height + 1, self.levels):
            for index in range(1 << (self.height - height)):
                found[self.node(height, index)] = self.children(height, index)
        return found

    def with_leaves(self, others: Mapping[int, bytes]) -> "Tree":
        """The same tree but for some leaves."""
        return Tree(
            self.height, self.default, self.others | dict(others), arity=self.arity, join=self.join
        )
