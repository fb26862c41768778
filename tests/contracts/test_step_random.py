"""The step contract, by both compilers, against the naive reference on random states.

PROVENUE_STEPS=N  how many; 10,000 for a release (`make conformance`)
"""

import random

import pytest
from tests.contracts import step_cases as cases
from tests.contracts.step_contract import CODEGENS, PyEvmStep, bytecode_of


@pytest.mark.timeout(60 + cases.STEPS)
def test_random_states_step_as_the_reference_does(
    step_contracts: cases.Contracts, rng: random.Random
) -> None:
    for number in range(cases.STEPS):
        machine, effect = cases.random_machine(rng)
        cases.expect(step_contracts, machine, effect, f"step {number}")


def test_random_states_reach_every_kind_of_step(rng: random.Random) -> None:
    """Of the generator, not of the contract: what it never makes is not tested."""
    found = cases.tally(cases.random_machine(rng) for _ in range(300))
    assert set(found) == {"retire", "trap", "load", "store", "call"}
    assert min(found.values()) >= 10, found


@pytest.mark.parametrize("codegen", CODEGENS)
def test_another_evm_agrees(codegen: str, rng: random.Random) -> None:
    """py-evm, with its own keccak and secp256k1, on some."""
    slow = {codegen: PyEvmStep(bytecode_of(codegen))}
    for number in range(40):
        machine, effect = cases.random_machine(rng)
        cases.expect(slow, machine, effect, f"step {number}")


def test_runs_of_steps_stay_together(step_contracts: cases.Contracts, rng: random.Random) -> None:
    """Several steps of one machine, each from the state and the memory that the last one left."""
    for _ in range(10):
        machine, effect = cases.random_machine(rng)
        for _ in range(10):
            cases.expect(step_contracts, machine, effect)
            machine.status, machine.pc = 0, 0x7800_0000 + 4 * rng.randrange(64)
            machine.end_of_text = 0x7801_0000
            mask, match = cases.reference.PATTERNS[rng.choice(("sd", "ld", "sb", "add"))]
            effect = cases.settle(machine, rng.getrandbits(32) & ~mask | match, rng)
