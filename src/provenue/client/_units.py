"""Decimals of people <-> integers of the protocol. Exact: floats count as what they print."""

from decimal import Decimal, InvalidOperation
from typing import TypeAlias

from provenue.client.errors import AmountError

__all__ = ["Amount", "decimal_of", "steps_of"]

Amount: TypeAlias = Decimal | int | str | float


def decimal_of(numerator: int, denominator: int) -> Decimal:
    """A fraction as a decimal."""
    return Decimal(numerator) / Decimal(denominator)


def steps_of(field: str, value: Amount, *, numerator: int, denominator: int) -> int:
    """How many steps of numerator/denominator a value is; AmountError unless it is a whole number
    of them.
    """
    if isinstance(value, bool):
        raise AmountError(f"{field}: expected a number, was {value!r}")
    try:
        # str() of a float is the shortest decimal that reads back: what was written.
        parsed = Decimal(str(value)) if isinstance(value, float) else Decimal(value)
        above, below = parsed.as_integer_ratio()
    except (InvalidOperation, ValueError, TypeError, OverflowError):
        raise AmountError(f"{field}: expected a number, was {value!r}") from None
    steps, rest = divmod(above * denominator, below * numerator)
    if rest:
        step = decimal_of(numerator, denominator)
        raise AmountError(f"{field}: expected a multiple of {step:f}, was {value}")
    if not 0 <= steps < 1 << 64:
        raise AmountError(f"{field}: expected 0 to 2^64 steps, was {value}")
    return steps
