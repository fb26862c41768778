# pragma version 0.4.3
"""
@title  traces: the two ends of a message on the machine (protocol chapter 10.4)
@notice A start state that nobody supplies, and what an end state says about the image.
"""

from modules import constants as c

STATUS_SHIFT: constant(uint256) = 128


struct EndOpening:
    state: uint256[10]  # the ten words of the last state (chapter 10.1)
    q0: bytes32
    q1: bytes32  # the image root
    q23: bytes32


@internal
@pure
def _end_root(end: EndOpening, pre_root: bytes32) -> bytes32:
    """
    @notice The image root that a trace with this end leads to (chapter 10.4).
    """
    memory_root: bytes32 = keccak256(
        abi_encode(keccak256(abi_encode(end.q0, end.q1)), end.q23)
    )
    assert convert(end.state[0], bytes32) == memory_root, "game: quarters are not the memory"
    status: uint256 = end.state[9] >> STATUS_SHIFT
    assert status <= c.STATUS_TRAPPED, "game: no such status"
    return end.q1 if status == c.STATUS_HALTED else pre_root


@internal
@pure
def _start_hash(
    memory_root: bytes32,
    message: uint256,
    first_sequence: uint256,
    end_of_text: uint256,
    entry: uint256,
) -> bytes32:
    """
    @notice RUNNING at the entry, all registers zero but a0 = message and a1 = first sequence.
    """
    state: uint256[10] = empty(uint256[10])
    state[0] = convert(memory_root, uint256)
    # x8 to x11, the lowest highest: a0 is x10, a1 is x11.
    state[3] = (message << 64) | first_sequence
    state[9] = (end_of_text << 64) | entry
    return keccak256(abi_encode(state))
