"""How a test makes messages: encoding by the tables of the protocol, signing with real keys."""

import hashlib
import struct
from types import SimpleNamespace
from typing import Any, NamedTuple

import coincurve

from provenue.spec.constants import Kind
from provenue.spec.crypto import CRYPTO, CURVE_ORDER, keccak
from provenue.spec.formats import MESSAGES, MessageFormat
from provenue.spec.messages import digest

__all__ = ["Item", "Signer", "encode", "high_s", "make_signers"]

_CODES = {"u8": "B", "u16": "H", "u32": "I", "u64": "Q", "b16": "16s", "b20": "20s", "sig": "65s"}


class Item(NamedTuple):
    """A message as the program receives it; `tag` says what the generator meant by it."""

    message: bytes
    from_inbox: bool
    stamp_min_ms: int
    stamp_max_ms: int
    tag: str = ""


class Signer(NamedTuple):
    """A secp256k1 key and its address."""

    secret: coincurve.PrivateKey
    address: bytes

    def sign(self, domain: bytes, form: MessageFormat, fields: dict[str, Any]) -> bytes:
        """r, s, v of the EIP-712 digest."""
        signed = digest(CRYPTO, domain, form, SimpleNamespace(**fields))
        raw = self.secret.sign_recoverable(signed, hasher=None)
        return raw[:64] + bytes([raw[64] + 27])


def make_signers(label: str, count: int) -> list[Signer]:
    """Keys that are the same on every machine."""
    out = []
    for number in range(count):
        secret = coincurve.PrivateKey(hashlib.sha256(f"{label} {number}".encode()).digest())
        public = secret.public_key.format(compressed=False)
        out.append(Signer(secret, keccak(public[1:])[12:]))
    return out


def high_s(signature: bytes) -> bytes:
    """The other valid signature of the same digest: what a relayer could make of the first."""
    s = CURVE_ORDER - int.from_bytes(signature[32:64], "big")
    return signature[:32] + s.to_bytes(32, "big") + bytes([55 - signature[64]])


_HEADS: dict[Kind, tuple[struct.Struct, list[str]]] = {}
for _form in MESSAGES.values():
    _plain = [field for field in _form.fields if field.type not in ("list", "sig")]
    _pattern = ">B" + "".join(_CODES[field.type] for field in _plain)
    _HEADS[_form.kind] = (struct.Struct(_pattern), [field.name for field in _plain])


def encode(
    kind: Kind, fields: dict[str, Any], *, signer: Signer | None = None, domain: bytes = b""
) -> bytes:
    """The bytes of a message; signed if a signer is given, else with `fields["signature"]`."""
    form = MESSAGES[kind]
    head, names = _HEADS[kind]
    out = head.pack(kind, *[fields[name] for name in names])
    if kind == Kind.PRICES:
        out += b"".join(struct.pack(">HQ", feed, price) for feed, price in fields["entries"])
    elif kind == Kind.SET_SIGNERS:
        out += b"".join(fields["signers"])
    if form.eip712 is not None:
        out += signer.sign(domain, form, fields) if signer else fields["signature"]
    return out
