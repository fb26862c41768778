"""Claims: voided by the game alone, claimed again by anyone, final in order; bonds that answer."""

import boa
import pytest
from tests.contracts import naive
from tests.contracts.system import (
    CONFIG,
    ETHER,
    FINAL,
    LIVE,
    OPEN_CLAIMS_MAX,
    VOID,
    ZERO,
    System,
    wait,
)

WINDOW = CONFIG["challenge_window_s"]
BOND = CONFIG["bond_wei"]
RESERVE = CONFIG["claim_reserve_wei"]
PAID = BOND + RESERVE  # what an operator loses by one lie
RESERVES = OPEN_CLAIMS_MAX * RESERVE


def _status(system: System, batch: int, index: int = 0) -> int:
    return int(system.anchor.claim_of(batch, index).status)


# --- finality -------------------------------------------------------------------------------------


def test_batches_become_final_in_order_after_the_window(system: System) -> None:
    roots = [system.image.state().root for _ in range(3)]
    for root in roots:
        system.post(end_root=root)
        wait(100)
    with boa.reverts("anchor: nothing to finalize"):
        system.anchor.finalize(64, sender=system.alice)
    wait(WINDOW - 301)
    with boa.reverts("anchor: nothing to finalize"):
        system.anchor.finalize(64, sender=system.alice)
    wait(1)
    assert system.anchor.finalize(64, sender=system.alice) == 1
    wait(200)
    assert system.anchor.finalize(1, sender=system.alice) == 2
    assert [_status(system, batch) for batch in range(3)] == [FINAL, FINAL, LIVE]
    with boa.reverts("anchor: nothing to finalize"):
        system.anchor.finalize(0, sender=system.alice)
    assert system.anchor.final_root(0) == roots[0]
    assert system.anchor.final_root(1) == roots[1]
    with boa.reverts("anchor: batch is not final"):
        system.anchor.final_root(2)
    assert system.anchor.finalize(1, sender=system.alice) == 3
    with boa.reverts("anchor: nothing to finalize"):
        system.anchor.finalize(1, sender=system.alice)


def test_first_claim_starts_from_the_image_of_zeros(system: System) -> None:
    assert system.anchor.start_root(0) == naive.zero(29)
    root = system.image.state().root
    system.post(end_root=root)
    assert system.anchor.start_root(1) == root
    assert system.anchor.claim_of(0, 0).start_root == naive.zero(29)


def test_unknown_batches_and_claims_are_named(system: System) -> None:
    with boa.reverts("anchor: no such batch"):
        system.anchor.batch_of(0)
    with boa.reverts("anchor: batch is not final"):
        system.anchor.final_root(0)
    with boa.reverts("anchor: batch has no active claim"):
        system.anchor.active_claim(0)
    with boa.reverts("anchor: batch has no active claim"):
        system.anchor.start_root(1)
    system.post()
    with boa.reverts("anchor: no such claim"):
        system.anchor.claim_of(0, 1)
    assert (system.anchor.active_claim(0), system.anchor.claim_count(0)) == (0, 1)


# --- voiding --------------------------------------------------------------------------------------


def test_only_the_game_voids(system: System) -> None:
    system.post()
    with boa.reverts("anchor: no game is set"):
        system.anchor.void_claim(0, 0, 0, sender=system.game)
    system.install_game()
    for other in (system.owner, system.operator, system.alice):
        with boa.reverts("anchor: caller is not the game"):
            system.anchor.void_claim(0, 0, 0, sender=other)
    with boa.reverts("anchor: claim is not live"):
        system.anchor.void_claim(0, 1, 0, sender=system.game)
    with boa.reverts("anchor: no such batch"):
        system.anchor.void_claim(1, 0, 0, sender=system.game)
    system.anchor.void_claim(0, 0, 0, sender=system.game)
    with boa.reverts("anchor: claim is not live"):
        system.anchor.void_claim(0, 0, 0, sender=system.game)


def test_voiding_takes_descendants_and_leaves_data_and_ancestors(system: System) -> None:
    system.install_game()
    for _ in range(5):
        system.post()
    before = [system.anchor.batch_of(batch) for batch in range(5)]
    assert system.anchor.open_claims_of(system.operator) == 5
    right = system.join(2, naive.keccak(b"right"), system.alice)
    below = system.join(3, naive.keccak(b"on the wrong one"), system.bob)
    system.void(2, 0, right)
    voided = [e for e in system.anchor.get_logs() if type(e).__name__ == "ClaimVoided"]
    fell = sorted((e.batch, e.index, e.cause_batch) for e in voided)
    assert fell == [(2, 0, 2), (3, 0, 2), (4, 0, 2)]
    assert [_status(system, batch) for batch in range(5)] == [LIVE, LIVE, VOID, VOID, VOID]
    assert (_status(system, 2, right), _status(system, 3, below)) == (LIVE, VOID)
    assert [system.anchor.batch_of(batch) for batch in range(5)] == before
    assert system.anchor.batch_count() == 5
    assert system.anchor.open_claims_of(system.operator) == 2
    # Slashed once: half to the winner, half burnt.
    assert system.anchor.bond_of(system.operator) == RESERVES - RESERVE
    assert system.anchor.credit_of(system.alice) == PAID // 2
    assert system.anchor.burnt_wei() == PAID - PAID // 2
    # Who stood on it loses nothing; who has won stands on.
    system.anchor.release(3, below, sender=system.carol)
    assert system.anchor.credit_of(system.bob) == BOND
    with boa.reverts("anchor: claim is live"):
        system.anchor.release(2, right, sender=system.alice)
    # No batch can be put on top before the data has a claim again.
    system.anchor.deposit_bond(sender=system.operator, value=PAID)
    with boa.reverts("anchor: batch has no active claim"):
        system.post()
    # Ancestors and the winner go their way; what is void never becomes final.
    assert system.finalize_all() == 3
    wait(10 * WINDOW)
    with boa.reverts("anchor: nothing to finalize"):
        system.anchor.finalize(64, sender=system.alice)


def test_claiming_again_goes_in_order_and_restarts_the_window(system: System) -> None:
    system.install_game()
    for _ in range(3):
        system.post()
    wrong = system.anchor.claim_of(1, 0).end_root
    wait(WINDOW - 1)
    system.void(1)
    roots = [naive.keccak(bytes([i])) for i in range(3)]
    with boa.reverts("anchor: batch has a live claim"):
        system.claim_again(0, roots[0], system.mallory)
    with boa.reverts("anchor: batch has no active claim"):
        system.claim_again(2, roots[2], system.mallory)
    with boa.reverts("anchor: bond is too small"):
        system.claim_again(1, roots[1], system.carol)
    system.claim_again(1, roots[1], system.mallory)
    wait(1)
    system.claim_again(2, roots[2], system.mallory)
    claim = system.anchor.claim_of(1, 1)
    assert (claim.end_root, claim.claimant, claim.status) == (roots[1], system.mallory, LIVE)
    assert (system.anchor.claim_count(1), system.anchor.active_claim(1)) == (2, 1)
    assert _status(system, 1, 0) == VOID
    assert system.anchor.claim_of(1, 0).end_root == wrong
    assert system.anchor.finalize(64, sender=system.alice) == 1
    wait(WINDOW - 1)
    assert system.anchor.finalize(64, sender=system.alice) == 2
    assert system.anchor.final_root(1) == roots[1]
    wait(1)
    assert system.anchor.finalize(64, sender=system.alice) == 3
    with boa.reverts("anchor: batch is final"):
        system.claim_again(1, roots[1], system.mallory)
    with boa.reverts("anchor: batch is final"):
        system.anchor.void_claim(1, 1, 0, sender=system.game)


def test_claim_again_checks_the_claim_like_post(system: System) -> None:
    system.install_game()
    system.post()
    system.anchor.void_claim(0, 0, 0, sender=system.game)
    claim = system.claim(naive.keccak(b"right"), batch=0)
    for field, value, reason in (
        ("start_root", bytes(32), "anchor: start root differs"),
        ("end_root", bytes(32), "anchor: claim does not open to its end root"),
    ):
        with boa.reverts(reason):
            spoiled = tuple((claim | {field: value}).values())
            system.anchor.claim_again(0, spoiled, sender=system.mallory)
    with boa.reverts("anchor: no such batch"):
        system.anchor.claim_again(1, tuple(claim.values()), sender=system.mallory)


def test_honest_descendant_claimant_loses_nothing(system: System) -> None:
    system.install_game()
    system.post()
    system.post()
    system.anchor.void_claim(0, 0, 0, sender=system.game)
    system.anchor.deposit_bond(sender=system.operator, value=PAID)
    system.claim_again(0, naive.keccak(b"wrong again"), system.operator)
    system.claim_again(1, naive.keccak(b"built on it"), system.mallory)
    system.void(0, 1)
    assert system.anchor.bond_of(system.mallory) == 10 * ETHER + RESERVES
    assert system.anchor.open_claims_of(system.mallory) == 0
    assert system.anchor.bond_of(system.operator) == 10 * ETHER + RESERVES - PAID
    system.anchor.withdraw_bond(10 * ETHER, sender=system.mallory)


def test_void_of_a_whole_pipeline_fits_a_transaction(system: System) -> None:
    system.install_game()
    for _ in range(64):
        system.post()
    system.void(0)
    assert system.anchor.open_claims_of(system.operator) == 0
    assert {_status(system, batch) for batch in range(64)} == {VOID}
    assert system.anchor._computation.get_gas_used() < 2_500_000


# --- rivals ---------------------------------------------------------------------------------------


def test_a_rival_keeps_a_claim_from_becoming_final(system: System) -> None:
    system.install_game()
    system.post()
    system.post()
    rival = system.join(1, naive.keccak(b"another"), system.alice)
    assert (system.anchor.live_count(1), system.anchor.active_claim(1)) == (2, 0)
    assert system.finalize_all() == 1
    wait(10 * WINDOW)
    with boa.reverts("anchor: nothing to finalize"):
        system.anchor.finalize(64, sender=system.alice)
    system.void(1, rival, 0)
    assert system.anchor.finalize(64, sender=system.alice) == 2
    # A rival that loses takes nobody with it, and pays its own bond.
    assert system.anchor.credit_of(system.operator) == BOND // 2
    with boa.reverts("anchor: bond is paid out"):
        system.anchor.release(1, rival, sender=system.alice)


def test_a_rival_waits_for_a_game(system: System) -> None:
    """Nobody could decide between the two, and the batch would never become final."""
    system.post()
    claim = system.claim(naive.keccak(b"another"), batch=0)
    with boa.reverts("anchor: no game is set"):
        system.join_raw(0, claim, BOND)
    system.install_game()
    with boa.reverts("anchor: window is closed"):
        system.join_raw(0, claim, BOND)
    assert system.anchor.finalize(1) == 1


def test_a_rival_is_refused_by_name(system: System) -> None:
    system.install_game()
    with boa.reverts("anchor: no such batch"):
        system.join_raw(0, system.claim(naive.keccak(b"x")), BOND)
    first = system.image.state().root
    system.post(end_root=first)
    right = system.claim(naive.keccak(b"right"), batch=0)
    with boa.reverts("anchor: value is not the bond"):
        system.join_raw(0, right, BOND - 1)
    with boa.reverts("anchor: start root differs"):
        system.join_raw(0, right | {"start_root": bytes(32)}, BOND)
    with boa.reverts("anchor: claim does not open to its end root"):
        system.join_raw(0, right | {"end_root": bytes(32)}, BOND)
    with boa.reverts("anchor: claim has been made"):
        system.join_raw(0, system.claim(first, batch=0), BOND)
    wait(WINDOW - 1)
    system.join_raw(0, right, BOND)
    with boa.reverts("anchor: claim has been made"):
        system.join_raw(0, right, BOND)
    wait(1)
    with boa.reverts("anchor: window is closed"):
        system.join_raw(0, system.claim(naive.keccak(b"late"), batch=0), BOND)
    system.void(0, 1)
    system.void(0, 0)
    with boa.reverts("anchor: batch has no live claim"):
        system.join_raw(0, system.claim(naive.keccak(b"none"), batch=0), BOND)
    # A new round has seen nothing yet.
    system.claim_again(0, naive.keccak(b"right"), system.mallory)
    assert system.anchor.claim_of(0, 2).round > system.anchor.claim_of(0, 1).round


def test_when_both_of_a_match_have_lost_another_rival_is_promoted(system: System) -> None:
    system.install_game()
    system.post()
    system.post()
    wrong = system.join(0, naive.keccak(b"wrong"), system.alice)
    right = system.join(0, naive.keccak(b"right"), system.bob)
    with boa.reverts("anchor: batch has an active claim"):
        system.anchor.promote(0, right)
    system.void(0, 0)
    system.void(0, wrong)
    assert (system.anchor.live_count(0), system.anchor.live_count(1)) == (1, 0)
    with boa.reverts("anchor: batch has a live claim"):
        system.claim_again(0, naive.keccak(b"again"), system.mallory)
    with boa.reverts("anchor: claim is not live"):
        system.anchor.promote(0, wrong)
    wait(WINDOW)
    with boa.reverts("anchor: nothing to finalize"):
        system.anchor.finalize(1)
    system.anchor.promote(0, right, sender=system.carol)
    assert system.anchor.finalize(1) == 1
    assert system.anchor.final_root(0) == naive.keccak(b"right")
    system.anchor.release(0, right)
    assert system.anchor.credit_of(system.bob) == BOND
    with boa.reverts("anchor: bond is paid out"):
        system.anchor.release(0, right)
    with boa.reverts("anchor: claim has no bond of its own"):
        system.anchor.release(0, 0)


def test_a_winner_must_live_and_be_another(system: System) -> None:
    system.install_game()
    system.post()
    rival = system.join(0, naive.keccak(b"rival"), system.alice)
    with boa.reverts("anchor: winner is the loser"):
        system.void(0, rival, rival)
    with boa.reverts("anchor: winner is not live"):
        system.void(0, 0, 5)


def test_each_open_claim_holds_a_reserve(system: System) -> None:
    """The second lie of a pipeline costs too, also when the bond is gone."""
    system.anchor.withdraw_bond(RESERVES - 2 * RESERVE, sender=system.operator)
    system.install_game()
    system.post()
    system.post()
    with boa.reverts("anchor: bond is too small"):
        system.post()
    later = system.join(1, naive.keccak(b"right 1"), system.alice)
    system.void(1, 0, later)
    assert system.anchor.credit_of(system.alice) == PAID // 2
    earlier = system.join(0, naive.keccak(b"right 0"), system.bob)
    system.void(0, 0, earlier)
    assert system.anchor.credit_of(system.bob) == RESERVE // 2
    assert system.anchor.bond_of(system.operator) == 0


# --- bonds ----------------------------------------------------------------------------------------


def test_bond_goes_in_and_out_while_no_claim_is_open(system: System) -> None:
    before = boa.env.get_balance(system.alice)
    system.anchor.deposit_bond(sender=system.alice, value=5 * ETHER)
    with boa.reverts("anchor: bond is smaller"):
        system.anchor.withdraw_bond(5 * ETHER + 1, sender=system.alice)
    with boa.reverts("anchor: amount is zero"):
        system.anchor.withdraw_bond(0, sender=system.alice)
    with boa.reverts("anchor: value is zero"):
        system.anchor.deposit_bond(sender=system.alice)
    system.anchor.withdraw_bond(2 * ETHER, sender=system.alice)
    system.anchor.withdraw_bond(3 * ETHER, sender=system.alice)
    assert boa.env.get_balance(system.alice) == before
    assert system.anchor.bond_of(system.alice) == 0


def test_bond_is_free_again_when_everything_is_final(system: System) -> None:
    system.post()
    system.post()
    with boa.reverts("anchor: claims are open"):
        system.anchor.withdraw_bond(1, sender=system.operator)
    system.finalize_all()
    system.anchor.withdraw_bond(BOND, sender=system.operator)


def test_credit_is_pulled_once(system: System) -> None:
    system.install_game()
    system.post()
    system.void(0, 0, system.join(0, naive.keccak(b"right"), system.alice))
    before = boa.env.get_balance(system.alice)
    system.anchor.withdraw_credit(sender=system.alice)
    assert boa.env.get_balance(system.alice) == before + PAID // 2
    for who in (system.alice, system.bob):
        with boa.reverts("anchor: no credit"):
            system.anchor.withdraw_credit(sender=who)


def test_without_a_winner_all_is_burnt(system: System) -> None:
    system.install_game()
    system.post()
    system.anchor.void_claim(0, 0, 0, sender=system.game)
    assert system.anchor.burnt_wei() == PAID
    assert system.anchor.credit_of(ZERO) == 0


def test_reentrant_claimant_takes_its_bond_once(system: System) -> None:
    thief = boa.loads(
        """
# pragma version 0.4.3
interface Anchor:
    def deposit_bond(): payable
    def withdraw_bond(amount_wei: uint256): nonpayable
anchor: Anchor
again: uint256
@deploy
def __init__(anchor: address):
    self.anchor = Anchor(anchor)
@external
@payable
def fund():
    extcall self.anchor.deposit_bond(value=msg.value)
@external
def steal(amount_wei: uint256):
    self.again = amount_wei
    extcall self.anchor.withdraw_bond(amount_wei)
@external
@payable
def __default__():
    if self.again > 0:
        extcall self.anchor.withdraw_bond(self.again)
""",
        system.anchor.address,
    )
    thief.fund(sender=system.mallory, value=4 * ETHER)
    with pytest.raises(boa.BoaError):
        thief.steal(2 * ETHER, sender=system.mallory)
    assert boa.env.get_balance(system.anchor.address) == 25 * ETHER + 3 * RESERVES
    assert system.anchor.bond_of(thief.address) == 4 * ETHER


# --- operator, game, owner ------------------------------------------------------------------------


def test_operator_changes_only_behind_the_delay(system: System) -> None:
    delay = CONFIG["admin_delay_s"]
    with boa.reverts("owned: caller is not the owner"):
        system.anchor.propose_operator(system.bob, sender=system.operator)
    with boa.reverts("anchor: nothing is proposed"):
        system.anchor.change_operator(sender=system.alice)
    system.anchor.propose_operator(system.alice, sender=system.owner)
    wait(delay - 1)
    with boa.reverts("anchor: proposal is not ready"):
        system.anchor.change_operator(sender=system.alice)
    # Another announcement begins the wait anew; zero only cancels.
    system.anchor.propose_operator(system.mallory, sender=system.owner)
    wait(1)
    with boa.reverts("anchor: proposal is not ready"):
        system.anchor.change_operator(sender=system.alice)
    wait(delay)
    system.anchor.change_operator(sender=system.alice)
    assert (system.anchor.operator(), system.anchor.epoch()) == (system.mallory, 2)
    with boa.reverts("anchor: caller is not the operator"):
        system.post()
    system.post(sender=system.mallory)
    system.anchor.propose_operator(system.bob, sender=system.owner)
    system.anchor.propose_operator(ZERO, sender=system.owner)
    wait(delay)
    with boa.reverts("anchor: nothing is proposed"):
        system.anchor.change_operator(sender=system.alice)


def test_game_is_set_once_behind_the_delay(system: System) -> None:
    with boa.reverts("owned: caller is not the owner"):
        system.anchor.propose_game(system.game, sender=system.game)
    with boa.reverts("anchor: nothing is proposed"):
        system.anchor.set_game(sender=system.alice)
    system.anchor.propose_game(system.game, sender=system.owner)
    with boa.reverts("anchor: proposal is not ready"):
        system.anchor.set_game(sender=system.alice)
    wait(CONFIG["admin_delay_s"])
    system.anchor.set_game(sender=system.alice)
    assert system.anchor.game() == system.game
    with boa.reverts("anchor: game is set"):
        system.anchor.propose_game(system.mallory, sender=system.owner)
    with boa.reverts("anchor: nothing is proposed"):
        system.anchor.set_game(sender=system.alice)


@pytest.mark.parametrize("name", ["anchor", "inbox", "vault"])
def test_ownership_moves_in_two_steps(system: System, name: str) -> None:
    contract = getattr(system, name)
    with boa.reverts("owned: caller is not the owner"):
        contract.offer_ownership(system.alice, sender=system.alice)
    contract.offer_ownership(system.alice, sender=system.owner)
    assert (contract.owner(), contract.next_owner()) == (system.owner, system.alice)
    with boa.reverts("owned: not offered to the caller"):
        contract.take_ownership(sender=system.owner)
    contract.take_ownership(sender=system.alice)
    assert (contract.owner(), contract.next_owner()) == (system.alice, ZERO)
    with boa.reverts("owned: caller is not the owner"):
        contract.offer_ownership(system.owner, sender=system.owner)


def test_no_one_can_take_ownership_offered_to_nobody(system: System) -> None:
    with boa.reverts("owned: not offered to the caller"):
        system.anchor.take_ownership(sender=system.mallory)
