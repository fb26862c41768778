"""A deployed contract by its ABI: calls, transactions, events, by name."""

from __future__ import annotations

import dataclasses
from collections.abc import Iterable, Mapping, Sequence
from typing import Any

import rlp
from eth_abi.abi import decode as abi_decode
from eth_abi.abi import encode as abi_encode

from provenue.settlement.artifacts import Artifact
from provenue.settlement.chain_types import (
    BlockId,
    Log,
    Receipt,
    from_hex,
    keccak256,
    normalise_address,
    to_checksum,
)
from provenue.settlement.rpc import ChainError, Rpc, RpcError
from provenue.settlement.tx import PendingTx, RevertedError, Sender

__all__ = ["Contract", "Event", "created_address", "deploy"]

Abi = Sequence[Mapping[str, Any]]


@dataclasses.dataclass(frozen=True, slots=True)
class Event:
    """A decoded log: `args` by name, in the order of the declaration."""

    name: str
    args: dict[str, Any]
    log: Log


class Contract:
    """The contract at `address`. `call` reads, `transact` writes, `events` looks back.

    Values: integers, bools, bytes and str as they are; addresses as EIP-55 text (any spelling is
    accepted); structs as dict by member name (a dict or a sequence is accepted); arrays as list.
    """

    def __init__(self, address: str, abi: Abi, rpc: Rpc) -> None:
        self.address = normalise_address(address)
        self.abi = abi
        self.rpc = rpc
        self._functions = [e for e in abi if e.get("type") == "function"]
        self._events = {e["name"]: e for e in abi if e.get("type") == "event"}
        self._event_by_topic = {_topic0(e): e for e in self._events.values()}

    def __repr__(self) -> str:
        return f"Contract({self.address})"

    # -- functions -------------------------------------------------------------------------------

    def encode(self, function: str, *args: Any) -> bytes:
        """Calldata: selector and encoded arguments."""
        entry = self._function(function, len(args))
        return keccak256(_signature(entry).encode())[:4] + _encode(entry["inputs"], args, function)

    def layout(self, function: str) -> tuple[bytes, dict[str, int]]:
        """Selector, and where each argument's head stands behind it, in bytes, by name."""
        (entry,) = [e for e in self._functions if function in (e["name"], _signature(e))]
        heads, at = {}, 0
        for item in entry["inputs"]:
            heads[item["name"]] = at
            at += _head_bytes(item)
        return keccak256(_signature(entry).encode())[:4], heads

    def call(
        self,
        function: str,
        *args: Any,
        block: BlockId = "latest",
        from_: str | None = None,
        value: int = 0,
    ) -> Any:
        """Run a function without a transaction; one result alone, several as a tuple, none as
        None.
        """
        entry = self._function(function, len(args))
        data = self.encode(function, *args)
        try:
            raw = self.rpc.eth_call(self.address, data, from_=from_, value=value, block=block)
        except RpcError as error:
            if error.is_revert:
                place = f"{function} of {self.address}, if that is the right contract"
                raise RevertedError(error.reason or "", what=place) from error
            raise
        outputs = entry["outputs"]
        if not outputs:
            return None
        if not raw:
            raise ChainError(f"{function}: {self.address} answered nothing; is it deployed there?")
        values = _decode(outputs, raw)
        return values[0] if len(values) == 1 else tuple(values)

    def transact(
        self, sender: Sender, function: str, *args: Any, value: int = 0, gas: int | None = None
    ) -> Receipt:
        """Send a transaction and wait for it; RevertedError carries the contract's reason."""
        return sender.send(self.address, self.encode(function, *args), value, gas)

    def submit(
        self, sender: Sender, function: str, *args: Any, value: int = 0, gas: int | None = None
    ) -> PendingTx:
        """Send a transaction without waiting (`sender.wait` does)."""
        return sender.submit(self.address, self.encode(function, *args), value, gas)

    def _function(self, name: str, count: int) -> Mapping[str, Any]:
        """By name and number of arguments (Vyper's default arguments), or by full signature."""
        named = [e for e in self._functions if name in (e["name"], _signature(e))]
        if not named:
            known = ", ".join(sorted({e["name"] for e in self._functions})) or "none"
            raise ValueError(f"function {name!r}: not in the ABI; it has: {known}")
        fitting = [e for e in named if len(e["inputs"]) == count]
        if len(fitting) == 1:
            return fitting[0]
        have = "; ".join(_signature(e) for e in named)
        problem = "several fit, give the full signature" if fitting else f"got {count} arguments"
        raise ValueError(f"function {name!r}: {problem}; the ABI has: {have}")

    # -- events ----------------------------------------------------------------------------------

    def events(
        self,
        name: str,
        from_block: BlockId = 0,
        to_block: BlockId = "latest",
        **indexed: Any,
    ) -> list[Event]:
        """Events of one name in chain order. `indexed` narrows by indexed arguments (a value or
        a list).
        """
        entry = self._event(name)
        logs = self.rpc.logs(
            address=self.address,
            topics=_topic_filter(entry, indexed),
            from_block=from_block,
            to_block=to_block,
        )
        return [self._decode(entry, log) for log in logs]

    def events_in(self, source: Receipt | Iterable[Log], name: str | None = None) -> list[Event]:
        """This contract's events in a receipt (or any logs), all or of one name."""
        if name is not None:
            self._event(name)
        logs = source.logs if isinstance(source, Receipt) else source
        decoded = (self.decode_log(log) for log in logs if log.address == self.address)
        return [e for e in decoded if e is not None and name in (None, e.name)]

    def decode_log(self, log: Log) -> Event | None:
        """The event in a log, or None when the ABI does not know it."""
        entry = self._event_by_topic.get(log.topics[0]) if log.topics else None
        return None if entry is None else self._decode(entry, log)

    def _event(self, name: str) -> Mapping[str, Any]:
        if name not in self._events:
            known = ", ".join(sorted(self._events)) or "none"
            raise ValueError(f"event {name!r}: not in the ABI; it has: {known}")
        return self._events[name]

    def _decode(self, entry: Mapping[str, Any], log: Log) -> Event:
        plain = [i for i in entry["inputs"] if not i["indexed"]]
        body = iter(_decode(plain, log.data))
        topics = iter(log.topics[1:])
        args: dict[str, Any] = {}
        for item in entry["inputs"]:
            if not item["indexed"]:
                args[item["name"]] = next(body)
            elif _is_hashed(item):
                args[item["name"]] = next(topics)  # only its hash is in the log
            else:
                args[item["name"]] = _decode([item], next(topics))[0]
        return Event(entry["name"], args, log)


def deploy(
    sender: Sender, artifact: Artifact, *args: Any, value: int = 0, gas: int | None = None
) -> Contract:
    """Create a contract and wait for it."""
    constructor = next((e for e in artifact.abi if e.get("type") == "constructor"), None)
    inputs = constructor["inputs"] if constructor else []
    data = artifact.bytecode + _encode(inputs, args, f"{artifact.name} constructor")
    receipt = sender.send(None, data, value, gas)
    if receipt.contract_address is None:
        raise ChainError(f"{artifact.name}: the node reported no contract address")
    return Contract(receipt.contract_address, artifact.abi, sender.rpc)


def created_address(creator: str, nonce: int) -> str:
    """The address of the contract that an account's transaction of this nonce creates."""
    preimage = rlp.encode([bytes.fromhex(creator.removeprefix("0x")), nonce])
    return to_checksum(keccak256(preimage)[12:])


# -- ABI values ----------------------------------------------------------------------------------


def _canonical_type(item: Mapping[str, Any]) -> str:
    kind: str = item["type"]
    if not kind.startswith("tuple"):
        return kind
    inner = ",".join(_canonical_type(part) for part in item["components"])
    return f"({inner}){kind.removeprefix('tuple')}"


def _head_bytes(item: Mapping[str, Any]) -> int:
    """The size of an argument's head: a static one's own words, a dynamic one's offset."""
    words = _static_words(item)
    return 32 * (1 if words is None else words)


def _static_words(item: Mapping[str, Any]) -> int | None:
    """Words of a static type; None for a dynamic one."""
    kind: str = item["type"]
    if kind.endswith("]"):
        inner, _, count = kind[:-1].rpartition("[")
        words = _static_words(dict(item) | {"type": inner})
        return words * int(count) if count and words is not None else None
    if kind in ("bytes", "string"):
        return None
    if kind != "tuple":
        return 1
    parts = [_static_words(part) for part in item["components"]]
    return None if None in parts else sum(part for part in parts if part is not None)


def _signature(entry: Mapping[str, Any]) -> str:
    return f"{entry['name']}({','.join(_canonical_type(i) for i in entry['inputs'])})"


def _topic0(event: Mapping[str, Any]) -> bytes:
    return keccak256(_signature(event).encode())


def _is_hashed(item: Mapping[str, Any]) -> bool:
    kind: str = item["type"]
    return kind in ("string", "bytes") or "[" in kind or kind.startswith("tuple")


def _encode(items: Sequence[Mapping[str, Any]], args: Sequence[Any], what: str) -> bytes:
    if len(items) != len(args):
        raise ValueError(f"{what}: expected {len(items)} arguments, got {len(args)}")
    values = [_to_abi(item, arg, what) for item, arg in zip(items, args, strict=True)]
    for item, value in zip(items, values, strict=True):
        kind = _canonical_type(item)
        try:
            abi_encode([kind], [value])
        except Exception as error:  # eth_abi has many error types, all of them a wrong value
            name = item.get("name") or "argument"
            raise ValueError(f"{what}: {name}: expected {kind}: {error}") from None
    return bytes(abi_encode([_canonical_type(i) for i in items], values))


def _to_abi(item: Mapping[str, Any], value: Any, what: str) -> Any:
    kind: str = item["type"]
    if kind.endswith("]"):
        element = dict(item) | {"type": kind[: kind.rindex("[")]}
        return [_to_abi(element, one, what) for one in value]
    if kind == "address":
        return normalise_address(value, f"{what}: {item.get('name') or 'address'}")
    if kind != "tuple":
        return value
    parts = item["components"]
    if isinstance(value, Mapping):
        names = [part["name"] for part in parts]
        if set(names) != set(value):
            raise ValueError(f"{what}: expected the members {names}, got {sorted(value)}")
        value = [value[name] for name in names]
    if len(value) != len(parts):
        raise ValueError(f"{what}: expected {len(parts)} members, got {len(value)}")
    return tuple(_to_abi(part, one, what) for part, one in zip(parts, value, strict=True))


def _decode(items: Sequence[Mapping[str, Any]], data: bytes) -> list[Any]:
    values = abi_decode([_canonical_type(i) for i in items], data)
    return [_from_abi(item, value) for item, value in zip(items, values, strict=True)]


def _from_abi(item: Mapping[str, Any], value: Any) -> Any:
    kind: str = item["type"]
    if kind.endswith("]"):
        element = dict(item) | {"type": kind[: kind.rindex("[")]}
        return [_from_abi(element, one) for one in value]
    if kind == "address":
        return to_checksum(from_hex(value))
    if kind == "tuple":
        parts = item["components"]
        return {p["name"]: _from_abi(p, v) for p, v in zip(parts, value, strict=True)}
    return value


def _topic_filter(
    entry: Mapping[str, Any], indexed: Mapping[str, Any]
) -> list[bytes | list[bytes] | None]:
    topics: list[bytes | list[bytes] | None] = [_topic0(entry)]
    left = dict(indexed)
    for item in (i for i in entry["inputs"] if i["indexed"]):
        wanted = left.pop(item["name"], None)
        if wanted is None:
            topics.append(None)
        elif isinstance(wanted, list):
            topics.append([_topic(item, one) for one in wanted])
        else:
            topics.append(_topic(item, wanted))
    if left:
        raise ValueError(
            f"event {entry['name']}: not an indexed argument: {', '.join(sorted(left))}"
        )
    return topics


def _topic(item: Mapping[str, Any], value: Any) -> bytes:
    if not _is_hashed(item):
        return _encode([item], [value], "event filter")
    if item["type"] not in ("string", "bytes"):
        raise ValueError(f"event filter: {item['name']}: arrays and structs cannot be searched for")
    return keccak256(value.encode() if isinstance(value, str) else value)
