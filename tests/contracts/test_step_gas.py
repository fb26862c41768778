"""Size and gas of a step, whole transactions: docs/contracts.md has the figures of a chain."""

import random

import pytest
from tests.contracts import step_cases as cases
from tests.contracts.step_contract import CODEGENS, PyEvmStep, bytecode_of, calldata
from tests.contracts.step_machine import witness

RUNTIME_BYTES_MAX = {"legacy": 12_000, "venom": 9_500}
# Whole transactions, as the design has them.
REGISTER_GAS_MAX, ACCESS_GAS_MAX, CALL_GAS_MAX = 90_000, 130_000, 200_000
BARS = {"load": ACCESS_GAS_MAX, "store": ACCESS_GAS_MAX, "keccak": CALL_GAS_MAX,
        "recover": CALL_GAS_MAX}  # fmt: skip


def transaction_gas(proof: bytes, execution_gas: int) -> int:
    """Base, calldata and execution, or the calldata floor (EIP-7623) if that is more."""
    data = calldata(proof)
    zeros = data.count(0)
    others = len(data) - zeros
    return 21_000 + max(4 * zeros + 16 * others + execution_gas, 10 * zeros + 40 * others)


@pytest.mark.parametrize("codegen", CODEGENS)
def test_contract_fits_its_size(codegen: str) -> None:
    import boa

    code = boa.env.deploy_code(bytecode=bytecode_of(codegen))[1]
    assert 0 < len(code) <= RUNTIME_BYTES_MAX[codegen], f"{len(code)} bytes"


@pytest.mark.parametrize("codegen", CODEGENS)
def test_dearest_step_of_each_kind_stays_below_its_bar(codegen: str, rng: random.Random) -> None:
    contract = PyEvmStep(bytecode_of(codegen))
    for kind, (proof, after) in cases.dearest(rng).items():
        assert contract.step(proof) == after
        gas = transaction_gas(proof, contract.gas_used)
        print(f"{kind} by {codegen}: {contract.gas_used} execution, {gas} the transaction")
        assert gas <= BARS.get(kind, REGISTER_GAS_MAX), kind


@pytest.mark.parametrize("codegen", CODEGENS)
def test_execution_hides_below_the_calldata_floor(codegen: str, rng: random.Random) -> None:
    """What any step executes is at most what a witness of its length without zeros leaves room for:
    so the bar for such a witness is the bar for all.
    """
    contract = PyEvmStep(bytecode_of(codegen))
    for _ in range(40):
        machine, effect = cases.random_machine(rng)
        proof = witness(machine, effect)
        contract.step(proof)
        assert contract.gas_used < 24 * len(proof)
