"""Money, worked by hand and with exact rationals: fees, positions, spot, funding, margin edges."""

from fractions import Fraction
from math import ceil, floor, trunc

import pytest
from tests.differential.invariants import check_dump
from tests.spec.venue import BUY, IOC, MARK, PERPETUAL, SELL, USD, Trader, Venue

from provenue.spec.constants import Code, EventKind, Kind

PPM, HOUR_MS, PERIOD_MS, SCALE = 10**6, 3_600_000, 28_800_000, 10**6
LOTS = 1_000  # per base
UNITS = 1_000  # quote units per tick and lot


def _pair(venue: Venue, usdc: int = 1_000) -> tuple[Trader, Trader]:
    return venue.trader(usdc), venue.trader(usdc)


# --- fees ----------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("price", "size", "taker_fee", "maker_fee"),
    [
        (100, 10, 500, 100),  # 1,000,000 units: exactly 500 and 100 ppm
        (101, 1, 51, 11),  # 101,000 units: 50.5 and 10.1, both against the payer
        (99, 1, 50, 10),  # 49.5 and 9.9
        (1, 1, 1, 1),  # 0.5 and 0.1 are one unit each
    ],
)
def test_fees_round_against_the_payer(
    venue: Venue, price: int, size: int, taker_fee: int, maker_fee: int
) -> None:
    maker, taker = _pair(venue)
    maker.order(BUY, price, size)
    before = maker.quote, taker.quote
    _, events = taker.place(SELL, price, size, time_in_force=IOC)
    fill = next(event for event in events if event.kind == EventKind.FILL)
    assert (fill.value, fill.extra) == (taker_fee, maker_fee)
    assert (before[0] - maker.quote, before[1] - taker.quote) == (maker_fee, taker_fee)
    assert int(venue.line("A", 0)[9]) == taker_fee + maker_fee


# --- positions -----------------------------------------------------------------------------------


def test_a_position_is_a_size_and_a_signed_cash_leg(venue: Venue) -> None:
    maker, taker = _pair(venue)
    maker.order(SELL, 100, 30)
    taker.order(BUY, 100, 10)
    taker.order(BUY, 100, 20)
    assert taker.row()[:2] == [30, -3_000_000]
    assert maker.row()[:2] == [-30, 3_000_000]


def test_a_partial_close_keeps_the_cost_of_what_remains(venue: Venue) -> None:
    maker, taker = _pair(venue)
    maker.order(SELL, 100, 3)
    taker.order(BUY, 100, 3)  # cash leg -300,000
    maker.order(BUY, 104, 1)
    before = taker.quote
    taker.order(SELL, 104, 1)  # 52 units of fee
    assert taker.row()[:2] == [2, -200_000]
    assert taker.quote - before == 104_000 - 100_000 - 52


def test_closing_part_of_an_uneven_cash_leg_rounds_down(venue: Venue) -> None:
    """Three lots at 100, 100, 101: a third of -301,000 is -100,333.3: floor gives -100,334."""
    maker, taker = _pair(venue)
    for price, size in ((100, 2), (101, 1)):
        maker.order(SELL, price, size)
        taker.order(BUY, price, size)
    maker.order(BUY, 100, 1)
    before = taker.quote
    taker.order(SELL, 100, 1)
    released = floor(Fraction(-301_000, 3))
    assert taker.row()[:2] == [2, -301_000 - released]
    assert taker.quote - before == released + 100_000 - 50


def test_through_zero_closes_first_and_opens_the_rest(venue: Venue) -> None:
    maker, taker = _pair(venue)
    maker.order(SELL, 100, 4)
    taker.order(BUY, 100, 4)
    maker.order(BUY, 103, 10)
    before = taker.quote
    taker.order(SELL, 103, 10)
    fee = ceil(Fraction(103 * 10 * UNITS * 500, PPM))
    assert taker.row()[:2] == [-6, 6 * 103 * UNITS]
    assert taker.quote - before == 4 * 3 * UNITS - fee


def test_a_flat_account_has_no_row_and_all_its_profit(venue: Venue) -> None:
    maker, taker = _pair(venue)
    maker.order(SELL, 100, 4)
    taker.order(BUY, 100, 4)
    maker.order(BUY, 105, 4)
    taker.order(SELL, 105, 4)
    fees = ceil(Fraction(400_000 * 500, PPM)) + ceil(Fraction(420_000 * 500, PPM))
    assert (taker.row(), maker.row()) == ([], [])
    assert taker.quote == 1_000 * USD + 20_000 - fees


# --- spot ----------------------------------------------------------------------------------------


def test_spot_delivers_exactly_and_reserves_what_is_offered(venue: Venue) -> None:
    seller, buyer = venue.trader(1_000, coin_units=10**8), venue.trader(1_000)
    seller.order(SELL, 100, 600, instrument=0)
    assert seller.place(SELL, 100, 401, instrument=0)[0] == Code.INSUFFICIENT_BALANCE
    leave = {"asset": 1, "amount_units": 40_000_001, "recipient": seller.signer.address}
    assert seller.act(Kind.WITHDRAW, **leave)[0] == Code.INSUFFICIENT_BALANCE
    assert seller.act(Kind.WITHDRAW, **(leave | {"amount_units": 40_000_000}))[0] == Code.OK
    buyer.order(BUY, 100, 200, instrument=0)
    assert buyer.balance(1) == 200 * 10**5
    assert seller.balance(1) == 60_000_000 - 200 * 10**5
    assert buyer.quote == 1_000 * USD - 20 * USD - 20 * USD * 500 // PPM
    assert seller.quote == 1_000 * USD + 20 * USD - 20 * USD * 100 // PPM
    assert (buyer.row(0), seller.row(0)[4]) == ([], 400)


# --- funding -------------------------------------------------------------------------------------


def _premium_ppm(bid: int, ask: int, mark: int, cap: int) -> int:
    above = Fraction(bid + ask, 2) / mark - 1
    return max(-cap, min(cap, trunc(above * PPM)))


@pytest.mark.parametrize(
    ("bid", "ask", "dt_ms"),
    [(100, 101, HOUR_MS), (100, 101, 1_234_567), (98, 99, 1_234_567), (90, 91, 777_777),
     (109, 112, PERIOD_MS), (109, 112, 3 * PERIOD_MS), (100, 100 + 3, 1)],
)  # fmt: skip
def test_funding_follows_the_premium_of_the_book(
    engine_name: str, bid: int, ask: int, dt_ms: int
) -> None:
    venue = Venue.listed(engine_name)
    long, short = _pair(venue)
    quoter = venue.trader(1_000)
    short.order(SELL, MARK, 7)
    long.order(BUY, MARK, 7)
    quoter.order(BUY, bid, 1)
    quoter.order(SELL, ask, 1)
    venue.price({0: MARK})
    premium = _premium_ppm(bid, ask, MARK, PERPETUAL["funding_cap_ppm"])
    assert int(venue.line("I", 1)[15]) == premium

    venue.now_ms += dt_ms
    venue.ok(Kind.TICK)
    venue.finish()
    share = Fraction(min(dt_ms, PERIOD_MS), PERIOD_MS)
    index = trunc(Fraction(premium, PPM) * MARK * USD * share * SCALE / LOTS)
    assert int(venue.line("I", 1)[16]) == index

    venue.price({0: MARK})
    before = long.quote, short.quote
    index = int(venue.line("I", 1)[16])
    quoter.act(Kind.CANCEL_ALL, instrument=0xFFFF)
    quoter.order(BUY, MARK, 1)
    long.order(SELL, MARK, 1)  # settles the long side
    short.order(SELL, MARK + 9, 1)  # an order alone settles nothing
    due = ceil(Fraction(7 * index, SCALE))
    fee = ceil(Fraction(MARK * UNITS * 500, PPM))
    assert before[0] - long.quote == due + fee
    assert before[1] == short.quote
    quoter.order(SELL, MARK, 1)
    short.order(BUY, MARK, 1)
    received = -ceil(Fraction(-7 * index, SCALE))
    assert short.quote - before[1] == received - fee
    assert 0 <= due - received <= 1
    assert int(venue.line("I", 1)[18]) == due - received  # dust stays in the clearing account
    check_dump(venue.engine.dump(), 3)


# --- margin edges --------------------------------------------------------------------------------


def test_an_order_needs_margin_fee_and_its_loss_against_the_mark(engine_name: str) -> None:
    """100 lots at 101: 1 USDC of margin at the mark, 0.1 of loss, 5,050 units of fee."""
    for quote_units, code in ((1_105_049, "MARGIN_INSUFFICIENT"), (1_105_050, "OK")):
        venue = Venue.listed(engine_name)
        trader = venue.trader(2)
        leave = 2 * USD - quote_units
        owner = trader.signer.address
        trader.act(Kind.WITHDRAW, asset=0, amount_units=leave, recipient=owner)
        assert trader.place(BUY, 101, 100)[0].name == code


def test_orders_on_both_sides_count_the_worse_one(venue: Venue) -> None:
    trader = venue.trader(2)  # 2 USDC carry 100 lots on both sides, or 199 on one
    assert trader.place(BUY, 100, 100)[0] == Code.OK
    assert trader.place(SELL, 101, 100)[0] == Code.OK
    assert trader.place(BUY, 99, 100)[0] == Code.MARGIN_INSUFFICIENT


def test_a_reducing_order_needs_maintenance_only(engine_name: str) -> None:
    venue = Venue.listed(engine_name)
    trader, other = venue.trader(11), venue.trader(1_000)
    trader.order(BUY, 100, 1_000)
    other.order(SELL, 100, 1_000)
    venue.price({0: 94})  # equity 4.99, initial 9.4, maintenance 4.7
    assert trader.place(BUY, 90, 1)[0] == Code.MARGIN_INSUFFICIENT
    assert trader.place(SELL, 100, 1_001)[0] == Code.MARGIN_INSUFFICIENT
    assert trader.place(SELL, 90, 1_000)[0] == Code.MARGIN_INSUFFICIENT  # would lose 4 at once
    assert trader.place(SELL, 94, 1_000)[0] == Code.OK


def test_a_withdrawal_stops_exactly_at_initial_margin(venue: Venue) -> None:
    trader, other = venue.trader(100), venue.trader(1_000)
    trader.order(BUY, 100, 1_000)
    other.order(SELL, 100, 1_000)
    free = trader.quote - 10 * USD  # mark unchanged: initial margin 10 USDC
    leave = {"asset": 0, "recipient": trader.signer.address}
    assert trader.act(Kind.WITHDRAW, amount_units=free + 1, **leave)[0] == Code.MARGIN_INSUFFICIENT
    assert trader.act(Kind.WITHDRAW, amount_units=free, **leave)[0] == Code.OK
    assert trader.act(Kind.WITHDRAW, amount_units=1, **leave)[0] == Code.MARGIN_INSUFFICIENT
