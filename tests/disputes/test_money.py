"""Who pays whom, in hand-made disputes: what an attack costs, and that honesty never does.

Each story is played in the model, and in model and contracts at once. `worth` is what an account
holds or has at stake. Times are hundredths of A; G is ten of them.
"""

from collections.abc import Callable

import pytest
from tests.disputes.anchor import VOID, RefusedError
from tests.disputes.game import BOTH
from tests.disputes.play import A, G, Play
from tests.disputes.stages import on_stage

NAME = (0, 0, 1)
Stage = Callable[..., Play]


@pytest.fixture(params=["model", "contracts"])
def stage(request: pytest.FixtureRequest) -> Stage:
    return lambda **options: on_stage(request.param, **options)


def test_loser_pays_bond_and_reserve_half_to_the_winner_half_burnt(stage: Stage) -> None:
    play = stage()
    before = play.worth("operator"), play.worth("honest")
    play.post(play.lie(3))
    play.act()
    play.at(A, 1).act()
    stake = play.terms.bond + play.terms.reserve
    assert play.worth("operator") == before[0] - stake
    assert play.worth("honest") == before[1] + play.terms.bond + stake // 2  # a rival's bond
    assert play.game.burnt == stake - stake // 2


def test_dispute_with_oneself_costs_half_a_bond_at_least(stage: Stage) -> None:
    """To delay finality by rivals of one's own is never free."""
    play = stage()
    before = play.worth("liar", "friend") + 2 * play.terms.bond  # what the two rivals bring
    play.post(play.true[0])
    play.at(A - 1).join("liar", play.lie(3))
    play.join("friend", play.lie(5))
    play.act()
    play.game.open(0, 1, 2)
    play.reveal(play.lie(3))
    play.at(A, 1).game.timeout((0, 1, 2))
    play.at(A + G, 1).act()
    assert play.game.final_count == 1
    lost = before - play.worth("liar", "friend")
    assert lost == play.terms.bond // 2 + play.terms.bond
    assert play.worth("operator") == play.room + play.terms.bond // 2


def test_liar_slashed_by_a_friend_first_still_pays_the_honest_winner(stage: Stage) -> None:
    """Two lies, one bond: a friend takes half of it for the later one; the reserves are left."""
    play = stage(batches=2, reserves=2)
    reserve, stake = play.terms.reserve, play.terms.bond + play.terms.reserve
    lie = play.last_lie()
    play.post(lie)
    later = play.world.claim_tree(1, lie.last)
    play.post(later.with_leaves({2: play.world.lie_root("x")}), batch=1)
    play.join("friend", later, batch=1)
    play.game.open(1, 0, 1)
    play.reveal(later)
    play.join("honest", play.true[0])
    play.game.open(*NAME)
    play.reveal(play.true[0])
    play.at(A, 1).game.timeout((1, 0, 1))
    assert play.game.credit_of["friend"] == stake // 2
    assert play.game.bond_of["operator"] == reserve
    before = play.worth("honest")
    play.game.timeout(NAME)
    assert play.worth("honest") == before + reserve // 2
    assert play.game.bond_of["operator"] == 0


def test_claim_needs_a_reserve_for_each_that_is_open(stage: Stage) -> None:
    play = stage(batches=2, reserves=1)
    play.post(play.true[0])
    with pytest.raises(RefusedError, match="too small"):
        play.post(play.true[1], batch=1)
    play.game.deposit_bond("operator", play.terms.reserve)
    play.post(play.true[1], batch=1)


def test_when_both_die_all_is_burnt_and_nobody_honest_has_lost(stage: Stage) -> None:
    """Liars can take the winner's share from the honest party by dying together: two bonds."""
    play = stage()
    before = play.worth("honest") + play.terms.bond
    one, two = play.lie(3), play.lie(3, "other")
    play.post(one)
    play.join("friend", two)
    play.act()
    play.meet(one, two)
    play.at(A + G, 1).game.settle(NAME)
    assert play.game.matches[NAME].lost == BOTH
    assert play.game.burnt == 2 * play.terms.bond + play.terms.reserve
    play.act()
    assert play.game.final_count == 1
    play.game.release(0, 2)
    assert play.worth("honest") == before
    with pytest.raises(RefusedError, match="nothing to release"):
        play.game.release(0, 2)


def test_copy_of_the_honest_claim_takes_reward_and_risk_and_nothing_else(stage: Stage) -> None:
    """Who brings the true root first owns the claim; the honest party need not bring a bond."""
    play = stage()
    before = play.worth("honest")
    play.post(play.lie(3))
    play.join("friend", play.true[0])
    with pytest.raises(RefusedError, match="seen"):
        play.join("honest", play.true[0])
    moves = play.act()
    play.at(A, 1).act()
    assert "join" not in moves
    assert play.game.status(0, 0) == VOID
    assert play.worth("honest") == before
    assert play.game.credit_of["friend"] == (play.terms.bond + play.terms.reserve) // 2


def test_inner_winner_gets_half_of_the_inner_bond(stage: Stage) -> None:
    play = stage()
    lie, bond = play.lie(3), play.terms.inner_bond
    play.post(lie)
    play.join("honest", play.true[0])
    play.meet(lie, play.true[0])
    play.act()
    inner = play.inner_lie(3, 4, lie.leaf(3))
    play.join_inner("liar", NAME, 0, inner)
    play.step((*NAME, 0, 0), inner, play.trace(3))
    assert play.game.game_credit_of == {"honest": bond // 2}
    assert play.game.game_burnt == bond - bond // 2
    play.at(A + G, 1).act()
    play.game.release_inner(NAME, 1, 0)
    assert play.game.game_credit_of == {"honest": bond // 2 + bond}
    assert play.game.withdraw_game_credit("honest") == bond // 2 + bond
    with pytest.raises(RefusedError, match="no credit"):
        play.game.withdraw_game_credit("honest")


def test_inner_claims_that_both_die_are_burnt(stage: Stage) -> None:
    play = stage()
    lie = play.lie(3)
    play.post(lie)
    play.join("honest", play.true[0])
    play.meet(lie, play.true[0])
    one = play.inner_lie(3, 4, lie.leaf(3))
    two = play.inner_lie(3, 4, play.true[0].leaf(3), "bad")
    play.join_inner("liar", NAME, 0, one)
    play.join_inner("friend", NAME, 1, two, "bad")
    play.step((*NAME, 0, 0), one, two)
    assert play.game.game_burnt == 2 * play.terms.inner_bond


def friend_kills_the_liar(play: Play) -> None:
    """Of the rivals 1 (liar, about message 3) and 2 (friend, message 0), the second wins."""
    name = (0, 1, 2)
    play.meet(play.lie(3), play.lie(0), name)
    last = (1 << play.terms.trace_height) - 1
    end, end_hash = play.world.made_end(play.lie(0).leaf(0), "friend")
    tree = play.trace(0).with_leaves({last: end_hash})
    play.game.join_inner("friend", name, 1, tree.root, end, tree.proof(last))
    play.at(A + G, 1).game.settle(name)


def test_inner_bonds_escape_through_a_friend_at_the_price_of_half_a_bond(stage: Stage) -> None:
    """The match ends otherwise: live inner claims, also of liars, get their bonds back."""
    play = stage()
    lie = play.lie(3)
    play.post(play.true[0])
    play.join("liar", lie)
    play.join("friend", play.lie(0))
    play.meet(play.true[0], lie)
    play.join_true("honest", NAME, 0, 3)
    for at in range(4):
        play.join_inner("liar", NAME, 1, play.inner_lie(3, at, lie.leaf(3)))
    before = play.worth("liar", "friend") + play.terms.inner_bond  # and the friend's inner bond
    with pytest.raises(RefusedError, match="not over"):
        play.game.release_inner(NAME, 1, 0)
    friend_kills_the_liar(play)
    for number in range(4):
        play.game.release_inner(NAME, 1, number)
    with pytest.raises(RefusedError, match="nothing to release"):
        play.game.release_inner(NAME, 1, 0)
    play.game.release_inner(NAME, 0, 0)
    lost = before - play.worth("liar", "friend")
    assert lost == play.terms.bond - play.terms.bond // 2
    assert lost > 4 * play.terms.inner_bond // 2


@pytest.mark.parametrize("batches", [1, 2, 4])
def test_stalling_costs_a_bond_for_each_window(stage: Stage, batches: int) -> None:
    """A liar that is always first after a cascade stalls each batch in turn, each for a bond."""
    play = stage(batches=batches)
    stake = play.terms.bond + play.terms.reserve
    play.game.deposit_bond("liar", batches * stake)
    before, start = play.worth("operator", "liar"), play.start(0)
    for batch in range(batches):
        tree = play.world.claim_tree(batch, start)
        play.post(play.last_lie() if batch == 0 else tree, batch=batch)
        start = play.last_lie().last if batch == 0 else tree.last
    for batch in range(batches):
        if batch:
            play.claim_again("liar", play.last_lie(batch=batch), batch)  # ahead of everybody
        play.act()
        play.wait(A, 1)
        play.game.timeout(next(name for name in play.game.matches if name[0] == batch))
    play.wait(A).act()
    assert play.game.final_count == batches
    assert before - play.worth("operator", "liar") == batches * stake
    assert play.game.burnt == batches * (stake - stake // 2)


def test_bond_stays_while_claims_are_open(stage: Stage) -> None:
    play = stage()
    play.post(play.true[0])
    with pytest.raises(RefusedError, match="open"):
        play.game.withdraw_bond("operator", 1)
    play.at(A).act()
    with pytest.raises(RefusedError, match="more than the bond"):
        play.game.withdraw_bond("operator", play.room + 1)
    play.game.withdraw_bond("operator", play.room)
    assert play.worth("operator") == 0


def test_credit_is_paid_once(stage: Stage) -> None:
    play = stage()
    play.post(play.lie(3))
    play.act()
    play.at(A, 1).act()
    assert play.game.withdraw_credit("honest") == (play.terms.bond + play.terms.reserve) // 2
    with pytest.raises(RefusedError, match="no credit"):
        play.game.withdraw_credit("honest")


def test_fallen_rival_gets_its_bond_back_and_a_live_one_does_not(stage: Stage) -> None:
    play = stage(batches=2)
    lie = play.last_lie()
    play.post(lie)
    later = play.world.claim_tree(1, lie.last)
    play.post(later, batch=1)
    play.join("friend", later.with_leaves({2: play.world.lie_root("x")}), batch=1)
    with pytest.raises(RefusedError, match="live"):
        play.game.release(1, 1)
    play.join("honest", play.true[0])
    play.game.open(*NAME)
    play.reveal(play.true[0])
    play.at(A, 1).game.timeout(NAME)
    assert play.game.status(1, 1) == VOID
    play.game.release(1, 1)
    assert play.worth("friend") == play.room + play.terms.bond
    assert play.game.open_of["operator"] == 0
