"""Binary keccak trees over 32-byte leaves, as the contracts and the machine hash them."""

from collections.abc import Iterable, Sequence
from typing import Final

from provenue._generated.constants import (
    BATCH_MESSAGES_MAX,
    CLAIM_TREE_HEIGHT,
    LEAF_BYTES,
    WITHDRAWAL_TREE_HEIGHT,
)
from provenue.wire._base import WireError
from provenue.wire._hashing import keccak256

__all__ = [
    "ZERO_HASHES",
    "ClaimTree",
    "MerkleTree",
    "WithdrawalTree",
    "merkle_proof",
    "merkle_root",
    "root_of_proof",
    "verify_proof",
    "withdrawal_leaf",
]

_HEIGHT_MAX = 64


def _zero_hashes() -> tuple[bytes, ...]:
    hashes = [bytes(LEAF_BYTES)]
    for _ in range(_HEIGHT_MAX):
        hashes.append(keccak256(hashes[-1] * 2))
    return tuple(hashes)


# Root of an all-zero tree, by height (chapter 7.5).
ZERO_HASHES: Final = _zero_hashes()


class MerkleTree:
    """A tree of 2^height leaves, of which the first are given and the others are all alike.

    Appending costs one hash per level and keeps every inner node, so proofs cost nothing.
    """

    def __init__(self, height: int, fill: bytes = ZERO_HASHES[0]) -> None:
        if not 0 <= height <= _HEIGHT_MAX:
            raise WireError(f"tree.height: expected 0 to {_HEIGHT_MAX}, was {height}")
        self.height = height
        self._fill = [fill]
        for _ in range(height):
            self._fill.append(keccak256(self._fill[-1] * 2))
        self._levels: list[list[bytes]] = [[] for _ in range(height + 1)]

    def __len__(self) -> int:
        return len(self._levels[0])

    @property
    def leaves(self) -> Sequence[bytes]:
        """The leaves that were given."""
        return self._levels[0]

    def append(self, leaf: bytes) -> int:
        """Add a leaf; returns its index."""
        self.extend([leaf])
        return len(self) - 1

    def extend(self, leaves: Iterable[bytes]) -> None:
        """Add leaves; inner nodes are hashed once for all of them."""
        changed = len(self)
        added = list(leaves)
        for leaf in added:
            if len(leaf) != LEAF_BYTES:
                raise WireError(f"tree.leaf: expected {LEAF_BYTES} bytes, was {len(leaf)}")
        if changed + len(added) > 1 << self.height:
            raise WireError(f"tree: expected at most 2^{self.height} leaves")
        self._levels[0].extend(added)
        for level in range(self.height):
            below, above = self._levels[level], self._levels[level + 1]
            changed //= 2
            del above[changed:]
            for left in range(2 * changed, len(below), 2):
                right = below[left + 1] if left + 1 < len(below) else self._fill[level]
                above.append(keccak256(below[left] + right))

    def node(self, level: int, index: int) -> bytes:
        """A node: level 0 are the leaves."""
        nodes = self._levels[level]
        return nodes[index] if index < len(nodes) else self._fill[level]

    @property
    def root(self) -> bytes:
        """The root."""
        return self.node(self.height, 0)

    def proof(self, index: int) -> list[bytes]:
        """The siblings of a leaf, from the leaf upward."""
        if not 0 <= index < 1 << self.height:
            raise WireError(f"tree.index: expected 0 to 2^{self.height} - 1, was {index}")
        return [self.node(level, (index >> level) ^ 1) for level in range(self.height)]


def _tree_of(data: bytes, height: int) -> MerkleTree:
    tree = MerkleTree(height)
    chunks = [data[at : at + LEAF_BYTES] for at in range(0, len(data), LEAF_BYTES)]
    tree.extend(chunk.ljust(LEAF_BYTES, b"\0") for chunk in chunks)
    return tree


def merkle_root(data: bytes, height: int) -> bytes:
    """The root over bytes, zeros behind them up to 2^height leaves."""
    return _tree_of(data, height).root


def merkle_proof(data: bytes, index: int, height: int) -> list[bytes]:
    """The siblings of a leaf of bytes, from the leaf upward."""
    return _tree_of(data, height).proof(index)


def root_of_proof(leaf: bytes, index: int, proof: Sequence[bytes]) -> bytes:
    """The root that a leaf and its siblings lead to."""
    node = leaf
    for level, sibling in enumerate(proof):
        node = keccak256(sibling + node if index >> level & 1 else node + sibling)
    return node


def verify_proof(leaf: bytes, index: int, proof: Sequence[bytes], root: bytes) -> bool:
    """Whether the leaf stands at that index under the root; the height is the proof's length."""
    return 0 <= index < 1 << len(proof) and root_of_proof(leaf, index, proof) == root


def withdrawal_leaf(*, number: int, asset: int, recipient: bytes, amount_units: int) -> bytes:
    """The leaf of withdrawal `number` (its id; chapter 3.6)."""
    words = [number, asset, int.from_bytes(recipient, "big"), amount_units]
    return keccak256(b"".join(word.to_bytes(32, "big") for word in words))


class WithdrawalTree(MerkleTree):
    """The append-only tree of withdrawals; leaf i is withdrawal i."""

    def __init__(self) -> None:
        super().__init__(WITHDRAWAL_TREE_HEIGHT)

    @property
    def image_root(self) -> bytes:
        """What the image holds: 32 zero bytes before the first withdrawal."""
        return self.root if len(self) else bytes(LEAF_BYTES)

    def at(self, count: int) -> "WithdrawalTree":
        """The tree as it was after the first `count` withdrawals, for proofs under older roots."""
        if not 0 <= count <= len(self):
            raise WireError(f"tree.count: expected 0 to {len(self)}, was {count}")
        older = WithdrawalTree()
        older.extend(self.leaves[:count])
        return older


class ClaimTree(MerkleTree):
    """The tree of image roots after each message; the last root fills the rest (chapter 7.4)."""

    def __init__(self, roots: Sequence[bytes]) -> None:
        if not 1 <= len(roots) <= BATCH_MESSAGES_MAX:
            raise WireError(f"claim: expected 1 to {BATCH_MESSAGES_MAX} roots, was {len(roots)}")
        super().__init__(CLAIM_TREE_HEIGHT, fill=roots[-1])
        self.extend(roots)

    @property
    def final_root(self) -> bytes:
        """The image root after the batch."""
        return self.leaves[-1]

    @property
    def final_proof(self) -> list[bytes]:
        """The siblings of the last leaf, which a claim is posted with."""
        return self.proof((1 << CLAIM_TREE_HEIGHT) - 1)
