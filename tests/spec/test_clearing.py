"""Money, worked by hand and with exact rationals: fees, positions, spot, funding, margin edges."""

from fractions import Fraction
from math import ceil, floor, trunc

import pytest
from tests.differential.invariants import check_dump
from tests.spec.venue import BUY, IOC, MARK, PERPETUAL, SELL, USD, Trader, Venue

from provenue.spec.constants import Code, EventKind, Kind

PPM, PERIOD_MS, SCALE = 10**6, 28_800_000, 10**6
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
    [(100, 101, 60_000), (100, 101, 34_567), (98, 99, 34_567), (90, 91, 57_777),
     (109, 112, 59_999), (109, 112, 60_000), (100, 100 + 3, 1)],
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
    share = Fraction(dt_ms, PERIOD_MS)
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


@pytest.mark.parametrize(("dt_ms", "accrues"), [(60_000, True), (60_001, False)])
@pytest.mark.parametrize("by_price", [False, True])
def test_a_dead_feed_costs_nobody_funding(
    venue: Venue, dt_ms: int, accrues: bool, by_price: bool
) -> None:
    quoter = venue.trader(1_000)
    quoter.order(BUY, 100, 1)
    quoter.order(SELL, 101, 1)
    venue.price({0: MARK})  # a premium of 0.5 %
    venue.now_ms += dt_ms
    if by_price:
        venue.price({0: 2 * MARK}, after_ms=0)
    else:
        venue.ok(Kind.TICK)
    index = 5_000 * MARK * USD * dt_ms * SCALE // (PPM * PERIOD_MS * LOTS) if accrues else 0
    assert venue.line("I", 1)[16:18] == [str(index), str(venue.now_ms)]
    venue.finish()
    if not accrues:  # the gap is gone for good: only what follows a fresh price counts
        venue.price({0: MARK}, after_ms=1)
        before = int(venue.line("I", 1)[16])
        venue.now_ms += 1_000
        venue.ok(Kind.TICK)
        step = 5_000 * MARK * USD * 1_000 * SCALE // (PPM * PERIOD_MS * LOTS)
        assert int(venue.line("I", 1)[16]) - before == step


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


def _with_quote(venue: Venue, units: int, coin_units: int = 0) -> Trader:
    """A trader with exactly so many quote units."""
    trader = venue.trader(units // USD + 1, coin_units=coin_units)
    leave = {"asset": 0, "recipient": trader.signer.address}
    assert trader.act(Kind.WITHDRAW, amount_units=trader.quote - units, **leave)[0] == Code.OK
    return trader


@pytest.mark.parametrize(("units", "code"), [(2_105_049, "MARGIN_INSUFFICIENT"), (2_105_050, "OK")])
def test_the_gain_of_a_far_order_does_not_hide_a_loss(venue: Venue, units: int, code: str) -> None:
    """200 lots need 2 USDC; a bid at 1 "gains" 9.9, the one at 101 still loses 0.1, 5,050 fee."""
    trader = _with_quote(venue, units)
    trader.order(BUY, 1, 100)
    assert trader.place(BUY, 101, 100)[0].name == code


def test_a_resting_orders_loss_is_asked_for_when_it_is_hit_not_by_the_next_order(
    venue: Venue,
) -> None:
    """Two bids at 101 lose 0.1 each: 2 + 0.1 + 5,050 are enough for the second as well."""
    trader = _with_quote(venue, 2_105_050)
    assert [trader.place(BUY, 101, 100)[0] for _ in range(2)] == [Code.OK] * 2
    assert trader.place(BUY, 101, 11)[0] == Code.MARGIN_INSUFFICIENT  # 211 lots need 2.11


def test_the_loss_of_a_perpetual_order_rounds_against_it(engine_name: str) -> None:
    """One lot at a mark of 100.0005: 100,000.5 units. A buy is worth 100,000, a sell 100,001.

    At 101 the buy loses 1,000, at 99 the sell loses 1,001; margin 10,001 and fees 51 and 50.
    """
    for side, price, need in ((BUY, 101, 11_052), (SELL, 99, 11_052)):
        for units, code in ((need - 1, Code.MARGIN_INSUFFICIENT), (need, Code.OK)):
            venue = Venue.listed(engine_name)
            trader = _with_quote(venue, units)
            venue.now_ms += 1
            assert venue.publish({0: 0}, entries=[(0, 100_000_500)])[0] == Code.OK
            venue.finish()
            assert trader.place(side, price, 1)[0] == code


def test_a_reducing_order_may_lose_down_to_maintenance(venue: Venue) -> None:
    """At 94 equity is 4.99 and maintenance 4.7: room for a loss and fee of 0.29."""
    trader, other = venue.trader(11), venue.trader(1_000)
    trader.order(BUY, 100, 1_000)
    other.order(SELL, 100, 1_000)
    venue.price({0: 94})
    assert trader.place(SELL, 93, 300)[0] == Code.MARGIN_INSUFFICIENT  # 0.3 + 13,950
    assert trader.place(SELL, 93, 200)[0] == Code.OK  # 0.2 + 9,300
    # Each order for itself: what both lose together is asked for at the touch.
    assert trader.place(SELL, 93, 200)[0] == Code.OK


@pytest.mark.parametrize(("price", "code"), [(80, "OK"), (79, "MARGIN_INSUFFICIENT")])
def test_a_spot_sell_below_the_weighted_value_loses(venue: Venue, price: int, code: str) -> None:
    """91 of equity, 80 of margin: a coin valued at 90 may go for 80 (and 0.04 fee), not for 79."""
    trader = venue.trader(1, coin_units=10**8)
    trader.order(BUY, 1, 8_000)
    trader.order(SELL, 1_000_000, 1, 0)  # its "gain" counts for nothing
    assert trader.place(SELL, price, 999, 0)[0].name == code


# --- spot is paid in full ------------------------------------------------------------------------


def test_spot_is_not_bought_on_credit(venue: Venue) -> None:
    """90 of coin do not buy: 10 of quote pay 9.9 and its fee, then what is left of the reserve."""
    trader = venue.trader(10, coin_units=10**8)
    assert trader.place(BUY, 100, 100, 0)[0] == Code.INSUFFICIENT_BALANCE  # 10 and 5,000
    trader.order(BUY, 100, 99, 0)
    assert trader.place(BUY, 100, 1, 0)[0] == Code.INSUFFICIENT_BALANCE  # 100,000 and 50
    trader.order(BUY, 99, 1, 0)
    assert trader.row(0)[5] == 9_999_000
    trader.order(BUY, 1, 1, 1)  # a perpetual reserves no quote


@pytest.mark.parametrize(("units", "code"), [(10_004_999, "INSUFFICIENT_BALANCE"),
                                             (10_005_000, "OK")])  # fmt: skip
def test_a_spot_buy_reserves_its_fee_to_the_unit(venue: Venue, units: int, code: str) -> None:
    trader = _with_quote(venue, units)
    assert trader.place(BUY, 100, 100, 0)[0].name == code
