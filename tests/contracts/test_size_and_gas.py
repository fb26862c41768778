"""Budgets: code size against the chain's limits, gas against what docs/contracts.md states.

Execution gas only, without the transaction's base and calldata cost; `bench/contract_gas.py`
measures whole transactions on a chain.
"""

import random

import boa
import pytest
from tests.contracts import naive
from tests.contracts.system import CONTINUE, System

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
