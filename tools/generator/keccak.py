"""Keccak-256 in plain Python, so that the generator runs before anything is installed."""

__all__ = ["keccak256"]

_RATE_BYTES = 136
_MASK = (1 << 64) - 1


def _rotate(word: int, count: int) -> int:
    count %= 64
    return (word << count | word >> (64 - count)) & _MASK if count else word


def _round_constants() -> list[int]:
    """The 24 iota constants from their LFSR (FIPS 202, algorithm 5)."""
    constants, state = [], 1
    for _ in range(24):
        constant = 0
        for bit in range(7):
            if state & 1:
                constant |= 1 << ((1 << bit) - 1)
            state <<= 1
            if state & 0x100:
                state ^= 0x171
        constants.append(constant)
    return constants


_ROUND_CONSTANTS = _round_constants()


def _permute(lanes: list[int]) -> None:
    """Keccak-f[1600] over lanes[x + 5 * y], in place."""
    for constant in _ROUND_CONSTANTS:
        parity = [
            lanes[x] ^ lanes[x + 5] ^ lanes[x + 10] ^ lanes[x + 15] ^ lanes[x + 20]
            for x in range(5)
        ]
        for index in range(25):
            x = index % 5
            lanes[index] ^= parity[(x + 4) % 5] ^ _rotate(parity[(x + 1) % 5], 1)
        x, y, current = 1, 0, lanes[1]
        for step in range(24):
            x, y = y, (2 * x + 3 * y) % 5
            moved = lanes[x + 5 * y]
            lanes[x + 5 * y] = _rotate(current, (step + 1) * (step + 2) // 2)
            current = moved
        for row in range(0, 25, 5):
            a = lanes[row : row + 5]
            for x in range(5):
                lanes[row + x] = a[x] ^ (~a[(x + 1) % 5] & _MASK & a[(x + 2) % 5])
        lanes[0] ^= constant


def keccak256(data: bytes) -> bytes:
    """Keccak-256 with the original padding (0x01), as Ethereum uses it."""
    padded = bytearray(data)
    padded += b"\x01" + bytes(-(len(data) + 1) % _RATE_BYTES)
    padded[-1] |= 0x80
    lanes = [0] * 25
    for start in range(0, len(padded), _RATE_BYTES):
        block = padded[start : start + _RATE_BYTES]
        for index in range(_RATE_BYTES // 8):
            lanes[index] ^= int.from_bytes(block[8 * index : 8 * index + 8], "little")
        _permute(lanes)
    return b"".join(lane.to_bytes(8, "little") for lane in lanes[:4])
