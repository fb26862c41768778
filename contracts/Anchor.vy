# pragma version 0.4.3
"""
@title  Anchor: batches, claims about them, finality
@license Apache-2.0
@notice A batch is posted in one transaction: data, header, claim. The order of messages is final
        when posted and nothing takes it back; only a claim about the result can be voided, and
        then anyone claims the same data again. A claim that has stood unvoided for the challenge
        window behind a final one is final; the Vault pays by its image root.

        Glossary
        batch          consecutive messages, numbered from 0
        input root     root of the machine's input quarter: posted bytes, header, inbox slice
        claim          tree of image roots after each message, its last one (end root), and the end
                       root of the batch before (start root; of batch 0: the image of zeros)
        round          of a batch: from a claim made while it has none that lives, until none lives
                       any more. Claims of a round compete; each lives in one round only
        active claim   the claim of a round that later batches stand on
        rival          another live claim of the round; a batch with rivals is not made final
        pipeline       batches that are not final, at most 64, and eight more forced ones
        due            an inbox item that was older than inbox_delay_s when the batch was sequenced
                       (its last stamp): may not be left behind
        overdue        older than forced_delay_s: once a game is set anyone may post now, with a
                       smaller bond, a batch of the inbox and of PRICES and CONTINUE
        exit window    forced_delay_s + 3 challenge windows: what an owner needs to leave without
                       the operator, through a dispute too (chapter 11: 2A + 2G, 2G <= A); changes
                       of operator and game wait longer
        facts          what is packed into one word, see modules/facts.vy
@custom:kill There is none. There is no pause and no verdict by an administrator.
"""

from interfaces import IAnchor
from interfaces import IInbox
from modules import bonds
from modules import claims
from modules import constants as c
from modules import facts
from modules import merkle
from modules import owned
from modules import posted
from modules import roles

implements: IAnchor
initializes: merkle
initializes: owned
initializes: bonds
initializes: claims[merkle := merkle]
initializes: roles[owned := owned]
exports: (
    owned.owner,
    owned.next_owner,
    owned.offer_ownership,
    owned.take_ownership,
    roles.operator,
    roles.epoch,
    roles.operator_change,
    roles.propose_operator,
    roles.change_operator,
    roles.game,
    roles.game_change,
    roles.propose_game,
    roles.set_game,
    bonds.bond_of,
    bonds.open_claims_of,
    bonds.credit_of,
    bonds.burnt_wei,
    bonds.deposit_bond,
    bonds.withdraw_bond,
    bonds.withdraw_credit,
    claims.batch_count,
    claims.final_count,
    claims.final_root,
    claims.start_root,
    claims.batch_of,
    claims.claim_of,
    claims.claim_count,
    claims.live_count,
    claims.both_live,
    claims.stand_of,
    claims.input_of,
    claims.next_sequence,
    claims.inbox_consumed,
)


event BatchPosted:
    batch: indexed(uint256)
    poster: indexed(address)
    input_root: bytes32
    data_hash: bytes32
    first_sequence: uint256
    message_count: uint256
    inbox_first: uint256
    inbox_count: uint256
    inbox_accumulator: bytes32
    stamp_min_ms: uint64
    stamp_max_ms: uint64
    posted_at: uint256
    forced: bool


event Claimed:
    batch: indexed(uint256)
    index: indexed(uint256)
    claimant: indexed(address)
    start_root: bytes32
    claim_root: bytes32
    end_root: bytes32


event ClaimVoided:
    batch: indexed(uint256)
    index: indexed(uint256)
    cause_batch: uint256  # its own number, or that of the ancestor it fell with


event RoundEnded:
    batch: indexed(uint256)
    round: uint256
    cause_batch: uint256  # the ancestor with which all claims of this batch fell


event ClaimPromoted:
    batch: indexed(uint256)
    index: indexed(uint256)


event BondReleased:
    batch: indexed(uint256)
    index: indexed(uint256)
    amount_wei: uint256


event Finalized:
    batch: indexed(uint256)
    end_root: bytes32


struct Config:
    operator: address
    inbox: address
    bond_wei: uint256  # of the operator's claims; whole gwei
    forced_bond_wei: uint256  # of claims about forced batches; whole gwei
    challenge_window_s: uint256
    inbox_delay_s: uint256
    forced_delay_s: uint256
    admin_delay_s: uint256
    stamp_ahead_ms: uint256  # stamps may run ahead of L1 time by this much
    stamp_lag_ms: uint256  # or lie behind it by this much
    claim_reserve_wei: uint256  # beside the bond, for each open claim; whole gwei
    game: address  # zero: set later, behind the delay


struct Header:
    batch: uint256
    stamp_min_ms: uint64
    stamp_max_ms: uint64
    forced: bool


struct ClaimInput:
    start_root: bytes32
    claim_root: bytes32
    end_root: bytes32
    last_siblings: bytes32[c.CLAIM_TREE_HEIGHT]  # opening of leaf 4095 to end_root


# What a dispute takes at most, in windows (chapter 11).
DISPUTE_WINDOWS: constant(uint256) = 3
# A forced batch belongs to no journal: whoever makes it has no reason to date it back.
FORCED_LAG_MS: constant(uint256) = 900_000
# No setting may lie further off than ten years: sums stay far from any bound.
DURATION_MAX_S: constant(uint256) = 10 * 365 * 86_400
ONE: constant(uint256) = 1
OWN_BOND: constant(uint256) = 2**88
RELEASED: constant(uint256) = 2**104

INBOX: immutable(IInbox)
BOND_WEI: immutable(uint256)
FORCED_BOND_WEI: immutable(uint256)
CLAIM_RESERVE_WEI: immutable(uint256)
CHALLENGE_WINDOW_S: immutable(uint256)
INBOX_DELAY_S: immutable(uint256)
FORCED_DELAY_S: immutable(uint256)
STAMP_AHEAD_MS: immutable(uint256)
STAMP_LAG_MS: immutable(uint256)



@deploy
def __init__(owner: address, config: Config):
    """
    @param owner Proposes operators and the game, nothing else.
    """
    assert config.inbox != empty(address), "anchor: inbox is zero"
    facts._check_bond(config.bond_wei)
    facts._check_bond(config.forced_bond_wei)
    assert config.forced_bond_wei <= config.bond_wei, "anchor: forced bond exceeds the bond"
    facts._check_bond(config.claim_reserve_wei)
    assert config.challenge_window_s > 0, "anchor: challenge window is zero"
    assert (
        config.forced_delay_s > config.inbox_delay_s
    ), "anchor: forced delay must exceed the inbox delay"
    assert config.admin_delay_s <= DURATION_MAX_S, "anchor: admin delay is too long"
    assert config.challenge_window_s <= DURATION_MAX_S, "anchor: challenge window is too long"
    exit_window_s: uint256 = config.forced_delay_s + DISPUTE_WINDOWS * config.challenge_window_s
    assert config.admin_delay_s > exit_window_s, "anchor: admin delay must exceed the exit window"
    assert config.stamp_ahead_ms <= DURATION_MAX_S * 1000, "anchor: stamp allowance is too long"
    assert config.stamp_lag_ms <= DURATION_MAX_S * 1000, "anchor: stamp lag is too long"
    merkle.__init__()
    owned.__init__(owner)
    INBOX = IInbox(config.inbox)
    BOND_WEI = config.bond_wei
    FORCED_BOND_WEI = config.forced_bond_wei
    CLAIM_RESERVE_WEI = config.claim_reserve_wei
    CHALLENGE_WINDOW_S = config.challenge_window_s
    INBOX_DELAY_S = config.inbox_delay_s
    FORCED_DELAY_S = config.forced_delay_s
    roles.__init__(config.operator, config.game, config.admin_delay_s)
    STAMP_AHEAD_MS = config.stamp_ahead_ms
    STAMP_LAG_MS = config.stamp_lag_ms


# --- batches --------------------------------------------------------------------------------------


@external
def post(
    header: Header,
    slot_roots: DynArray[bytes32, c.BATCH_INBOX_MAX],
    claim: ClaimInput,
    data: Bytes[c.BATCH_BYTES_MAX],
):
    """
    @notice Post the next batch and claim its result.
    @param slot_roots Of the inbox items it consumes, in order. They must lead from the queue's
           accumulator before them to the one behind: after an L1 reorg that changed the queue, the
           transaction reverts, so it can never be seen by half.
    @param claim Its start root is that of the active claim before; its end root opens leaf 4095.
    @param data The posted bytes, final from now on.
    """
    # Data is found again in the transaction itself, by anyone, without a tracing node.
    assert msg.sender == tx.origin, "anchor: post from an account, not through a contract"
    assert not msg.sender.is_contract, "anchor: post from an account, not through a contract"
    assert header.batch == claims.batch_count, "anchor: not the next batch"
    # Eight places are for forced batches alone: a full pipeline must not hold an exit back.
    places: uint256 = c.PIPELINE_FORCED_MAX if header.forced else c.PIPELINE_MAX
    assert header.batch - claims.final_count < places, "anchor: pipeline is full"
    previous: uint256 = claims._last_facts()
    first_sequence: uint256 = facts._next_sequence(previous)
    inbox_first: uint256 = facts._next_item(previous)
    self._check_poster(header.forced, inbox_first)
    self._check_stamps(header, facts._stamp_max_ms(previous))
    posted_count: uint256 = posted._count(data)
    if header.forced:
        posted._check_forced(data, posted_count)
    inbox_count: uint256 = len(slot_roots)
    message_count: uint256 = posted_count + inbox_count
    assert message_count > 0, "anchor: batch is empty"
    assert message_count <= c.BATCH_MESSAGES_MAX, "anchor: too many messages"
    accumulator: bytes32 = self._check_inbox(inbox_first, slot_roots, header.stamp_max_ms)

    words: bytes32[16] = self._header_words(
        header, inbox_count, len(data), inbox_first, first_sequence, accumulator
    )
    input_root: bytes32 = keccak256(
        abi_encode(merkle._posted_root(data), merkle._made_root(words, slot_roots))
    )
    data_hash: bytes32 = keccak256(data)
    claims.batches[header.batch] = claims.Batch(
        input_root=input_root,
        data_hash=data_hash,
        facts=facts._of_batch(
            first_sequence,
            message_count,
            inbox_first,
            inbox_count,
            header.stamp_max_ms,
            header.forced,
        ),
    )
    claims.batch_count = header.batch + 1
    log BatchPosted(
        batch=header.batch,
        poster=msg.sender,
        input_root=input_root,
        data_hash=data_hash,
        first_sequence=first_sequence,
        message_count=message_count,
        inbox_first=inbox_first,
        inbox_count=inbox_count,
        inbox_accumulator=accumulator,
        stamp_min_ms=header.stamp_min_ms,
        stamp_max_ms=header.stamp_max_ms,
        posted_at=block.timestamp,
        forced=header.forced,
    )
    self._claim(header.batch, header.forced, claim)


# --- claims ---------------------------------------------------------------------------------------


@external
def claim_again(batch: uint256, claim: ClaimInput):
    """
    @notice Claim the result of a batch none of whose claims lives, in the order of batches. Anyone
            may, under the bond of such a batch; a new round begins.
    """
    claims._check_open(batch)
    assert claims._live(claims.heads[batch]) == 0, "anchor: batch has a live claim"
    self._claim(batch, facts._forced(claims.batches[batch].facts), claim)


@external
@payable
def join(batch: uint256, claim: ClaimInput):
    """
    @notice Claim another result beside the live ones, under a bond of its own, before the round's
            window closes. The game decides between them: without one nobody could, and no batch
            with a rival would become final.
    """
    assert roles.game != empty(address), "anchor: no game is set"
    claims._check_open(batch)
    head: uint256 = claims.heads[batch]
    assert claims._live(head) > 0, "anchor: batch has no live claim"
    assert block.timestamp < (head >> 192) + CHALLENGE_WINDOW_S, "anchor: window is closed"
    bond_wei: uint256 = self._bond_wei(facts._forced(claims.batches[batch].facts))
    assert msg.value == bond_wei, "anchor: value is not the bond"
    self._record(batch, claim, bond_wei, OWN_BOND, head + (ONE << 144))


@external
def promote(batch: uint256, index: uint256):
    """
    @notice Make a live claim active when the two that met before have both lost. Anyone may call.
    """
    claims._check_open(batch)
    assert claims._active(batch) == 0, "anchor: batch has an active claim"
    assert claims._is_live(batch, index), "anchor: claim is not live"
    claims.heads[batch] |= (index + 1) << 48
    log ClaimPromoted(batch=batch, index=index)


@external
def void_claim(batch: uint256, loser: uint256, winner: uint256):
    """
    @notice A claim has lost its match. If it was active, all claims of later batches fall with it:
            they stand on its end root; they lose nothing but time, and data stays. Only the game.
    @param winner Index + 1 of the live claim that has won: it becomes active if the loser was, and
           its claimant is credited half of what the loser pays. Zero: nobody, all is burnt.
    """
    assert roles.game != empty(address), "anchor: no game is set"
    assert msg.sender == roles.game, "anchor: caller is not the game"
    claims._check_open(batch)
    assert claims._is_live(batch, loser), "anchor: claim is not live"
    payee: address = empty(address)
    if winner > 0:
        assert winner != loser + 1, "anchor: winner is the loser"
        assert claims._is_live(batch, winner - 1), "anchor: winner is not live"
        payee = facts._claimant(claims.stored[batch][winner - 1].facts)
    claims.stored[batch][loser].stand |= claims.DEAD
    head: uint256 = claims.heads[batch] - (ONE << 144)
    if (head >> 48) & claims.MASK_48 == loser + 1:
        head = (head ^ ((loser + 1) << 48)) | (winner << 48)
        self._void_behind(batch)
    claims.heads[batch] = head
    log ClaimVoided(batch=batch, index=loser, cause_batch=batch)
    voided: uint256 = claims.stored[batch][loser].facts
    bond_wei: uint256 = facts._bond_wei(voided)
    if claims.stored[batch][loser].stand & OWN_BOND != 0:
        bonds._pay(facts._claimant(voided), bond_wei, payee)
    else:
        bonds._slash(facts._claimant(voided), bond_wei, CLAIM_RESERVE_WEI, payee)


@external
def release(batch: uint256, index: uint256):
    """
    @notice A rival's own bond becomes its claimant's credit once the claim is final, or has fallen
            without having lost.
    """
    assert index < claims.heads[batch] & claims.MASK_48, "anchor: no such claim"
    stand: uint256 = claims.stored[batch][index].stand
    assert stand & OWN_BOND != 0, "anchor: claim has no bond of its own"
    assert stand & (claims.DEAD | RELEASED) == 0, "anchor: bond is paid out"
    assert not claims._is_live(batch, index), "anchor: claim is live"
    claims.stored[batch][index].stand = stand | RELEASED
    claim: uint256 = claims.stored[batch][index].facts
    amount_wei: uint256 = facts._bond_wei(claim)
    bonds.credit_of[facts._claimant(claim)] += amount_wei
    log BondReleased(batch=batch, index=index, amount_wei=amount_wei)


@external
def finalize(count: uint256) -> uint256:
    """
    @notice Make up to `count` batches final, in order: each whose only live claim has stood for the
            window. Anyone may call.
    @return The number of final batches.
    """
    first: uint256 = claims.final_count
    next: uint256 = first
    for _: uint256 in range(c.PIPELINE_FORCED_MAX):
        if next - first == count:
            break
        # Behind the last batch there is no head, so this also ends there.
        head: uint256 = claims.heads[next]
        active: uint256 = (head >> 48) & claims.MASK_48
        if active == 0 or claims._live(head) != 1:
            break
        if block.timestamp < (head >> 192) + CHALLENGE_WINDOW_S:
            break
        if claims.stored[next][active - 1].stand & OWN_BOND == 0:
            bonds._close(facts._claimant(claims.stored[next][active - 1].facts))
        log Finalized(batch=next, end_root=claims.stored[next][active - 1].end_root)
        next += 1
    assert next > first, "anchor: nothing to finalize"
    claims.final_count = next
    return next


# --- views ----------------------------------------------------------------------------------------


@external
@view
def window_s() -> uint256:
    return CHALLENGE_WINDOW_S


@external
@view
def active_claim(batch: uint256) -> uint256:
    """
    @notice Index of the active claim; reverts when there is none.
    """
    active: uint256 = claims._active(batch)
    assert active > 0, "anchor: batch has no active claim"
    return active - 1


@external
@view
def forced_mode() -> bool:
    """
    @notice Whether anyone may post: a game is set, and the head of the inbox is overdue.
    """
    return roles.game != empty(address) and self._is_overdue(facts._next_item(claims._last_facts()))


@external
@view
def inbox() -> address:
    return INBOX.address


@external
@view
def exit_window_s() -> uint256:
    return FORCED_DELAY_S + DISPUTE_WINDOWS * CHALLENGE_WINDOW_S


@external
@view
def config() -> Config:
    """
    @notice The settings of the deployment, with the operator of today.
    """
    return Config(
        operator=roles.operator,
        inbox=INBOX.address,
        bond_wei=BOND_WEI,
        forced_bond_wei=FORCED_BOND_WEI,
        challenge_window_s=CHALLENGE_WINDOW_S,
        inbox_delay_s=INBOX_DELAY_S,
        forced_delay_s=FORCED_DELAY_S,
        admin_delay_s=roles.ADMIN_DELAY_S,
        stamp_ahead_ms=STAMP_AHEAD_MS,
        stamp_lag_ms=STAMP_LAG_MS,
        claim_reserve_wei=CLAIM_RESERVE_WEI,
        game=roles.game,
    )


# --- internal: checks -----------------------------------------------------------------------------


@internal
@view
def _check_poster(forced: bool, head: uint256):
    """
    @notice A stranger's claim must be one that can be voided: without a game it would become final
            whatever it says, and the vault pays by it.
    """
    if forced:
        assert roles.game != empty(address), "anchor: no game yet, forced batches are closed"
        assert self._is_overdue(head), "anchor: no inbox item is overdue"
    else:
        assert msg.sender == roles.operator, "anchor: caller is not the operator"


@internal
@view
def _check_stamps(header: Header, previous_max_ms: uint256):
    """
    @notice Stamps never go back, and both stay near L1 time: the first is the time of the inbox
            items, the last that of everything else.
    """
    low_ms: uint256 = convert(header.stamp_min_ms, uint256)
    high_ms: uint256 = convert(header.stamp_max_ms, uint256)
    now_ms: uint256 = block.timestamp * 1000
    assert low_ms >= previous_max_ms, "anchor: stamps go back"
    assert low_ms <= high_ms, "anchor: stamp_min exceeds stamp_max"
    assert high_ms <= now_ms + STAMP_AHEAD_MS, "anchor: stamps are ahead of L1 time"
    lag_ms: uint256 = min(STAMP_LAG_MS, FORCED_LAG_MS) if header.forced else STAMP_LAG_MS
    assert low_ms + lag_ms >= now_ms, "anchor: stamps lag behind L1 time"


@internal
@view
def _check_inbox(
    first: uint256, slot_roots: DynArray[bytes32, c.BATCH_INBOX_MAX], stamp_max_ms: uint64
) -> bytes32:
    """
    @notice The slice is the next of the queue, and leaves nothing behind that was due when the
            batch was sequenced. Not when it is posted: a journal is posted as it was written, after
            an outage too, and a batch that was closed before an item came can never take it.
    @return The accumulator after the slice.
    """
    available: uint256 = staticcall INBOX.count()
    end: uint256 = first + len(slot_roots)
    assert end <= available, "anchor: not that many inbox items"
    accumulator: bytes32 = staticcall INBOX.accumulator(first)
    for slot_root: bytes32 in slot_roots:
        accumulator = keccak256(abi_encode(accumulator, slot_root))
    assert accumulator == staticcall INBOX.accumulator(end), "anchor: inbox accumulator differs"
    if end < available and len(slot_roots) < c.BATCH_INBOX_MAX:
        due_ms: uint256 = (staticcall INBOX.enqueued_at(end) + INBOX_DELAY_S) * 1000
        sequenced_ms: uint256 = convert(stamp_max_ms, uint256)
        assert sequenced_ms < due_ms, "anchor: a due inbox item is left behind"
    return accumulator


@internal
@view
def _is_overdue(head: uint256) -> bool:
    if head >= staticcall INBOX.count():
        return False
    return block.timestamp >= staticcall INBOX.enqueued_at(head) + FORCED_DELAY_S


@internal
@view
def _header_words(
    header: Header,
    inbox_count: uint256,
    posted_bytes: uint256,
    inbox_first: uint256,
    first_sequence: uint256,
    accumulator: bytes32,
) -> bytes32[16]:
    """
    @notice The header as the program and the game see it (chapter 7.2), and its zero tail.
    """
    words: bytes32[16] = empty(bytes32[16])
    words[0] = convert(header.batch, bytes32)
    words[1] = convert(convert(header.stamp_min_ms, uint256), bytes32)
    words[2] = convert(convert(header.stamp_max_ms, uint256), bytes32)
    words[3] = convert(inbox_count, bytes32)
    words[4] = convert(posted_bytes, bytes32)
    words[5] = convert(inbox_first, bytes32)
    words[6] = convert(first_sequence, bytes32)
    words[7] = convert(block.timestamp, bytes32)
    words[8] = convert(convert(header.forced, uint256), bytes32)
    words[9] = accumulator
    return words


# --- internal: claims -----------------------------------------------------------------------------


@internal
def _claim(batch: uint256, forced: bool, claim: ClaimInput):
    """
    @notice Record the first claim of a round and make it the active one.
    """
    bond_wei: uint256 = self._bond_wei(forced)
    bonds._open(msg.sender, bond_wei, CLAIM_RESERVE_WEI)
    head: uint256 = claims.heads[batch]
    count: uint256 = head & claims.MASK_48
    round: uint256 = ((head >> 96) & claims.MASK_48) + 1
    began: uint256 = (ONE << 144) | (block.timestamp << 192)
    self._record(
        batch, claim, bond_wei, 0, count | ((count + 1) << 48) | (round << 96) | began
    )


@internal
def _record(
    batch: uint256, claim: ClaimInput, bond_wei: uint256, own_bond: uint256, head: uint256
):
    """
    @param head With the claim counted among the live ones, not yet among all.
    """
    assert claim.start_root == claims._start_root(batch), "anchor: start root differs"
    opened: bytes32 = merkle._root_from_last(claim.end_root, claim.last_siblings)
    assert opened == claim.claim_root, "anchor: claim does not open to its end root"
    round: uint256 = (head >> 96) & claims.MASK_48
    seen: bytes32 = keccak256(abi_encode(batch, round, claim.claim_root))
    assert not claims.seen[seen], "anchor: claim has been made"
    claims.seen[seen] = True
    index: uint256 = head & claims.MASK_48
    claims.stored[batch][index] = claims.Claim(
        claim_root=claim.claim_root,
        end_root=claim.end_root,
        facts=facts._of_claim(msg.sender, bond_wei),
        stand=round | ((head >> 192) << 48) | own_bond,
    )
    claims.heads[batch] = head + 1
    log Claimed(
        batch=batch,
        index=index,
        claimant=msg.sender,
        start_root=claim.start_root,
        claim_root=claim.claim_root,
        end_root=claim.end_root,
    )


@internal
def _void_behind(batch: uint256):
    """
    @notice End the rounds of all later batches; their claims have not lost. Without a live claim a
            batch has none behind it either: claims are made in order.
    """
    for next: uint256 in range(batch + 1, claims.batch_count, bound=c.PIPELINE_FORCED_MAX):
        head: uint256 = claims.heads[next]
        if claims._live(head) == 0:
            break
        active: uint256 = (head >> 48) & claims.MASK_48
        round: uint256 = (head >> 96) & claims.MASK_48
        # The round is over for claims of any number: theirs is not the head's any more.
        claims.heads[next] = (head & claims.MASK_48) | ((round + 1) << 96)
        log RoundEnded(batch=next, round=round, cause_batch=batch)
        if active > 0:
            if claims.stored[next][active - 1].stand & OWN_BOND == 0:
                bonds._close(facts._claimant(claims.stored[next][active - 1].facts))
            log ClaimVoided(batch=next, index=active - 1, cause_batch=batch)


@internal
@view
def _bond_wei(forced: bool) -> uint256:
    return FORCED_BOND_WEI if forced else BOND_WEI
