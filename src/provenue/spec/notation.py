"""Chapter 1: exact integers and the named ways to round. `//` is floor, also below zero."""

__all__ = ["Reject", "ceil_div", "clamp", "sign", "trunc_div", "word"]

from provenue.spec.constants import Code


class Reject(Exception):  # noqa: N818 - a result of the rules, not an error of the program
    """A message is refused with a code; raised before anything is changed (P4)."""

    def __init__(self, code: Code) -> None:
        super().__init__(code.name)
        self.code = code


def ceil_div(a: int, b: int) -> int:
    """a / b toward plus infinity, also for negative a."""
    return -(-a // b)


def trunc_div(a: int, b: int) -> int:
    """a / b toward zero; b is positive."""
    return a // b if a >= 0 else -(-a // b)


def clamp(x: int, low: int, high: int) -> int:
    return min(max(x, low), high)


def sign(x: int) -> int:
    return (x > 0) - (x < 0)


def word(x: int | bytes) -> bytes:
    """32 bytes big-endian; addresses and smaller integers are padded on the left with zeros."""
    return x.rjust(32, b"\0") if isinstance(x, bytes) else x.to_bytes(32, "big")
