"""Keccak-256: the fastest implementation that is installed."""

from collections.abc import Callable

__all__ = ["keccak256"]


def _fastest() -> Callable[[bytes], bytes]:
    """The engine's own, where it is built; pycryptodome takes some twenty times as long a hash."""
    try:
        from provenue.engine import keccak256 as native
    except ImportError:
        from Crypto.Hash import keccak

        return lambda data: keccak.new(data=data, digest_bits=256).digest()
    return native


_hash = _fastest()


def keccak256(data: bytes) -> bytes:
    """Keccak-256 with Ethereum's padding."""
    return _hash(data)
