# pragma version 0.4.3
"""
@title  duels: where matches and inner matches stand, and their clocks
@notice What DisputeGame keeps of each match (its glossary explains the words), how that is packed,
        and views of it. No rules, no money.

        clock word    height 8, position 32, since 40, used_0 40, used_1 40, stage 8 (from the low
                      end)
        place word    of a match: batch 64, index_0 48, index_1 48, allowance_0 40, allowance_1 40;
                      of an inner match its inner claims stand where the indices stand
        facts         of an inner claim: owner 160, joined_at 40, live 8
        arena         of a match and a side: inner claims so far 128, live ones 128
"""

from modules import constants as c

struct Duel:
    node_0: bytes32
    node_1: bytes32
    clock: uint256
    place: uint256
    parent: bytes32  # of an inner match: its match
    pre: bytes32  # sealed: pre root, or hash of the state before the step


struct Inner:
    root: bytes32
    facts: uint256


struct InnerView:
    root: bytes32
    owner: address
    joined_at: uint64
    live: bool


struct Clock:
    height: uint256
    position: uint256
    since: uint256
    used_0: uint256
    used_1: uint256
    stage: uint256


struct MatchView:
    batch: uint256
    index_0: uint256
    index_1: uint256
    node_0: bytes32
    node_1: bytes32
    height: uint256
    position: uint256
    since: uint256
    used_0: uint256
    used_1: uint256
    stage: uint256
    pre_root: bytes32
    sealed_at: uint256
    live_0: uint256
    live_1: uint256


struct InnerMatchView:
    match_id: bytes32
    inner_0: uint256
    inner_1: uint256
    node_0: bytes32
    node_1: bytes32
    height: uint256
    position: uint256
    since: uint256
    used_0: uint256
    used_1: uint256
    stage: uint256
    pre_hash: bytes32


# Stage of a duel. At height 0 and not sealed it is still REVEAL.
REVEAL: constant(uint256) = 1
SEALED: constant(uint256) = 2
DONE: constant(uint256) = 3


CHILDREN: constant(uint256) = 2**c.REVEAL_HEIGHT
MASK_32: constant(uint256) = 2**32 - 1
MASK_40: constant(uint256) = 2**40 - 1
MASK_48: constant(uint256) = 2**48 - 1
MASK_64: constant(uint256) = 2**64 - 1
MASK_128: constant(uint256) = 2**128 - 1
MASK_160: constant(uint256) = 2**160 - 1
ONE: constant(uint256) = 1

matches: HashMap[bytes32, Duel]
# By match and side.
inners: HashMap[bytes32, HashMap[uint256, HashMap[uint256, Inner]]]
arenas: HashMap[bytes32, HashMap[uint256, uint256]]
inner_seen: HashMap[bytes32, bool]


# --- views ----------------------------------------------------------------------------------------


@external
@view
def match_of(id: bytes32) -> MatchView:
    """
    @notice A match; stage 0: there is none, 1 reveal, 2 sealed, 3 done.
    """
    duel: Duel = self.matches[id]
    clock: Clock = self._unpacked(duel.clock)
    return MatchView(
        batch=duel.place & MASK_64,
        index_0=(duel.place >> 64) & MASK_48,
        index_1=(duel.place >> 112) & MASK_48,
        node_0=duel.node_0,
        node_1=duel.node_1,
        height=clock.height,
        position=clock.position,
        since=clock.since,
        used_0=clock.used_0,
        used_1=clock.used_1,
        stage=clock.stage,
        pre_root=duel.pre,
        sealed_at=clock.since if clock.height == 0 else 0,
        live_0=self._live_count(id, 0),
        live_1=self._live_count(id, 1),
    )


@external
@view
def inner_match_of(id: bytes32) -> InnerMatchView:
    """
    @notice An inner match; stages as of a match.
    """
    duel: Duel = self.matches[id]
    clock: Clock = self._unpacked(duel.clock)
    return InnerMatchView(
        match_id=duel.parent,
        inner_0=(duel.place >> 64) & MASK_48,
        inner_1=(duel.place >> 112) & MASK_48,
        node_0=duel.node_0,
        node_1=duel.node_1,
        height=clock.height,
        position=clock.position,
        since=clock.since,
        used_0=clock.used_0,
        used_1=clock.used_1,
        stage=clock.stage,
        pre_hash=duel.pre,
    )


@external
@view
def inner_of(match_id: bytes32, side: uint256, inner: uint256) -> InnerView:
    """
    @notice An inner claim.
    """
    stored: Inner = self.inners[match_id][side][inner]
    return InnerView(
        root=stored.root,
        owner=self._owner_of(stored.facts),
        joined_at=convert(self._joined_at(stored.facts), uint64),
        live=self._is_live(stored.facts),
    )


@external
@view
def inner_count(match_id: bytes32, side: uint256) -> uint256:
    return self.arenas[match_id][side] & MASK_128


# --- internal: inner claims -----------------------------------------------------------------------


@internal
def _add_inner(match_id: bytes32, side: uint256, root: bytes32, owner: address) -> uint256:
    """
    @return Its number among the side's inner claims.
    """
    arena: uint256 = self.arenas[match_id][side]
    self.arenas[match_id][side] = arena + 1 + (ONE << 128)
    index: uint256 = arena & MASK_128
    assert block.timestamp <= MASK_40, "game: time is too large"
    self.inners[match_id][side][index] = Inner(
        root=root, facts=convert(owner, uint256) | (block.timestamp << 160) | (ONE << 200)
    )
    return index


@internal
def _end_inner(match_id: bytes32, side: uint256, index: uint256) -> address:
    """
    @notice A live inner claim is live no more.
    @return Its owner.
    """
    ended: uint256 = self.inners[match_id][side][index].facts ^ (ONE << 200)
    self.inners[match_id][side][index].facts = ended
    self.arenas[match_id][side] -= ONE << 128
    return self._owner_of(ended)


@internal
@view
def _live_count(match_id: bytes32, side: uint256) -> uint256:
    return self.arenas[match_id][side] >> 128


@internal
@pure
def _is_live(inner: uint256) -> bool:
    return inner >> 200 != 0


@internal
@pure
def _joined_at(inner: uint256) -> uint256:
    return (inner >> 160) & MASK_40


@internal
@pure
def _owner_of(inner: uint256) -> address:
    return convert(inner & MASK_160, address)


# --- internal: nodes and clocks -------------------------------------------------------------------


@internal
@pure
def _first_difference(children_0: bytes32[8], children_1: bytes32[8]) -> uint256:
    for k: uint256 in range(CHILDREN):
        if children_0[k] != children_1[k]:
            return k
    # Nodes that differ cannot have equal children.
    raise "game: the sides do not differ"


@internal
@pure
def _root_over(
    leaf: bytes32, index: uint256, siblings: DynArray[bytes32, c.TRACE_TREE_HEIGHT]
) -> bytes32:
    """
    @notice The tree that opens to a leaf at a place.
    """
    node: bytes32 = leaf
    path: uint256 = index
    for sibling: bytes32 in siblings:
        if path & 1 == 0:
            node = keccak256(abi_encode(node, sibling))
        else:
            node = keccak256(abi_encode(sibling, node))
        path = path >> 1
    return node


@internal
@pure
def _after(time: uint256, since: uint256) -> uint256:
    return time - since if time > since else 0


@internal
@pure
def _over_allowance(place: uint256, used_0: uint256, used_1: uint256) -> uint256:
    lost: uint256 = 0
    if used_0 > (place >> 160) & MASK_40:
        lost = 1
    if used_1 > place >> 200:
        lost |= 2
    return lost


# --- internal: packing ----------------------------------------------------------------------------


@internal
@pure
def _packed(clock: Clock) -> uint256:
    """
    @notice Times are seconds since 1970 and sums of a few windows: far below 40 bits.
    """
    assert clock.since <= MASK_40, "game: time is too large"
    assert clock.used_0 <= MASK_40, "game: time is too large"
    assert clock.used_1 <= MASK_40, "game: time is too large"
    low: uint256 = clock.height | (clock.position << 8) | (clock.since << 40)
    return low | (clock.used_0 << 80) | (clock.used_1 << 120) | (clock.stage << 200)


@internal
@pure
def _unpacked(word: uint256) -> Clock:
    return Clock(
        height=word & 255,
        position=(word >> 8) & MASK_32,
        since=(word >> 40) & MASK_40,
        used_0=(word >> 80) & MASK_40,
        used_1=(word >> 120) & MASK_40,
        stage=word >> 200,
    )


@internal
@pure
def _place(
    batch: uint256, first: uint256, second: uint256, allowance_0: uint256, allowance_1: uint256
) -> uint256:
    assert batch <= MASK_64, "game: batch is too large"
    assert max(first, second) <= MASK_48, "game: index is too large"
    assert max(allowance_0, allowance_1) <= MASK_40, "game: time is too large"
    return (
        batch | (first << 64) | (second << 112) | (allowance_0 << 160) | (allowance_1 << 200)
    )
