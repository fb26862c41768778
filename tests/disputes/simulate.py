"""Lives of batches under random adversaries: run them, and see that nothing that holds is broken.

    python -m tests.disputes.simulate --seed 7 --sybils 8 --inner 6 --censored-h 100 --runs 1000

Times are in seconds; A is 168 h, G is 2 h. `--batches 3` makes a pipeline, `--world liars` leaves
out the honest party: then only the bound is looked at, by somebody who does bookkeeping alone.
"""

import argparse
import itertools
import random
from collections.abc import Iterator
from typing import NamedTuple

from tests.disputes.adversary import NEVER, Adversary, Plan
from tests.disputes.anchor import FINAL, LIVE, VOID, RefusedError, Terms
from tests.disputes.game import DONE, AnyId, Game, MatchId
from tests.disputes.honest import Honest, Move, act
from tests.disputes.toy import Toy
from tests.disputes.world import World

HOUR = 3_600
TERMS = Terms(window=168 * HOUR, grace=2 * HOUR)
START = b"start"


class BrokenError(AssertionError):
    """Something that always holds did not."""


class Setting(NamedTuple):
    """What a run is drawn from; this says everything about it."""

    seed: int
    sybils: int
    inner: int
    censored_h: int = 0  # in all
    batches: int = 1
    honest: bool = True
    latency: int = 0  # seconds from each look of the honest party to its next one
    rules: type[Game] = Game

    @property
    def replay(self) -> str:
        return (
            f".venv/bin/python -m tests.disputes.simulate --seed {self.seed}"
            f" --sybils {self.sybils} --inner {self.inner} --censored-h {self.censored_h}"
            f" --batches {self.batches} --world {'honest' if self.honest else 'liars'}"
            f" --latency {self.latency} --rules {self.rules.__name__}"
        )


class Result(NamedTuple):
    """How a run ended."""

    late: float  # longest time from a round's start to its end, in A
    matches: int
    inner_matches: int
    honest_moves: int
    kinds: frozenset[str]  # moves that happened


class Censor:
    """Keeps the honest party from the chain, mostly just when it has something to do."""

    def __init__(self, rng: random.Random, budget: int) -> None:
        self.rng, self.left, self.until = rng, budget, 0
        self.taste = rng.choice([0.02, 0.2, 1.0])
        self.portion = rng.choice([0.05, 0.3, 1.0])

    def blocks(self, now: int) -> bool:
        """Asked when the honest party wants to move."""
        if now < self.until:
            return True
        if self.left and self.rng.random() < self.taste:
            length = min(self.left, 1 + int(self.rng.random() * self.portion * self.left * 1.2))
            self.left -= length
            self.until = now + length
            return True
        return False


class Run:
    """One run, moment by moment."""

    alone = True  # nobody moves between two moves of the honest party

    def __init__(self, setting: Setting) -> None:
        self.setting = setting
        self.rng = rng = random.Random(f"dispute {setting[:7]}")
        self.world, self.game = self.stage()
        self.terms, self.began = self.game.terms, self.game.now
        self.honest = Honest("honest", self.world)
        budget = setting.censored_h * HOUR * self.terms.window // TERMS.window
        self.censor = Censor(rng, budget)
        self.bound = 2 * self.terms.window + 2 * self.terms.grace
        self.adversaries = list(self._adversaries())
        self.honest_moves: list[Move] = []
        self.founded: set[tuple[int, int]] = set()
        self.late = 0
        self._post()

    def stage(self) -> tuple[World, Game]:
        """The world and the chain of this run."""
        toy = Toy(
            TERMS.claim_height, TERMS.trace_height, TERMS.arity,
            messages=self.rng.choice([1, 2, 9, 60]), steps=self.rng.choice([1, 2, 20]),
        )  # fmt: skip
        return toy, self.setting.rules(TERMS, START, toy)

    def _adversaries(self) -> Iterator[Adversary]:
        start = self.game.first_root
        for batch in range(self.setting.batches):
            plan = Plan.draw(
                self.rng, self.terms.window, self.setting.sybils, self.setting.inner,
                self.world.messages, alone=not self.setting.honest,
            )  # fmt: skip
            yield Adversary(plan, self.world, self.rng, batch, start)
            start = self.world.claim_tree(batch, start).last

    def _post(self) -> None:
        """All batches at once by the operator, who is honest or a liar in each, on whatever is
        before.
        """
        room = self.terms.bond + self.terms.reserve * 2 * self.setting.batches
        for owner in ("honest", "operator"):
            self.game.deposit_bond(owner, room)
        start = self.game.first_root
        for adversary in self.adversaries:
            tree = self.world.claim_tree(adversary.batch, start)
            first = adversary.plan.honest_first and self.setting.honest
            if not first and adversary.waiting and start == adversary.start:
                tree = adversary.lie(adversary.waiting.pop(0))
            self.game.post("operator", *tree.claim(start))
            start = tree.last

    def moment(self) -> None:
        """Everybody moves until nobody wants to; the adversary is always first and again."""
        moved = True
        while moved:
            moved = sum(adversary.act(self.game) for adversary in self.adversaries) > 0
            wants = self.setting.honest and any(True for _ in self.honest.moves(self.game))
            if wants and not self.censor.blocks(self.game.now):
                self.honest_moves += act(self.game, self.honest, alone=self.alone)
                self.censor.until = self.game.now + self.setting.latency
                moved = True
            self.check()

    def next_time(self) -> int:
        times = [adversary.next_time(self.game) for adversary in self.adversaries]
        times += [self.censor.until, *deadlines(self.game)]
        return min((time for time in times if time > self.game.now), default=NEVER)

    def run(self) -> Result:
        while True:
            self.moment()
            if self.game.final_count == self.setting.batches:
                break
            time = self.next_time()
            if not self.setting.honest:
                if time > self.began + self.bound:
                    self.game.now = self.began + self.bound + 1
                    self._liars_alone()
                    break
            elif time >= NEVER:
                raise BrokenError("nothing will ever happen again, and the batch is not final")
            self.game.now = time
        if self.setting.honest:
            self._settle_accounts()
        moves = [*self.honest_moves, *(m for a in self.adversaries for m in a.done)]
        return Result(
            self.late / self.terms.window, len(self.game.matches), len(self.game.inner_matches),
            len(self.honest_moves), frozenset(move.name for move in moves),
        )  # fmt: skip

    def _liars_alone(self) -> None:
        """Behind the bound, bookkeeping that anyone can do leaves at most one claim."""
        bookkeeping(self.game, 0)
        live = self.game.batches[0].round.live
        if len(live) > 1:
            raise BrokenError(f"claims {sorted(live)} cannot be parted behind the bound")
        self.check()

    def _settle_accounts(self) -> None:
        """At the end everything is paid out, and the honest party has lost nothing but gas."""
        game, terms = self.game, self.terms
        put_in = terms.bond + terms.reserve * 2 * self.setting.batches
        for move in self.honest_moves:
            put_in += {"join": terms.bond, "join_inner": terms.inner_bond}.get(move.name, 0)
        for number, batch in game.batches.items():
            for index in range(len(batch.claims)):
                _try(Move("release", (number, index)), game)
        for (name, side), inner in game.inner.items():
            for index in range(len(inner)):
                _try(Move("release_inner", (name, side, index)), game)
        check_books(game)
        if game.live_inner_bonds():
            raise BrokenError(f"{game.live_inner_bonds()} wei of inner bonds are locked up")
        held = game.bond_of["honest"] + game.credit_of.get("honest", 0)
        held += game.game_credit_of.get("honest", 0)
        if held < put_in:
            raise BrokenError(f"the honest party put in {put_in} wei and gets {held}")

    # -- what always holds ------------------------------------------------------------------------

    def check(self) -> None:
        check_books(self.game)
        if not self.setting.honest:
            return
        for adversary in self.adversaries:
            self._check_claims(adversary)
        for (name, side), inner in self.game.inner.items():
            match = self.game.matches[name]
            if self.game.over(name) or not self._stands_on_truth(name[0]):
                continue
            true = self.world.trace_tree(name[0], match.pair.position, match.pre_root).root
            if any(i.root == true and not i.live for i in inner):
                raise BrokenError(f"the true inner claim of {name}, side {side}, died")

    def _stands_on_truth(self, batch: int) -> bool:
        return self.game.batches[batch].round.start_root == self.adversaries[batch].start

    def _check_claims(self, adversary: Adversary) -> None:
        game, number = self.game, adversary.batch
        true = adversary.truth.root
        for index, claim in enumerate(game.batches[number].claims):
            status = game.status(number, index)
            if claim.start_root != adversary.start:
                continue
            if claim.root != true:
                if status == FINAL:
                    raise BrokenError(f"the lie {index} about batch {number} is final")
                if status == LIVE:
                    self._check_bound(number, index)
            elif status != VOID and self._founded(number):
                self.founded.add((number, index))
            elif claim.lost or (number, index) in self.founded:  # it may fall, but never lose
                raise BrokenError(f"the true claim {index} of batch {number} died")

    def _founded(self, batch: int) -> bool:
        """Whether only true claims are active below: a true claim can stand on a lie that ends
        in the right root, and then falls with it.
        """
        below = (self.game.batches[number] for number in range(batch))
        return all(
            b.round.active is not None and b.claims[b.round.active].root == a.truth.root
            for b, a in zip(below, self.adversaries, strict=False)
        )

    def _check_bound(self, batch: int, index: int) -> None:
        age = self.game.now - self.game.batches[batch].round.started_at
        self.late = max(self.late, age)
        if age > self.bound:
            raise BrokenError(f"the liar {index} of batch {batch} lives behind the bound")


def check_books(game: Game) -> None:
    """Balance = live bonds + credits + burnt, of both contracts."""
    books = game.live_bonds() + sum(game.credit_of.values()) + game.burnt
    if books != game.balance:
        raise BrokenError(f"anchor holds {game.balance} wei, its books say {books}")
    books = game.live_inner_bonds() + sum(game.game_credit_of.values()) + game.game_burnt
    if books != game.game_balance:
        raise BrokenError(f"game holds {game.game_balance} wei, its books say {books}")


def deadlines(game: Game) -> list[int]:
    """Moments from which on somebody can end something by the clock."""
    times = [
        batch.round.started_at + game.terms.window
        for number, batch in game.batches.items()
        if number >= game.final_count and batch.round.live
    ]
    for name, match in game.matches.items():
        if game.over(name):
            continue
        if match.pair.height:
            times += _clocks(game, name)
        else:
            times += [game.inner_until(name, side) + 1 for side in (0, 1)]
    for name, inner in game.inner_matches.items():
        if inner.stage != DONE and not game.over(name):
            times += _clocks(game, name)
    return times


def _clocks(game: Game, name: AnyId) -> list[int]:
    pair, allowances = game.pair(name), game.allowances(name)
    return [pair.since + allowances[side] - pair.used[side] + 1 for side in (0, 1)]


def _try(move: Move, game: Game) -> bool:
    try:
        move.make(game)
    except RefusedError:
        return False
    return True


def bookkeeping(game: Game, batch: int) -> None:
    """Everything that needs no tree of one's own, by somebody who knows only what is public."""
    moved = True
    while moved:
        moved = False
        for move in _bookkeeping_moves(game, batch):
            moved |= _try(move, game)


def _bookkeeping_moves(game: Game, batch: int) -> Iterator[Move]:
    for one, two in itertools.combinations(sorted(game.batches[batch].round.live), 2):
        name: MatchId = (batch, one, two)
        yield Move("open", name)
        if name in game.matches:
            yield from _forward(game, name)
            yield Move("settle", (name,))
        sides = [range(len(game.inner.get((name, side), ()))) for side in (0, 1)]
        for inner in itertools.product(*sides):
            yield Move("open_inner", (name, *inner))
            if (*name, *inner) in game.inner_matches:
                yield from _forward(game, (*name, *inner))


def _forward(game: Game, name: AnyId) -> Iterator[Move]:
    known = [game.children.get(node) for node in game.pair(name).nodes]
    yield Move("timeout", (name,))
    if None not in known:
        yield Move("advance", (name, *known))


def run(setting: Setting) -> Result:
    """One run; BrokenError, with the command that replays it, if something did not hold."""
    try:
        return Run(setting).run()
    except AssertionError as error:
        raise BrokenError(f"{error}\nreplay: {setting.replay}") from error


def main() -> None:
    from tests.disputes import mutants

    parser = argparse.ArgumentParser(description=(__doc__ or "").partition("\n")[0])
    for name, default in (
        ("seed", 1), ("sybils", 8), ("inner", 6), ("censored-h", 0), ("batches", 1),
        ("latency", 0), ("runs", 1),
    ):  # fmt: skip
        parser.add_argument(f"--{name}", type=int, default=default)
    parser.add_argument("--world", choices=["honest", "liars"], default="honest")
    parser.add_argument("--rules", default="Game", help="Game, or a mutant by name")
    options = parser.parse_args()
    rules = Game if options.rules == "Game" else getattr(mutants, options.rules)
    late, moves, matches, inner = 0.0, 0, 0, 0
    for seed in range(options.seed, options.seed + options.runs):
        setting = Setting(
            seed, options.sybils, options.inner, options.censored_h, options.batches,
            options.world == "honest", options.latency, rules,
        )  # fmt: skip
        result = run(setting)
        late, moves = max(late, result.late), moves + result.honest_moves
        matches, inner = matches + result.matches, inner + result.inner_matches
    print(
        f"{options.runs} runs, {matches} matches, {inner} inner matches, {moves} honest moves:"
        f" no honest loss, the last lie died by T + {late:.3f} A"
    )


if __name__ == "__main__":
    main()
