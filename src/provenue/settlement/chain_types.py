"""What a node answers, as typed values: blocks, logs, receipts, and the hex they travel in."""

from __future__ import annotations

import dataclasses
from typing import Any, Literal

from eth_hash.auto import keccak

__all__ = [
    "Block",
    "BlockId",
    "Log",
    "Receipt",
    "block_param",
    "from_hex",
    "keccak256",
    "normalise_address",
    "to_checksum",
    "to_hex",
]

# A block number, or a tag. `safe` and `finalized` are what deposits and settlement wait for.
BlockId = int | Literal["latest", "safe", "finalized", "pending", "earliest"]
_TAGS = frozenset({"latest", "safe", "finalized", "pending", "earliest"})


def keccak256(data: bytes) -> bytes:
    """The Ethereum hash (the original Keccak padding, not SHA3-256)."""
    return bytes(keccak(data))


def to_hex(data: bytes) -> str:
    """Bytes as JSON-RPC data: 0x and two digits per byte."""
    return "0x" + data.hex()


def from_hex(text: object, field: str = "data") -> bytes:
    """JSON-RPC data as bytes; ValueError names the field."""
    if not isinstance(text, str) or not text.startswith("0x") or len(text) % 2:
        raise ValueError(f"{field}: expected 0x and an even number of hex digits, got {text!r:.80}")
    try:
        return bytes.fromhex(text[2:])
    except ValueError:
        raise ValueError(f"{field}: expected hex digits after 0x, got {text!r:.80}") from None


def to_checksum(address: bytes) -> str:
    """Twenty bytes as an EIP-55 address."""
    digits = address.hex()
    mask = keccak256(digits.encode()).hex()
    return "0x" + "".join(
        c.upper() if int(m, 16) >= 8 else c for c, m in zip(digits, mask, strict=False)
    )


def normalise_address(text: str, field: str = "address") -> str:
    """Any spelling of an address as EIP-55; a mixed-case address with a wrong checksum is
    refused.
    """
    raw = from_hex(text, field)
    if len(raw) != 20:
        raise ValueError(f"{field}: expected an address of 20 bytes, got {len(raw)} bytes")
    checksum = to_checksum(raw)
    digits = text[2:]
    if digits not in (digits.lower(), digits.upper()) and text != checksum:
        raise ValueError(f"{field}: the checksum of {text} is wrong (a typing error?)")
    return checksum


def block_param(block: BlockId) -> str:
    """A block number or tag as a JSON-RPC parameter."""
    if isinstance(block, str):
        if block not in _TAGS:
            raise ValueError(f"block: expected a number or one of {sorted(_TAGS)}, got {block!r}")
        return block
    if isinstance(block, bool) or block < 0:
        raise ValueError(f"block: expected a number from 0 or a tag, got {block!r}")
    return hex(block)


@dataclasses.dataclass(frozen=True, slots=True)
class Block:
    """A block header."""

    number: int
    hash: str
    parent_hash: str
    timestamp: int
    base_fee_per_gas: int
    gas_used: int
    gas_limit: int

    @classmethod
    def from_json(cls, raw: dict[str, Any]) -> Block:
        return cls(
            number=int(raw["number"] or "0x0", 16),
            hash=raw["hash"] or "",
            parent_hash=raw["parentHash"],
            timestamp=int(raw["timestamp"], 16),
            base_fee_per_gas=int(raw.get("baseFeePerGas") or "0x0", 16),
            gas_used=int(raw["gasUsed"], 16),
            gas_limit=int(raw["gasLimit"], 16),
        )


@dataclasses.dataclass(frozen=True, slots=True)
class Log:
    """One event as the chain stores it; `tx.Contract.decode_log` gives it names."""

    address: str
    topics: tuple[bytes, ...]
    data: bytes
    block_number: int
    block_hash: str
    tx_hash: str
    log_index: int

    @classmethod
    def from_json(cls, raw: dict[str, Any]) -> Log:
        return cls(
            address=normalise_address(raw["address"].lower()),
            topics=tuple(from_hex(topic) for topic in raw["topics"]),
            data=from_hex(raw["data"]),
            block_number=int(raw["blockNumber"], 16),
            block_hash=raw["blockHash"],
            tx_hash=raw["transactionHash"],
            log_index=int(raw["logIndex"], 16),
        )


@dataclasses.dataclass(frozen=True, slots=True)
class Receipt:
    """The outcome of a mined transaction."""

    tx_hash: str
    block_number: int
    block_hash: str
    succeeded: bool
    gas_used: int
    effective_gas_price: int
    contract_address: str | None
    logs: tuple[Log, ...]

    @property
    def fee_wei(self) -> int:
        return self.gas_used * self.effective_gas_price

    @classmethod
    def from_json(cls, raw: dict[str, Any]) -> Receipt:
        created = raw.get("contractAddress")
        return cls(
            tx_hash=raw["transactionHash"],
            block_number=int(raw["blockNumber"], 16),
            block_hash=raw["blockHash"],
            succeeded=raw["status"] == "0x1",
            gas_used=int(raw["gasUsed"], 16),
            effective_gas_price=int(raw.get("effectiveGasPrice") or "0x0", 16),
            contract_address=normalise_address(created.lower()) if created else None,
            logs=tuple(Log.from_json(log) for log in raw["logs"]),
        )
