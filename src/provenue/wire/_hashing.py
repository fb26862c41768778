"""Keccak-256: the fastest implementation that is installed."""

from collections.abc import Callable

__all__ = ["keccak256"]


def _fastest() -> Callable[[bytes], bytes]:
    """`sha3` (safe-pysha3) takes a third of the time of pycryptodome; it is optional."""
    try:
        from sha3 import keccak_256
    except ImportError:
        from Crypto.Hash import keccak

        return lambda data: keccak.new(data=data, digest_bits=256).digest()
    return lambda data: bytes(keccak_256(data).digest())


_hash = _fastest()


def keccak256(data: bytes) -> bytes:
    """Keccak-256 with Ethereum's padding."""
    return _hash(data)
