"""The player: from a state of the chain and a party's own trees to the next moves. Pure.

    plan = next_moves(state, trees)

Nothing is remembered between two calls, so a player that is killed and started again goes on where
the chain stands, two players of one party do no harm, and a move that somebody else has made is
simply no longer in the plan (reveals and advances are ownerless, chapter 11.6.7).

"Right" is what the party's trees say. The watcher's are computed from L1 data; a drill gives this
same player the trees of a liar.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from provenue._generated.constants import CLAIM_TREE_HEIGHT
from provenue.watcher.duel import reveal
from provenue.watcher.matches import play_match
from provenue.watcher.moves import Move, Note, Plan
from provenue.watcher.state import Batch, ChainState, Claim, Stage
from provenue.watcher.trees import MessageTree, Trees

__all__ = ["Manners", "next_moves"]


@dataclass(frozen=True, slots=True)
class Manners:
    """What a party does beside playing its matches."""

    claims: bool = True
    """Bring a claim of its own, under bond, where no live claim is right."""
    finalizes: bool = True
    collects: bool = True
    """Withdraw credits, bonds that are free, and inner bonds."""
    finalize_patience_s: int = 30
    """Left to others, who may pay for it."""


def next_moves(state: ChainState, trees: Trees, manners: Manners | None = None) -> Plan:
    """The moves to make now. Those of one plan do not wait for one another."""
    manners = manners or Manners()
    plan = Plan()
    settled: list[Batch] = []
    for batch in state.batches:
        tree = trees.batch(batch.number)
        if tree is None:
            text = f"batch {batch.number}: its data is not here; nothing is said about its claims"
            plan.notes.append(Note("unknown_batch", batch.number, text))
            break
        if not _play_batch(state, batch, tree, trees, manners, plan):
            # What is claimed later stands on a wrong root, and falls with it.
            break
        settled.append(batch)
    if manners.finalizes:
        _finalize(state, settled, manners, plan)
    if manners.collects:
        _collect(state, plan)
    return plan


def _play_batch(
    state: ChainState, batch: Batch, tree: MessageTree, trees: Trees, manners: Manners, plan: Plan
) -> bool:
    """Add the moves about one batch; whether its active claim is right."""
    live = batch.live
    right = next((claim for claim in live if _is_right(claim, tree)), None)
    wrong = [claim for claim in live if claim is not right]
    plan.wrong += [(batch.number, claim.index) for claim in wrong]
    if right is None:
        if manners.claims:
            _claim(state, batch, tree, plan)
        return False
    for claim in wrong:
        _oppose(state, batch, right, claim, trees, plan)
    if batch.active is None:
        plan.moves.append(Move("anchor", "promote", (batch.number, right.index), batch.number))
    return batch.active == right.index


def _is_right(claim: Claim, tree: MessageTree) -> bool:
    return claim.claim_root == tree.root and claim.start_root == tree.start_root


def _claim(state: ChainState, batch: Batch, tree: MessageTree, plan: Plan) -> None:
    """Bring the right claim: first of a round, or beside the wrong ones that live."""
    rules = state.rules
    claim = {
        "start_root": tree.start_root,
        "claim_root": tree.root,
        "end_root": tree.end_root,
        "last_siblings": tree.claim.final_proof,
    }
    bond_wei = rules.forced_bond_wei if batch.forced else rules.bond_wei
    if not batch.live:
        _claim_again(state, batch, claim, bond_wei, plan)
        return
    if any(claim.start_root != tree.start_root for claim in batch.live):
        text = f"batch {batch.number}: its claims start from a root that no batch before ends with"
        plan.notes.append(Note("stands_on_wrong", batch.number, text))
        return
    died = any(c.claim_root == tree.root and c.round == batch.round for c in batch.claims)
    if died:
        text = f"batch {batch.number}: the right claim lost a match of this round, by its clock"
        plan.notes.append(Note("lost", batch.number, text))
    elif state.now_s >= batch.round_started_at_s + rules.window_s:
        text = f"batch {batch.number}: its claim is wrong, and it is too late to join another"
        plan.notes.append(Note("too_late", batch.number, text))
    else:
        move = Move("anchor", "join", (batch.number, claim), batch.number, value_wei=bond_wei)
        plan.moves.append(move)


def _claim_again(
    state: ChainState, batch: Batch, claim: dict[str, Any], bond_wei: int, plan: Plan
) -> None:
    """First the bond, then the claim: an estimate of both at once would refuse the claim."""
    mine = state.mine
    need_wei = bond_wei + state.rules.reserve_wei * (mine.open_claims + 1)
    if mine.bond_wei < need_wei:
        short_wei = need_wei - mine.bond_wei
        plan.moves.append(Move("anchor", "deposit_bond", (), batch.number, value_wei=short_wei))
    else:
        plan.moves.append(Move("anchor", "claim_again", (batch.number, claim), batch.number))


def _oppose(
    state: ChainState, batch: Batch, right: Claim, wrong: Claim, trees: Trees, plan: Plan
) -> None:
    """Open or go on with the match against one wrong claim."""
    pair = (min(right.index, wrong.index), max(right.index, wrong.index))
    found = next((m for m in state.matches if m.batch == batch.number and m.claims == pair), None)
    if found is None:
        tree = trees.batch(batch.number)
        assert tree is not None
        top = reveal(state, plan, tree, CLAIM_TREE_HEIGHT, 0, batch=batch.number, match=b"")
        plan.moves.append(Move("game", "open", (batch.number, *pair), batch.number, then=top))
    elif found.stage is not Stage.DONE:
        play_match(state, batch, found, right.index, trees, plan)


def _finalize(state: ChainState, right: list[Batch], manners: Manners, plan: Plan) -> None:
    """What is right and has stood for its window without a rival, in order."""
    count = 0
    for batch in right:
        ready_s = batch.round_started_at_s + state.rules.window_s + manners.finalize_patience_s
        if len(batch.live) != 1 or state.now_s < ready_s:
            break
        count += 1
    if count:
        plan.moves.append(Move("anchor", "finalize", (count,), -1))


def _collect(state: ChainState, plan: Plan) -> None:
    """Bring home what is free. The operator's bond stays: it posts on it."""
    mine = state.mine
    moves = [Move("anchor", "release", place, place[0]) for place in mine.free_claims]
    moves += [Move("game", "release_inner", place, -1, place[0]) for place in mine.free_inner]
    if mine.anchor_credit_wei:
        moves.append(Move("anchor", "withdraw_credit", (), -1))
    if mine.game_credit_wei:
        moves.append(Move("game", "withdraw_credit", (), -1))
    if mine.bond_wei and not mine.open_claims and mine.address != state.rules.operator:
        claimed = any(move.function in ("deposit_bond", "claim_again") for move in plan.moves)
        if not claimed:
            moves.append(Move("anchor", "withdraw_bond", (mine.bond_wei,), -1))
    plan.moves += moves
