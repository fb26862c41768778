"""Trees of 2^12 and 2^24 leaves, most of which repeat: by halving, with no code of the product."""

import functools
from bisect import bisect_right
from collections.abc import Sequence

from tests.contracts import naive

CLAIM_HEIGHT, TRACE_HEIGHT, REVEAL = 12, 24, 3


@functools.cache
def repeated(leaf: bytes, height: int) -> bytes:
    """The root over 2^height times the same leaf."""
    if height == 0:
        return leaf
    below = repeated(leaf, height - 1)
    return naive.keccak(below + below)


class Tree:
    """A tree over given leaves, the last of which repeats to the end."""

    def __init__(self, leaves: Sequence[bytes], height: int) -> None:
        self.height = height
        runs = [i for i in range(len(leaves)) if i == 0 or leaves[i] != leaves[i - 1]]
        self._init([(i, leaves[i]) for i in runs])

    @classmethod
    def of_runs(cls, runs: Sequence[tuple[int, bytes]], height: int) -> "Tree":
        """From (first index, leaf) of each run of equal leaves; the first one begins at 0."""
        tree = cls([runs[0][1]], height)
        tree._init(runs)
        return tree

    def _init(self, runs: Sequence[tuple[int, bytes]]) -> None:
        self.runs = list(runs)
        self._starts = [start for start, _ in runs]
        self._known: dict[tuple[int, int], bytes] = {}

    def leaf(self, index: int) -> bytes:
        return self.runs[bisect_right(self._starts, index) - 1][1]

    def node(self, height: int, index: int) -> bytes:
        """A node; `index` counts from the left at its height."""
        first, last = index << height, ((index + 1) << height) - 1
        run = bisect_right(self._starts, first) - 1
        if run == bisect_right(self._starts, last) - 1:
            return repeated(self.runs[run][1], height)
        key = (height, index)
        if key not in self._known:
            halves = self.node(height - 1, 2 * index), self.node(height - 1, 2 * index + 1)
            self._known[key] = naive.keccak(halves[0] + halves[1])
        return self._known[key]

    @property
    def root(self) -> bytes:
        return self.node(self.height, 0)

    def children(self, height: int, index: int) -> list[bytes]:
        """What a reveal of a node makes known."""
        return [self.node(height - REVEAL, 8 * index + k) for k in range(8)]

    def proof(self, index: int) -> list[bytes]:
        """Siblings of a leaf, upwards."""
        return [self.node(h, (index >> h) ^ 1) for h in range(self.height)]

    def with_leaf(self, index: int, leaf: bytes) -> "Tree":
        """The same with one leaf changed."""
        runs = [run for run in self.runs if run[0] != index]
        if index + 1 < 1 << self.height and all(start != index + 1 for start, _ in runs):
            runs.append((index + 1, self.leaf(index + 1)))
        return Tree.of_runs(sorted([*runs, (index, leaf)]), self.height)


def first_difference(one: Tree, other: Tree) -> int:
    """The first leaf that differs."""
    starts = sorted({start for tree in (one, other) for start, _ in tree.runs})
    return next(start for start in starts if one.leaf(start) != other.leaf(start))
