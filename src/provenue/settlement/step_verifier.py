"""The step contract, deployed somewhere to be asked for many steps.

`open_step_verifier("auto")` deploys into revm inside this process where the package pyrevm is
installed (tens of thousands of steps a second), else on a local chain, which is asked by eth_call.
"""

from __future__ import annotations

import contextlib
import re
from collections.abc import Iterator, Sequence
from typing import Any, Literal, Protocol, TypeAlias

from eth_abi.abi import decode, encode

from provenue.engine import keccak256
from provenue.settlement.artifacts import compile_contract
from provenue.settlement.contract import deploy
from provenue.settlement.local_chain import start_chain
from provenue.settlement.reverts import revert_reason
from provenue.settlement.rpc import Rpc, RpcError
from provenue.settlement.tx import Account, Sender

__all__ = ["EvmKind", "StepRefusedError", "StepVerifier", "open_step_verifier"]

EvmKind: TypeAlias = Literal["auto", "revm", "anvil", "eth-tester"]
_CALLER = "0x" + "11" * 20
_SELECTOR = keccak256(b"step(bytes)")[:4]
_GAS = 30_000_000
_CALLS_AT_ONCE = 64


class StepRefusedError(Exception):
    """The contract reverted: `index` of the witness among those asked, and its reason."""

    def __init__(self, index: int, reason: str) -> None:
        super().__init__(reason or "reverted without a reason")
        self.index = index


class StepVerifier(Protocol):
    """A deployed step contract."""

    name: str

    def step(self, witnesses: Sequence[bytes]) -> list[bytes]:
        """The machine hash after the step of each witness; StepRefusedError at the first revert."""


def _calldata(witness: bytes) -> bytes:
    return _SELECTOR + encode(["bytes"], [witness])


class _Revm:
    """In this process."""

    name = "revm"

    def __init__(self, revm: Any) -> None:
        self._evm = revm.EVM(gas_limit=2**60)
        self._evm.set_balance(_CALLER, 10**30)
        self._address = self._evm.deploy(_CALLER, compile_contract("StepVerifier").bytecode)

    def step(self, witnesses: Sequence[bytes]) -> list[bytes]:
        return [self._one(index, witness) for index, witness in enumerate(witnesses)]

    def _one(self, index: int, witness: bytes) -> bytes:
        try:
            answer = self._evm.message_call(
                _CALLER, self._address, calldata=_calldata(witness), gas=_GAS, is_static=True
            )
        except RuntimeError as error:
            output = re.search(r"output: 0x([0-9a-f]*)", str(error))
            reason = revert_reason(bytes.fromhex(output[1])) if output else str(error)
            raise StepRefusedError(index, reason or "") from None
        return bytes(decode(["bytes32"], bytes(answer))[0])


class _OnChain:
    """On a chain behind JSON-RPC."""

    def __init__(self, name: str, rpc: Rpc, key: str) -> None:
        self.name = name
        self._rpc = rpc
        sender = Sender(rpc, Account(key))
        self._address = deploy(sender, compile_contract("StepVerifier")).address

    def step(self, witnesses: Sequence[bytes]) -> list[bytes]:
        results: list[bytes] = []
        for start in range(0, len(witnesses), _CALLS_AT_ONCE):
            part = witnesses[start : start + _CALLS_AT_ONCE]
            try:
                answers = self._rpc.batch([self._call(witness) for witness in part])
            except RpcError:
                answers = [self._alone(start + at, witness) for at, witness in enumerate(part)]
            results += [bytes.fromhex(answer[2:]) for answer in answers]
        return results

    def _call(self, witness: bytes) -> tuple[str, list[object]]:
        data = "0x" + _calldata(witness).hex()
        call = {"from": _CALLER, "to": self._address, "data": data, "gas": hex(_GAS)}
        return "eth_call", [call, "latest"]

    def _alone(self, index: int, witness: bytes) -> Any:
        """Find which one of a batch it was."""
        method, params = self._call(witness)
        try:
            return self._rpc.call(method, *params)
        except RpcError as error:
            raise StepRefusedError(index, str(error)) from None


@contextlib.contextmanager
def open_step_verifier(kind: EvmKind = "auto") -> Iterator[StepVerifier]:
    """Deploy the contract and close what was started afterwards. Raises ChainError."""
    if kind in ("auto", "revm"):
        try:
            import pyrevm
        except ImportError:
            if kind == "revm":
                raise ValueError(
                    "evm: expected the package pyrevm for revm, was not installed; "
                    "use anvil or eth-tester"
                ) from None
        else:
            yield _Revm(pyrevm)
            return
    with start_chain("auto" if kind == "auto" or kind == "revm" else kind) as chain:
        yield _OnChain(chain.kind, chain.rpc, chain.accounts[0][1])
