"""Withdrawal claims that were never issued, made of nodes that were."""

from typing import Any

from tests.contracts import naive
from tests.contracts.system import ImageState, System

__all__ = ["fabricated"]


def fabricated(system: System, state: ImageState, batch: int) -> tuple[Any, ...]:
    """Arguments of `withdraw` that show an inner node's children as a claim's words."""
    leaves = [w.leaf for w in state.image.withdrawals[: state.count]]
    left, right = leaves[0], leaves[1]
    node = naive.keccak(left + right)
    siblings = naive.proof(leaves, 0, 32)
    root, _, image_siblings = state.proof(state.image.withdrawals[0])
    # id, asset, recipient, amount; the recipient's word must be an address, which no node is.
    recipient = "0x" + node[12:].hex()
    claim = (0, int.from_bytes(left, "big"), recipient, int.from_bytes(right, "big"))
    return claim, batch, root, [*siblings[1:], bytes(32)], image_siblings
