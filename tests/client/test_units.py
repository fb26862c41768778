"""Decimals into protocol integers: exact or refused by name."""

from decimal import Decimal
from fractions import Fraction

import pytest
from hypothesis import given
from hypothesis import strategies as st

from provenue.client._units import Amount, decimal_of, steps_of
from provenue.client.errors import AmountError


@given(st.integers(0, 2**63), st.sampled_from([(1, 10**8), (10_000, 10**6), (1, 7), (3, 1)]))
def test_whole_steps_are_counted_exactly(steps: int, step: tuple[int, int]) -> None:
    value = Fraction(steps * step[0], step[1])
    if Fraction(Decimal(value.numerator) / Decimal(value.denominator)) != value:
        return  # no decimal of 28 digits says it
    text = format(Decimal(value.numerator) / Decimal(value.denominator), "f")
    assert steps_of("amount", text, numerator=step[0], denominator=step[1]) == steps


@pytest.mark.parametrize("value", [0.1, "0.1", Decimal("0.1"), "1e-1"])
def test_every_spelling_of_a_number_is_the_same(value: Amount) -> None:
    assert steps_of("amount", value, numerator=1, denominator=10_000) == 1_000


@pytest.mark.parametrize(
    ("value", "text"),
    [
        ("0.00005", "multiple of 0.0001"),
        (0.30000000000000004, "multiple of 0.0001"),
        ("abc", "expected a number"),
        ("NaN", "expected a number"),
        ("Infinity", "expected a number"),
        (float("inf"), "expected a number"),
        (True, "expected a number"),
        (None, "expected a number"),
        ([], "expected a number"),
        ("-1", "expected 0 to"),
        ("1e30", "expected 0 to"),
    ],
)
def test_what_has_no_units_is_refused_by_name(value: object, text: str) -> None:
    with pytest.raises(AmountError, match=text) as failure:
        steps_of("amount", value, numerator=1, denominator=10_000)  # type: ignore[arg-type]
    assert str(failure.value).startswith("amount: ")


def test_units_become_decimals() -> None:
    assert decimal_of(1_500_001, 10**6) == Decimal("1.500001")
