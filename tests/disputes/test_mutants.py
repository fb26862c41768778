"""Each wrong rule of `mutants` is seen to fail by the runs that the right rules pass."""

import re

import pytest
from tests.disputes import mutants
from tests.disputes.anchor import LIVE, RefusedError
from tests.disputes.game import Game
from tests.disputes.play import LAST, A, G, Play
from tests.disputes.simulate import BrokenError, Setting, bookkeeping, run

SEEDS = 200
FAR = 1 << 30
CENSORED, FREE = Setting(0, 8, 6, 150), Setting(0, 8, 6, 0)
PIPELINE, LIARS = Setting(0, 3, 6, 100, 3), Setting(0, 4, 6, honest=False)

# Mutant, the runs that catch it, what they say.
TABLE: list[tuple[type[Game], Setting, str]] = [
    (mutants.OneClockForAllMatches, PIPELINE, "true claim"),
    (mutants.LateJoinTakesFromBoth, CENSORED, "true claim"),
    (mutants.RivalInheritsTimer, CENSORED, "behind the bound"),
    (mutants.ClocksStartAtOpening, LIARS, "behind the bound"),
    (mutants.ClocksStartAtEarlierJoin, CENSORED, "true claim|join was refused"),
    (mutants.HonestPaysForWaiting, CENSORED, "true claim|join was refused"),
    (mutants.RevealedClockRuns, FREE, "true claim"),
    (mutants.RevealCountsAgain, CENSORED, "true claim"),
    (mutants.TimeoutNeedsBothLate, FREE, "timeout was refused"),
    (mutants.TimeoutHitsTheOther, FREE, "true claim"),
    (mutants.SerialInnerJoins, FREE, "behind the bound"),
    (mutants.InnerJoinsForEver, FREE, "behind the bound"),
    (mutants.FirstInnerLossKillsTheSide, PIPELINE, "true claim"),
    (mutants.OutWithoutWaiting, CENSORED, "true claim"),
    (mutants.ClocksOfInnerLevelStartAtSeal, LIARS, "behind the bound"),
    (mutants.SettleNeedsSeal, LIARS, "behind the bound"),
    (mutants.EndIsNotChecked, FREE, "nodes of a match are equal"),
    (mutants.InnerMatchesOutliveTheirMatch, CENSORED, "game holds"),
    (mutants.SameRootTwice, FREE, "nodes of a match are equal"),
    (mutants.RivalsDoNotHinderFinality, FREE, "is final"),
    (mutants.EveryDeathCascades, PIPELINE, "true claim"),
    (mutants.NobodyFalls, PIPELINE, "nothing will ever happen|refused"),
    (mutants.LoserLivesOn, FREE, "refused|anchor holds"),
    (mutants.LoserPaysTwice, FREE, "anchor holds"),
    (mutants.ReleaseTwice, FREE, "game holds"),
    (mutants.ReleaseWhileLive, FREE, "anchor holds"),
]


@pytest.mark.parametrize(
    ("mutant", "setting", "says"), TABLE, ids=lambda x: getattr(x, "__name__", "")
)
def test_mutant_fails(mutant: type[Game], setting: Setting, says: str) -> None:
    for seed in range(SEEDS):
        try:
            run(setting._replace(seed=seed, rules=mutant))
        except BrokenError as error:
            print(f"seed {seed}: {error}")
            if re.search(says, str(error)):
                return
    pytest.fail(f"{mutant.__name__}: expected a run of {SEEDS} to fail with {says!r}, none did")


def test_every_mutant_is_in_a_test() -> None:
    names = {n for n, v in vars(mutants).items() if isinstance(v, type) and issubclass(v, Game)}
    tested = {mutant.__name__ for mutant, _, _ in TABLE} | {"StepClocksStand"}
    assert names - {"Game"} == tested


def serial_liar(rules: type[Game], inner: int) -> float:
    """The longest that one liar lives by inner claims one after the other, in A: each joins at its
    last moment, reveals at its last moment, and dies. Nobody is censored.
    """
    play = Play(rules=rules)
    play.post(play.lie(3))
    play.join("honest", play.true[0])
    game, name = play.game, (0, 0, 1)
    play.act()
    play.reveal(play.lie(3))
    play.act()
    for number in range(inner):
        tree = play.inner_lie(3, number % LAST, play.lie(3).leaf(3), str(number))
        play.at(max(game.now, min(game.inner_until(name, 0), FAR)))
        try:
            play.join_inner("liar", name, 0, tree, str(number))
        except RefusedError:
            break
        play.act()
        play.at(game.now + game.inner_allowance((*name, number, 0), 0) + 1).act()
    while game.status(0, 0) == LIVE:
        play.at(game.now + 1).act()
    return game.now / A


def test_serial_inner_joins_win_no_time_by_the_deadline_rule_and_seven_windows_without() -> None:
    """The regression of dispute.md: `the side clock pauses while an inner claim lives`."""
    assert serial_liar(Game, 6) <= 1 + 2 * G / A + 0.02
    assert serial_liar(mutants.SerialInnerJoins, 3) >= 7
    assert serial_liar(mutants.SerialInnerJoins, 6) > 12


def test_inner_match_without_clock_at_its_leaves_never_ends() -> None:
    """StepClocksStand: two liars agree on a forged state, so that no step can be made."""

    def lives(rules: type[Game]) -> bool:
        play = Play(rules=rules)
        one, two = play.lie(3), play.lie(3, "other")
        play.post(one)
        play.join("friend", two)
        name = play.meet(one, two)
        forged = play.inner_lie(3, 2, one.leaf(3))
        other = forged.with_leaves({5: b"x", LAST: play.inner_lie(3, LAST, two.leaf(3)).last})
        play.join_inner("liar", name, 0, forged)
        play.join_inner("friend", name, 1, other)
        inner = play.game.open_inner(name, 0, 0)
        play.reveal(forged, other)
        play.advance(inner, forged, other)
        bookkeeping(play.at(2 * A + 2 * G + 1).game, 0)
        return len(play.game.batches[0].round.live) > 1

    assert not lives(Game)
    assert lives(mutants.StepClocksStand)
