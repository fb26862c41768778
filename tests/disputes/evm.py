"""Contracts by their ABI in revm: a call costs a millisecond, so thousands of moves can be made.

Refusals are compared as such; the contract's reason is kept for people.
"""

import contextlib
import re
from collections.abc import Iterator, Sequence
from typing import Any, NamedTuple

import pytest
from eth_abi import decode, encode
from tests.contracts import naive
from tests.contracts.step_contract import reason_of

from provenue.settlement.artifacts import Artifact

pyrevm = pytest.importorskip("pyrevm", reason="pyrevm has no wheel for this Python")

ETHER = 10**18
GAS_LIMIT = 60_000_000


class RevertedError(Exception):
    """The contract refused; the text is its reason."""


class Log(NamedTuple):
    """An event of the last call."""

    address: str
    name: str
    fields: dict[str, Any]


def abi_type(item: dict[str, Any]) -> str:
    """The type of an input or output, tuples written out."""
    if not item["type"].startswith("tuple"):
        return str(item["type"])
    inside = ",".join(abi_type(part) for part in item["components"])
    return f"({inside}){item['type'].removeprefix('tuple')}"


class Chain:
    """One EVM with a clock, funded accounts and deployed contracts."""

    def __init__(self, timestamp: int = 1_800_000_000) -> None:
        self._timestamp, self._number = timestamp, 1_000
        self.evm = pyrevm.EVM(gas_limit=2**60)
        self.contracts: dict[str, Contract] = {}
        self.gas_used = 0
        self._set_block()

    def _set_block(self) -> None:
        self.evm.set_block_env(
            pyrevm.BlockEnv(number=self._number, timestamp=self._timestamp, gas_limit=2**60)
        )

    @property
    def now(self) -> int:
        return self._timestamp

    @now.setter
    def now(self, timestamp: int) -> None:
        assert timestamp >= self._timestamp
        self._timestamp, self._number = timestamp, self._number + 1
        self._set_block()

    def account(self, name: str) -> str:
        """An address for a name, with ether."""
        address = "0x" + naive.keccak(name.encode())[:20].hex()
        if self.evm.get_balance(address) == 0:
            self.evm.set_balance(address, 10**6 * ETHER)
        return address

    def balance(self, address: str) -> int:
        return int(self.evm.get_balance(address))

    def deploy(self, artifact: Artifact, sender: str, *arguments: Any) -> "Contract":
        constructor = next((e for e in artifact.abi if e["type"] == "constructor"), {"inputs": []})
        types = [abi_type(item) for item in constructor["inputs"]]
        address = self.evm.deploy(sender, artifact.bytecode + encode(types, arguments))
        contract = Contract(self, str(address), artifact)
        self.contracts[contract.address.lower()] = contract
        return contract

    def call(self, sender: str, to: str, data: bytes, value: int = 0) -> bytes:
        """A transaction; RevertedError with its reason if it fails, and then nothing happened."""
        try:
            output = self.evm.message_call(sender, to, calldata=data, value=value, gas=GAS_LIMIT)
        except RuntimeError as error:
            found = re.search(r"output: 0x([0-9a-f]*)", str(error))
            reason = reason_of(bytes.fromhex(found[1])) if found else str(error)
            raise RevertedError(reason) from None
        self.gas_used = int(self.evm.result.gas_used)
        return bytes(output)

    def logs(self) -> list[Log]:
        """Events of the last call that contracts of ours made."""
        found = []
        for log in self.evm.result.logs:
            contract = self.contracts.get(str(log.address).lower())
            if contract is not None:
                found.append(contract.read_log(log))
        return found

    @contextlib.contextmanager
    def undone(self) -> Iterator[None]:
        """What happens inside is taken back behind it, but for the time."""
        checkpoint = self.evm.snapshot()
        try:
            yield
        finally:
            self.evm.revert(checkpoint)


class Contract:
    """A deployed contract."""

    def __init__(self, chain: Chain, address: str, artifact: Artifact) -> None:
        self.chain, self.address, self.artifact = chain, address, artifact
        self._functions: dict[str, tuple[bytes, list[str], list[dict[str, Any]]]] = {}
        self._events: dict[bytes, dict[str, Any]] = {}
        for entry in artifact.abi:
            if entry["type"] == "function":
                types = [abi_type(item) for item in entry["inputs"]]
                selector = naive.keccak(f"{entry['name']}({','.join(types)})".encode())[:4]
                self._functions[entry["name"]] = (selector, types, entry["outputs"])
            elif entry["type"] == "event":
                types = [abi_type(item) for item in entry["inputs"]]
                topic = naive.keccak(f"{entry['name']}({','.join(types)})".encode())
                self._events[topic] = entry

    def encode(self, function: str, *arguments: Any) -> bytes:
        selector, types, _ = self._functions[function]
        return selector + encode(types, arguments)

    def send(self, sender: str, function: str, *arguments: Any, value: int = 0) -> Any:
        """Call a function in a transaction; its result."""
        data = self.encode(function, *arguments)
        return self._decode(function, self.chain.call(sender, self.address, data, value))

    def view(self, function: str, *arguments: Any) -> Any:
        """Ask without changing anything."""
        with self.chain.undone():
            return self.send(self.chain.account("reader"), function, *arguments)

    def _decode(self, function: str, output: bytes) -> Any:
        """One value as it is, a struct and several named values as a dictionary."""
        entries = self._functions[function][2]
        if not entries:
            return None
        values = decode([abi_type(entry) for entry in entries], output)
        if len(entries) > 1:
            return dict(zip((entry["name"] for entry in entries), values, strict=True))
        if entries[0]["type"] == "tuple":
            names = (part["name"] for part in entries[0]["components"])
            return dict(zip(names, values[0], strict=True))
        return values[0]

    def read_log(self, log: Any) -> Log:
        topics = [bytes.fromhex(str(topic).removeprefix("0x")) for topic in log.topics]
        entry = self._events[topics[0]]
        data = log.data[1] if isinstance(log.data, tuple) else log.data
        plain = [item for item in entry["inputs"] if not item["indexed"]]
        values = iter(decode([abi_type(item) for item in plain], bytes(data)))
        indexed = iter(topics[1:])
        fields = {}
        for item in entry["inputs"]:
            if item["indexed"]:
                fields[item["name"]] = decode([abi_type(item)], next(indexed))[0]
            else:
                fields[item["name"]] = next(values)
        return Log(self.address, entry["name"], fields)


def packed(types: Sequence[str], values: Sequence[Any]) -> bytes:
    """keccak of abi_encode, as ids are made."""
    return naive.keccak(encode(list(types), list(values)))
