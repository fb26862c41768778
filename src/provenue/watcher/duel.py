"""One match on its way down, the same at both levels: reveal, advance, timeout (chapter 11.3)."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

from provenue._generated.constants import REVEAL_HEIGHT
from provenue.watcher.moves import Move, Note, Plan
from provenue.watcher.state import ChainState
from provenue.watcher.trees import ARITY, Tree

__all__ = ["AtLeaves", "Duel", "descend", "reveal"]

AtLeaves = Callable[[int], tuple[Move, ...]]
"""The moves once a match has come to the leaves at a position."""


@dataclass(frozen=True, slots=True)
class Duel:
    """A match of two trees from the view of a party that has one of them whole."""

    id: bytes
    match: bytes
    """The match of claims that it belongs to, or is."""
    batch: int
    side: int
    """Which side is ours."""
    tree: Tree
    nodes: tuple[bytes, bytes]
    height: int
    position: int
    since_s: int
    used_s: tuple[int, int]
    allowance_s: tuple[int, int]

    @property
    def other(self) -> int:
        """The opponent's side."""
        return 1 - self.side

    def is_late(self, side: int, state: ChainState) -> bool:
        """Whether a side has used up its allowance with the node it stands at."""
        revealed = state.revealed_at_s.get(self.nodes[side])
        until_s = state.now_s if revealed is None else revealed
        return self.used_s[side] + max(0, until_s - self.since_s) > self.allowance_s[side]

    def move(self, function: str, *args: object, then: tuple[Move, ...] = ()) -> Move:
        """A call of the game that belongs to this match."""
        return Move("game", function, args, self.batch, self.match, then=then)


def reveal(
    state: ChainState, plan: Plan, tree: Tree, height: int, index: int, *, batch: int, match: bytes
) -> tuple[Move, ...]:
    """The reveal of a node of ours, unless it is revealed or this plan does it already."""
    node = tree.node(height, index)
    if state.is_revealed(node) or node in plan.revealing:
        return ()
    plan.revealing.add(node)
    children = list(tree.children(height, index))
    return (Move("game", "reveal", (children,), batch, match),)


def descend(duel: Duel, state: ChainState, plan: Plan, at_leaves: AtLeaves) -> None:
    """The next move above the leaves, if there is one to make (height > 0)."""
    if duel.is_late(duel.other, state) and not duel.is_late(duel.side, state):
        plan.moves.append(duel.move("timeout", duel.id))
    elif state.is_revealed(duel.nodes[duel.other]):
        _advance(duel, state, plan, at_leaves)
    else:
        plan.moves += reveal(
            state, plan, duel.tree, duel.height, duel.position, batch=duel.batch, match=duel.match
        )


def _advance(duel: Duel, state: ChainState, plan: Plan, at_leaves: AtLeaves) -> None:
    """Reveal our node, if it is not yet, descend, and reveal the node we come to: one move."""
    mine = list(duel.tree.children(duel.height, duel.position))
    theirs = list(state.children.get(duel.nodes[duel.other], mine))
    way = next((k for k in range(ARITY) if mine[k] != theirs[k]), None)
    if way is None:
        plan.notes.append(
            Note(
                "not_revealed",
                duel.batch,
                f"match {duel.match.hex()}: the node hands out no children of "
                f"{duel.nodes[duel.other].hex()}, which was revealed",
            )
        )
        return
    height, position = duel.height - REVEAL_HEIGHT, ARITY * duel.position + way
    following: list[bytes] = []
    if height > 0 and not state.is_revealed(mine[way]) and mine[way] not in plan.revealing:
        following = list(duel.tree.children(height, position))
        plan.revealing.add(mine[way])
    plan.revealing.add(duel.nodes[duel.side])
    both = (mine, theirs) if duel.side == 0 else (theirs, mine)
    then = at_leaves(position) if height == 0 else ()
    plan.moves.append(duel.move("advance", duel.id, *both, following, then=then))
