"""An independent, slow Merkle: the oracle of the contract tests; no code of the product in it."""

import functools
from collections.abc import Sequence

from Crypto.Hash import keccak as _keccak


def keccak(data: bytes) -> bytes:
    """Keccak-256."""
    return _keccak.new(digest_bits=256, data=data).digest()


@functools.cache
def zero(height: int) -> bytes:
    """The root of 2^height zero leaves, by the definition."""
    return bytes(32) if height == 0 else keccak(zero(height - 1) + zero(height - 1))


def root(data: bytes, height: int) -> bytes:
    """The root over bytes with zeros behind them, by halving."""
    if not data:
        return zero(height)
    if height == 0:
        assert len(data) <= 32
        return data + bytes(32 - len(data))
    half = 32 << (height - 1)
    return keccak(root(data[:half], height - 1) + root(data[half:], height - 1))


def proof(leaves: Sequence[bytes], index: int, height: int, fill: bytes = bytes(32)) -> list[bytes]:
    """Siblings of a leaf, from the leaf upward; `fill` stands behind the given leaves."""
    siblings = []
    level = list(leaves)
    for _ in range(height):
        other = index ^ 1
        siblings.append(level[other] if other < len(level) else fill)
        if len(level) % 2:
            level.append(fill)
        level = [keccak(level[i] + level[i + 1]) for i in range(0, len(level), 2)]
        fill = keccak(fill + fill)
        index //= 2
    return siblings


def tree_root(leaves: Sequence[bytes], height: int, fill: bytes = bytes(32)) -> bytes:
    """The root of the same tree."""
    level = list(leaves)
    for _ in range(height):
        if len(level) % 2:
            level.append(fill)
        level = [keccak(level[i] + level[i + 1]) for i in range(0, len(level), 2)]
        fill = keccak(fill + fill)
    return level[0] if level else fill


def word(value: int | str | bytes) -> bytes:
    """32 bytes, big-endian; addresses as text or bytes are left-padded."""
    if isinstance(value, str):
        value = bytes.fromhex(value.removeprefix("0x"))
    if isinstance(value, bytes):
        return value.rjust(32, b"\0")
    return value.to_bytes(32, "big")


def slot(message: bytes) -> bytes:
    """An inbox slot of 512 bytes."""
    return (word(len(message)) + message).ljust(512, b"\0")


def slot_root(message: bytes) -> bytes:
    return root(slot(message), 4)


def posted(messages: Sequence[bytes]) -> bytes:
    """Posted bytes: count, offsets, messages."""
    at = 4 * (len(messages) + 2)
    table = len(messages).to_bytes(4, "big")
    for message in [*messages, b""]:
        table += at.to_bytes(4, "big")
        at += len(message)
    return table + b"".join(messages)


def input_root(data: bytes, header: Sequence[int | bytes], items: Sequence[bytes]) -> bytes:
    """The root of the input quarter from its bytes alone."""
    made = b"".join(word(value) for value in header).ljust(32_768, b"\0")
    made += b"".join(slot(item) for item in items)
    return keccak(root(data, 28) + root(made, 28))
