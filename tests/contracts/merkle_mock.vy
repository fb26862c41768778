# pragma version 0.4.3
"""
@title  The merkle module with a door, for tests.
"""

from modules import constants as c
from modules import merkle

initializes: merkle


@deploy
def __init__():
    merkle.__init__()


@external
@view
def zero(height: uint256) -> bytes32:
    return merkle._zero(height)


@external
@view
def climb(node: bytes32, height: uint256, to_height: uint256) -> bytes32:
    return merkle._climb(node, height, to_height)


@external
@view
def posted_root(data: Bytes[c.BATCH_BYTES_MAX]) -> bytes32:
    return merkle._posted_root(data)


@external
@view
def made_root(header: bytes32[16], slot_roots: DynArray[bytes32, 64]) -> bytes32:
    return merkle._made_root(header, slot_roots)


@external
@view
def root_from(leaf: bytes32, index: uint256, siblings: bytes32[32]) -> bytes32:
    return merkle._root_from(leaf, index, siblings)


@external
@view
def root_from_first(leaf: bytes32, siblings: bytes32[29]) -> bytes32:
    return merkle._root_from_first(leaf, siblings)


@external
@view
def root_from_last(leaf: bytes32, siblings: bytes32[12]) -> bytes32:
    return merkle._root_from_last(leaf, siblings)
