# pragma version 0.4.3
"""
@title  claims: what the Anchor keeps of batches and of claims about them, and views of it
@notice No rules of who may claim; the Anchor's glossary explains the words.

        head           of a batch's claims, from the low end: their number 48, the index of the
                       active one + 1 or 0 48, the round 48, how many live 48, when the round
                       began 40
        stand          of a claim, from the low end: round 48, when it began 40, own bond 8, dead 8,
                       released 8
"""

from interfaces import IAnchor
from modules import constants as c
from modules import facts
from modules import merkle

uses: merkle


struct Batch:
    input_root: bytes32
    data_hash: bytes32
    facts: uint256


struct Claim:
    claim_root: bytes32
    end_root: bytes32
    facts: uint256
    stand: uint256


struct BatchView:
    input_root: bytes32
    data_hash: bytes32
    first_sequence: uint256
    message_count: uint256
    inbox_first: uint256
    inbox_count: uint256
    stamp_max_ms: uint256
    l1_block: uint256
    forced: bool


struct ClaimView:
    claim_root: bytes32
    end_root: bytes32
    start_root: bytes32
    claimant: address
    claimed_at: uint256
    bond_wei: uint256
    status: uint256
    round: uint256
    round_started_at: uint256


# Status of a claim.
LIVE: constant(uint256) = 1
VOID: constant(uint256) = 2
FINAL: constant(uint256) = 3

MASK_40: constant(uint256) = 2**40 - 1
MASK_48: constant(uint256) = 2**48 - 1
DEAD: constant(uint256) = 2**96

# Batches so far, and how many of them are final: the first ones.
batch_count: public(uint256)
final_count: public(uint256)
batches: HashMap[uint256, Batch]
heads: HashMap[uint256, uint256]
# By batch and index: a batch can have any number of claims.
stored: HashMap[uint256, HashMap[uint256, Claim]]
# By batch, round and claim root: two equal claims could never be told apart.
seen: HashMap[bytes32, bool]


# --- views ----------------------------------------------------------------------------------------


@external
@view
def final_root(batch: uint256) -> bytes32:
    """
    @notice The image root after a final batch.
    """
    assert batch < self.final_count, "anchor: batch is not final"
    return self._end_root(batch)


@external
@view
def start_root(batch: uint256) -> bytes32:
    """
    @notice The image root that a claim about this batch has to start from.
    """
    return self._start_root(batch)


@external
@view
def batch_of(batch: uint256) -> BatchView:
    """
    @notice What is stored about a batch. stamp_min_ms is in the event and in the input root.
    """
    assert batch < self.batch_count, "anchor: no such batch"
    stored: Batch = self.batches[batch]
    return BatchView(
        input_root=stored.input_root,
        data_hash=stored.data_hash,
        first_sequence=facts._first_sequence(stored.facts),
        message_count=facts._message_count(stored.facts),
        inbox_first=facts._inbox_first(stored.facts),
        inbox_count=facts._inbox_count(stored.facts),
        stamp_max_ms=facts._stamp_max_ms(stored.facts),
        l1_block=facts._l1_block(stored.facts),
        forced=facts._forced(stored.facts),
    )


@external
@view
def claim_of(batch: uint256, index: uint256) -> ClaimView:
    """
    @notice A claim; status 1 live, 2 void, 3 final. The start root is zero when it is void: the
            event has it.
    """
    assert index < self.heads[batch] & MASK_48, "anchor: no such claim"
    stored: Claim = self.stored[batch][index]
    status: uint256 = VOID
    if self._is_live(batch, index):
        status = LIVE
    elif batch < self.final_count and self._active(batch) == index + 1:
        status = FINAL
    start_root: bytes32 = empty(bytes32)
    if status != VOID:
        start_root = self._start_root(batch)
    return ClaimView(
        claim_root=stored.claim_root,
        end_root=stored.end_root,
        start_root=start_root,
        claimant=facts._claimant(stored.facts),
        claimed_at=facts._claimed_at(stored.facts),
        bond_wei=facts._bond_wei(stored.facts),
        status=status,
        round=stored.stand & MASK_48,
        round_started_at=(stored.stand >> 48) & MASK_40,
    )


@external
@view
def claim_count(batch: uint256) -> uint256:
    return self.heads[batch] & MASK_48


@external
@view
def live_count(batch: uint256) -> uint256:
    """
    @notice How many claims of the batch compete.
    """
    return 0 if batch < self.final_count else self._live(self.heads[batch])


@external
@view
def both_live(batch: uint256, index_0: uint256, index_1: uint256) -> bool:
    """
    @notice Whether two claims still compete.
    """
    return self._is_live(batch, index_0) and self._is_live(batch, index_1)


@external
@view
def stand_of(batch: uint256, index: uint256) -> IAnchor.Stand:
    """
    @notice What the game asks of a claim.
    """
    stored: Claim = self.stored[batch][index]
    live: bool = self._is_live(batch, index)
    start_root: bytes32 = empty(bytes32)
    if live:
        start_root = self._start_root(batch)
    return IAnchor.Stand(
        claim_root=stored.claim_root,
        start_root=start_root,
        claimed_at=facts._claimed_at(stored.facts),
        round_started_at=(stored.stand >> 48) & MASK_40,
        live=live,
    )


@external
@view
def input_of(batch: uint256) -> IAnchor.Input:
    """
    @notice What a dispute about the batch starts from, beside its start root.
    """
    return IAnchor.Input(
        input_root=self.batches[batch].input_root,
        first_sequence=facts._first_sequence(self.batches[batch].facts),
    )


@external
@view
def next_sequence() -> uint256:
    """
    @notice Sequence number of the next batch's first message.
    """
    return facts._next_sequence(self._last_facts())


@external
@view
def inbox_consumed() -> uint256:
    """
    @notice Number of inbox items in batches: the index of the head.
    """
    return facts._next_item(self._last_facts())


# --- internal -------------------------------------------------------------------------------------


@internal
@view
def _check_open(batch: uint256):
    assert batch >= self.final_count, "anchor: batch is final"
    assert batch < self.batch_count, "anchor: no such batch"


@internal
@view
def _is_live(batch: uint256, index: uint256) -> bool:
    """
    @notice Of the head's round, not dead, and the batch is not final.
    """
    head: uint256 = self.heads[batch]
    if index >= head & MASK_48 or batch < self.final_count:
        return False
    stand: uint256 = self.stored[batch][index].stand
    return stand & MASK_48 == (head >> 96) & MASK_48 and stand & DEAD == 0


@internal
@pure
def _live(head: uint256) -> uint256:
    return (head >> 144) & MASK_48


@internal
@view
def _start_root(batch: uint256) -> bytes32:
    if batch == 0:
        return merkle._zero(c.QUARTER_HEIGHT)
    return self._end_root(batch - 1)


@internal
@view
def _end_root(batch: uint256) -> bytes32:
    active: uint256 = self._active(batch)
    assert active > 0, "anchor: batch has no active claim"
    return self.stored[batch][active - 1].end_root


@internal
@view
def _active(batch: uint256) -> uint256:
    return (self.heads[batch] >> 48) & MASK_48


@internal
@view
def _last_facts() -> uint256:
    """
    @notice The facts of the last batch; zeros before the first, as if it had ended at 0.
    """
    count: uint256 = self.batch_count
    return 0 if count == 0 else self.batches[count - 1].facts
