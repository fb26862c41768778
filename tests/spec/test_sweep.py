"""Liquidation, step by step with the numbers worked by hand, and the walk of the sweep."""

import pytest
from tests.differential.invariants import check_dump
from tests.spec.venue import BUY, SELL, USD, Trader, Venue, kinds

from provenue.spec.constants import CancelReason, Code, EventKind, FillFlag, Kind
from provenue.spec.events import Event


def _of(events: list[Event], kind: EventKind) -> list[Event]:
    return [event for event in events if event.kind == kind]


def _leveraged(venue: Venue, coin_units: int = 0) -> tuple[Trader, Trader]:
    """Long 1,000 lots at 100 with 11 USDC: 10.99 after the maker's fee of 0.01."""
    long, short = venue.trader(11, coin_units=coin_units), venue.trader(1_000)
    long.order(BUY, 100, 1_000)
    short.order(SELL, 100, 1_000)
    assert long.quote == 10_990_000
    return long, short


def test_exactly_on_the_line_is_safe(engine_name: str) -> None:
    """Equity is 10.99 - 100 + p, maintenance 0.05 p: equal at p = 93.694...: 94 safe, 93 not."""
    for price, unsafe in ((94, False), (93, True)):
        venue = Venue.listed(engine_name)
        _leveraged(venue)
        events = venue.price({0: price})
        assert bool(_of(events, EventKind.LIQUIDATED)) == unsafe


def test_the_waterfall_orders_then_book_then_house(venue: Venue) -> None:
    long, _ = _leveraged(venue)
    stray = long.order(BUY, 50, 1)
    bidder = venue.trader(1_000)
    bidder.order(BUY, 90, 400)
    bidder.order(BUY, 88, 500)  # below 93 * 0.95 = 88.35: outside the band
    venue.now_ms += 1
    first = venue.publish({0: 93})[1]
    steps = [[event for event in first if event.kind != EventKind.PRICE_UPDATED]]
    while not _of(steps[-1], EventKind.TAKEN_OVER):
        code, events = venue.send(Kind.CONTINUE, {})
        assert code == Code.OK
        steps.append(events)
        check_dump(venue.engine.dump(), 3)
    cancelled, closed, taken = (step for step in steps if step)

    # 1. the account's own orders are cancelled
    assert [(e.order_id, e.reason) for e in cancelled] == [(stray, CancelReason.LIQUIDATION)]
    # 2. what the band allows is sold on the book, at the makers' prices, for the higher fee
    assert kinds(closed) == ["LIQUIDATED", "FILL"]
    assert (closed[0].price, closed[0].size) == (89, 1_000)
    fill = closed[1]
    assert (fill.order_id, fill.price, fill.size) == (0, 90, 400)
    assert fill.reason == FillFlag.TAKER_SELLS | FillFlag.LIQUIDATION
    assert (fill.value, fill.extra) == (36 * USD * 5_000 // 10**6, 36 * USD * 100 // 10**6)
    # 3. nothing is left within the band: the house takes the rest at the mark
    assert kinds(taken) == ["LIQUIDATED", "TAKEN_OVER"]
    assert (taken[1].size, taken[1].value) == (600, 55_800_000)
    # 10.99 - 4 (400 lots bought at 100, sold at 90) - 0.18 fee - 4.2 (600 lots from 100 to 93)
    assert (long.quote, long.row()) == (2_610_000, [])
    house = venue.line("U", 0)
    assert int(house[5]) == 180_000
    assert [row[2:4] for row in venue.lines("R") if row[0] == "0"] == [["600", "-55800000"]]
    venue.finish()


def test_a_bankrupt_account_gives_collateral_and_the_house_pays_the_rest(venue: Venue) -> None:
    """At 85: 10.99 - 15 = -4.01; 0.01 coin is worth 0.85 * 0.9 = 0.765; 3.245 are missing."""
    long, _ = _leveraged(venue, coin_units=10**6)
    events = venue.price({0: 85})
    assert kinds(events)[-6:].count("SHORTFALL") == 1
    taken = _of(events, EventKind.COLLATERAL_TAKEN)[0]
    assert (taken.account, taken.size, taken.value, taken.extra) == (long.index, 10**6, 765_000, 1)
    shortfall = _of(events, EventKind.SHORTFALL)[0]
    assert (shortfall.account, shortfall.value) == (long.index, 3_245_000)
    assert (long.quote, long.balance(1), long.row()) == (0, 0, [])
    house = venue.line("U", 0)
    assert [int(x) for x in house[5:7]] == [-765_000 - 3_245_000, 10**6]
    check_dump(venue.engine.dump(), 3)


def test_the_house_works_its_position_out_without_a_fee(venue: Venue) -> None:
    _leveraged(venue)
    venue.price({0: 85})
    bidder = venue.trader(1_000)
    bidder.order(BUY, 84, 1_000)
    events = venue.price({0: 85})
    fill = _of(events, EventKind.FILL)[0]
    assert (fill.account, fill.price, fill.size, fill.value) == (0, 84, 1_000, 0)
    assert fill.reason == FillFlag.TAKER_SELLS | FillFlag.HOUSE_UNWIND
    assert _of(events, EventKind.LIQUIDATED) == []
    assert all(row[0] != "0" for row in venue.lines("R"))
    assert int(venue.line("U", 0)[5]) == -4_010_000 - 1 * USD  # 1,000 lots from 85 to 84


def test_the_largest_maintenance_margin_is_closed_first(venue: Venue) -> None:
    trader, other = venue.trader(31), venue.trader(1_000)
    for instrument, size in ((1, 1_000), (2, 2_000)):
        trader.order(BUY, 100, size, instrument=instrument)
        other.order(SELL, 100, size, instrument=instrument)
        other.order(BUY, 91, 3_000, instrument=instrument)
    events = venue.price({0: 91, 1: 91})
    liquidated = [e.instrument for e in events if e.kind == EventKind.LIQUIDATED]
    assert liquidated[0] == 2


def test_a_short_is_bought_back(venue: Venue) -> None:
    short, long = venue.trader(11), venue.trader(1_000)
    short.order(SELL, 100, 1_000)
    long.order(BUY, 100, 1_000)
    asker = venue.trader(1_000)
    asker.order(SELL, 111, 1_000)
    asker.order(SELL, 113, 1_000)  # above 107 * 1.05 = 112.35
    events = venue.price({0: 107})
    assert _of(events, EventKind.LIQUIDATED)[0].price == 112
    fills = _of(events, EventKind.FILL)
    assert [(f.price, f.size, f.reason) for f in fills] == [(111, 1_000, FillFlag.LIQUIDATION)]
    assert short.row() == []


def test_a_negative_quote_balance_without_a_position_is_swept(venue: Venue) -> None:
    """Spot bought on credit: 0.27 coin against -17 USDC is unsafe when it is worth less."""
    buyer, seller = venue.trader(10), venue.trader(1_000, coin_units=10**8)
    seller.order(SELL, 100, 500, instrument=0)
    for size in (90, 80, 60, 40):
        assert buyer.place(BUY, 100, size, instrument=0, time_in_force=1)[0] == Code.OK
    assert buyer.quote < -16 * USD
    assert buyer.row(0) == []
    events = venue.price({0: 65})
    assert kinds(events).count("COLLATERAL_TAKEN") == 1
    assert _of(events, EventKind.LIQUIDATED) == []
    assert (buyer.quote, buyer.balance(1)) == (0, 0)


@pytest.mark.parametrize("accounts", [1, 2, 3, 5, 11])
def test_a_sweep_visits_every_account_once_in_parts_of_three(venue: Venue, accounts: int) -> None:
    for _ in range(accounts):
        venue.trader()
    used = accounts + 1  # with the house
    start = int(venue.lines("G")[0][2])
    venue.now_ms += 1
    _, events = venue.publish({0: 100})
    parts = 1
    while not _of(events, EventKind.SWEEP_FINISHED):
        code, events = venue.send(Kind.CONTINUE, {})
        assert code == Code.OK
        parts += 1
    assert parts == -(-used // 3)
    assert events[-1].extra == (used - 1) % 3 + 1
    assert int(venue.lines("G")[0][2]) == (start + used) % used
    assert venue.send(Kind.CONTINUE, {})[0] == Code.NOTHING_TO_CONTINUE


def test_prices_during_a_sweep_start_a_full_circle_from_the_cursor(venue: Venue) -> None:
    for _ in range(8):
        venue.trader()
    venue.now_ms += 1
    venue.publish({0: 100})
    cursor, remaining = (int(x) for x in venue.lines("G")[0][2:4])
    assert remaining == 9 - 3
    venue.now_ms += 1
    venue.publish({0: 100})
    assert [int(x) for x in venue.lines("G")[0][2:4]] == [(cursor + 3) % 9, 9 - 3]
