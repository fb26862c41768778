"""Decimal numbers of the API <-> integers of the protocol. Exact: no float is ever computed with.

Amounts of an instrument are whole bases (0.0015 BTC), prices are quote per whole base (63,250.5
USDC), balances are whole tokens, as in Deribit's linear contracts.
"""

from __future__ import annotations

from dataclasses import dataclass
from decimal import Decimal, InvalidOperation
from typing import Any

from provenue.gateway.errors import bad_param

__all__ = ["InstrumentScale", "decimal_of", "integer_of", "number", "parse_decimal"]

QUOTE_DECIMALS = 6


def number(value: Decimal) -> float | int:
    """A JSON number that prints as the shortest decimal (doubles keep 15 digits exactly)."""
    return int(value) if value == value.to_integral_value() else float(value)


def parse_decimal(name: str, value: Any) -> Decimal:
    """A finite decimal out of a JSON number or string (clients send both)."""
    if isinstance(value, bool) or not isinstance(value, int | float | str | Decimal):
        raise bad_param(name, "a number", value)
    try:
        # str() of a double is the shortest decimal that reads back: what the client wrote.
        parsed = Decimal(str(value))
    except InvalidOperation:
        raise bad_param(name, "a number", value) from None
    if not parsed.is_finite():
        raise bad_param(name, "a finite number", value)
    return parsed


def integer_of(name: str, value: Any, unit: Decimal, unit_name: str) -> int:
    """How many whole `unit`s a decimal is; an error names the step when it is not a multiple."""
    parsed = parse_decimal(name, value)
    count = parsed / unit
    if count != count.to_integral_value():
        raise bad_param(name, f"a multiple of {unit.normalize():f} ({unit_name})", value)
    return int(count)


def decimal_of(count: int, unit: Decimal) -> Decimal:
    """`count` units as a decimal."""
    return Decimal(count) * unit


@dataclass(frozen=True, slots=True)
class InstrumentScale:
    """Units of one instrument: the tick in quote, the lot in base."""

    tick: Decimal
    lot: Decimal

    @classmethod
    def of(cls, *, tick_size: int, lots_per_base: int) -> InstrumentScale:
        """From the listing: `tick_size` in quote units (1e-6) per whole base."""
        return cls(
            tick=Decimal(tick_size).scaleb(-QUOTE_DECIMALS), lot=Decimal(1) / Decimal(lots_per_base)
        )

    def ticks(self, name: str, value: Any) -> int:
        """A price as ticks."""
        return integer_of(name, value, self.tick, "tick size")

    def lots(self, name: str, value: Any) -> int:
        """An amount as lots."""
        return integer_of(name, value, self.lot, "minimum trade amount")

    def price(self, ticks: int) -> float | int:
        """Ticks as a price."""
        return number(decimal_of(ticks, self.tick))

    def amount(self, lots: int) -> float | int:
        """Lots as an amount."""
        return number(decimal_of(lots, self.lot))
