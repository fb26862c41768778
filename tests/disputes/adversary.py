"""Random adversaries: many accounts of one mind that lie, withhold, wait, and kill each other.

An adversary draws its plan from a seed. It sees the whole chain and acts before and after the
honest party in every moment. Nothing here is optimal; what it lacks in wit it has in number.
"""

import random
from collections.abc import Iterator
from typing import NamedTuple

from tests.disputes.anchor import RefusedError
from tests.disputes.game import DONE, REVEAL, SEALED, AnyId, Game, MatchId
from tests.disputes.honest import Move
from tests.disputes.trees import Tree
from tests.disputes.world import World

NEVER = 1 << 60


class Manner(NamedTuple):
    """How a liar uses its clock: the way, and a share of what is left."""

    name: str
    share: float = 0.0

    @classmethod
    def draw(cls, rng: random.Random) -> "Manner":
        name = rng.choice(["prompt", "share", "share", "last", "last", "late", "never"])
        return cls(name, rng.choice([0.01, 0.1, 0.5, 0.9]) * rng.random())

    def due(self, since: int, left: int) -> int:
        """When to do what may wait until `since + left`."""
        if self.name == "prompt":
            return since
        if self.name == "share":
            return since + int(max(0, left) * self.share)
        if self.name == "last":
            return since + max(0, left)
        return since + max(0, left) + 1 if self.name == "late" else NEVER


class Sybil(NamedTuple):
    """One liar's claim to come."""

    owner: str
    joins_at: int
    lie_at: int  # the first message about which it lies
    lies_on: bool  # about all later ones as well
    manner: Manner


class Plan(NamedTuple):
    """What an adversary will do, as far as it is fixed beforehand."""

    sybils: tuple[Sybil, ...]
    inner_max: int  # inner claims for each side of each match
    honest_first: bool
    copies: bool  # somebody else brings the true claim
    feuds: float  # share of pairs of liars that are played
    busy: bool  # does the bookkeeping of matches against the true claim as well
    spiteful: bool  # goes on where a match is over

    @classmethod
    def draw(
        cls, rng: random.Random, window: int, sybils: int, inner: int, messages: int, *, alone: bool
    ) -> "Plan":
        late = rng.random()
        drawn = []
        for number in range(sybils):
            joins_at = rng.choice([0, rng.randrange(window), window - 1, int(window * late)])
            lie_at = rng.choice([0, rng.randrange(messages), messages - 1])
            manner = Manner("prompt") if alone and rng.random() < 0.7 else Manner.draw(rng)
            drawn.append(Sybil(f"liar {number}", joins_at, lie_at, rng.random() < 0.5, manner))
        return cls(
            tuple(drawn), rng.randint(0, inner), rng.random() < 0.5, rng.random() < 0.2,
            rng.choice([0.5, 1.0] if alone else [0.0, 0.1, 0.5]),
            rng.random() < 0.5, rng.random() < 0.5,
        )  # fmt: skip


class Adversary:
    """Plays a plan about one batch, in the rounds that start from its true start root."""

    def __init__(
        self, plan: Plan, toy: World, rng: random.Random, batch: int = 0, start: bytes = b"start"
    ) -> None:
        self.plan, self.toy, self.rng, self.batch, self.start = plan, toy, rng, batch, start
        self.truth = toy.claim_tree(batch, start)
        self.trees: dict[bytes, Tree] = {}  # of liars, claims and inner ones, by root
        self.manners: dict[bytes, Manner] = {}
        self.waiting = list(plan.sybils)
        self.agenda: dict[object, int] = {}  # when a thing is done that waits
        self.inner_left: dict[tuple[MatchId, int], int] = {}
        self.coins: dict[object, bool] = {}
        self.meddled: set[bytes] = set()
        self.done: list[Move] = []

    # -- one moment -------------------------------------------------------------------------------

    def act(self, game: Game) -> bool:
        """Make every move that is due; whether there was one."""
        moved = False
        for move in list(self._due(game)):
            try:
                move.make(game)
            except RefusedError:
                continue
            self.done.append(move)
            moved = True
        return moved

    def next_time(self, game: Game) -> int:
        """When it wants to be asked again."""
        times = list(self.agenda.values())
        began = game.batches[self.batch].round.started_at
        times += [began + sybil.joins_at for sybil in self.waiting]
        times = [time for time in times if time > game.now]
        return min(times, default=NEVER)

    def _when(self, what: object, time: int) -> int:
        """The time of a thing, drawn when it is first seen."""
        return self.agenda.setdefault(what, time)

    def _coin(self, what: object, chance: float) -> bool:
        """Whether a thing is done at all, drawn when it is first seen."""
        if what not in self.coins:
            self.coins[what] = self.rng.random() < chance
        return self.coins[what]

    def _due(self, game: Game) -> Iterator[Move]:
        round_ = game.batches[self.batch].round
        if not round_.live:
            yield from self._claim_again(game)
        elif round_.start_root == self.start:
            yield from self._joins(game)
            live = sorted(round_.live)
            for k, one in enumerate(live):
                for two in live[k + 1 :]:
                    yield from self._match(game, (self.batch, one, two))
        if self.plan.spiteful:
            yield from self._spite(game)
        if round_.active is None and round_.live:
            yield Move("promote", (self.batch, self.rng.choice(sorted(round_.live))))
        if game.now >= round_.started_at + game.terms.window:
            yield Move("finalize", ())

    # -- claims -----------------------------------------------------------------------------------

    def _claim_again(self, game: Game) -> Iterator[Move]:
        """Ahead of the honest party, when a round is over."""
        if not self.waiting or game.start_root(self.batch) != self.start:
            return
        sybil = self.waiting.pop()
        tree = self.lie(sybil)
        game.deposit_bond(sybil.owner, game.terms.bond + game.terms.reserve)
        yield Move("claim_again", (sybil.owner, self.batch, *tree.claim(self.start)))

    def _joins(self, game: Game) -> Iterator[Move]:
        began = game.batches[self.batch].round.started_at
        for sybil in [s for s in self.waiting if began + s.joins_at <= game.now]:
            self.waiting.remove(sybil)
            tree = self.lie(sybil)
            yield Move("join", (sybil.owner, self.batch, *tree.claim(self.start)))
        if self.plan.copies and "copier" not in {c.owner for c in game.batches[self.batch].claims}:
            yield Move("join", ("copier", self.batch, *self.truth.claim(self.start)))

    def lie(self, sybil: Sybil) -> Tree:
        """The tree of a liar's claim."""
        behind = self.toy.messages if sybil.lies_on else sybil.lie_at + 1
        lies = {i: self.toy.lie_root(sybil.owner, i) for i in range(sybil.lie_at, behind)}
        if sybil.lies_on:
            end = self.toy.lie_root(sybil.owner, "end")
            others = {i: self.truth.leaf(i) for i in range(sybil.lie_at)}
            tree = Tree(
                self.truth.height, end, others | lies, arity=self.truth.arity, join=self.truth.join
            )
        else:
            tree = self.truth.with_leaves(lies)
        self.trees[tree.root] = tree
        self.manners[tree.root] = sybil.manner
        return tree

    # -- matches ----------------------------------------------------------------------------------

    def _match(self, game: Game, name: MatchId) -> Iterator[Move]:
        roots = [game.claim(self.batch, index).root for index in name[1:]]
        honest = self.truth.root in roots
        if not (honest or self._coin(("feud", name), self.plan.feuds)):
            return
        books = self.plan.busy or not honest
        if name not in game.matches:
            if books:
                yield Move("open", name)
            return
        match = game.matches[name]
        if match.stage == DONE:
            return
        trees = [self.trees.get(root, self.truth) for root in roots]
        if match.pair.height:
            yield from self._descend(game, name, trees)
        elif match.stage == REVEAL and books:
            yield from self._seal(game, name, trees)
        elif match.stage == SEALED:
            yield from self._inner_claims(game, name)
            yield from self._inner_matches(game, name)
        if match.pair.height == 0 and books:
            yield Move("settle", (name,))

    def _spite(self, game: Game) -> Iterator[Move]:
        """Moves in matches that are over, and bonds of inner claims that live there."""
        for name in game.inner_matches:
            if game.over(name[:3]):
                yield Move("timeout", (name,))
                yield Move("release_inner", (name[:3], self.rng.randrange(2), 0))

    def _descend(self, game: Game, name: AnyId, trees: list[Tree]) -> Iterator[Move]:
        pair, allowances = game.pair(name), game.allowances(name)
        for side, tree in enumerate(trees):
            manner = self.manners.get(tree.root)
            if manner is None:
                yield from self._meddle(pair.nodes[side], tree, pair.height, pair.position)
                continue
            if pair.nodes[side] in game.revealed_at:
                continue
            left = allowances[side] - pair.used[side]
            time = self._when(("reveal", name, side, pair.height), manner.due(pair.since, left))
            if time <= game.now:
                yield Move("reveal", (tree.children(pair.height, pair.position),))
        if all(node in game.revealed_at for node in pair.nodes):
            yield Move("advance", (name, *(game.children[node] for node in pair.nodes)))
        elif game.lost(name):
            yield from self._timeout(game, name)

    def _meddle(self, node: bytes, tree: Tree, height: int, position: int) -> Iterator[Move]:
        """Reveal an honest node, before the honest party or once more behind it."""
        if node not in self.meddled and self.rng.random() < 0.2:
            self.meddled.add(node)
            yield Move("reveal", (tree.children(height, position),))

    def _timeout(self, game: Game, name: AnyId) -> Iterator[Move]:
        delay = self.rng.choice([0, game.terms.grace, NEVER])
        if self._when(("timeout", name, game.pair(name).height), game.now + delay) <= game.now:
            yield Move("timeout", (name,))

    def _seal(self, game: Game, name: MatchId, trees: list[Tree]) -> Iterator[Move]:
        """Some never do, some as late as they can."""
        until = game.inner_until(name, 0)
        wait = Manner.draw(self.rng).due(game.now, until - game.now)
        if self._when(("seal", name), wait) > game.now:
            return
        position = game.pair(name).position
        before = trees[0].leaf(position - 1) if position else self.start
        yield Move("seal", (name, before, trees[0].proof(position - 1) if position else ()))

    # -- inner claims -----------------------------------------------------------------------------

    def _inner_claims(self, game: Game, name: MatchId) -> Iterator[Move]:
        """Some for each side: all at once, spread, one after the other's death, at the last."""
        match = game.matches[name]
        for side in (0, 1):
            key = (name, side)
            if key not in self.inner_left:
                self.inner_left[key] = self.rng.randint(0, self.plan.inner_max)
            present = game.inner.get(key, ())
            ours = sum(inner.owner.startswith("liar") for inner in present)
            if ours >= self.inner_left[key]:
                continue
            if self._coin(("serial", key), 0.5) and any(
                i.live and i.owner.startswith("liar") for i in present
            ):
                continue
            until = game.inner_until(name, side)
            wait = Manner.draw(self.rng).due(game.now, until - game.now)
            if self._when(("join", key, ours), wait) <= game.now:
                yield self._inner_claim(game, name, side, ours, match.pre_root)

    def _inner_claim(
        self, game: Game, name: MatchId, side: int, number: int, pre_root: bytes
    ) -> Move:
        post_root, message = game.pair(name).nodes[side], game.pair(name).position
        true = self.toy.trace_tree(self.batch, message, pre_root)
        last = (1 << true.height) - 1
        mark = f"{name} {side} {number}"
        lie_at = self.rng.choice([0, self.rng.randrange(last), self.toy.steps, last])
        states = {lie_at: self.toy.lie_state(mark)}
        if self._coin(("agreed", name), 0.25):  # all agree on a state that nobody can step from
            states[0] = self.toy.lie_state("agreed")
        end, end_hash = self.toy.made_end(post_root, self.rng.choice(["", mark]))
        tree = true.with_leaves(states | {last: end_hash})
        if self.rng.random() < 0.15:  # the true tree, maybe for the wrong side
            tree, end = true, self.toy.end_opening(self.batch, message, pre_root)
        if tree.root != true.root:
            self.trees[tree.root] = tree
            self.manners[tree.root] = Manner.draw(self.rng)
        owner = f"liar of {name}"
        return Move("join_inner", (owner, name, side, tree.root, end, tree.proof(last)))

    def _inner_matches(self, game: Game, name: MatchId) -> Iterator[Move]:
        match = game.matches[name]
        true = self.toy.trace_tree(self.batch, match.pair.position, match.pre_root)
        for one, first in enumerate(game.inner.get((name, 0), ())):
            for two, second in enumerate(game.inner.get((name, 1), ())):
                if not (first.live and second.live):
                    continue
                inner = (*name, one, two)
                honest = true.root in (first.root, second.root)
                if inner not in game.inner_matches:
                    if not honest and self._coin(("feud", inner), 0.5):
                        yield Move("open_inner", (name, one, two))
                    continue
                trees = [self.trees.get(root, true) for root in (first.root, second.root)]
                if game.pair(inner).height:
                    yield from self._descend(game, inner, trees)
                elif not honest:
                    yield from self._step(game, inner, trees)

    def _step(self, game: Game, inner: AnyId, trees: list[Tree]) -> Iterator[Move]:
        """A match of two liars at the leaves: they can step from a state that both made up."""
        match = game.matches[inner[:3]]
        position = game.pair(inner).position
        start = game.machine.start_hash(self.batch, match.pair.position, match.pre_root)
        before = trees[0].leaf(position - 1) if position else start
        yield Move("seal_inner", (inner, before, trees[0].proof(position - 1) if position else ()))
        true = self.toy.witness(self.batch, match.pair.position, match.pre_root, position)
        yield Move("step", (inner, true))
        if game.lost(inner):
            yield Move("timeout", (inner,))
