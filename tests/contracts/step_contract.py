"""The step contract in an EVM: revm makes 30,000 steps a second, py-evm has nothing in common with
it and is slow. What sweeps needs revm, which has no wheel for the newest Pythons.
"""

import os
import re
from pathlib import Path
from typing import Any

from eth_abi import decode, encode
from tests.contracts import naive

from provenue.settlement.artifacts import compile_contract

try:
    import pyrevm
except ImportError:
    pyrevm = None

SELECTOR = naive.keccak(b"step(bytes)")[:4]
CALLER = "0x" + "11" * 20
# A folder with other sources of the contract: for mutants, by the first compiler only.
SOURCE = os.environ.get("PROVENUE_STEP_SOURCE")
CODEGENS = ("legacy", "venom") if SOURCE is None else ("legacy",)
GAS_DEFAULT = 30_000_000


class RefusedError(Exception):
    """The call reverted; the text is the contract's reason, empty when it gave none."""


def calldata(witness: bytes) -> bytes:
    """The call of `step` by the ABI."""
    return SELECTOR + bytes(encode(["bytes"], [witness]))


def bytecode_of(codegen: str) -> bytes:
    """Creation code by one compiler, remembered on disk by content."""
    source = "StepVerifier" if SOURCE is None else Path(SOURCE) / "StepVerifier.vy"
    return compile_contract(source, experimental_codegen=codegen == "venom").bytecode


def reason_of(output: bytes) -> str:
    """The text of an Error(string)."""
    if output[:4] != bytes.fromhex("08c379a0"):
        return ""
    return str(decode(["string"], output[4:])[0])


class RevmStep:
    """A deployed step contract under revm."""

    def __init__(self, bytecode: bytes) -> None:
        self._evm = pyrevm.EVM(gas_limit=2**60)
        self._evm.set_balance(CALLER, 10**30)
        self._address = self._evm.deploy(CALLER, bytecode)

    def step(self, witness: bytes, gas: int = GAS_DEFAULT) -> bytes:
        """The hash of the next state."""
        return self.call(calldata(witness), gas)

    def call(self, data: bytes, gas: int = GAS_DEFAULT) -> bytes:
        """Any call."""
        try:
            answer = self._evm.message_call(
                CALLER, self._address, calldata=data, gas=gas, is_static=True
            )
        except RuntimeError as error:
            found = re.search(r"output: 0x([0-9a-f]*)", str(error))
            if found is None:
                raise RefusedError(str(error)) from None
            raise RefusedError(reason_of(bytes.fromhex(found[1]))) from None
        return bytes(answer)


class PyEvmStep:
    """The same under py-evm; `gas_used` is what the execution of the last step took."""

    def __init__(self, bytecode: bytes) -> None:
        import boa

        self._env = boa.env
        self._address = boa.env.deploy_code(bytecode=bytecode)[0]
        self.gas_used = 0

    def step(self, witness: bytes, gas: int = GAS_DEFAULT) -> bytes:
        """The hash of the next state."""
        return self.call(calldata(witness), gas)

    def call(self, data: bytes, gas: int = GAS_DEFAULT) -> bytes:
        """Any call."""
        done: Any = self._env.execute_code(self._address, data=data, gas=gas)
        self.gas_used = int(done.get_gas_used())
        if done.is_error:
            raise RefusedError(reason_of(done.output))
        return bytes(done.output)
