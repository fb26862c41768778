"""The vault and tokens that do not behave."""

from collections.abc import Callable
from typing import Any

import boa
import pytest
from tests.contracts.nasty_tokens import FEE, SAYS_FALSE, SENDER_FEE, returning_token, silent_token
from tests.contracts.system import System

ASSET = 5


def _register(system: System, token: Any) -> Any:
    system.vault.register_asset(ASSET, token.address, 6, 2**50, 10, sender=system.owner)
    token.mint(system.alice, 10_000, sender=system.alice)
    return token


def _deposit(system: System, amount: int) -> None:
    item = system.vault.deposit(ASSET, amount, system.alice, 0, sender=system.alice)
    message = b"\x90" + ASSET.to_bytes(2, "big") + amount.to_bytes(8, "big")
    system.items.append(message + bytes.fromhex(system.alice[2:]) + b"\0")
    assert item == len(system.items) - 1


def _final_withdrawal(system: System, amount: int) -> Callable[[], None]:
    withdrawal = system.image.issue(ASSET, system.carol, amount)
    number, state = system.post_final()
    return lambda: system.withdraw(withdrawal, state, number)


def test_token_without_return_value_works(system: System) -> None:
    token = _register(system, silent_token())
    _deposit(system, 1_000)
    _final_withdrawal(system, 600)()
    assert (token.balanceOf(system.carol), system.vault.accounted(ASSET)) == (600, 400)


def test_token_that_says_false_is_refused_in_and_out(system: System) -> None:
    token = _register(system, returning_token())
    _deposit(system, 1_000)
    pay = _final_withdrawal(system, 600)
    token.set_mode(SAYS_FALSE)
    with boa.reverts("vault: transfer failed"):
        _deposit(system, 1_000)
    with boa.reverts("vault: transfer failed"):
        pay()
    assert (system.vault.accounted(ASSET), system.inbox.count()) == (1_000, 2)
    assert not system.vault.is_paid(0)
    token.set_mode(0)
    pay()


def test_fee_on_the_way_in_is_refused(system: System) -> None:
    token = _register(system, returning_token())
    token.set_mode(FEE)
    with boa.reverts("vault: token moved another amount"):
        _deposit(system, 1_000)
    assert (system.vault.accounted(ASSET), system.inbox.count()) == (0, 1)


def test_fee_at_the_vaults_expense_is_refused_on_the_way_out(system: System) -> None:
    token = _register(system, returning_token())
    _deposit(system, 1_000)
    pay = _final_withdrawal(system, 600)
    token.set_mode(SENDER_FEE)
    with boa.reverts("vault: token moved another amount"):
        pay()
    assert token.balanceOf(system.vault.address) == 1_000


@pytest.mark.parametrize("name", ["deposit", "withdraw", "transfer_claim"])
def test_reentrant_token_gains_nothing(system: System, name: str) -> None:
    token = _register(system, returning_token())
    token.mint(token.address, 10_000, sender=system.alice)
    _deposit(system, 2_000)
    # The token itself owns the claim where it is to sell it.
    recipient = token.address if name == "transfer_claim" else system.carol
    withdrawal = system.image.issue(ASSET, recipient, 600)
    state = system.image.state()
    number = system.post(end_root=state.root)
    system.finalize_all()
    root, siblings, image_siblings = state.proof(withdrawal)
    payload = {
        "deposit": system.vault.deposit.prepare_calldata(ASSET, 1_000, system.mallory, 0),
        "withdraw": system.vault.withdraw.prepare_calldata(
            withdrawal.claim, number, root, siblings, image_siblings
        ),
        "transfer_claim": system.vault.transfer_claim.prepare_calldata(
            withdrawal.claim, system.mallory
        ),
    }[name]
    # Proof that the attack is real: outside a transfer the same call succeeds.
    with boa.env.anchor():
        assert boa.env.raw_call(system.vault.address, data=payload, sender=token.address).is_success
    token.arm(system.vault.address, payload)
    _deposit(system, 1_000)
    assert (token.attacked(), token.succeeded()) == (1, 0)
    system.withdraw(withdrawal, state, number)
    assert (token.attacked(), token.succeeded()) == (2, 0)
    assert system.vault.accounted(ASSET) == token.balanceOf(system.vault.address) == 2_400
    with boa.reverts("vault: already paid"):
        system.withdraw(withdrawal, state, number)
