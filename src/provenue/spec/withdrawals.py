"""Chapter 3.6: what has left, as a tree that only grows; the vault pays against its roots."""

from provenue.spec.constants import WITHDRAWAL_TREE_HEIGHT
from provenue.spec.crypto import keccak
from provenue.spec.notation import word
from provenue.spec.state import ZERO_WORD, State

__all__ = ["ZERO_SUBTREES", "issue", "withdrawal_leaf"]

# Roots of empty subtrees by height: 32 zero bytes, then the node over two of the one below.
ZERO_SUBTREES = [ZERO_WORD]
for _ in range(WITHDRAWAL_TREE_HEIGHT):
    ZERO_SUBTREES.append(keccak(ZERO_SUBTREES[-1] * 2))


def withdrawal_leaf(id_: int, asset: int, recipient: bytes, amount: int) -> bytes:
    """What is hashed into a leaf."""
    return b"".join([word(id_), word(asset), word(recipient), word(amount)])


def issue(state: State, asset: int, amount: int, recipient: bytes) -> int:
    """Append a withdrawal; its id. Every older withdrawal stays provable under the new root.

    The frontier keeps per level the last left sibling: the next leaf at an odd place needs it.
    """
    state.assets[asset].issued_units += amount
    id_ = state.withdrawal_count
    state.withdrawal_count += 1
    assert id_ < 1 << WITHDRAWAL_TREE_HEIGHT

    keccak = state.crypto.keccak
    node = keccak(withdrawal_leaf(id_, asset, recipient, amount))
    place = id_
    for level in range(WITHDRAWAL_TREE_HEIGHT):
        if place & 1:
            node = keccak(state.withdrawal_frontier[level] + node)
        else:
            state.withdrawal_frontier[level] = node
            node = keccak(node + ZERO_SUBTREES[level])
        place >>= 1
    state.withdrawal_root = node
    return id_
