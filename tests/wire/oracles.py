"""The obvious ways to hash, with a library that the code under test need not use."""

from Crypto.Hash import keccak

__all__ = ["keccak256", "slow_root"]


def keccak256(data: bytes) -> bytes:
    return bytes(keccak.new(digest_bits=256, data=data).digest())


def slow_root(data: bytes, height: int) -> bytes:
    """Every leaf hashed, no knowledge of zero subtrees."""
    data = data.ljust(32 << height, b"\0")
    nodes = [data[at : at + 32] for at in range(0, len(data), 32)]
    while len(nodes) > 1:
        nodes = [keccak256(nodes[i] + nodes[i + 1]) for i in range(0, len(nodes), 2)]
    return nodes[0]
