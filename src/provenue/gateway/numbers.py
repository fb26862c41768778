"""Parameters of the API as values, and its decimals <-> integers of the protocol. Exact: no float
is ever computed with.

Amounts of an instrument are whole bases (0.0015 BTC), prices are quote per whole base (63,250.5
USDC), balances are whole tokens, as in Deribit's linear contracts. A float appears only as the form
in which JSON prints a result.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from decimal import Decimal, InvalidOperation
from typing import Any

from provenue.gateway.errors import bad_param

__all__ = [
    "QUOTE_DECIMALS",
    "InstrumentScale",
    "number",
    "parse_choice",
    "parse_decimal",
    "parse_flag",
    "parse_integer",
    "quote",
    "units_of",
]

QUOTE_DECIMALS = 6
# Every amount of the protocol lies far inside; beyond, arithmetic would only cost time.
_DIGITS_MAX = 40
_QUOTE = 10**QUOTE_DECIMALS
_U64_MAX = (1 << 64) - 1


def number(numerator: int, denominator: int = 1) -> float | int:
    """A JSON number: whole, else the double that prints as the shortest decimal."""
    # One correctly rounded division: doubles print 15 significant digits as they were.
    if numerator % denominator:
        return numerator / denominator
    return numerator // denominator


def quote(units: int) -> float | int:
    """Quote units as a JSON number of USDC."""
    return number(units, 10**QUOTE_DECIMALS)


def parse_decimal(name: str, value: Any) -> Decimal:
    """A finite decimal out of a JSON number or string (clients send both)."""
    if isinstance(value, bool) or not isinstance(value, int | float | str | Decimal):
        raise bad_param(name, "a number", value)
    if isinstance(value, str) and len(value) > 2 * _DIGITS_MAX:
        raise bad_param(name, f"a number of at most {_DIGITS_MAX} digits", value)
    try:
        # str() of a double is the shortest decimal that reads back: what the client wrote.
        parsed = Decimal(str(value)) if isinstance(value, float) else Decimal(value)
    except (InvalidOperation, ValueError):
        raise bad_param(name, "a number", value) from None
    if not parsed.is_finite():
        raise bad_param(name, "a finite number", value)
    if abs(parsed.adjusted()) > _DIGITS_MAX or len(parsed.as_tuple().digits) > _DIGITS_MAX:
        raise bad_param(name, f"a number of at most {_DIGITS_MAX} digits", value)
    return parsed


def parse_integer(name: str, value: Any, *, least: int = 0, largest: int = _U64_MAX) -> int:
    """A whole number out of a JSON number or a decimal string."""
    parsed = parse_decimal(name, value)
    if parsed != parsed.to_integral_value() or not least <= parsed <= largest:
        raise bad_param(name, f"a whole number from {least} to {largest}", value)
    return int(parsed)


def parse_choice(params: dict[str, Any], name: str, choices: Iterable[str], default: str) -> str:
    """An optional word out of a few."""
    value, known = params.get(name), tuple(choices)
    if value is None:
        return default
    if not isinstance(value, str) or value not in known:
        raise bad_param(name, f"one of {', '.join(known)}", value)
    return value


def parse_flag(params: dict[str, Any], name: str, *, default: bool = False) -> bool:
    """An optional true or false; text too, since a query string has nothing else."""
    value = params.get(name)
    if isinstance(value, str):
        value = {"true": True, "false": False}.get(value.lower(), value)
    if value is None:
        return default
    if not isinstance(value, bool):
        raise bad_param(name, "true or false", value)
    return value


def _steps(name: str, value: Any, step: tuple[int, int], step_name: str) -> int:
    """How many whole steps (numerator, denominator) a decimal is; an error names the step."""
    above, below = parse_decimal(name, value).as_integer_ratio()
    count, rest = divmod(above * step[1], below * step[0])
    if rest:
        raise bad_param(name, f"a multiple of {number(*step)} ({step_name})", value)
    if not 0 <= count <= _U64_MAX:
        raise bad_param(name, "a number that is not negative and below 2^64 steps", value)
    return count


def units_of(name: str, value: Any, unit_decimals: int) -> int:
    """A token amount as asset units."""
    return _steps(name, value, (1, 10**unit_decimals), "the asset's unit")


@dataclass(frozen=True, slots=True)
class InstrumentScale:
    """Units of one instrument: a tick is `tick_size` quote units, a lot `1 / lots_per_base`."""

    tick_size: int
    lots_per_base: int

    def ticks(self, name: str, value: Any) -> int:
        """A price as ticks."""
        return _steps(name, value, (self.tick_size, _QUOTE), "tick size")

    def lots(self, name: str, value: Any) -> int:
        """An amount as lots."""
        return _steps(name, value, (1, self.lots_per_base), "minimum trade amount")

    def price(self, ticks: int) -> float | int:
        """Ticks as a price."""
        return number(ticks * self.tick_size, _QUOTE)

    def amount(self, lots: int) -> float | int:
        """Lots as an amount."""
        return number(lots, self.lots_per_base)

    def value(self, ticks_times_lots: int) -> float | int:
        """A sum of ticks times lots as quote currency."""
        return number(ticks_times_lots * self.tick_size, _QUOTE * self.lots_per_base)

    def average_price(self, ticks_times_lots: int, lots: int) -> float | int:
        """The mean price of fills; 0 without any."""
        return number(ticks_times_lots * self.tick_size, lots * _QUOTE) if lots else 0
