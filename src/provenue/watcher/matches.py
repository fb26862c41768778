"""A party's moves in one match of claims, down to the step (chapters 11.4, 11.5)."""

from __future__ import annotations

from dataclasses import replace

from provenue import wire
from provenue._generated.constants import CLAIM_TREE_HEIGHT, STATE_BYTES, TRACE_TREE_HEIGHT
from provenue.watcher.duel import Duel, descend, reveal
from provenue.watcher.moves import Move, Note, Plan
from provenue.watcher.state import Batch, ChainState, Claim, InnerClaim, InnerMatch, Match, Stage
from provenue.watcher.trees import (
    InstructionTree,
    RevealMissingError,
    Trees,
    left_neighbour_proof,
)

__all__ = ["claim_allowance_s", "play_match"]


def claim_allowance_s(state: ChainState, batch: Batch, claim: Claim) -> int:
    """Seconds a claim has in each of its matches."""
    return state.rules.window_s - (claim.claimed_at_s - batch.round_started_at_s)


def play_match(
    state: ChainState, batch: Batch, match: Match, own: int, trees: Trees, plan: Plan
) -> None:
    """Add the next moves of a match in which claim `own` is the party's."""
    tree = trees.batch(batch.number)
    assert tree is not None
    allowance_s = tuple(claim_allowance_s(state, batch, batch.claim(i)) for i in match.claims)
    duel = Duel(
        id=match.id,
        match=match.id,
        batch=batch.number,
        side=match.claims.index(own),
        tree=tree,
        nodes=match.nodes,
        height=match.height,
        position=match.position,
        since_s=match.since_s,
        used_s=match.used_s,
        allowance_s=(allowance_s[0], allowance_s[1]),
    )
    root = batch.claim(match.claims[0]).claim_root

    def seal(position: int) -> tuple[Move, ...]:
        """Name the root that both sides start the message from, with its proof."""
        pre_root = tree.start_root if position == 0 else tree.node(0, position - 1)
        siblings = _proof(state, duel, root, CLAIM_TREE_HEIGHT, position, plan)
        return () if siblings is None else (duel.move("seal", match.id, pre_root, siblings),)

    if match.stage is Stage.SEALED:
        _play_instructions(state, match, duel, trees, plan)
    elif match.stage is Stage.REVEAL and match.height > 0:
        descend(duel, state, plan, seal)
    elif match.stage is Stage.REVEAL:
        plan.moves += seal(match.position)


def _proof(
    state: ChainState, duel: Duel, root: bytes, height: int, position: int, plan: Plan
) -> list[bytes] | None:
    """Siblings of the last agreed leaf in side 0's tree; none before the first leaf."""
    if position == 0:
        return []
    try:
        return left_neighbour_proof(duel.tree, root, height, position, state.children)
    except RevealMissingError as problem:
        text = f"match {duel.match.hex()}: {problem}"
        plan.notes.append(Note("not_revealed", duel.batch, text))
        return None


# --- instruction level ---------------------------------------------------------------------------


def _play_instructions(
    state: ChainState, match: Match, duel: Duel, trees: Trees, plan: Plan
) -> None:
    """Join with our trace, meet every inner claim of the other side, settle when it is out."""
    left_s = [a - u for a, u in zip(duel.allowance_s, match.used_s, strict=True)]
    until_s = [match.sealed_at_s + left + state.rules.grace_s for left in left_s]
    ours = [inner for inner in match.inner[duel.side] if inner.live]
    rivals = [inner for inner in match.inner[duel.other] if inner.live]
    if not rivals and ours and state.now_s > until_s[duel.other]:
        plan.moves.append(duel.move("settle", match.id))
        return
    trace = trees.trace(match.batch, match.position)
    joined = _own_inner(match.inner[duel.side], trace.root)
    if joined is None:
        _join(state, match, duel, trace, until_s[duel.side], plan)
        return
    if not joined.live:
        # Somebody let it die; other inner claims of our side may still win.
        text = f"match {match.id.hex()}: our inner claim {joined.index} died"
        plan.notes.append(Note("lost", match.batch, text))
        return
    for rival in rivals:
        pair = (joined, rival) if duel.side == 0 else (rival, joined)
        _meet(state, match, duel, pair, left_s, trace, plan)


def _own_inner(inner: tuple[InnerClaim, ...], root: bytes) -> InnerClaim | None:
    return next((claim for claim in inner if claim.root == root), None)


def _join(
    state: ChainState,
    match: Match,
    duel: Duel,
    trace: InstructionTree,
    until_s: int,
    plan: Plan,
) -> None:
    if state.now_s > until_s:
        text = f"match {match.id.hex()}: too late to join with an instruction tree"
        plan.notes.append(Note("too_late", match.batch, text))
        return
    siblings = list(trace.proof((1 << TRACE_TREE_HEIGHT) - 1))
    state_words, *roots = trace.end()
    opening = ([int.from_bytes(word, "big") for word in state_words], *roots)
    args = (match.id, duel.side, trace.root, opening, siblings)
    plan.moves.append(
        Move("game", "join_inner", args, match.batch, match.id, state.rules.inner_bond_wei)
    )


def _meet(
    state: ChainState,
    match: Match,
    duel: Duel,
    pair: tuple[InnerClaim, InnerClaim],
    left_s: list[int],
    trace: InstructionTree,
    plan: Plan,
) -> None:
    """Open or go on with the match of two inner claims."""
    indices = (pair[0].index, pair[1].index)
    found = next((m for m in match.inner_matches if m.inner == indices), None)
    if found is None:
        top = reveal(state, plan, trace, TRACE_TREE_HEIGHT, 0, batch=match.batch, match=match.id)
        plan.moves.append(duel.move("open_inner", match.id, *indices, then=top))
        return
    allowance_s = [
        left + state.rules.grace_s - (claim.joined_at_s - match.sealed_at_s)
        for left, claim in zip(left_s, pair, strict=True)
    ]
    inner = Duel(
        id=found.id,
        match=match.id,
        batch=match.batch,
        side=duel.side,
        tree=trace,
        nodes=found.nodes,
        height=found.height,
        position=found.position,
        since_s=found.since_s,
        used_s=found.used_s,
        allowance_s=(allowance_s[0], allowance_s[1]),
    )
    _play_inner(state, found, inner, pair[0].root, trace, plan)


def _play_inner(
    state: ChainState,
    found: InnerMatch,
    duel: Duel,
    root: bytes,
    trace: InstructionTree,
    plan: Plan,
) -> None:
    """`root` is that of side 0."""

    def step(position: int) -> Move:
        return duel.move("step", found.id, trace.witness(position))

    def seal(position: int) -> tuple[Move, ...]:
        """Name the state that both sides start the step from, with its proof; then the step."""
        pre_hash = wire.keccak256(trace.witness(position)[:STATE_BYTES])
        siblings = _proof(state, duel, root, TRACE_TREE_HEIGHT, position, plan)
        if siblings is None:
            return ()
        return (duel.move("seal_inner", found.id, pre_hash, siblings), step(position))

    if found.stage is Stage.REVEAL and found.height > 0:
        descend(duel, state, plan, seal)
    elif found.stage is Stage.REVEAL:
        moves = seal(found.position)
        plan.moves += [replace(move, then=moves[1:]) for move in moves[:1]]
    elif found.stage is Stage.SEALED:
        plan.moves.append(step(found.position))
