"""Who pays whom, in hand-made disputes: what an attack costs, and that honesty never does.

A bond is 1,000, a reserve 50, an inner bond 10. `worth` is what an account holds or has at stake.
"""

import pytest
from tests.disputes.anchor import VOID, RefusedError
from tests.disputes.game import BOTH
from tests.disputes.play import LAST, TERMS, A, G, Play

NAME = (0, 0, 1)


def silent_loss(play: Play, who: str = "liar") -> None:
    """Somebody's lie dies by the clock against the true claim."""
    play.post(who, play.lie(3))
    play.act()
    play.at(play.game.now + A + 1).act()


def test_loser_pays_bond_and_reserve_half_to_the_winner_half_burnt() -> None:
    play = Play()
    before = play.worth("liar"), play.worth("honest")
    silent_loss(play)
    stake = TERMS.bond + TERMS.reserve
    assert play.worth("liar") == before[0] - stake
    assert play.worth("honest") == before[1] + TERMS.bond + stake // 2  # its bond is a rival's
    assert play.game.burnt == stake - stake // 2


def test_dispute_with_oneself_costs_half_a_bond_at_least() -> None:
    """To delay finality by rivals of one's own is never free."""
    play = Play()
    before = play.worth("liar", "friend") + 2 * TERMS.bond  # what the two rivals bring
    play.post("honest", play.true[0])
    play.at(A - 1).join("liar", play.lie(3))
    play.join("friend", play.lie(5))
    play.act()
    play.game.open(0, 1, 2)
    play.reveal(play.lie(3))
    play.at(A + 1).game.timeout((0, 1, 2))
    play.at(A + G + 1).act()
    assert play.game.final_count == 1
    lost = before - play.worth("liar", "friend")
    assert lost == TERMS.bond // 2 + TERMS.bond
    assert play.worth("honest") >= TERMS.bond + 4 * TERMS.reserve


def test_liar_slashed_by_a_friend_first_still_pays_the_honest_winner() -> None:
    """Two lies, one bond: a friend takes half of it for the later one; the reserves are left."""
    play = Play(batches=2)
    lie = play.lie(LAST)
    play.post("liar", lie)
    later = play.toy.claim_tree(1, lie.last)
    play.post("liar", later.with_leaves({2: b"x"}), batch=1)
    play.join("friend", later, batch=1)
    name = (1, 0, 1)
    play.game.open(*name)
    play.reveal(later)
    play.at(A + 1)
    play.game.timeout(name)
    friend = TERMS.bond + TERMS.reserve - (TERMS.bond + TERMS.reserve) // 2
    assert play.game.credit_of["friend"] == TERMS.bond + TERMS.reserve - friend
    assert play.game.bond_of["liar"] == 3 * TERMS.reserve


def test_second_lie_in_a_pipeline_costs_its_reserve() -> None:
    play = Play(batches=2)
    play.game.bond_of["liar"] = TERMS.bond + 2 * TERMS.reserve  # no more than it needs
    play.game.balance -= 2 * TERMS.reserve
    lie = play.lie(LAST)
    play.post("liar", lie)
    later = play.toy.claim_tree(1, lie.last)
    play.post("liar", later.with_leaves({2: b"x"}), batch=1)
    play.join("friend", later, batch=1)
    play.game.open(1, 0, 1)
    play.reveal(later)
    play.join("honest", play.true[0])
    play.game.open(*NAME)
    play.reveal(play.true[0])
    play.at(A + 1).game.timeout((1, 0, 1))
    assert play.game.bond_of["liar"] == TERMS.reserve
    before = play.worth("honest")
    play.game.timeout(NAME)
    assert play.worth("honest") == before + TERMS.reserve // 2
    assert play.game.bond_of["liar"] == 0


def test_when_both_die_all_is_burnt_and_nobody_honest_has_lost() -> None:
    """Liars can take the winner's share from the honest party by dying together: two bonds."""
    play = Play()
    before = play.worth("honest") + TERMS.bond
    play.post("liar", play.lie(3))
    play.join("friend", play.lie(3, "other"))
    play.act()
    play.meet(play.lie(3), play.lie(3, "other"))
    play.at(A + G + 1).game.settle(NAME)
    assert play.game.matches[NAME].lost == BOTH
    assert play.game.burnt == 2 * TERMS.bond + TERMS.reserve
    play.act()
    assert play.game.final_count == 1
    play.game.release(0, 2)
    assert play.worth("honest") == before


def test_copy_of_the_honest_claim_takes_the_reward_and_the_risk_but_no_money() -> None:
    """Who brings the true root first owns the claim; the honest party need not bring a bond."""
    play = Play()
    before = play.worth("honest")
    play.post("liar", play.lie(3))
    play.join("friend", play.true[0])
    with pytest.raises(RefusedError, match="seen"):
        play.join("honest", play.true[0])
    moves = play.act()
    play.at(A + 1).act()
    assert "join" not in moves
    assert play.game.status(0, 0) == VOID
    assert play.worth("honest") == before
    assert play.game.credit_of["friend"] == (TERMS.bond + TERMS.reserve) // 2


def test_inner_winner_gets_half_of_the_inner_bond() -> None:
    play = Play()
    play.post("liar", play.lie(3))
    play.join("honest", play.true[0])
    play.meet(play.lie(3), play.true[0])
    play.act()
    lie = play.inner_lie(3, 4, play.lie(3).leaf(3))
    play.join_inner("liar", NAME, 0, lie)
    play.reveal(lie)
    play.act()
    assert play.game.game_credit_of == {"honest": TERMS.inner_bond // 2}
    play.at(A + G + 1).act()
    play.game.release_inner(NAME, 1, 0)
    assert play.game.game_credit_of == {"honest": TERMS.inner_bond // 2 + TERMS.inner_bond}


def test_inner_bonds_escape_through_a_friend_at_the_price_of_half_a_bond() -> None:
    """The match ends otherwise: live inner claims, also of liars, get their bonds back."""
    play = Play()
    play.post("honest", play.true[0])
    play.join("liar", play.lie(3))
    play.join("friend", play.lie(1))
    play.meet(play.true[0], play.lie(3))
    for at in range(5):
        play.join_inner("liar", NAME, 1, play.inner_lie(3, at, play.lie(3).leaf(3)))
    before = play.worth("liar", "friend")
    play.game.open(0, 1, 2)
    play.reveal(play.lie(1))
    play.advance((0, 1, 2), play.lie(3), play.lie(1))
    play.game.seal((0, 1, 2), play.true[0].leaf(0), play.lie(3).proof(0))
    end = play.toy.halted(play.lie(1).leaf(1))
    made_up = play.trace(1).with_leaves({LAST: play.toy.end(end, b"")[0]})
    play.game.join_inner("friend", (0, 1, 2), 1, made_up.root, end, made_up.proof(LAST))
    play.at(A + G + 1).game.settle((0, 1, 2))
    for number in range(5):
        play.game.release_inner(NAME, 1, number)
    lost = before + TERMS.inner_bond - play.worth("liar", "friend")  # and the friend's inner bond
    assert lost == TERMS.bond - TERMS.bond // 2
    assert lost > 5 * TERMS.inner_bond // 2


@pytest.mark.parametrize("batches", [1, 2, 4])
def test_stalling_costs_a_bond_for_each_window(batches: int) -> None:
    """A liar that is always first after a cascade stalls each batch in turn, for A and G."""
    play = Play(batches=batches)
    play.game.deposit_bond("liar", batches * (TERMS.bond + TERMS.reserve))
    start, before = play.start(0), play.worth("liar")
    for batch in range(batches):
        tree = play.toy.claim_tree(batch, start)
        lie = play.lie(LAST, batch=batch) if batch == 0 else tree
        play.post("liar", lie, batch=batch)
        start = lie.last
    for batch in range(batches):
        if batch:
            play.claim_again("liar", play.lie(LAST, batch=batch), batch)  # ahead of everybody
        play.act()
        play.at(play.game.now + A + 1)
        opposing = next(name for name in play.game.matches if name[0] == batch)
        play.game.timeout(opposing)
    play.at(play.game.now + A).act()
    assert play.game.final_count == batches
    stake = TERMS.bond + TERMS.reserve
    assert before - play.worth("liar") == batches * stake
    assert play.game.burnt == batches * (stake - stake // 2)


def test_bond_stays_while_claims_are_open() -> None:
    play = Play()
    play.post("honest", play.true[0])
    with pytest.raises(RefusedError, match="open"):
        play.game.withdraw_bond("honest", 1)
    play.at(A).act()
    play.game.withdraw_bond("honest", TERMS.bond + 4 * TERMS.reserve)
    assert play.worth("honest") == 0
