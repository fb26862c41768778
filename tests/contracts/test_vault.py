"""The vault: what comes in, who is paid, once, and never by a root that is not final."""

import random
from typing import Any

import boa
import pytest
from tests.contracts import naive
from tests.contracts.system import ZERO, System, Withdrawal

USDC, WBTC, DAI = 0, 1, 2


# --- assets ---------------------------------------------------------------------------------------


def test_asset_is_registered_once_with_its_scale(system: System) -> None:
    assert system.vault.assets(DAI).scale == 10**10
    assert system.vault.assets(USDC).scale == 1
    token = system.sources.token.deploy("Other", "OTH", 18)
    address = token.address
    cases = [
        (system.owner, (USDC, address, 8, 1, 1), "vault: asset is registered"),
        (system.owner, (9, ZERO, 8, 1, 1), "vault: token is zero"),
        (system.owner, (9, system.usdc.address, 6, 1, 1), "vault: token is registered"),
        (system.owner, (9, address, 9, 1, 1), "vault: unit has too many decimals"),
        (system.owner, (9, address, 8, 1, 0), "vault: minimum is zero"),
        (system.owner, (9, address, 8, 1, 2**53 + 1), "vault: minimum is too large"),
        (system.owner, (9, address, 8, 2**56 + 1, 1), "vault: cap is too large"),
        (system.alice, (9, address, 8, 1, 1), "owned: caller is not the owner"),
    ]
    for sender, arguments, reason in cases:
        with boa.reverts(reason):
            system.vault.register_asset(*arguments, sender=sender)
    system.vault.register_asset(9, address, 0, 1, 1, sender=system.owner)
    assert system.vault.assets(9).scale == 10**18
    coarse = system.sources.token.deploy("Coarse", "CRS", 2)
    with boa.reverts("vault: unit is finer than the token"):
        system.vault.register_asset(10, coarse.address, 3, 1, 1, sender=system.owner)
    fine = system.sources.token.deploy("Fine", "FIN", 37)
    with boa.reverts("vault: token has too many decimals"):
        system.vault.register_asset(10, fine.address, 3, 1, 1, sender=system.owner)


def test_cap_stops_deposits_only(system: System) -> None:
    with boa.reverts("owned: caller is not the owner"):
        system.vault.set_cap(USDC, 0, sender=system.alice)
    with boa.reverts("vault: asset is not registered"):
        system.vault.set_cap(9, 0, sender=system.owner)
    with boa.reverts("vault: cap is too large"):
        system.vault.set_cap(USDC, 2**56 + 1, sender=system.owner)
    system.deposit(system.alice, USDC, 600)
    system.vault.set_cap(USDC, 1_000, sender=system.owner)
    with boa.reverts("vault: cap is reached"):
        system.deposit(system.alice, USDC, 401)
    system.deposit(system.alice, USDC, 400)
    system.vault.set_cap(USDC, 0, sender=system.owner)
    with boa.reverts("vault: cap is reached"):
        system.deposit(system.alice, USDC, 10)
    withdrawal = system.image.issue(USDC, system.alice, 1_000)
    number, state = system.post_final()
    system.withdraw(withdrawal, state, number)
    assert system.usdc.balanceOf(system.alice) >= 1_000


# --- deposits -------------------------------------------------------------------------------------


def test_deposit_counts_units_and_tells_the_program(system: System) -> None:
    system.deposit(system.alice, DAI, 25 * 10**17, subaccount=3)
    assert system.vault.accounted(DAI) == 25 * 10**7
    assert system.dai.balanceOf(system.vault.address) == 25 * 10**17
    message = system.items[-1]
    assert message[1:11] == (2).to_bytes(2, "big") + (25 * 10**7).to_bytes(8, "big")
    assert message[31] == 3
    last = naive.keccak(system.inbox.accumulator(1) + naive.slot_root(message))
    assert system.inbox.accumulator(2) == last


def test_deposit_for_someone_else(system: System) -> None:
    system.usdc.mint(system.alice, 100, sender=system.alice)
    system.usdc.approve(system.vault.address, 100, sender=system.alice)
    assert system.vault.deposit(USDC, 100, system.bob, 0, sender=system.alice) == 1
    (event,) = (e for e in system.vault.get_logs() if type(e).__name__ == "Deposited")
    assert (event.owner, event.sender, event.amount_units) == (system.bob, system.alice, 100)


def test_bad_deposit_is_refused(system: System) -> None:
    for token in (system.usdc, system.dai):
        token.mint(system.alice, 2**200, sender=system.alice)
        token.approve(system.vault.address, 2**200, sender=system.alice)
    cases = [
        ((9, 100, system.alice, 0), "vault: asset is not registered"),
        ((USDC, 100, ZERO, 0), "vault: owner is zero"),
        ((USDC, 0, system.alice, 0), "vault: amount is zero"),
        ((DAI, 10**18 + 1, system.alice, 0), "vault: amount is off the scale"),
        ((DAI, 10**10 - 1, system.alice, 0), "vault: amount is off the scale"),
        ((USDC, 2**53 + 1, system.alice, 0), "vault: amount is too large"),
        ((DAI, 2**190 * 10**10, system.alice, 0), "vault: amount is too large"),
        ((USDC, 9, system.alice, 0), "vault: amount is below the minimum"),
    ]
    for arguments, reason in cases:
        with boa.reverts(reason):
            system.vault.deposit(*arguments, sender=system.alice)
    assert system.vault.accounted(USDC) == system.vault.accounted(DAI) == 0
    system.vault.deposit(USDC, 2**53, system.alice, 0, sender=system.alice)
    with boa.reverts("token: allowance is too small"):
        system.vault.deposit(USDC, 100, system.bob, 0, sender=system.bob)


# --- withdrawals ----------------------------------------------------------------------------------


@pytest.fixture
def funded(system: System) -> System:
    """Money of two assets in the vault."""
    system.deposit(system.alice, USDC, 10_000)
    system.deposit(system.bob, DAI, 50 * 10**18)
    return system


def test_proven_withdrawal_is_paid_once(funded: System) -> None:
    system = funded
    first = system.image.issue(USDC, system.carol, 4_000)
    second = system.image.issue(DAI, system.carol, 10**8)
    number, state = system.post_final()
    for withdrawal, token, amount in ((first, system.usdc, 4_000), (second, system.dai, 10**18)):
        before = token.balanceOf(system.vault.address)
        accounted = system.vault.accounted(withdrawal.asset)
        assert not system.vault.is_paid(withdrawal.id)
        system.withdraw(withdrawal, state, number)
        (event,) = (e for e in system.vault.get_logs() if type(e).__name__ == "Withdrawn")
        assert (event.id, event.owner, event.recipient) == (
            withdrawal.id, system.carol, system.carol,
        )  # fmt: skip
        assert token.balanceOf(system.carol) == amount
        assert token.balanceOf(system.vault.address) == before - amount
        assert system.vault.accounted(withdrawal.asset) == accounted - withdrawal.amount_units
        assert system.vault.is_paid(withdrawal.id)
        with boa.reverts("vault: already paid"):
            system.withdraw(withdrawal, state, number)


def test_withdrawal_is_provable_under_every_later_final_root(funded: System) -> None:
    system = funded
    withdrawals, states = [], []
    for index in range(4):
        withdrawals.append(system.image.issue(USDC, system.carol, 100 + index))
        state = system.image.state()
        states.append((system.post(end_root=state.root), state))
    system.finalize_all()
    system.withdraw(withdrawals[0], states[3][1], states[3][0])
    system.withdraw(withdrawals[1], states[1][1], states[1][0])
    # A proof under one root is none under another.
    with boa.reverts("vault: not in the final image"):
        system.withdraw(withdrawals[2], states[3][1], states[2][0])
    with boa.reverts("vault: already paid"):
        system.withdraw(withdrawals[0], states[0][1], states[0][0])
    system.withdraw(withdrawals[3], states[3][1], states[3][0])
    assert system.usdc.balanceOf(system.carol) == 100 + 101 + 103


def test_root_that_is_not_final_pays_nothing(funded: System) -> None:
    system = funded
    withdrawal = system.image.issue(USDC, system.carol, 100)
    state = system.image.state()
    number = system.post(end_root=state.root)
    for batch in (number, number + 1, 2**255):
        with boa.reverts("anchor: batch is not final"):
            system.withdraw(withdrawal, state, batch)
    system.finalize_all()
    system.withdraw(withdrawal, state, number)


def test_voided_claim_never_pays(funded: System) -> None:
    system = funded
    system.install_game()
    stolen = system.image.issue(USDC, system.mallory, 10_000)
    false_state = system.image.state()
    number = system.post(end_root=false_state.root)
    system.void(number)
    system.image.withdrawals.clear()
    right = system.image.issue(USDC, system.carol, 500)
    true_state = system.image.state()
    system.claim_again(number, true_state.root, system.mallory)
    system.finalize_all()
    with boa.reverts("vault: not in the final image"):
        system.withdraw(stolen, false_state, number)
    system.withdraw(right, true_state, number)


def test_any_flipped_bit_of_a_proof_reverts(funded: System, rng: random.Random) -> None:
    system = funded
    for index in range(5):
        system.image.issue(USDC, system.carol, 100 + index)
    number, state = system.post_final()
    withdrawal = system.image.withdrawals[2]
    root, siblings, image_siblings = state.proof(withdrawal)

    def flip(data: bytes) -> bytes:
        bit = rng.randrange(8 * len(data))
        return (int.from_bytes(data, "big") ^ 1 << bit).to_bytes(len(data), "big")

    def call(claim: Any, root: bytes, siblings: list[bytes], image_siblings: list[bytes]) -> None:
        system.vault.withdraw(claim, number, root, siblings, image_siblings, sender=system.bob)

    claim = withdrawal.claim
    for level in range(32):
        spoiled = [*siblings[:level], flip(siblings[level]), *siblings[level + 1 :]]
        with boa.reverts("vault: not in the withdrawal tree"):
            call(claim, root, spoiled, image_siblings)
    for level in range(29):
        spoiled = [
            *image_siblings[:level], flip(image_siblings[level]), *image_siblings[level + 1 :],
        ]  # fmt: skip
        with boa.reverts("vault: not in the final image"):
            call(claim, root, siblings, spoiled)
    for _ in range(8):
        with boa.reverts("vault: not in the withdrawal tree"):
            call(claim, flip(root), siblings, image_siblings)
    for field in range(4):
        for _ in range(6):
            values = list(claim)
            if field == 2:
                values[2] = "0x" + flip(bytes.fromhex(claim[2][2:])).hex()
            else:
                values[field] = claim[field] ^ 1 << rng.randrange(32 if field == 0 else 256)
            with boa.reverts("vault: not in the withdrawal tree"):
                call(tuple(values), root, siblings, image_siblings)
    call(claim, root, siblings, image_siblings)


def test_id_beyond_the_tree_is_no_second_name_of_a_leaf(funded: System) -> None:
    system = funded
    withdrawal = system.image.issue(USDC, system.carol, 100)
    number, state = system.post_final()
    alias = Withdrawal(2**32, USDC, system.carol, 100)
    root, siblings, image_siblings = state.proof(withdrawal)
    with boa.reverts("vault: id is too large"):
        system.vault.withdraw(
            alias.claim, number, root, siblings, image_siblings, sender=system.bob
        )


def test_wrong_image_cannot_spend_more_than_accounted(funded: System) -> None:
    """Even a final root that breaks P5 takes nothing of other assets, nor more than came in."""
    system = funded
    too_much = system.image.issue(USDC, system.mallory, 10_001)
    unknown = system.image.issue(7, system.mallory, 1)
    number, state = system.post_final()
    system.usdc.mint(system.vault.address, 5_000, sender=system.alice)
    with boa.reverts("vault: more than accounted"):
        system.withdraw(too_much, state, number)
    with boa.reverts("vault: asset is not registered"):
        system.withdraw(unknown, state, number)


# --- transferable claims --------------------------------------------------------------------------


def test_bought_claim_pays_the_buyer_once(funded: System) -> None:
    system = funded
    withdrawal = system.image.issue(USDC, system.carol, 700)
    # Sold before any root is posted, let alone final.
    assert system.vault.claim_owner(withdrawal.claim) == system.carol
    system.vault.transfer_claim(withdrawal.claim, system.bob, sender=system.carol)
    assert system.vault.claim_owner(withdrawal.claim) == system.bob
    with boa.reverts("vault: caller does not own the claim"):
        system.vault.transfer_claim(withdrawal.claim, system.mallory, sender=system.carol)
    number, state = system.post_final()
    system.vault.transfer_claim(withdrawal.claim, system.alice, sender=system.bob)
    before = system.usdc.balanceOf(system.alice)
    system.withdraw(withdrawal, state, number)
    assert system.usdc.balanceOf(system.alice) == before + 700
    assert system.usdc.balanceOf(system.carol) == system.usdc.balanceOf(system.bob) == 0
    with boa.reverts("vault: already paid"):
        system.withdraw(withdrawal, state, number)
    with boa.reverts("vault: already paid"):
        system.vault.transfer_claim(withdrawal.claim, system.carol, sender=system.alice)


def test_claim_is_not_given_to_nobody(funded: System) -> None:
    system = funded
    withdrawal = system.image.issue(USDC, system.carol, 700)
    with boa.reverts("vault: new owner is zero"):
        system.vault.transfer_claim(withdrawal.claim, ZERO, sender=system.carol)
    with boa.reverts("vault: new owner is the vault"):
        system.vault.transfer_claim(withdrawal.claim, system.vault.address, sender=system.carol)


def test_made_up_claim_hurts_nobody(funded: System) -> None:
    """Same id, other fields: another leaf, which never pays and owns nothing."""
    system = funded
    withdrawal = system.image.issue(USDC, system.carol, 700)
    for fake in (
        Withdrawal(withdrawal.id, USDC, system.mallory, 700),
        Withdrawal(withdrawal.id, USDC, system.mallory, 10_000),
    ):
        system.vault.transfer_claim(fake.claim, system.bob, sender=system.mallory)
    with boa.reverts("vault: caller does not own the claim"):
        system.vault.transfer_claim(withdrawal.claim, system.mallory, sender=system.mallory)
    assert system.vault.claim_owner(withdrawal.claim) == system.carol
    number, state = system.post_final()
    root, siblings, image_siblings = state.proof(withdrawal)
    with boa.reverts("vault: not in the withdrawal tree"):
        fake_claim = Withdrawal(withdrawal.id, USDC, system.mallory, 700).claim
        system.vault.withdraw(
            fake_claim, number, root, siblings, image_siblings, sender=system.mallory
        )
    system.withdraw(withdrawal, state, number)
    assert system.usdc.balanceOf(system.carol) == 700


def test_paid_bitmap_keeps_neighbours_apart(funded: System) -> None:
    system = funded
    for index in range(260):
        system.image.issue(USDC, system.carol, 1 + index % 3)
    number, state = system.post_final()
    chosen = (0, 1, 254, 255, 256, 259)
    for chosen_id in chosen:
        system.withdraw(system.image.withdrawals[chosen_id], state, number)
    paid = {index for index in range(260) if system.vault.is_paid(index)}
    assert paid == set(chosen)


def test_deployment_needs_its_neighbours(system: System) -> None:
    with boa.reverts("vault: inbox is zero"):
        system.sources.vault.deploy(system.owner, ZERO, system.anchor.address)
    with boa.reverts("vault: anchor is zero"):
        system.sources.vault.deploy(system.owner, system.inbox.address, ZERO)
    with boa.reverts("owned: owner is zero"):
        system.sources.vault.deploy(ZERO, system.inbox.address, system.anchor.address)
    assert (system.vault.inbox(), system.vault.anchor()) == (
        system.inbox.address, system.anchor.address,
    )  # fmt: skip
