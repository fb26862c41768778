# pragma version 0.4.3
"""
@title  DisputeGame: which of two claims about a batch is wrong
@license Apache-2.0
@notice Protocol chapter 11. Two live claims of one round meet in a match: their trees of image
        roots are compared node by node down to the first message after which they differ; then
        trees of machine hashes, down to the first instruction; then the StepVerifier makes this
        one step. A claim commits to its whole trace, so a correct move is unique: anybody can make
        it, and nobody can make it badly on purpose.

        Glossary
        match         two claims, the older one is side 0
        inner claim   a tree of machine hashes for one side of a sealed match
        inner match   an inner claim of side 0 against one of side 1
        duel          a match or an inner match: two nodes that differ, a height, two clocks
        node          at height h, over 2^h leaves; eight children are three levels down
        since         when the clocks of a duel began to run for its nodes
        allowance     what a side may use up in a duel, in seconds
        lost          bit 0: side 0, bit 1: side 1

        balance = bonds of live inner claims + credits + burnt
@custom:kill There is none: no owner, no pause, no verdict but the referee's.
"""

from interfaces import IAnchor
from interfaces import IStepVerifier
from modules import constants as c
from modules import credits
from modules import duels
from modules import merkle
from modules import traces

initializes: merkle
initializes: duels
initializes: credits
exports: (duels.match_of, duels.inner_match_of, duels.inner_of, duels.inner_count)
exports: (credits.credit_of, credits.burnt_wei, credits.withdraw_credit)


event Opened:
    match_id: indexed(bytes32)
    batch: indexed(uint256)
    index_0: uint256
    index_1: uint256


event Revealed:
    node: indexed(bytes32)
    children: bytes32[8]


event Advanced:
    id: indexed(bytes32)
    height: uint256
    position: uint256
    node_0: bytes32
    node_1: bytes32


event Sealed:
    match_id: indexed(bytes32)
    position: uint256
    pre_root: bytes32
    sealed_at: uint256


event InnerJoined:
    match_id: indexed(bytes32)
    side: uint256
    inner: uint256
    owner: indexed(address)
    root: bytes32


event InnerOpened:
    inner_match_id: indexed(bytes32)
    match_id: indexed(bytes32)
    inner_0: uint256
    inner_1: uint256


event InnerSealed:
    inner_match_id: indexed(bytes32)
    position: uint256
    pre_hash: bytes32


event Stepped:
    inner_match_id: indexed(bytes32)
    post_hash: bytes32


event InnerDied:
    match_id: indexed(bytes32)
    side: uint256
    inner: uint256


event Decided:
    match_id: indexed(bytes32)
    lost: uint256


LOST_0: constant(uint256) = 1
LOST_1: constant(uint256) = 2
LOST_BOTH: constant(uint256) = 3

MASK_32: constant(uint256) = 2**32 - 1
MASK_48: constant(uint256) = 2**48 - 1
MASK_64: constant(uint256) = 2**64 - 1
WITNESS_BYTES_MAX: constant(uint256) = 3_200

ANCHOR: immutable(IAnchor)
VERIFIER: immutable(IStepVerifier)
PROGRAM_ROOT: immutable(bytes32)
ENTRY: immutable(uint256)
END_OF_TEXT: immutable(uint256)
WINDOW_S: immutable(uint256)
GRACE_S: immutable(uint256)
INNER_BOND_WEI: immutable(uint256)

# When a node was first revealed; zero: never. One reveal serves every match (invariant 7).
revealed_at: public(HashMap[bytes32, uint256])


@deploy
def __init__(
    anchor: address,
    verifier: address,
    program_root: bytes32,
    entry: uint256,
    end_of_text: uint256,
    grace_s: uint256,
    inner_bond_wei: uint256,
    window_s: uint256,
):
    """
    @param program_root Root of the machine's quarter 0 with the guest loaded.
    @param window_s The Anchor's challenge window; it is checked when the first match is opened,
           since the Anchor may be deployed after its game.
    """
    assert anchor != empty(address), "game: anchor is zero"
    assert verifier != empty(address), "game: verifier is zero"
    assert entry % 4 == 0, "game: entry is not a multiple of 4"
    assert entry < end_of_text, "game: entry is outside text"
    assert end_of_text % 4_096 == 0, "game: end of text is not a multiple of 4096"
    assert end_of_text <= c.QUARTER_BYTES, "game: end of text is outside its quarter"
    assert grace_s > 0, "game: grace is zero"
    assert 2 * grace_s <= window_s, "game: grace exceeds half of the window"
    assert window_s <= MASK_32, "game: window is too long"
    assert inner_bond_wei > 0, "game: inner bond is zero"
    merkle.__init__()
    ANCHOR = IAnchor(anchor)
    VERIFIER = IStepVerifier(verifier)
    PROGRAM_ROOT = program_root
    ENTRY = entry
    END_OF_TEXT = end_of_text
    WINDOW_S = window_s
    GRACE_S = grace_s
    INNER_BOND_WEI = inner_bond_wei
    credits.__init__()


# --- the message level ----------------------------------------------------------------------------


@external
def open(batch: uint256, index_0: uint256, index_1: uint256) -> bytes32:
    """
    @notice Let two live claims meet. Their clocks run from the later one's making, whenever this is
            called.
    @return The match; its name holds both trees, so that nothing can stand where it stood.
    """
    assert index_0 < index_1, "game: the older claim is side 0"
    assert staticcall ANCHOR.window_s() == WINDOW_S, "game: not the anchor's window"
    older: IAnchor.Stand = staticcall ANCHOR.stand_of(batch, index_0)
    younger: IAnchor.Stand = staticcall ANCHOR.stand_of(batch, index_1)
    assert older.live and younger.live, "game: a claim is not live"
    id: bytes32 = keccak256(
        abi_encode(batch, index_0, index_1, older.claim_root, younger.claim_root)
    )
    assert duels.matches[id].clock == 0, "game: match is open"
    clock: duels.Clock = duels.Clock(
        height=c.CLAIM_TREE_HEIGHT,
        position=0,
        since=younger.claimed_at,
        used_0=0,
        used_1=0,
        stage=duels.REVEAL,
    )
    duels.matches[id] = duels.Duel(
        node_0=older.claim_root,
        node_1=younger.claim_root,
        clock=duels._packed(clock),
        place=duels._place(
            batch,
            index_0,
            index_1,
            self._allowance(older),
            self._allowance(younger),
        ),
        parent=empty(bytes32),
        pre=empty(bytes32),
    )
    log Opened(match_id=id, batch=batch, index_0=index_0, index_1=index_1)
    return id


@external
def reveal(children: bytes32[8]):
    """
    @notice Make the children of a node known. Anybody may, whoever's node it is.
    """
    self._reveal(children)


@external
def advance(
    id: bytes32, children_0: bytes32[8], children_1: bytes32[8], next: DynArray[bytes32, 8]
):
    """
    @notice Go down to the first child in which the two sides differ; of a match or an inner match.
    @param children_0 Of the node of side 0; revealed now unless they are.
    @param next Children of any node, to be revealed in the same transaction; or none.
    """
    duel: duels.Duel = duels.matches[id]
    clock: duels.Clock = self._going_on(duel)
    assert clock.stage == duels.REVEAL, "game: duel is not being revealed"
    assert clock.height > 0, "game: duel is at its leaves"
    node_0: bytes32 = empty(bytes32)
    node_1: bytes32 = empty(bytes32)
    at_0: uint256 = 0
    at_1: uint256 = 0
    node_0, at_0 = self._reveal(children_0)
    node_1, at_1 = self._reveal(children_1)
    assert node_0 == duel.node_0, "game: not the children of side 0"
    assert node_1 == duel.node_1, "game: not the children of side 1"
    clock.used_0 += duels._after(at_0, clock.since)
    clock.used_1 += duels._after(at_1, clock.since)
    clock.since = max(clock.since, max(at_0, at_1))
    child: uint256 = duels._first_difference(children_0, children_1)
    clock.height -= c.REVEAL_HEIGHT
    clock.position = clock.position * duels.CHILDREN + child
    duels.matches[id].node_0 = children_0[child]
    duels.matches[id].node_1 = children_1[child]
    duels.matches[id].clock = duels._packed(clock)
    log Advanced(
        id=id,
        height=clock.height,
        position=clock.position,
        node_0=children_0[child],
        node_1=children_1[child],
    )
    if len(next) > 0:
        assert len(next) == duels.CHILDREN, "game: next is not eight children"
        self._reveal(
            [next[0], next[1], next[2], next[3], next[4], next[5], next[6], next[7]]
        )
    lost: uint256 = duels._over_allowance(duel.place, clock.used_0, clock.used_1)
    if lost != 0:
        self._decide(id, duel, clock, lost)


@external
def timeout(id: bytes32):
    """
    @notice Decide a duel of which a side has used up its time; of a match above its leaves, or of
            an inner match also at them (nobody has made the step).
    """
    duel: duels.Duel = duels.matches[id]
    clock: duels.Clock = self._going_on(duel)
    assert clock.height > 0 or duel.parent != empty(bytes32), "game: match is at its leaves"
    used_0: uint256 = clock.used_0
    used_1: uint256 = clock.used_1
    if clock.height == 0:
        used_0 += duels._after(block.timestamp, clock.since)
        used_1 += duels._after(block.timestamp, clock.since)
    else:
        used_0 += duels._after(self._revealed_by_now(duel.node_0), clock.since)
        used_1 += duels._after(self._revealed_by_now(duel.node_1), clock.since)
    lost: uint256 = duels._over_allowance(duel.place, used_0, used_1)
    assert lost != 0, "game: nobody is out of time"
    self._decide(id, duel, clock, lost)


@external
def seal(match_id: bytes32, pre_root: bytes32, siblings: DynArray[bytes32, c.CLAIM_TREE_HEIGHT]):
    """
    @notice Prove the image root before the first message on which the sides differ.
    @param siblings Of leaf i - 1 in the tree of side 0; none when i is 0.
    """
    duel: duels.Duel = duels.matches[match_id]
    clock: duels.Clock = self._going_on(duel)
    assert duel.parent == empty(bytes32), "game: not a match of claims"
    assert clock.height == 0, "game: match is not at its leaves"
    assert clock.stage == duels.REVEAL, "game: match is sealed"
    claim: IAnchor.Stand = staticcall ANCHOR.stand_of(
        duel.place & MASK_64, (duel.place >> 64) & MASK_48
    )
    if clock.position == 0:
        assert len(siblings) == 0, "game: no leaf before the first"
        assert pre_root == claim.start_root, "game: not the start root"
    else:
        assert len(siblings) == c.CLAIM_TREE_HEIGHT, "game: expected twelve siblings"
        node: bytes32 = duels._root_over(pre_root, clock.position - 1, siblings)
        assert node == claim.claim_root, "game: leaf is not in the tree of side 0"
    clock.stage = duels.SEALED
    duels.matches[match_id].clock = duels._packed(clock)
    duels.matches[match_id].pre = pre_root
    log Sealed(
        match_id=match_id, position=clock.position, pre_root=pre_root, sealed_at=clock.since
    )


@external
def settle(match_id: bytes32):
    """
    @notice The verdict at the leaves of a match: a side without a live inner claim when nobody can
            join for it any more is out.
    """
    duel: duels.Duel = duels.matches[match_id]
    clock: duels.Clock = self._going_on(duel)
    assert duel.parent == empty(bytes32), "game: not a match of claims"
    assert clock.height == 0, "game: match is not at its leaves"
    live_0: bool = duels._live_count(match_id, 0) > 0
    live_1: bool = duels._live_count(match_id, 1) > 0
    out_0: bool = not live_0 and block.timestamp > self._deadline(duel.place, clock, 0)
    out_1: bool = not live_1 and block.timestamp > self._deadline(duel.place, clock, 1)
    lost: uint256 = 0
    if out_0 and out_1:
        lost = LOST_BOTH
    elif out_0 and live_1:
        lost = LOST_0
    elif out_1 and live_0:
        lost = LOST_1
    assert lost != 0, "game: nothing is decided yet"
    self._decide(match_id, duel, clock, lost)


# --- the instruction level ------------------------------------------------------------------------


@external
@payable
def join_inner(
    match_id: bytes32,
    side: uint256,
    root: bytes32,
    end: traces.EndOpening,
    siblings: bytes32[c.TRACE_TREE_HEIGHT],
) -> uint256:
    """
    @notice Claim the machine's trace for one side of a sealed match, under the inner bond.
    @param end Opens the last leaf: by chapter 10.4 it must give the side's image root.
    @param siblings Of the last leaf, leaf upwards.
    @return Its number among the side's inner claims.
    """
    duel: duels.Duel = duels.matches[match_id]
    clock: duels.Clock = self._going_on(duel)
    assert side < 2, "game: side is not 0 or 1"
    assert duel.parent == empty(bytes32), "game: not a match of claims"
    assert clock.stage == duels.SEALED, "game: match is not sealed"
    assert msg.value == INNER_BOND_WEI, "game: value is not the inner bond"
    assert block.timestamp <= self._deadline(duel.place, clock, side), "game: too late to join"
    post_root: bytes32 = duel.node_0 if side == 0 else duel.node_1
    assert traces._end_root(end, duel.pre) == post_root, "game: trace ends in another image"
    node: bytes32 = keccak256(abi_encode(end.state))
    for sibling: bytes32 in siblings:
        node = keccak256(abi_encode(sibling, node))
    assert node == root, "game: trace does not open to its end"
    seen: bytes32 = keccak256(abi_encode(match_id, side, root))
    assert not duels.inner_seen[seen], "game: trace has been claimed"
    duels.inner_seen[seen] = True
    index: uint256 = duels._add_inner(match_id, side, root, msg.sender)
    # Here, so that the verdict need not: who joins is paid in the end, by it or by release_inner.
    credits._credit(msg.sender, 0)
    log InnerJoined(match_id=match_id, side=side, inner=index, owner=msg.sender, root=root)
    return index


@external
def open_inner(match_id: bytes32, inner_0: uint256, inner_1: uint256) -> bytes32:
    """
    @notice Let two live inner claims meet, one of each side.
    """
    duel: duels.Duel = duels.matches[match_id]
    clock: duels.Clock = self._going_on(duel)
    assert duel.parent == empty(bytes32), "game: not a match of claims"
    first: duels.Inner = duels.inners[match_id][0][inner_0]
    second: duels.Inner = duels.inners[match_id][1][inner_1]
    both_live: bool = duels._is_live(first.facts) and duels._is_live(second.facts)
    assert both_live, "game: an inner claim is not live"
    id: bytes32 = keccak256(abi_encode(match_id, inner_0, inner_1))
    assert duels.matches[id].clock == 0, "game: match is open"
    joined_0: uint256 = duels._joined_at(first.facts)
    joined_1: uint256 = duels._joined_at(second.facts)
    inner_clock: duels.Clock = duels.Clock(
        height=c.TRACE_TREE_HEIGHT,
        position=0,
        since=max(joined_0, joined_1),
        used_0=0,
        used_1=0,
        stage=duels.REVEAL,
    )
    duels.matches[id] = duels.Duel(
        node_0=first.root,
        node_1=second.root,
        clock=duels._packed(inner_clock),
        place=duels._place(
            duel.place & MASK_64,
            inner_0,
            inner_1,
            # The deadline rule: joining again wins no time.
            self._deadline(duel.place, clock, 0) - joined_0,
            self._deadline(duel.place, clock, 1) - joined_1,
        ),
        parent=match_id,
        pre=empty(bytes32),
    )
    log InnerOpened(inner_match_id=id, match_id=match_id, inner_0=inner_0, inner_1=inner_1)
    return id


@external
def seal_inner(
    inner_match_id: bytes32,
    pre_hash: bytes32,
    siblings: DynArray[bytes32, c.TRACE_TREE_HEIGHT],
):
    """
    @notice Prove the machine hash before the first step on which the sides differ.
    @param siblings Of leaf j - 1 in the trace of side 0; none when j is 0.
    """
    duel: duels.Duel = duels.matches[inner_match_id]
    clock: duels.Clock = self._going_on(duel)
    assert duel.parent != empty(bytes32), "game: not a match of inner claims"
    assert clock.height == 0, "game: match is not at its leaves"
    assert clock.stage == duels.REVEAL, "game: match is sealed"
    if clock.position == 0:
        assert len(siblings) == 0, "game: no leaf before the first"
        assert pre_hash == self._start_hash(duel.parent), "game: not the start state"
    else:
        assert len(siblings) == c.TRACE_TREE_HEIGHT, "game: expected 24 siblings"
        node: bytes32 = duels._root_over(pre_hash, clock.position - 1, siblings)
        first: uint256 = (duel.place >> 64) & MASK_48
        assert (
            node == duels.inners[duel.parent][0][first].root
        ), "game: leaf is not in the trace of side 0"
    clock.stage = duels.SEALED
    duels.matches[inner_match_id].clock = duels._packed(clock)
    duels.matches[inner_match_id].pre = pre_hash
    log InnerSealed(inner_match_id=inner_match_id, position=clock.position, pre_hash=pre_hash)


@external
def step(inner_match_id: bytes32, witness: Bytes[WITNESS_BYTES_MAX]):
    """
    @notice Make the one step on which the sides differ. Who has another result is out; both may be.
    @param witness Chapter 10.3, of the sealed state.
    """
    duel: duels.Duel = duels.matches[inner_match_id]
    clock: duels.Clock = self._going_on(duel)
    assert duel.parent != empty(bytes32), "game: not a match of inner claims"
    assert clock.stage == duels.SEALED, "game: match is not sealed"
    assert len(witness) >= c.STATE_BYTES, "game: witness is shorter than a state"
    # Binds every bit of the state; the verifier binds the rest to it.
    assert keccak256(slice(witness, 0, c.STATE_BYTES)) == duel.pre, "game: not the sealed state"
    post_hash: bytes32 = staticcall VERIFIER.step(witness)
    lost: uint256 = 0
    if duel.node_0 != post_hash:
        lost = LOST_0
    if duel.node_1 != post_hash:
        lost |= LOST_1
    log Stepped(inner_match_id=inner_match_id, post_hash=post_hash)
    self._decide(inner_match_id, duel, clock, lost)


# --- money ----------------------------------------------------------------------------------------


@external
def release_inner(match_id: bytes32, side: uint256, inner: uint256):
    """
    @notice The bond of an inner claim that has outlived its match becomes its owner's credit.
    """
    duel: duels.Duel = duels.matches[match_id]
    assert duel.clock != 0 and duel.parent == empty(bytes32), "game: no such match"
    stored: uint256 = duels.inners[match_id][side][inner].facts
    assert duels._is_live(stored), "game: inner claim is not live"
    assert self._is_over(duel), "game: match goes on"
    owner: address = duels._end_inner(match_id, side, inner)
    credits._credit(owner, INNER_BOND_WEI)


# --- views ----------------------------------------------------------------------------------------


@external
@view
def anchor() -> address:
    return ANCHOR.address


@external
@view
def verifier() -> address:
    return VERIFIER.address


@external
@view
def program_root() -> bytes32:
    return PROGRAM_ROOT


@external
@view
def entry() -> uint256:
    return ENTRY


@external
@view
def end_of_text() -> uint256:
    return END_OF_TEXT


@external
@view
def grace_s() -> uint256:
    return GRACE_S


@external
@view
def inner_bond_wei() -> uint256:
    return INNER_BOND_WEI


# --- internal: duels ------------------------------------------------------------------------------


@internal
@view
def _going_on(duel: duels.Duel) -> duels.Clock:
    """
    @notice The clock of a duel in which moves are still taken (invariant 9).
    """
    assert duel.clock != 0, "game: no such match"
    assert not self._is_over(duel), "game: match is over"
    return duels._unpacked(duel.clock)


@internal
@view
def _is_over(duel: duels.Duel) -> bool:
    """
    @notice Decided, or one of its claims is not live any more, here or above.
    """
    if (duel.clock >> 200) == duels.DONE:
        return True
    above: uint256 = duel.place
    if duel.parent != empty(bytes32):
        first: uint256 = (duel.place >> 64) & MASK_48
        second: uint256 = (duel.place >> 112) & MASK_48
        if not duels._is_live(duels.inners[duel.parent][0][first].facts):
            return True
        if not duels._is_live(duels.inners[duel.parent][1][second].facts):
            return True
        if (duels.matches[duel.parent].clock >> 200) == duels.DONE:
            return True
        above = duels.matches[duel.parent].place
    return not staticcall ANCHOR.both_live(
        above & MASK_64, (above >> 64) & MASK_48, (above >> 112) & MASK_48
    )


@internal
def _decide(id: bytes32, duel: duels.Duel, clock: duels.Clock, lost: uint256):
    """
    @notice End a duel: those who have lost die, here or in the Anchor.
    """
    ended: duels.Clock = clock
    ended.stage = duels.DONE
    duels.matches[id].clock = duels._packed(ended)
    if duel.parent != empty(bytes32):
        self._end_inner(duel, lost)
        return
    batch: uint256 = duel.place & MASK_64
    index_0: uint256 = (duel.place >> 64) & MASK_48
    index_1: uint256 = (duel.place >> 112) & MASK_48
    log Decided(match_id=id, lost=lost)
    if lost == LOST_0:
        extcall ANCHOR.void_claim(batch, index_0, index_1 + 1)
    elif lost == LOST_1:
        extcall ANCHOR.void_claim(batch, index_1, index_0 + 1)
    else:
        extcall ANCHOR.void_claim(batch, index_0, 0)
        extcall ANCHOR.void_claim(batch, index_1, 0)


@internal
def _end_inner(duel: duels.Duel, lost: uint256):
    inners: uint256[2] = [(duel.place >> 64) & MASK_48, (duel.place >> 112) & MASK_48]
    for side: uint256 in range(2):
        if (lost >> side) & 1 == 0:
            continue
        duels._end_inner(duel.parent, side, inners[side])
        won_wei: uint256 = 0
        if lost != LOST_BOTH:
            won_wei = INNER_BOND_WEI // 2
            winner: uint256 = duels.inners[duel.parent][1 - side][inners[1 - side]].facts
            credits._credit(duels._owner_of(winner), won_wei)
        credits.burnt += INNER_BOND_WEI - won_wei
        log InnerDied(match_id=duel.parent, side=side, inner=inners[side])


@internal
def _reveal(children: bytes32[8]) -> (bytes32, uint256):
    """
    @return The node, and when it was first revealed.
    """
    node: bytes32 = merkle._root_of_8(children)
    revealed_at: uint256 = self.revealed_at[node]
    if revealed_at == 0:
        revealed_at = block.timestamp
        self.revealed_at[node] = revealed_at
        log Revealed(node=node, children=children)
    return node, revealed_at


@internal
@view
def _revealed_by_now(node: bytes32) -> uint256:
    revealed_at: uint256 = self.revealed_at[node]
    return block.timestamp if revealed_at == 0 else revealed_at


# --- internal: clocks -----------------------------------------------------------------------------


@internal
@view
def _allowance(claim: IAnchor.Stand) -> uint256:
    """
    @notice A claim that comes late has that much less; it came before the window closed.
    """
    return WINDOW_S - (claim.claimed_at - claim.round_started_at)


@internal
@view
def _deadline(place: uint256, clock: duels.Clock, side: uint256) -> uint256:
    """
    @notice Until when inner claims may join for a side of a match at its leaves: what it has left,
            and the grace.
    """
    if side == 0:
        return clock.since + GRACE_S + ((place >> 160) & duels.MASK_40) - clock.used_0
    return clock.since + GRACE_S + (place >> 200) - clock.used_1


# --- internal: the machine ------------------------------------------------------------------------


@internal
@view
def _start_hash(match_id: bytes32) -> bytes32:
    """
    @notice The start state of the match's message, from constants and roots alone.
    """
    place: uint256 = duels.matches[match_id].place
    message: uint256 = duels._unpacked(duels.matches[match_id].clock).position
    batch: IAnchor.Input = staticcall ANCHOR.input_of(place & MASK_64)
    image: bytes32 = keccak256(abi_encode(PROGRAM_ROOT, duels.matches[match_id].pre))
    rest: bytes32 = keccak256(abi_encode(batch.input_root, merkle._zero(c.QUARTER_HEIGHT)))
    memory_root: bytes32 = keccak256(abi_encode(image, rest))
    return traces._start_hash(memory_root, message, batch.first_sequence, END_OF_TEXT, ENTRY)
