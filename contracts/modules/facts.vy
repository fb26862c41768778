# pragma version 0.4.3
"""
@title  facts: what the Anchor packs into one word, for a batch and for a claim
@notice Bits from the low end:
        batch   first_sequence 64, message_count 16, inbox_first 48, inbox_count 8,
                stamp_max_ms 64, l1_block 40, forced 8
        claim   claimed_at 40, bond in gwei 56, claimant 160
"""

GWEI_WEI: constant(uint256) = 10**9
MASK_8: constant(uint256) = 2**8 - 1
MASK_16: constant(uint256) = 2**16 - 1
MASK_40: constant(uint256) = 2**40 - 1
MASK_48: constant(uint256) = 2**48 - 1
MASK_56: constant(uint256) = 2**56 - 1
MASK_64: constant(uint256) = 2**64 - 1


@internal
@view
def _of_batch(
    first_sequence: uint256,
    message_count: uint256,
    inbox_first: uint256,
    inbox_count: uint256,
    stamp_max_ms: uint64,
    forced: bool,
) -> uint256:
    """
    @notice The callers bound the counts; the rest cannot outgrow its field by counting up from
            zero, and is asserted all the same.
    """
    assert first_sequence <= MASK_64, "anchor: sequence is too large"
    assert inbox_first <= MASK_48, "anchor: inbox index is too large"
    assert block.number <= MASK_40, "anchor: block number is too large"
    low: uint256 = first_sequence | (message_count << 64) | (inbox_first << 80)
    middle: uint256 = (inbox_count << 128) | (convert(stamp_max_ms, uint256) << 136)
    return low | middle | (block.number << 200) | (convert(forced, uint256) << 240)


@internal
@pure
def _first_sequence(batch: uint256) -> uint256:
    return batch & MASK_64


@internal
@pure
def _message_count(batch: uint256) -> uint256:
    return (batch >> 64) & MASK_16


@internal
@pure
def _next_sequence(batch: uint256) -> uint256:
    return self._first_sequence(batch) + self._message_count(batch)


@internal
@pure
def _inbox_first(batch: uint256) -> uint256:
    return (batch >> 80) & MASK_48


@internal
@pure
def _inbox_count(batch: uint256) -> uint256:
    return (batch >> 128) & MASK_8


@internal
@pure
def _next_item(batch: uint256) -> uint256:
    return self._inbox_first(batch) + self._inbox_count(batch)


@internal
@pure
def _stamp_max_ms(batch: uint256) -> uint256:
    return (batch >> 136) & MASK_64


@internal
@pure
def _l1_block(batch: uint256) -> uint256:
    return (batch >> 200) & MASK_40


@internal
@pure
def _forced(batch: uint256) -> bool:
    return (batch >> 240) != 0


@internal
@view
def _of_claim(claimant: address, bond_wei: uint256) -> uint256:
    assert block.timestamp <= MASK_40, "anchor: time is too large"
    bond_gwei: uint256 = bond_wei // GWEI_WEI
    return block.timestamp | (bond_gwei << 40) | (convert(claimant, uint256) << 96)


@internal
@pure
def _check_bond(bond_wei: uint256):
    assert bond_wei > 0, "anchor: bond is zero"
    assert bond_wei % GWEI_WEI == 0, "anchor: bond must be whole gwei"
    assert bond_wei // GWEI_WEI <= MASK_56, "anchor: bond is too large"


@internal
@pure
def _claimed_at(claim: uint256) -> uint256:
    return claim & MASK_40


@internal
@pure
def _bond_wei(claim: uint256) -> uint256:
    return ((claim >> 40) & MASK_56) * GWEI_WEI


@internal
@pure
def _claimant(claim: uint256) -> address:
    return convert(claim >> 96, address)
