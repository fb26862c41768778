"""Chapter 11 rule by rule, with numbers worked out by hand: A = 100, G = 10."""

import random

import pytest
from tests.disputes.anchor import FINAL, VOID, RefusedError
from tests.disputes.game import BOTH, FIRST, SECOND, Game
from tests.disputes.play import LAST, START, TERMS, A, G, Play
from tests.disputes.toy import Toy

NAME = (0, 0, 1)


def duel(liar_first: bool = True, join_at: int = 30) -> Play:
    """A lie about message 3 and the true claim, the later one at `join_at`; their match is open."""
    play = Play()
    trees = [play.lie(3), play.true[0]]
    first, second = trees if liar_first else trees[::-1]
    play.post(first)
    play.at(join_at).join("honest" if liar_first else "liar", second)
    play.game.open(*NAME)
    return play


# --- rounds and claims ---------------------------------------------------------------------------


def test_rival_may_join_until_the_window_ends() -> None:
    play = Play()
    play.post(play.lie(3))
    play.at(A - 1).join("friend", play.lie(4))
    with pytest.raises(RefusedError, match="too late"):
        play.at(A).join("honest", play.true[0])


def test_round_takes_a_root_once_and_the_next_round_takes_it_again() -> None:
    play = Play()
    one, two = play.lie(3), play.lie(3, "other")
    play.post(one)
    play.join("friend", two)
    with pytest.raises(RefusedError, match="seen"):
        play.join("honest", one)
    play.meet(one, two)
    play.at(A + G + 1).game.settle(NAME)  # nobody brought an inner claim: both die
    assert play.game.batches[0].round.live == frozenset()
    play.claim_again("honest", one)
    assert play.game.batches[0].round.started_at == A + G + 1


def test_allowance_is_the_window_less_what_passed_before_the_join() -> None:
    game = duel(join_at=30).game
    assert game.allowances(NAME) == (A, A - 30)


def test_alone_after_the_window_is_final_and_not_before() -> None:
    play = Play()
    play.post(play.true[0])
    with pytest.raises(RefusedError, match="nothing to finalize"):
        play.at(A - 1).game.finalize()
    play.at(A).game.finalize()
    assert play.game.status(0, 0) == FINAL


def test_live_rival_hinders_finality() -> None:
    play = duel(liar_first=False)
    with pytest.raises(RefusedError, match="rivals are live"):
        play.at(A).game.finalize()


def test_death_of_the_active_claim_takes_later_batches_along() -> None:
    play = Play(batches=2)
    lie = play.lie(LAST)
    play.post(lie)
    play.post(play.world.claim_tree(1, lie.last), batch=1)
    play.at(10).join("honest", play.true[0])
    play.act()
    play.at(A + 11).act()  # the liar never revealed: 10 + A, and one more
    game = play.game
    assert [game.status(0, 0), game.status(0, 1), game.status(1, 0)] == [VOID, FINAL, VOID]
    assert game.batches[0].round.active == 1
    assert not game.claim(1, 0).lost
    assert game.open_of == {"operator": 0, "honest": 1}  # it claimed batch 1 again


def test_death_of_a_rival_leaves_later_batches_alone() -> None:
    play = Play(batches=2)
    play.post(play.true[0])
    play.post(play.true[1], batch=1)
    play.at(10).join("liar", play.lie(3))
    play.act()
    play.at(A + 1).act()  # the liar had A - 10
    assert play.game.status(0, 1) == VOID
    assert play.game.status(1, 0) == FINAL


def test_rival_is_promoted_when_nobody_is_active() -> None:
    play = Play()
    one, two = play.lie(3), play.lie(3, "other")
    play.post(one)
    play.join("friend", two)
    play.meet(one, two)
    play.at(50).join("honest", play.true[0])
    with pytest.raises(RefusedError, match="active"):
        play.game.promote(0, 2)
    play.at(A + G + 1).game.settle(NAME)
    assert play.game.batches[0].round.active is None
    with pytest.raises(RefusedError, match="nothing to finalize"):
        play.game.finalize()
    play.game.promote(0, 2)
    play.game.finalize()
    assert play.game.final_count == 1


# --- clocks of a match ---------------------------------------------------------------------------


def test_clocks_start_with_the_later_join_whenever_the_match_is_opened() -> None:
    play = Play()
    play.post(play.lie(3))
    play.at(30).join("honest", play.true[0])
    play.at(77).game.open(*NAME)
    assert play.game.pair(NAME).since == 30


def test_used_time_equal_to_the_allowance_is_in_time() -> None:
    play = duel()
    play.reveal(play.true[0])
    with pytest.raises(RefusedError, match="nobody has lost"):
        play.at(30 + A).game.timeout(NAME)
    play.reveal(play.lie(3))
    play.advance(NAME, play.lie(3), play.true[0])
    assert play.game.pair(NAME).used == (A, 0)


def test_one_more_is_late() -> None:
    play = duel()
    play.reveal(play.true[0])
    play.at(30 + A + 1).game.timeout(NAME)
    assert play.game.matches[NAME].lost == FIRST


def test_late_reveal_does_not_save_a_side() -> None:
    play = duel()
    play.reveal(play.true[0])
    play.at(30 + A + 1).reveal(play.lie(3))
    play.advance(NAME, play.lie(3), play.true[0])
    assert play.game.matches[NAME].lost == FIRST


def test_revealed_and_late_loses_while_the_other_is_not_revealed_but_in_time() -> None:
    play = duel(liar_first=False)  # the liar, side 1, has 70
    play.at(30 + 71).reveal(play.lie(3))
    play.game.timeout(NAME)
    assert play.game.matches[NAME].lost == SECOND


def test_both_late_both_die_and_the_round_is_over() -> None:
    play = duel()
    play.at(30 + A + 1).game.timeout(NAME)
    assert play.game.matches[NAME].lost == BOTH
    assert play.game.batches[0].round.live == frozenset()


def test_who_waits_pays_nothing() -> None:
    play = duel()
    play.at(35).reveal(play.true[0])
    play.at(80).reveal(play.lie(3))
    play.at(99)
    play.advance(NAME, play.lie(3), play.true[0])
    pair = play.game.pair(NAME)
    assert (pair.used, pair.since, pair.height, pair.position) == ((50, 5), 80, 0, 3)


def test_first_reveal_counts() -> None:
    play = duel()
    play.at(35).reveal(play.true[0], play.lie(3))
    play.at(90).reveal(play.true[0], play.lie(3))
    play.advance(NAME, play.lie(3), play.true[0])
    assert play.game.pair(NAME).used == (5, 5)


def test_node_revealed_before_the_match_costs_nothing() -> None:
    play = Play()
    play.post(play.lie(3))
    play.at(5).reveal(play.true[0], play.lie(3))
    play.at(30).join("honest", play.true[0])
    play.game.open(*NAME)
    play.at(60)
    play.advance(NAME, play.lie(3), play.true[0])
    assert play.game.pair(NAME)[3:] == (30, (0, 0))


def test_each_match_has_clocks_of_its_own() -> None:
    play = Play()
    play.post(play.true[0])
    play.join("liar", play.lie(3))
    play.join("friend", play.lie(5))
    for name in (NAME, (0, 0, 2)):
        play.game.open(*name)
    play.at(60).reveal(play.true[0], play.lie(3), play.lie(5))
    play.advance(NAME, play.true[0], play.lie(3))
    play.advance((0, 0, 2), play.true[0], play.lie(5))
    assert play.game.pair(NAME).used == play.game.pair((0, 0, 2)).used == (60, 60)


def test_each_advance_goes_one_reveal_down() -> None:
    """The sum of the heights of all matches falls, so a match of 12 levels has four advances."""
    terms = TERMS._replace(claim_height=12)
    toy = Toy(12, 3, 8, messages=60, steps=8)
    true = toy.claim_tree(0, START)
    lie = true.with_leaves({1234: b"lie"})
    game = Game(terms, START, toy)
    game.deposit_bond("operator", 10_000)
    game.post("operator", *lie.claim(START))
    game.join("honest", 0, *true.claim(START))
    game.open(*NAME)
    places = []
    while game.pair(NAME).height:
        height, position = game.pair(NAME).height, game.pair(NAME).position
        game.advance(NAME, lie.children(height, position), true.children(height, position))
        places.append((game.pair(NAME).height, game.pair(NAME).position))
    assert places == [(9, 1234 >> 9), (6, 1234 >> 6), (3, 1234 >> 3), (0, 1234)]
    with pytest.raises(RefusedError, match="at the leaves"):
        game.advance(NAME, lie.children(3, 0), true.children(3, 0))


def test_when_advance_is_called_changes_nothing(rng: random.Random) -> None:
    """Reveals in random order at random times: bookkeeping at once, late or at the end."""
    terms = TERMS._replace(claim_height=12, window=1_000)
    toy = Toy(12, 3, 8, messages=60, steps=8)
    true = toy.claim_tree(0, START)
    for _ in range(200):
        lie = true.with_leaves({rng.randrange(1 << 12): b"lie"})
        position, children = 0, []
        for height in (12, 9, 6, 3):
            both = lie.children(height, position), true.children(height, position)
            children.append(both)
            position = 8 * position + next(k for k in range(8) if both[0][k] != both[1][k])
        events = [(rng.choice([0, rng.randrange(900)]), c) for both in children for c in both]
        events.sort()
        outcomes = set()
        for eagerness in (1.0, 0.3, 0.0):
            game = Game(terms, START, toy)
            game.deposit_bond("liar", 10_000)
            game.post("liar", *lie.claim(START))
            game.join("honest", 0, *true.claim(START))
            game.open(*NAME)
            for game.now, shown in events:
                game.reveal(shown)
                while game.pair(NAME).height and rng.random() < eagerness:
                    depth = (12 - game.pair(NAME).height) // 3
                    if any(node not in game.revealed_at for node in game.pair(NAME).nodes):
                        break
                    game.advance(NAME, *children[depth])
            while game.pair(NAME).height and not game.over(NAME):
                game.advance(NAME, *children[(12 - game.pair(NAME).height) // 3])
            outcomes.add((game.pair(NAME), game.matches[NAME].lost))
        assert len(outcomes) == 1, (events, outcomes)


# --- the message level ---------------------------------------------------------------------------


def sealed(join_at: int = 30, *, liar_first: bool = True) -> Play:
    """The duel at its leaves, sealed, both sides revealed 10 after the join."""
    play = duel(liar_first, join_at)
    play.at(join_at + 10).reveal(play.true[0], play.lie(3))
    one, two = (play.lie(3), play.true[0]) if liar_first else (play.true[0], play.lie(3))
    play.advance(NAME, one, two)
    play.game.seal(NAME, play.true[0].leaf(2), one.proof(2))
    return play


def test_seal_takes_the_leaf_before_in_the_tree_of_side_0_only() -> None:
    play = duel()
    play.reveal(play.true[0], play.lie(3))
    play.advance(NAME, play.lie(3), play.true[0])
    with pytest.raises(RefusedError, match="proof"):
        play.game.seal(NAME, play.true[0].leaf(2), play.true[0].proof(2))
    with pytest.raises(RefusedError, match="proof"):
        play.game.seal(NAME, play.true[0].leaf(1), play.lie(3).proof(2))
    play.game.seal(NAME, play.true[0].leaf(2), play.lie(3).proof(2))


def test_first_message_is_sealed_with_the_start_root() -> None:
    play = Play()
    play.post(play.lie(0))
    play.join("honest", play.true[0])
    play.game.open(*NAME)
    play.reveal(play.true[0], play.lie(0))
    play.advance(NAME, play.lie(0), play.true[0])
    with pytest.raises(RefusedError, match="proof"):
        play.game.seal(NAME, b"other", ())
    play.game.seal(NAME, START, ())


def test_time_runs_from_the_leaves_and_not_from_the_seal() -> None:
    play = duel()
    play.at(40).reveal(play.true[0], play.lie(3))
    play.advance(NAME, play.lie(3), play.true[0])
    play.at(90).game.seal(NAME, play.true[0].leaf(2), play.lie(3).proof(2))
    assert play.game.inner_until(NAME, 0) == 40 + (A - 10) + G
    assert play.game.inner_until(NAME, 1) == 40 + (A - 30 - 10) + G


def test_inner_claim_may_join_until_remainder_and_grace_are_over() -> None:
    until = 40 + 60 + G  # of side 1
    play = sealed()
    with pytest.raises(RefusedError, match="too late"):
        play.at(until + 1).join_inner("honest", NAME, 1, play.trace(3))
    play = sealed()
    assert play.at(until).join_inner("honest", NAME, 1, play.trace(3)) == 0


def test_deadline_rule_the_second_inner_claim_gets_no_time_again() -> None:
    play = sealed()
    post_root = play.lie(3).leaf(3)
    one, two = (play.inner_lie(3, at, post_root) for at in (1, 2))
    play.join_inner("honest", NAME, 1, play.trace(3))
    play.join_inner("liar", NAME, 0, one)
    play.at(100).join_inner("liar", NAME, 0, two)
    for number in (0, 1):
        play.game.open_inner(NAME, number, 0)
    play.reveal(play.trace(3))
    assert play.game.allowances((*NAME, 0, 0)) == (90 + G, 60 + G)
    assert play.game.allowances((*NAME, 1, 0)) == (90 + G - 60, 60 + G)


def test_inner_claim_ends_in_the_post_root_of_its_side() -> None:
    play = sealed()
    true, end = play.trace(3), play.world.halted(play.true[0].leaf(3))
    with pytest.raises(RefusedError, match="another root"):
        play.game.join_inner("liar", NAME, 0, true.root, end, true.proof(LAST))
    with pytest.raises(RefusedError, match="proof"):
        play.game.join_inner("liar", NAME, 0, true.root, play.world.halted(b"x"), true.proof(LAST))


def test_same_inner_root_once_per_side() -> None:
    play = sealed()
    play.join_inner("honest", NAME, 1, play.trace(3))
    with pytest.raises(RefusedError, match="has the root"):
        play.join_inner("liar", NAME, 1, play.trace(3))


def test_verdict_only_when_a_side_is_out_and_the_other_lives() -> None:
    play = sealed()  # side 0 has 90 left, side 1 has 60
    with pytest.raises(RefusedError, match="undecided"):
        play.at(40 + 60 + G + 1).game.settle(NAME)  # side 1 is out, side 0 has nobody yet
    play.join_inner("liar", NAME, 0, play.inner_lie(3, 1, play.lie(3).leaf(3)))
    play.game.settle(NAME)
    assert play.game.matches[NAME].lost == SECOND


def test_verdict_waits_for_the_time_of_a_side_without_inner_claim() -> None:
    play = sealed()
    play.join_inner("honest", NAME, 1, play.trace(3))
    with pytest.raises(RefusedError, match="undecided"):
        play.at(40 + 90 + G).game.settle(NAME)
    play.at(40 + 90 + G + 1).game.settle(NAME)
    assert play.game.matches[NAME].lost == FIRST


def test_bad_defence_of_a_stranger_does_not_hurt_the_side() -> None:
    play = sealed()
    bad = play.inner_lie(3, 0, play.true[0].leaf(3), "bad")
    lie = play.inner_lie(3, 2, play.lie(3).leaf(3))
    play.join_inner("liar", NAME, 1, bad, "bad")
    play.join_inner("liar", NAME, 0, lie)
    play.reveal(bad, lie)
    play.step((*NAME, 0, 0), lie, bad)
    assert not play.game.inner[NAME, 1][0].live
    with pytest.raises(RefusedError, match="undecided"):
        play.game.settle(NAME)
    play.act()
    play.at(40 + 90 + G + 1).act()
    assert play.game.matches[NAME].lost == FIRST


def test_pair_that_nobody_seals_ends_all_the_same() -> None:
    play = duel()
    play.at(40).reveal(play.true[0], play.lie(3))
    play.advance(NAME, play.lie(3), play.true[0])
    with pytest.raises(RefusedError, match="undecided"):
        play.at(40 + 90 + G).game.settle(NAME)
    play.at(40 + 90 + G + 1).game.settle(NAME)
    assert play.game.matches[NAME].lost == BOTH


# --- the instruction level -----------------------------------------------------------------------


def test_step_kills_the_wrong_leaf() -> None:
    play = sealed()
    lie = play.inner_lie(3, 4, play.lie(3).leaf(3))
    play.join_inner("honest", NAME, 1, play.trace(3))
    play.join_inner("liar", NAME, 0, lie)
    play.reveal(play.trace(3), lie)
    play.step((*NAME, 0, 0), lie, play.trace(3))
    assert [play.game.inner[NAME, side][0].live for side in (0, 1)] == [False, True]


def test_step_kills_both_when_both_are_wrong() -> None:
    play = sealed()
    bad = play.inner_lie(3, 4, play.true[0].leaf(3), "bad")
    lie = play.inner_lie(3, 4, play.lie(3).leaf(3))
    play.join_inner("friend", NAME, 1, bad, "bad")
    play.join_inner("liar", NAME, 0, lie)
    play.reveal(bad, lie)
    play.step((*NAME, 0, 0), lie, bad)
    assert [play.game.inner[NAME, side][0].live for side in (0, 1)] == [False, False]
    assert play.game.game_burnt == 2 * TERMS.inner_bond


def test_state_that_nobody_can_step_from_ends_by_the_clock() -> None:
    """Two liars agree on a forged state and part behind it: no witness exists, both time out."""
    play = sealed()
    forged = play.inner_lie(3, 2, play.lie(3).leaf(3))
    other = forged.with_leaves({5: b"x", LAST: play.inner_lie(3, LAST, play.true[0].leaf(3)).last})
    play.join_inner("liar", NAME, 0, forged)
    play.join_inner("friend", NAME, 1, other)
    name = play.game.open_inner(NAME, 0, 0)
    play.reveal(forged, other)
    play.advance(name, forged, other)
    assert play.game.pair(name).position == 5
    with pytest.raises(RefusedError, match="nobody has lost"):
        play.at(40 + 60 + G).game.timeout(name)
    play.at(40 + 60 + G + 1).game.timeout(name)
    assert [play.game.inner[NAME, side][0].live for side in (0, 1)] == [True, False]


def test_nothing_moves_in_a_match_whose_claim_died_elsewhere() -> None:
    play = sealed(liar_first=False)
    play.join("friend", play.lie(1))
    play.join_inner("honest", NAME, 0, play.trace(3))
    lie = play.inner_lie(3, 4, play.lie(3).leaf(3))
    play.join_inner("liar", NAME, 1, lie)
    name = play.game.open_inner(NAME, 0, 0)
    with pytest.raises(RefusedError, match="not over"):
        play.game.release_inner(NAME, 0, 0)
    play.game.open(0, 1, 2)
    play.reveal(play.lie(1))
    play.advance((0, 1, 2), play.lie(3), play.lie(1))
    play.game.seal((0, 1, 2), play.true[0].leaf(0), play.lie(3).proof(0))
    end = play.world.halted(play.lie(1).leaf(1))
    made_up = play.trace(1).with_leaves({LAST: play.world.end(end, b"")[0]})
    play.game.join_inner("friend", (0, 1, 2), 1, made_up.root, end, made_up.proof(LAST))
    play.at(A + 2 * G + 1).game.settle((0, 1, 2))  # the liar is dead
    for move in (
        lambda: play.game.settle(NAME),
        lambda: play.join_inner("honest", NAME, 0, play.inner_lie(3, 1, play.true[0].leaf(3))),
        lambda: play.game.open_inner(NAME, 0, 0),
        lambda: play.advance(name, play.trace(3), lie),
        lambda: play.game.timeout(name),
    ):
        with pytest.raises(RefusedError, match="match is over"):
            move()
    play.game.release_inner(NAME, 0, 0)
    play.game.release_inner(NAME, 1, 0)
    with pytest.raises(RefusedError, match="nothing to release"):
        play.game.release_inner(NAME, 0, 0)
