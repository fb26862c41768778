"""What an honest party does: a function of the chain, the true trees and the time.

It serves the model only; the watcher has its own. A claim is known by its root and not by its
owner: whoever brought the true tree, the honest party plays it. It makes every move that is
possible and useful at once, and bookkeeping for nobody else's sake.
"""

from collections.abc import Iterator, Mapping, Sequence
from typing import Any, NamedTuple, Protocol

from tests.disputes.anchor import RefusedError
from tests.disputes.game import REVEAL, SEALED, Game, InnerId, MatchId, Pair
from tests.disputes.trees import Tree


class Move(NamedTuple):
    """A move as data: a method of `Game` and its arguments."""

    name: str
    arguments: tuple[Any, ...]

    def make(self, game: Game) -> Any:
        return getattr(game, self.name)(*self.arguments)


class Truth(Protocol):
    """All that an honest party can compute by itself."""

    def claim_tree(self, batch: int, start_root: bytes) -> Tree:
        """Image roots after each message."""

    def trace_tree(self, batch: int, message: int, pre_root: bytes) -> Tree:
        """Machine hashes after each instruction of a message."""

    def end_opening(self, batch: int, message: int, pre_root: bytes) -> object:
        """The last state of a message, opened."""

    def witness(self, batch: int, message: int, pre_root: bytes, count: int) -> object:
        """A witness of the step from `state[count]`."""


def foreign_path(
    mine: Tree, root: bytes, index: int, known: Mapping[bytes, Sequence[bytes]]
) -> list[bytes]:
    """Siblings of a leaf in a tree that is known from its reveals, and equals mine elsewhere.

    Left of where the two part they are equal, and along the parting every node was revealed: so
    whoever holds one tree can open the last agreed leaf in the other.
    """
    nodes: dict[tuple[int, int], bytes] = {}
    height, at, node = mine.height, 0, root
    while height and node in known:
        row = list(known[node])
        for h in range(height - mine.levels, height):
            for k, value in enumerate(row):
                nodes[h, (at << (height - h)) + k] = value
            row = [mine.join(row[i], row[i + 1]) for i in range(0, len(row), 2)]
        first = at << mine.levels
        child = next(
            (
                k
                for k, value in enumerate(known[node])
                if value != mine.node(height - mine.levels, first + k)
            ),
            None,
        )
        if child is None:
            break
        height, at, node = height - mine.levels, first + child, known[node][child]
    siblings = []
    for h in range(mine.height):
        beside = (h, (index >> h) ^ 1)
        siblings.append(nodes.get(beside, mine.node(*beside)))
    return siblings


class Honest:
    """The honest party: one account, all true trees."""

    def __init__(self, owner: str, truth: Truth, *, claims: bool = True) -> None:
        self.owner, self.truth, self.claims = owner, truth, claims

    def moves(self, game: Game) -> Iterator[Move]:
        """The next moves, in order; none if there is nothing to do now.

        They are those of one look at the chain: after they are made, look again.
        """
        firm = True  # nothing but true claims below
        for batch in range(game.final_count, len(game.batches)):
            start = game.start_root(batch)
            if start is None:
                break
            tree = self.truth.claim_tree(batch, start)
            round_ = game.batches[batch].round
            index = next(
                (i for i in sorted(round_.live) if game.claim(batch, i).root == tree.root), None
            )
            if index is not None:
                yield from self._defend(game, batch, index, tree)
                if round_.active is None:
                    yield Move("promote", (batch, index))
            elif firm:
                yield from self._bring_claim(game, batch, start, tree)
            if round_.active is None or game.claim(batch, round_.active).end_root != tree.last:
                break  # what stands on a wrong end falls with it
            firm = firm and round_.active == index
        if self._can_finalize(game):
            yield Move("finalize", ())

    def _can_finalize(self, game: Game) -> bool:
        batch = game.batches.get(game.final_count)
        if batch is None or batch.round.active is None or len(batch.round.live) != 1:
            return False
        return game.now >= batch.round.started_at + game.terms.window

    def _bring_claim(self, game: Game, batch: int, start: bytes, tree: Tree) -> Iterator[Move]:
        if not self.claims:
            return
        round_ = game.batches[batch].round
        if not round_.live:
            yield Move("claim_again", (self.owner, batch, *tree.claim(start)))
        elif game.now < round_.started_at + game.terms.window and round_.start_root == start:
            yield Move("join", (self.owner, batch, *tree.claim(start)))

    # -- message level ----------------------------------------------------------------------------

    def _defend(self, game: Game, batch: int, index: int, tree: Tree) -> Iterator[Move]:
        for other in sorted(game.batches[batch].round.live - {index}):
            name = (batch, min(index, other), max(index, other))
            side = 0 if index < other else 1
            if name not in game.matches:
                yield Move("open", name)
                yield from _reveal(game, tree, tree.height, 0)
                continue
            pair = game.pair(name)
            if pair.height:
                yield from _descend(game, name, side, tree)
            elif game.matches[name].stage == REVEAL:
                yield from self._seal(game, name, side, tree)
            elif game.matches[name].stage == SEALED:
                yield from self._play_message(game, name, side)
            if _can_settle(game, name, 1 - side):
                yield Move("settle", (name,))

    def _seal(self, game: Game, name: MatchId, side: int, tree: Tree) -> Iterator[Move]:
        position = game.pair(name).position
        start = game.batches[name[0]].round.start_root
        pre_root = tree.leaf(position - 1) if position else start
        path = _path_before(game, tree, side, position, game.claim(name[0], name[1]).root)
        yield Move("seal", (name, pre_root, path))

    def _play_message(self, game: Game, name: MatchId, side: int) -> Iterator[Move]:
        match = game.matches[name]
        message = (name[0], match.pair.position, match.pre_root)
        trace = self.truth.trace_tree(*message)
        mine = game.inner.get((name, side), ())
        index = next((k for k, inner in enumerate(mine) if inner.root == trace.root), None)
        if index is None:
            if game.now <= game.inner_until(name, side):
                opening, last = self.truth.end_opening(*message), (1 << trace.height) - 1
                proof = trace.proof(last)
                yield Move("join_inner", (self.owner, name, side, trace.root, opening, proof))
            return
        for other, inner in enumerate(game.inner.get((name, 1 - side), ())):
            if inner.live:
                pair = (index, other) if side == 0 else (other, index)
                yield from self._defend_inner(game, (*name, *pair), side, trace)

    # -- instruction level ------------------------------------------------------------------------

    def _defend_inner(self, game: Game, name: InnerId, side: int, trace: Tree) -> Iterator[Move]:
        if name not in game.inner_matches:
            yield Move("open_inner", (name[:3], name[3], name[4]))
            yield from _reveal(game, trace, trace.height, 0)
            return
        match = game.inner_matches[name]
        outer = game.matches[name[:3]]
        message = (name[0], outer.pair.position, outer.pre_root)
        if match.pair.height:
            yield from _descend(game, name, side, trace)
        elif match.stage == REVEAL:
            position = match.pair.position
            start = game.machine.start_hash(*message)
            before = trace.leaf(position - 1) if position else start
            root = game.inner[name[:3], 0][name[3]].root
            path = _path_before(game, trace, side, position, root)
            yield Move("seal_inner", (name, before, path))
        elif match.stage == SEALED:
            yield Move("step", (name, self.truth.witness(*message, match.pair.position)))


def _reveal(game: Game, tree: Tree, height: int, index: int) -> Iterator[Move]:
    if tree.node(height, index) not in game.revealed_at:
        yield Move("reveal", (tree.children(height, index),))


def _descend(game: Game, name: MatchId | InnerId, side: int, tree: Tree) -> Iterator[Move]:
    """Above the leaves: reveal mine, go down when both are known, end it when the other is late."""
    pair: Pair = game.pair(name)
    yield from _reveal(game, tree, pair.height, pair.position)
    theirs = pair.nodes[1 - side]
    if game.lost(name) == 1 << (1 - side):
        yield Move("timeout", (name,))
    elif theirs in game.revealed_at:
        children = [tree.children(pair.height, pair.position), game.children[theirs]]
        yield Move("advance", (name, children[side], children[1 - side]))


def _path_before(
    game: Game, tree: Tree, side: int, position: int, root_0: bytes
) -> Sequence[bytes]:
    if position == 0:
        return ()
    if side == 0:
        return tree.proof(position - 1)
    return foreign_path(tree, root_0, position - 1, game.children)


def _can_settle(game: Game, name: MatchId, loser: int) -> bool:
    """The other side is out and mine is not; a match without seal ends by the same clock."""
    if game.pair(name).height or not game.out(name, loser):
        return False
    return any(inner.live for inner in game.inner.get((name, 1 - loser), ()))


def act(game: Game, party: Honest, *, alone: bool = True) -> list[Move]:
    """Let an honest party make all its moves, until there are none; what it did.

    A move may be refused when an earlier one of the same look has overtaken it, or somebody else
    did (not if it is `alone`). Then the party looks again.
    """
    done: list[Move] = []
    refused = 0
    while len(done) < 100_000:
        moved = False
        for move in list(party.moves(game)):
            try:
                move.make(game)
            except RefusedError as error:
                if moved:
                    break
                refused += 1
                if alone or refused > 100:
                    raise AssertionError(f"honest move {move.name} was refused: {error}") from error
                moved = True
                break
            done.append(move)
            moved, refused = True, 0
        if not moved:
            return done
    raise AssertionError("honest party: expected an end of its moves, was still moving")
