"""EIP-712 (chapter 2.5): domain, struct hash, digest, and the form that wallets take.

The struct hash is one `struct.pack` of all members as 32-byte words and one hash, since every order
passes through here.
"""

import struct
from dataclasses import dataclass
from functools import cached_property
from typing import Any

from provenue._generated.messages import (
    DOMAIN_NAME,
    DOMAIN_NAME_HASH,
    DOMAIN_TYPE,
    DOMAIN_TYPE_HASH,
    DOMAIN_VERSION,
    DOMAIN_VERSION_HASH,
    MESSAGES,
    TYPE_HASHES,
    Field,
    Kind,
)
from provenue.wire._base import EncodeError
from provenue.wire._fields import pack_fields
from provenue.wire._hashing import keccak256
from provenue.wire._kinds import Prices, Signed

__all__ = ["Domain", "digest", "struct_hash", "typed_data"]

_ADDRESS_BYTES = 20
# A member as a 32-byte word: padding on the left, big-endian.
_WORDS = {
    "uint8": "31xB",
    "uint16": "30xH",
    "uint32": "28xI",
    "uint64": "24xQ",
    "address": "12x20s",
}


@dataclass(frozen=True)
class Domain:
    """What a signature is good for: one Anchor on one chain."""

    chain_id: int
    anchor: bytes

    def __post_init__(self) -> None:
        if not 0 <= self.chain_id < 1 << 64:
            raise EncodeError(
                f"domain.chain_id: expected a number from 0 to 2^64 - 1, was {self.chain_id}"
            )
        if len(self.anchor) != _ADDRESS_BYTES:
            raise EncodeError(f"domain.anchor: expected 20 bytes, was {len(self.anchor)}")

    @cached_property
    def separator(self) -> bytes:
        """The domain separator, as GENESIS computes it."""
        return keccak256(
            DOMAIN_TYPE_HASH
            + DOMAIN_NAME_HASH
            + DOMAIN_VERSION_HASH
            + self.chain_id.to_bytes(32, "big")
            + self.anchor.rjust(32, b"\0")
        )


def _members(text: str) -> tuple[tuple[str, str], ...]:
    """(type, name) of the members of a type string."""
    inside = text[text.index("(") + 1 : -1]
    return tuple((kind, name) for kind, name in (part.split(" ") for part in inside.split(",")))


@dataclass(frozen=True, slots=True)
class _Type:
    """How one signed kind is hashed."""

    hash: bytes
    primary: str
    members: tuple[tuple[str, str], ...]
    fields: tuple[Field, ...]
    packer: struct.Struct


def _type(kind: Kind) -> _Type:
    form = MESSAGES[kind]
    assert form.eip712 is not None
    members = _members(form.eip712)
    fields = tuple(field for field in form.fields[:-1] if field.name != "stamp_ms")
    words = "".join(_WORDS[member] for member, _ in members if member in _WORDS)
    primary = form.eip712[: form.eip712.index("(")]
    return _Type(TYPE_HASHES[kind], primary, members, fields, struct.Struct(">" + words))


_TYPES = {kind: _type(kind) for kind in TYPE_HASHES}


def _price_words(message: Prices) -> list[int]:
    for index, (feed, price) in enumerate(message.entries):
        if not (0 <= feed < 1 << 16 and 0 <= price < 1 << 64):
            raise EncodeError(
                f"PRICES.entries[{index}]: expected a feed below 2^16 and a price below 2^64, "
                f"was {feed} and {price}"
            )
    return [feed << 64 | price for feed, price in message.entries]


def struct_hash(message: Signed) -> bytes:
    """hashStruct of a signed message; its stamp and signature are no part of it."""
    form, owner = _TYPES[message.KIND], message.KIND.name
    if isinstance(message, Prices):
        (published,) = (field for field in form.fields if field.name == "published_at_ms")
        packed = pack_fields(form.packer, owner, (published,), (message.published_at_ms,))
        packed += keccak256(b"".join(word.to_bytes(32, "big") for word in _price_words(message)))
    else:
        values = [getattr(message, field.name) for field in form.fields]
        packed = pack_fields(form.packer, owner, form.fields, values)
    return keccak256(form.hash + packed)


def digest(message: Signed, domain: Domain) -> bytes:
    """What is signed."""
    return keccak256(b"\x19\x01" + domain.separator + struct_hash(message))


def _json_value(kind: str, value: Any) -> Any:
    """Numbers that JSON readers would round are decimal strings, addresses hexadecimal."""
    if kind == "address":
        return "0x" + value.hex()
    return str(value) if kind in ("uint64", "uint256") else value


def typed_data(message: Signed, domain: Domain) -> dict[str, Any]:
    """The message as wallets take it (eth_signTypedData_v4)."""
    form = _TYPES[message.KIND]
    if isinstance(message, Prices):
        content: dict[str, Any] = {
            "publishedAt": str(message.published_at_ms),
            "entries": [str(word) for word in _price_words(message)],
        }
    else:
        content = {
            name: _json_value(kind, getattr(message, field.name))
            for (kind, name), field in zip(form.members, form.fields, strict=True)
        }
    return {
        "types": {
            "EIP712Domain": [{"name": n, "type": t} for t, n in _members(DOMAIN_TYPE)],
            form.primary: [{"name": name, "type": kind} for kind, name in form.members],
        },
        "primaryType": form.primary,
        "domain": {
            "name": DOMAIN_NAME,
            "version": DOMAIN_VERSION,
            "chainId": domain.chain_id,
            "verifyingContract": "0x" + domain.anchor.hex(),
        },
        "message": content,
    }
