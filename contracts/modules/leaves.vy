# pragma version 0.4.3
"""
@title  leaves: machine memory by proof: roots from parts of a witness, bytes of a leaf
@notice Memory is the binary keccak tree of height 31 over raw leaves of 32 bytes (protocol
        chapter 10.1). Byte k of a leaf is byte k of the word as the EVM sees it; the machine is
        little-endian, so numbers are turned round here.

        Glossary
        at          where something begins in the witness, in bytes
        place       an address of the machine, below 2^36 (`address` is a type here)
        subtree     `2^height` leaves, aligned: one leaf, a signature, a block
"""

from modules import constants as c

# The longest witness: a state, the leaf of pc with its siblings, a block with its siblings.
LEAF_PART_BYTES: constant(uint256) = c.LEAF_BYTES * (1 + c.MEMORY_HEIGHT)
BLOCK_HEIGHT: constant(uint256) = 5
BLOCK_PART_BYTES: constant(uint256) = (
    c.HASH_BLOCK_BYTES + c.LEAF_BYTES * (c.MEMORY_HEIGHT - BLOCK_HEIGHT)
)
SIGNATURE_BYTES: constant(uint256) = 128
SIGNATURE_HEIGHT: constant(uint256) = 2
SIGNATURE_PART_BYTES: constant(uint256) = (
    SIGNATURE_BYTES + c.LEAF_BYTES * (c.MEMORY_HEIGHT - SIGNATURE_HEIGHT)
)
WITNESS_BYTES_MAX: constant(uint256) = c.STATE_BYTES + LEAF_PART_BYTES + BLOCK_PART_BYTES
LEAF_HEIGHT: constant(uint256) = 0
PAIRS_MAX: constant(uint256) = c.HASH_BLOCK_BYTES // (2 * c.LEAF_BYTES)

# Every other byte, every other pair of bytes of 64 bits: 0x00FF00FF00FF00FF, 0x0000FFFF0000FFFF.
BYTES_MASK: constant(uint256) = 71777214294589695
PAIRS_MASK: constant(uint256) = 281470681808895
M32: constant(uint256) = 2**32 - 1
# A literal alone would be signed.
ONE: constant(uint256) = 1


@internal
@pure
def _root(
    witness: Bytes[WITNESS_BYTES_MAX], at: uint256, node: bytes32, place: uint256, height: uint256
) -> bytes32:
    """
    @notice The memory root over a subtree of a height, whose root is `node` and which holds
            `place`; its siblings begin at `at`, from the subtree upwards.
    @dev    unchecked: `at` is below the witness' bound, which extract32 checks besides.
    """
    root: bytes32 = node
    path: uint256 = place >> (5 + height)
    sibling_at: uint256 = at
    for _: uint256 in range(height, c.MEMORY_HEIGHT, bound=c.MEMORY_HEIGHT):
        if path & 1 == 0:
            root = keccak256(abi_encode(root, extract32(witness, sibling_at)))
        else:
            root = keccak256(abi_encode(extract32(witness, sibling_at), root))
        path = path >> 1
        sibling_at = unsafe_add(sibling_at, c.LEAF_BYTES)
    return root


@internal
@pure
def _subtree(witness: Bytes[WITNESS_BYTES_MAX], at: uint256, height: uint256) -> bytes32:
    """
    @notice Root of the `2^height` leaves that begin at `at`; height 1 to BLOCK_HEIGHT.
    @dev    unchecked: all below PAIRS_MAX and the witness' bound.
    """
    nodes: bytes32[PAIRS_MAX] = empty(bytes32[PAIRS_MAX])
    count: uint256 = (ONE << height) >> 1
    for i: uint256 in range(count, bound=PAIRS_MAX):
        nodes[i] = keccak256(slice(witness, unsafe_add(at, i << 6), 64))
    for _: uint256 in range(BLOCK_HEIGHT):
        if count == 1:
            break
        count = count >> 1
        for i: uint256 in range(count, bound=PAIRS_MAX // 2):
            nodes[i] = keccak256(abi_encode(nodes[i << 1], nodes[(i << 1) | 1]))
    return nodes[0]


@internal
@pure
def _turned(number: uint256) -> uint256:
    """
    @notice The eight bytes of a value in the other order.
    """
    x: uint256 = ((number & BYTES_MASK) << 8) | ((number >> 8) & BYTES_MASK)
    x = ((x & PAIRS_MASK) << 16) | ((x >> 16) & PAIRS_MASK)
    return ((x & M32) << 32) | (x >> 32)


@internal
@pure
def _shift(place: uint256, size: uint256) -> uint256:
    """
    @notice How far the `size` bytes at an aligned address stand above the end of their leaf.
    @dev    unchecked: aligned, so they end inside the leaf.
    """
    return unsafe_sub(unsafe_sub(c.LEAF_BYTES, place & 31), size) << 3


@internal
@pure
def _loaded(leaf: uint256, place: uint256, size: uint256) -> uint256:
    """
    @notice The unsigned number in `size` (1, 2, 4, 8) bytes.
    """
    bits: uint256 = size << 3
    raw: uint256 = (leaf >> self._shift(place, size)) & unsafe_sub(ONE << bits, 1)
    return self._turned(raw) >> unsafe_sub(64, bits)


@internal
@pure
def _stored(leaf: uint256, place: uint256, size: uint256, number: uint256) -> uint256:
    """
    @notice The leaf with the low `size` bytes of a value in it.
    """
    bits: uint256 = size << 3
    above: uint256 = self._shift(place, size)
    kept: uint256 = leaf & ~(unsafe_sub(ONE << bits, 1) << above)
    return kept | ((self._turned(number) >> unsafe_sub(64, bits)) << above)
