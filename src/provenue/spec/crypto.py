"""The two functions the rules take from outside: keccak-256 and ecrecover.

Both are handed to `State`, so that a reader, or a test, can put others in their place.
"""

from collections.abc import Callable
from typing import NamedTuple

import coincurve
from Crypto.Hash import keccak as _keccak

__all__ = ["CRYPTO", "CURVE_ORDER", "Crypto", "keccak", "recover"]

CURVE_ORDER = 0xFFFFFFFF_FFFFFFFF_FFFFFFFF_FFFFFFFE_BAAEDCE6_AF48A03B_BFD25E8C_D0364141


def keccak(data: bytes) -> bytes:
    """keccak-256 of bytes."""
    return _keccak.new(digest_bits=256, data=data).digest()


def recover(digest: bytes, v: int, r: int, s: int) -> bytes | None:
    """The 20-byte address that signed the digest, None where the EVM's precompile returns nothing.

    High `s` is accepted here as the precompile accepts it; chapter 2.4 refuses it before.
    """
    if v not in (27, 28) or not 0 < r < CURVE_ORDER or not 0 < s < CURVE_ORDER:
        return None
    signature = r.to_bytes(32, "big") + s.to_bytes(32, "big") + bytes([v - 27])
    try:
        public = coincurve.PublicKey.from_signature_and_message(signature, digest, hasher=None)
    except Exception:  # no point has this r (the library's own error type varies)
        return None
    return keccak(public.format(compressed=False)[1:])[12:]


class Crypto(NamedTuple):
    """What `State` is given: hash and recovery."""

    keccak: Callable[[bytes], bytes] = keccak
    recover: Callable[[bytes, int, int, int], bytes | None] = recover


CRYPTO = Crypto()
