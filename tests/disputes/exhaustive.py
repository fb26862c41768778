"""Every play of a small dispute: all adversary moves at all times against the honest strategy.

    python -m tests.disputes.exhaustive     prints the table of searches and what they visited

**States.** A state is the whole of chapter 11 for one batch (claims, reveals, matches, inner claims
and inner matches, with their times), the time, and how long honest parties may still be kept from
the chain; money is left out, since no rule of time looks at it. **Moves.** In a state the adversary
may bring any claim of its menu, reveal any node of its trees, bring any inner claim of its menu for
either side of any match, and make every bookkeeping move there is (open, advance, seal, settle,
timeout, step); or the honest party makes its moves, all of them; or the time goes on by one. If
it goes on while the honest party still wants to move, that is one unit of censorship, of which
there are A - 1. So within a moment both move in any order and any number of times.

What is searched is the graph of states; each is visited once, whatever led to it. States are
remembered by a 64-bit hash: at 10^7 states the chance of one collision is 3 in 10^6.
"""

import argparse
import itertools
import time
from collections.abc import Iterator
from typing import NamedTuple

from tests.disputes.anchor import LIVE, RefusedError, Terms
from tests.disputes.game import DONE, REVEAL, SEALED, Game, MatchId
from tests.disputes.honest import Honest, Move, act
from tests.disputes.simulate import BrokenError, check_books
from tests.disputes.toy import State, Toy, state_hash
from tests.disputes.trees import Tree, leaf

START = b"start"


class Small(NamedTuple):
    """One search: how large the world is, and what the adversary has."""

    name: str
    window: int
    grace: int
    claim_height: int = 1
    trace_height: int = 1
    claims: tuple[tuple[int, ...], ...] = ((0,),)  # of each lie: the messages it lies about
    honest_first: bool = False
    inner_lies: tuple[tuple[int, ...], ...] = ((0,),)  # of each inner lie: the states it forges
    inner_own: int = 1  # inner claims of a liar for its own side
    inner_other: int = 0  # and for the honest side, where they defend badly
    feuds: bool = False  # liars play each other
    early: bool = False  # nodes are revealed before they are asked for
    short: bool = False  # part of the ordinary test run


class Found(NamedTuple):
    """What a search visited."""

    states: int
    moves: int
    ends: int  # states in which the true claim is final
    late: int  # latest time at which a lie lived
    seconds: float


class Search:
    """One search of one small world."""

    def __init__(self, small: Small, rules: type[Game] = Game) -> None:
        self.small = small
        self.terms = Terms(
            small.window, small.grace, claim_height=small.claim_height,
            trace_height=small.trace_height, arity=2,
        )  # fmt: skip
        leaves, steps = 1 << small.claim_height, 1 << small.trace_height
        self.toy = Toy(small.claim_height, small.trace_height, 2, messages=leaves, steps=steps)
        self.honest = Honest("honest", self.toy)
        self.truth = self.toy.claim_tree(0, START)
        self.lies = [
            self.truth.with_leaves({i: leaf("lie", number, i) for i in lied})
            for number, lied in enumerate(small.claims)
        ]
        self.trees = {tree.root: tree for tree in self.lies}
        self.bound = 2 * small.window + 2 * small.grace
        self.game = rules(self.terms, START, self.toy)

    # -- the adversary's moves --------------------------------------------------------------------

    def adversary(self, game: Game) -> Iterator[Move]:
        """Every move that an adversary can make; some of them are refused."""
        round_, used = game.batches[0].round, {claim.root for claim in game.batches[0].claims}
        for tree in self.lies:
            if tree.root not in used:
                way = "join" if round_.live else "claim_again"
                yield Move(way, ("liar", 0, *tree.claim(START)))
        if round_.active is None:
            yield from (Move("promote", (0, index)) for index in round_.live)
        yield Move("finalize", ())
        for one, two in itertools.combinations(sorted(round_.live), 2):
            name: MatchId = (0, one, two)
            roots = game.claim(0, one).root, game.claim(0, two).root
            if self.truth.root in roots or self.small.feuds:
                yield from self._match(game, name, [self.trees.get(r, self.truth) for r in roots])

    def _match(self, game: Game, name: MatchId, trees: list[Tree]) -> Iterator[Move]:
        if name not in game.matches:
            yield Move("open", name)
            return
        match = game.matches[name]
        if match.stage == DONE:
            return
        yield from self._reveals(game, name, trees)
        yield Move("timeout", (name,))
        if match.pair.height:
            return
        yield Move("settle", (name,))
        if match.stage == REVEAL:
            position = match.pair.position
            before = trees[0].leaf(position - 1) if position else START
            siblings = trees[0].proof(position - 1) if position else ()
            yield Move("seal", (name, before, siblings))
        if match.stage == SEALED:
            yield from self._inner(game, name, trees)

    def _reveals(self, game: Game, name: MatchId, trees: list[Tree]) -> Iterator[Move]:
        pair = game.pair(name)
        for side, tree in enumerate(trees):
            if self.small.early:
                for node, children in tree.nodes().items():
                    if node not in game.revealed_at:
                        yield Move("reveal", (children,))
            elif pair.height and pair.nodes[side] not in game.revealed_at:
                yield Move("reveal", (tree.children(pair.height, pair.position),))
        if pair.height and all(node in game.revealed_at for node in pair.nodes):
            yield Move("advance", (name, *(game.children[node] for node in pair.nodes)))

    def _inner(self, game: Game, name: MatchId, trees: list[Tree]) -> Iterator[Move]:
        match = game.matches[name]
        true = self.toy.trace_tree(0, match.pair.position, match.pre_root)
        for side in (0, 1):
            own = trees[side].root != self.truth.root
            count = self.small.inner_own if own else self.small.inner_other
            present = game.inner.get((name, side), ())
            if sum(inner.owner == "liar" for inner in present) >= count:
                continue
            for number, forged in enumerate(self.small.inner_lies):
                tree, end = self._inner_lie(true, forged, number, match.pair.nodes[side])
                if all(inner.root != tree.root for inner in present):
                    proof = tree.proof((1 << tree.height) - 1)
                    yield Move("join_inner", ("liar", name, side, tree.root, end, proof))
        for one, two in itertools.product(
            *(range(len(game.inner.get((name, s), ()))) for s in (0, 1))
        ):
            yield from self._inner_match(game, name, one, two, true)

    def _inner_lie(
        self, true: Tree, forged: tuple[int, ...], number: int, post_root: bytes
    ) -> tuple[Tree, State]:
        last = (1 << true.height) - 1
        end = self.toy.halted(post_root, f"forged {number}" if last in forged else "")
        states = {j: state_hash(State("lie", count=j, mark=str(number))) for j in forged}
        tree = true.with_leaves(states | {last: state_hash(end)})
        self.trees[tree.root] = tree
        return tree, end

    def _inner_match(
        self, game: Game, name: MatchId, one: int, two: int, true: Tree
    ) -> Iterator[Move]:
        inner = (game.inner[name, 0][one], game.inner[name, 1][two])
        if not (inner[0].live and inner[1].live):
            return
        full = (*name, one, two)
        if full not in game.inner_matches:
            yield Move("open_inner", (name, one, two))
            return
        trees = [self.trees.get(i.root, true) for i in inner]
        pair = game.pair(full)
        for side, tree in enumerate(trees):
            if pair.height and pair.nodes[side] not in game.revealed_at:
                yield Move("reveal", (tree.children(pair.height, pair.position),))
        if pair.height and all(node in game.revealed_at for node in pair.nodes):
            yield Move("advance", (full, *(game.children[node] for node in pair.nodes)))
        yield Move("timeout", (full,))
        if pair.height == 0:
            outer = game.matches[name]
            message = (0, outer.pair.position, outer.pre_root)
            position = pair.position
            before = trees[0].leaf(position - 1) if position else self.toy.start_hash(*message)
            siblings = trees[0].proof(position - 1) if position else ()
            yield Move("seal_inner", (full, before, siblings))
            yield Move("step", (full, self.toy.witness(*message, position)))

    # -- the search -------------------------------------------------------------------------------

    def run(self, states_max: int = 1 << 62) -> Found:
        """Visit every state; BrokenError, with the moves that led there, where something breaks."""
        started = time.monotonic()
        self._first()
        seen: set[int] = set()
        moves = ends = late = 0
        stack: list[tuple[Game, int, tuple[object, ...] | None]] = [
            (self.game, self.small.window - 1, None)
        ]
        while stack:
            game, budget, path = stack.pop()
            mark = hash((budget, self.key(game)))
            if mark in seen:
                continue
            seen.add(mark)
            if len(seen) > states_max:
                raise BrokenError(f"more than {states_max} states")
            try:
                late = max(late, self.check(game))
            except BrokenError as error:
                raise BrokenError(f"{error}; after {_story(path)}") from error
            if game.final_count:
                ends += 1
                continue
            for label, following, left in self._next(game, budget, path):
                moves += 1
                stack.append((following, left, (path, label)))
        return Found(len(seen), moves, ends, late, time.monotonic() - started)

    def _next(
        self, game: Game, budget: int, path: tuple[object, ...] | None
    ) -> Iterator[tuple[object, Game, int]]:
        for move in self.adversary(game):
            following = game.copy()
            try:
                move.make(following)
            except RefusedError:
                continue
            yield (game.now, "liar", move.name, *move.arguments[:3]), following, budget
        wants = any(True for _ in self.honest.moves(game))
        if wants:
            following = game.copy()
            try:
                done = act(following, self.honest)
            except AssertionError as error:
                raise BrokenError(f"{error}; after {_story(path)}") from error
            yield (game.now, "honest", *(move.name for move in done)), following, budget
        if not wants or budget:
            following = game.copy()
            following.now += 1
            yield (game.now, "censored" if wants else "wait"), following, budget - wants

    def _first(self) -> None:
        owner, tree = ("honest", self.truth) if self.small.honest_first else ("liar", self.lies[0])
        for who in ("honest", "liar"):
            self.game.deposit_bond(who, 100 * self.terms.bond)
        self.game.post(owner, *tree.claim(START))

    def key(self, game: Game) -> object:
        """A state without money, and without what no rule will look at again: dead matches."""
        batch = game.batches[0]
        live = batch.round.live
        claims = tuple(c if i in live else c.root for i, c in enumerate(batch.claims))
        matches = [(name, m) for name, m in game.matches.items() if not game.over(name)]
        names = {name for name, _ in matches}
        return (
            game.now, game.final_count, claims, batch.round, frozenset(matches),
            frozenset(game.revealed_at.items()),
            frozenset((key, inner) for key, inner in game.inner.items() if key[0] in names),
            frozenset(
                (name, m) for name, m in game.inner_matches.items() if not game.over(name)
            ),
        )  # fmt: skip

    def check(self, game: Game) -> int:
        """What holds in every state; the time, while a lie lives."""
        check_books(game)
        lies = 0
        for index, claim in enumerate(game.batches[0].claims):
            alive = index in game.batches[0].round.live
            if claim.root == self.truth.root and claim.lost:
                raise BrokenError("the true claim died")
            if claim.root != self.truth.root and alive:
                if game.status(0, index) != LIVE:
                    raise BrokenError("a lie is final")
                if game.now > game.batches[0].round.started_at + self.bound:
                    raise BrokenError("a lie lives behind the bound")
                lies += 1
        if any(i.owner == "honest" and not i.live for inner in game.inner.values() for i in inner):
            raise BrokenError("an honest inner claim died")
        return game.now if lies else 0


def _story(path: object) -> str:
    steps = []
    while isinstance(path, tuple):
        path, label = path
        steps.append(" ".join(str(part) for part in label if not isinstance(part, bytes)))
    return "; ".join(reversed(steps))


_TWO = (0,), (1,)  # two inner lies: the first state is forged, or only the last
SEARCHES = (
    Small("A=2 G=1, a lie first", 2, 1, short=True),
    Small("A=3 G=1, a lie first", 3, 1, short=True),
    Small("A=3 G=1, the truth first", 3, 1, honest_first=True, short=True),
    Small("A=4 G=2, a lie first", 4, 2, early=True),
    Small("A=5 G=2, a lie first", 5, 2),
    Small("A=2 G=1, heights 2 + 2", 2, 1, 2, 2, ((2,),), inner_lies=((1,),), short=True),
    Small("A=3 G=1, heights 2 + 2", 3, 1, 2, 2, ((2,),), inner_lies=((1,),)),
    Small("A=2 G=1, heights 2 + 2, two inner lies", 2, 1, 2, 2, ((1,),), True, ((2,), (0,)), 2),
    Small("A=3 G=1, two inner lies", 3, 1, inner_lies=_TWO, inner_own=2),
    Small(
        "A=2 G=1, two inner lies, bad defence", 2, 1, inner_lies=_TWO, inner_own=2, inner_other=1
    ),
    Small("A=3 G=1, bad defence", 3, 1, honest_first=True, inner_other=1),
    Small("A=2 G=1, two lies", 2, 1, claims=((0,), (1,))),
    Small("A=2 G=1, two lies that fight", 2, 1, claims=((0,), (1,)), inner_own=0, feuds=True),
)


def main() -> None:
    parser = argparse.ArgumentParser(description=(__doc__ or "").partition("\n")[0])
    parser.add_argument("--short", action="store_true", help="only what the test run searches")
    options = parser.parse_args()
    print("search | states | moves | ends | last lie died | bound | seconds")
    for small in SEARCHES:
        if small.short or not options.short:
            found = Search(small).run()
            bound = 2 * small.window + 2 * small.grace
            print(
                f"{small.name} | {found.states:,} | {found.moves:,} | {found.ends:,}"
                f" | T + {found.late} | T + {bound} | {found.seconds:.0f}",
                flush=True,
            )


if __name__ == "__main__":
    main()
