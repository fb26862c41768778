"""Decimals and integers: exact both ways, and a clear error for what has no units."""

from decimal import Decimal
from fractions import Fraction

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st

from provenue.gateway.errors import ApiError
from provenue.gateway.numbers import (
    InstrumentScale,
    number,
    parse_decimal,
    parse_integer,
    quote,
    units_of,
)

SCALE = InstrumentScale(tick_size=10_000, lots_per_base=10_000)
_decode = msgspec.json.Decoder(float_hook=Decimal).decode


def reason(failure: pytest.ExceptionInfo[ApiError]) -> str:
    assert failure.value.data is not None
    return str(failure.value.data["reason"])


# A double holds 15 significant digits exactly: what clients can see of any tick or lot.
@given(st.integers(0, 10**13))
def test_a_price_survives_json_both_ways(ticks: int) -> None:
    sent = msgspec.json.encode(SCALE.price(ticks))
    assert SCALE.ticks("price", _decode(sent)) == ticks
    assert SCALE.ticks("price", msgspec.json.decode(sent)) == ticks
    assert SCALE.ticks("price", sent.decode()) == ticks


@given(st.integers(0, 10**13))
def test_an_amount_survives_json_both_ways(lots: int) -> None:
    sent = msgspec.json.encode(SCALE.amount(lots))
    assert SCALE.lots("amount", _decode(sent)) == lots


@given(st.integers(-(10**20), 10**20), st.integers(1, 10**9))
def test_a_number_is_the_nearest_double(numerator: int, denominator: int) -> None:
    shown = number(numerator, denominator)
    exact = Fraction(numerator, denominator)
    if isinstance(shown, int):
        assert shown == exact
    else:
        assert shown == float(exact)  # Fraction rounds correctly, by its own code


@given(st.decimals(allow_nan=False, allow_infinity=False, places=9, min_value=0, max_value=10**9))
def test_only_whole_ticks_are_prices(value: Decimal) -> None:
    ticks = Fraction(value) * 100
    if ticks.denominator == 1:
        assert SCALE.ticks("price", value) == ticks
    else:
        with pytest.raises(ApiError) as failure:
            SCALE.ticks("price", value)
        assert "multiple of 0.01 (tick size)" in reason(failure)


def test_lots_that_are_no_decimals_stay_exact() -> None:
    scale = InstrumentScale(tick_size=7, lots_per_base=7)
    assert scale.lots("amount", 3) == 21
    assert scale.amount(21) == 3
    assert scale.amount(1) == pytest.approx(1 / 7)


def test_many_digits_are_not_rounded_into_a_tick() -> None:
    # With 28 digits of precision this would look like a whole tick.
    with pytest.raises(ApiError):
        SCALE.ticks("price", "1.0000000000000000000000000000000001")


@pytest.mark.parametrize(
    "value",
    [None, True, [], {}, "abc", "", "NaN", "Infinity", float("nan"), float("inf"), "1" * 100],
)
def test_what_is_no_number_is_refused_by_name(value: object) -> None:
    with pytest.raises(ApiError) as failure:
        parse_decimal("amount", value)
    assert failure.value.code == -32602
    assert failure.value.data is not None
    assert failure.value.data["param"] == "amount"


@pytest.mark.parametrize("value", ["1e999999999", "1e-999999999", Decimal("1e5000"), "9" * 41])
def test_a_number_that_would_cost_time_is_refused(value: object) -> None:
    with pytest.raises(ApiError):
        SCALE.ticks("price", value)


@pytest.mark.parametrize("value", [-1, "-0.01", Decimal(-5)])
def test_negative_amounts_are_refused(value: object) -> None:
    with pytest.raises(ApiError):
        SCALE.lots("amount", value)


def test_integers_are_whole_and_bounded() -> None:
    assert parse_integer("count", "12", least=1, largest=20) == 12
    assert parse_integer("order_id", str((1 << 64) - 1)) == (1 << 64) - 1
    for value in (0, 21, "1.5", Decimal("1.5"), -3, "x", None, True):
        with pytest.raises(ApiError):
            parse_integer("count", value, least=1, largest=20)


def test_averages_are_of_fills() -> None:
    assert SCALE.average_price(100 * 2 + 103 * 1, 3) == pytest.approx(1.01)
    assert SCALE.average_price(0, 0) == 0


def test_token_amounts_keep_the_asset_s_unit() -> None:
    assert units_of("amount", "1.000001", 6) == 1_000_001
    assert quote(1_000_001) == 1.000001
    with pytest.raises(ApiError):
        units_of("amount", "1.0000001", 6)
