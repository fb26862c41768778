# pragma version 0.4.3
"""
@title  merkle: roots of posted bytes, inbox slots, batch headers; openings of claims and images
@notice Binary keccak-256 trees over raw 32-byte leaves (protocol chapter 7). A tree is mostly
        zeros: subtrees of zeros are known by height and never hashed again.

        Glossary
        height      leaves stand at height 0; a node of height h covers 2^h leaves
        zero(h)     root of 2^h zero leaves: zero(0) = 0, zero(h+1) = keccak(zero(h), zero(h))
        climb       from a node that stands leftmost up to a larger height, right of it all zero
        group       eight neighbouring leaves (256 bytes), hashed without a loop
"""

from modules import constants as c

# The tallest tree we walk: withdrawals.
HEIGHT_MAX: constant(uint256) = 32
# The input quarter halves into posted bytes and what the contract makes.
HALF_HEIGHT: constant(uint256) = c.QUARTER_HEIGHT - 1
# Header and inbox slice have 32 KiB each.
SLICE_HEIGHT: constant(uint256) = c.INBOX_SLICE_HEIGHT
GROUP_BYTES: constant(uint256) = 256
GROUP_HEIGHT: constant(uint256) = 3
# One more than ceil(BATCH_BYTES_MAX / 256): room for the zero node beside an odd last one.
GROUPS_MAX: constant(uint256) = c.BATCH_BYTES_MAX // GROUP_BYTES + 2

# zero(0) to zero(32), made once at deployment: a constant array would be copied on each use.
_ZEROS: immutable(bytes32[HEIGHT_MAX + 1])


@deploy
def __init__():
    zeros: bytes32[HEIGHT_MAX + 1] = empty(bytes32[HEIGHT_MAX + 1])
    for height: uint256 in range(HEIGHT_MAX):
        zeros[height + 1] = self._pair(zeros[height], zeros[height])
    _ZEROS = zeros


@internal
@pure
def _pair(left: bytes32, right: bytes32) -> bytes32:
    return keccak256(abi_encode(left, right))


@internal
@view
def _zero(height: uint256) -> bytes32:
    return _ZEROS[height]


@internal
@view
def _climb(node: bytes32, height: uint256, to_height: uint256) -> bytes32:
    """
    @notice The root of height `to_height` whose leftmost subtree is `node`, zeros elsewhere.
    """
    root: bytes32 = node
    for h: uint256 in range(height, to_height, bound=HEIGHT_MAX):
        root = keccak256(abi_encode(root, _ZEROS[h]))
    return root


@internal
@pure
def _root_of_8(w: bytes32[8]) -> bytes32:
    return keccak256(
        abi_encode(
            keccak256(
                abi_encode(keccak256(abi_encode(w[0], w[1])), keccak256(abi_encode(w[2], w[3])))
            ),
            keccak256(
                abi_encode(keccak256(abi_encode(w[4], w[5])), keccak256(abi_encode(w[6], w[7])))
            ),
        )
    )


@internal
@pure
def _root_of_16(w: bytes32[16]) -> bytes32:
    low: bytes32[8] = [w[0], w[1], w[2], w[3], w[4], w[5], w[6], w[7]]
    high: bytes32[8] = [w[8], w[9], w[10], w[11], w[12], w[13], w[14], w[15]]
    return keccak256(abi_encode(self._root_of_8(low), self._root_of_8(high)))


@internal
@pure
def _left_aligned(number: uint256, size: uint256) -> bytes32:
    """
    @notice The word that begins with `size` (1 to 31) bytes of the number and goes on with zeros.
    """
    return convert(number << (8 * (32 - size)), bytes32)


@internal
@view
def _posted_root(data: Bytes[c.BATCH_BYTES_MAX]) -> bytes32:
    """
    @notice Root of the lower half of the input quarter: the posted bytes, zeros behind.
    @dev    unchecked: positions are below BATCH_BYTES_MAX, indices below GROUPS_MAX.
            The data goes to no further function: each would keep a copy, and memory costs by the
            square.
    """
    if len(data) == 0:
        return _ZEROS[HALF_HEIGHT]
    nodes: bytes32[GROUPS_MAX] = empty(bytes32[GROUPS_MAX])
    count: uint256 = len(data) // GROUP_BYTES
    for i: uint256 in range(count, bound=GROUPS_MAX - 2):
        at: uint256 = unsafe_mul(i, GROUP_BYTES)
        nodes[i] = keccak256(
            abi_encode(
                keccak256(
                    abi_encode(
                        keccak256(slice(data, at, 64)),
                        keccak256(slice(data, unsafe_add(at, 64), 64)),
                    )
                ),
                keccak256(
                    abi_encode(
                        keccak256(slice(data, unsafe_add(at, 128), 64)),
                        keccak256(slice(data, unsafe_add(at, 192), 64)),
                    )
                ),
            )
        )
    if len(data) % GROUP_BYTES != 0:
        # The last group is cut off by the end of the data.
        words: bytes32[8] = empty(bytes32[8])
        at: uint256 = count * GROUP_BYTES
        whole: uint256 = (len(data) - at) // 32
        for i: uint256 in range(whole, bound=7):
            words[i] = extract32(data, at + 32 * i)
        cut: uint256 = len(data) % 32
        if cut > 0:
            # The bytes behind the end are not to be trusted: calldata padding may hold anything.
            value: uint256 = 0
            for i: uint256 in range(cut, bound=31):
                byte: uint256 = convert(slice(data, at + 32 * whole + i, 1), uint256)
                value = (value << 8) | byte
            words[whole] = self._left_aligned(value, cut)
        nodes[count] = self._root_of_8(words)
        count = unsafe_add(count, 1)

    height: uint256 = GROUP_HEIGHT
    for _: uint256 in range(HALF_HEIGHT):
        if count == 1:
            break
        # An odd last node gets a zero neighbour; `count` is below GROUPS_MAX.
        nodes[count] = _ZEROS[height]
        count = unsafe_add(count, 1) // 2
        for i: uint256 in range(count, bound=GROUPS_MAX // 2):
            left: uint256 = unsafe_mul(2, i)
            nodes[i] = keccak256(abi_encode(nodes[left], nodes[unsafe_add(left, 1)]))
        height = unsafe_add(height, 1)
    return self._climb(nodes[0], height, HALF_HEIGHT)


@internal
@view
def _made_root(header: bytes32[16], slot_roots: DynArray[bytes32, c.BATCH_INBOX_MAX]) -> bytes32:
    """
    @notice Root of the upper half of the input quarter: 32 KiB header, 32 KiB inbox slice, zeros.
    """
    header_root: bytes32 = self._climb(self._root_of_16(header), 4, SLICE_HEIGHT)
    slice_root: bytes32 = self._slice_root(slot_roots)
    return self._climb(self._pair(header_root, slice_root), SLICE_HEIGHT + 1, HALF_HEIGHT)


@internal
@view
def _slice_root(slot_roots: DynArray[bytes32, c.BATCH_INBOX_MAX]) -> bytes32:
    """
    @notice Root of the inbox slice: 64 slots, those not used are zero.
    """
    count: uint256 = len(slot_roots)
    if count == 0:
        return _ZEROS[SLICE_HEIGHT]
    nodes: bytes32[c.BATCH_INBOX_MAX + 1] = empty(bytes32[c.BATCH_INBOX_MAX + 1])
    for i: uint256 in range(count, bound=c.BATCH_INBOX_MAX):
        nodes[i] = slot_roots[i]
    height: uint256 = c.INBOX_SLOT_HEIGHT
    for _: uint256 in range(SLICE_HEIGHT):
        if count == 1:
            break
        nodes[count] = _ZEROS[height]
        count = (count + 1) // 2
        for i: uint256 in range(count, bound=c.BATCH_INBOX_MAX // 2):
            nodes[i] = self._pair(nodes[2 * i], nodes[2 * i + 1])
        height += 1
    return self._climb(nodes[0], height, SLICE_HEIGHT)


@internal
@pure
def _slot_root(message: Bytes[c.INBOX_MESSAGE_MAX]) -> bytes32:
    """
    @notice Root of an inbox slot: word 0 is the length, then the message, zeros behind.
    """
    words: bytes32[16] = empty(bytes32[16])
    words[0] = convert(len(message), bytes32)
    # 32 zero bytes behind: the last word can be read whole.
    padded: Bytes[c.INBOX_SLOT_BYTES] = concat(message, empty(bytes32))
    for i: uint256 in range((len(message) + 31) // 32, bound=15):
        words[i + 1] = extract32(padded, 32 * i)
    return self._root_of_16(words)


@internal
@pure
def _root_from_last(leaf: bytes32, siblings: bytes32[c.CLAIM_TREE_HEIGHT]) -> bytes32:
    """
    @notice The claim tree that opens to `leaf` at its last place (4095).
    """
    node: bytes32 = leaf
    for sibling: bytes32 in siblings:
        node = keccak256(abi_encode(sibling, node))
    return node


@internal
@pure
def _root_from_first(leaf: bytes32, siblings: bytes32[c.QUARTER_HEIGHT]) -> bytes32:
    """
    @notice The image that opens to `leaf` at offset 0.
    """
    node: bytes32 = leaf
    for sibling: bytes32 in siblings:
        node = keccak256(abi_encode(node, sibling))
    return node


@internal
@pure
def _root_from(
    leaf: bytes32, index: uint256, siblings: bytes32[c.WITHDRAWAL_TREE_HEIGHT]
) -> bytes32:
    """
    @notice The withdrawal tree that opens to `leaf` at place `index`, which is below 2^32.
    """
    node: bytes32 = leaf
    path: uint256 = index
    for sibling: bytes32 in siblings:
        if path % 2 == 0:
            node = keccak256(abi_encode(node, sibling))
        else:
            node = keccak256(abi_encode(sibling, node))
        path = path >> 1
    return node
