# pragma version 0.4.3
"""
@title  posted: the framing of posted bytes
@notice count (u32), count + 1 offsets (u32), messages (protocol chapter 7.1). The contract asks for
        a whole offset table; what the messages are is the program's business, except in a forced
        batch, where only PRICES and CONTINUE may stand (nobody may order trades there).
"""

from modules import constants as c

WORD_BYTES: constant(uint256) = 4


@internal
@pure
def _count(data: Bytes[c.BATCH_BYTES_MAX]) -> uint256:
    """
    @notice Number of posted messages.
    """
    assert len(data) >= 2 * WORD_BYTES, "anchor: offset table is cut off"
    count: uint256 = convert(slice(data, 0, WORD_BYTES), uint256)
    assert count <= c.BATCH_MESSAGES_MAX, "anchor: too many messages"
    # unchecked: count is at most 4096.
    table_bytes: uint256 = unsafe_mul(WORD_BYTES, unsafe_add(count, 2))
    assert len(data) >= table_bytes, "anchor: offset table is cut off"
    return count


@internal
@pure
def _check_forced(data: Bytes[c.BATCH_BYTES_MAX], count: uint256):
    """
    @notice Only PRICES and CONTINUE, none of them empty. `_count` has accepted the data.
    @dev    unchecked: positions stay within the offset table.
    """
    start: uint256 = convert(slice(data, WORD_BYTES, WORD_BYTES), uint256)
    for i: uint256 in range(count, bound=c.BATCH_MESSAGES_MAX):
        at: uint256 = unsafe_mul(WORD_BYTES, unsafe_add(i, 2))
        end: uint256 = convert(slice(data, at, WORD_BYTES), uint256)
        assert start < end, "anchor: forced batch has an empty message"
        assert end <= len(data), "anchor: forced batch has a bad offset"
        kind: uint256 = convert(slice(data, start, 1), uint256)
        if kind != c.KIND_PRICES:
            assert kind == c.KIND_CONTINUE, "anchor: forced batch may hold prices and continue only"
        start = end
