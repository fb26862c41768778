"""Budgets: code size against the chain's limits, gas against what docs/contracts.md states.

Execution gas only, without the transaction's base and calldata cost; `bench/contract_gas.py`
measures whole transactions on a chain.
"""

import random

import boa
import pytest
from tests.contracts import naive
from tests.contracts.system import CONFIG, CONTINUE, PRICES, System, wait

RUNTIME_BYTES_MAX = 24_576
INIT_BYTES_MAX = 49_152


def test_contracts_fit_the_limits_of_the_chain(system: System) -> None:
    for contract in (system.inbox, system.anchor, system.vault, system.usdc):
        size = len(boa.env.get_code(contract.address))
        assert 0 < size <= RUNTIME_BYTES_MAX, f"{contract}: {size} bytes"
    sources = system.sources
    for deployer in (sources.inbox, sources.anchor, sources.vault, sources.token):
        assert len(deployer.compiler_data.bytecode) <= INIT_BYTES_MAX


def test_gas_of_posting_a_full_batch_stays_below_the_calldata_floor(
    system: System, rng: random.Random
) -> None:
    """The floor is 40 gas per random byte, 16 of them are also charged beside execution."""
    messages = [rng.randbytes(129) for _ in range(896)]
    data = naive.posted(messages)
    assert 119_000 < len(data) <= 120_000
    system.send(system.batch(messages))
    used = system.anchor._computation.get_gas_used()
    assert used < (40 - 16) * len(data)
    print(f"{system.sources.codegen}: {used} gas, {used * 32 / len(data):.0f} per leaf")
    assert used < {"legacy": 1_200_000, "venom": 1_100_000}[system.sources.codegen]


BUDGETS = {
    "post 1 message": 400_000,
    "post 64 items": 460_000,
    "finalize 1": 35_000,
    "deposit": 125_000,
    "forced cancel": 65_000,
    "withdraw": 80_000,
    "transfer claim": 35_000,
}


@pytest.mark.parametrize("name", list(BUDGETS))
def test_gas_stays_within_its_budget(system: System, name: str) -> None:
    contract = system.anchor
    system.post()
    if name == "post 1 message":
        system.post([CONTINUE])
    elif name == "post 64 items":
        for _ in range(64):
            system.forced_cancel(system.alice)
        system.post([])
    elif name == "finalize 1":
        system.finalize_all()
    elif name == "deposit":
        contract = system.vault
        system.deposit(system.alice, 0, 1_000)
    elif name == "forced cancel":
        contract = system.inbox
        system.forced_cancel(system.alice)
    else:
        contract = system.vault
        system.deposit(system.alice, 0, 1_000)
        withdrawal = system.image.issue(0, system.alice, 500)
        number, state = system.post_final()
        if name == "withdraw":
            system.withdraw(withdrawal, state, number)
        else:
            system.vault.transfer_claim(withdrawal.claim, system.bob, sender=system.alice)
    used = contract._computation.get_gas_used()
    print(f"{name} by {system.sources.codegen}: {used} gas")
    assert used < BUDGETS[name]


def _fall(system: System, rivals: int) -> int:
    """Gas of a fall of five batches with so many rivals each; their bonds come back."""
    with boa.env.anchor():
        for number in range(6):
            system.post()
            for k in range(rivals if number else 0):
                system.join(number, naive.keccak(bytes([number, k])), system.alice)
        system.join(0, naive.keccak(b"right"), system.bob)
        system.void(0, 0, 1)
        used = system.anchor._computation.get_gas_used()
        for number in range(1, 6):
            assert system.anchor.live_count(number) == 0
            for index in range(1, rivals + 1):
                system.anchor.release(number, index, sender=system.carol)
        assert system.anchor.credit_of(system.alice) == 5 * rivals * CONFIG["bond_wei"]
    return int(used)


def test_a_fall_costs_the_same_however_many_claims_fall(system: System) -> None:
    """Chapter 11.6, 14: a fallen round ends in one word, whoever competes in it."""
    system.install_game()
    alone = _fall(system, 0)
    print(f"5 batches fall by {system.sources.codegen}: {alone} gas")
    assert alone < 100_000
    assert _fall(system, 1) == _fall(system, 7) == alone


def test_a_fall_of_the_longest_pipeline_fits_a_transaction(system: System) -> None:
    """64 batches and the eight places of forced ones: 71 fall with the first."""
    system.install_game()
    for _ in range(64):
        system.post()
    for _ in range(8):
        system.forced_cancel(system.alice)
        wait(CONFIG["forced_delay_s"])
        system.post(messages=(PRICES,), forced=True, sender=system.mallory)
    wait(CONFIG["forced_delay_s"])
    system.forced_cancel(system.alice)
    wait(CONFIG["forced_delay_s"])
    with boa.reverts("anchor: pipeline is full"):
        system.post(messages=(PRICES,), forced=True, sender=system.mallory)
    system.void(0)
    used = system.anchor._computation.get_gas_used()
    print(f"71 batches fall by {system.sources.codegen}: {used} gas")
    assert used < 500_000
    assert system.anchor.open_claims_of(system.operator) == 0
    assert system.anchor.open_claims_of(system.mallory) == 0
    assert {system.anchor.live_count(number) for number in range(72)} == {0}
