"""Signing and recovering: secp256k1, canonical form only (v 27 or 28, low s).

A private key is 32 bytes, or a `coincurve.PrivateKey`, which saves its set-up at every signature.
"""

from typing import Final, TypeVar

import msgspec
from coincurve import PrivateKey, PublicKey

from provenue.wire._base import EncodeError, SignatureError
from provenue.wire._eip712 import Domain, digest
from provenue.wire._hashing import keccak256
from provenue.wire._kinds import Signed

__all__ = [
    "SignedT",
    "address_of",
    "check_canonical",
    "recover",
    "recover_digest",
    "sign",
    "sign_digest",
]

_ORDER: Final = 0xFFFFFFFF_FFFFFFFF_FFFFFFFF_FFFFFFFE_BAAEDCE6_AF48A03B_BFD25E8C_D0364141
_S_MAX: Final = (_ORDER - 1) // 2
_SIGNATURE_BYTES: Final = 65

SignedT = TypeVar("SignedT", bound=Signed)


def _address(public: PublicKey) -> bytes:
    return keccak256(public.format(compressed=False)[1:])[12:]


def _key(private_key: bytes | PrivateKey) -> PrivateKey:
    if isinstance(private_key, PrivateKey):
        return private_key
    try:
        return PrivateKey(private_key)
    except ValueError:
        # The value stays out of the text: it may be nearly right.
        raise EncodeError("private key: expected 32 bytes in the range of secp256k1") from None


def address_of(private_key: bytes | PrivateKey) -> bytes:
    """The address (20 bytes) of a private key."""
    return _address(_key(private_key).public_key)


def sign_digest(hash_: bytes, private_key: bytes | PrivateKey) -> bytes:
    """r, s, v of a digest; deterministic (RFC 6979) and canonical."""
    signature = _key(private_key).sign_recoverable(hash_, hasher=None)
    return signature[:64] + bytes([signature[64] + 27])


def check_canonical(signature: bytes) -> None:
    """SignatureError unless the form is the one the program takes: 65 bytes, v 27 or 28, low s."""
    if len(signature) != _SIGNATURE_BYTES:
        raise SignatureError(f"signature: expected 65 bytes, was {len(signature)}")
    if signature[64] not in (27, 28):
        raise SignatureError(f"signature.v: expected 27 or 28, was {signature[64]}")
    if int.from_bytes(signature[32:64], "big") > _S_MAX:
        raise SignatureError("signature.s: expected the lower of the two values, was the higher")


def recover_digest(hash_: bytes, signature: bytes) -> bytes:
    """The address that signed a digest; SignatureError if the form is not canonical."""
    check_canonical(signature)
    compact = signature[:64] + bytes([signature[64] - 27])
    try:
        public = PublicKey.from_signature_and_message(compact, hash_, hasher=None)
    except Exception as error:  # coincurve raises a bare Exception where no point is found
        raise SignatureError(f"signature: expected one of a key, was none ({error})") from None
    return _address(public)


def sign(message: SignedT, private_key: bytes | PrivateKey, domain: Domain) -> SignedT:
    """The message with its signature."""
    signature = sign_digest(digest(message, domain), private_key)
    return msgspec.structs.replace(message, signature=signature)


def recover(message: Signed, domain: Domain) -> bytes:
    """The address (20 bytes) that signed a message; SignatureError if there is none."""
    return recover_digest(digest(message, domain), message.signature)
