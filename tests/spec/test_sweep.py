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
    # 2. it is sold on the book down to bankruptcy (93 - 3.99 of equity), for the higher fee
    assert kinds(closed) == ["LIQUIDATED", "FILL"]
    assert (closed[0].price, closed[0].size) == (90, 1_000)
    fill = closed[1]
    assert (fill.order_id, fill.price, fill.size) == (0, 90, 400)
    assert fill.reason == FillFlag.TAKER_SELLS | FillFlag.LIQUIDATION
    assert (fill.value, fill.extra) == (36 * USD * 5_000 // 10**6, 36 * USD * 100 // 10**6)
    # 3. nothing is left within the limit: the house takes the rest at the mark, and the margin
    assert kinds(taken) == ["LIQUIDATED", "TAKEN_OVER", "COLLATERAL_TAKEN"]
    assert taken[0].price == 89  # both by the band (88.35) and by bankruptcy (93 - 2.61 / 0.6)
    assert (taken[1].size, taken[1].value) == (600, 55_800_000)
    # 10.99 - 4 (400 lots bought at 100, sold at 90) - 0.18 fee - 4.2 (600 lots from 100 to 93) is
    # less than the maintenance margin of 2.79, so all of it goes
    assert (taken[2].account, taken[2].size) == (long.index, 2_610_000)
    assert (taken[2].value, taken[2].extra) == (0, 0)
    assert (long.quote, long.row()) == (0, [])
    assert venue.house_balance() == 180_000 + 2_610_000
    assert [row[2:4] for row in venue.lines("R") if row[0] == "0"] == [["600", "-55800000"]]
    venue.finish()


@pytest.mark.parametrize(("bid", "is_hit"), [(90, True), (89, False)])
def test_a_liquidation_stops_at_the_bankruptcy_price(venue: Venue, bid: int, is_hit: bool) -> None:
    """At 92 equity is 2.99: 89.01 a base is bankruptcy, though the band goes down to 87.4."""
    long, _ = _leveraged(venue)
    venue.trader(1_000).order(BUY, bid, 1_000)
    events = venue.price({0: 92})
    assert _of(events, EventKind.LIQUIDATED)[0].price == 90
    assert bool(_of(events, EventKind.FILL)) == is_hit
    assert bool(_of(events, EventKind.TAKEN_OVER)) != is_hit
    assert _of(events, EventKind.SHORTFALL) == []
    assert long.quote == (10_990_000 - 10 * USD - 90 * USD * 5_000 // 10**6 if is_hit else 0)
    assert venue.house_balance() == (450_000 if is_hit else 2_990_000)
    check_dump(venue.engine.dump(), 3)


def test_without_equity_a_liquidation_sells_at_the_mark_or_better(venue: Venue) -> None:
    """At 85 it owes 4.01: a bid of 84 is not hit, the one at 85 pays what the mark says."""
    long, _ = _leveraged(venue)
    bidder = venue.trader(1_000)
    bidder.order(BUY, 85, 300)
    bidder.order(BUY, 84, 700)
    events = venue.price({0: 85})
    assert [event.price for event in _of(events, EventKind.LIQUIDATED)] == [85, 85]
    assert [(f.price, f.size) for f in _of(events, EventKind.FILL)] == [(85, 300)]
    assert _of(events, EventKind.COLLATERAL_TAKEN) == []  # no equity, no penalty
    fee = 85 * 300 * 1_000 * 5_000 // 10**6
    assert _of(events, EventKind.SHORTFALL)[0].value == 4_010_000 + fee
    assert (long.quote, long.row()) == (0, [])


def test_a_bankrupt_account_gives_collateral_and_the_house_pays_the_rest(venue: Venue) -> None:
    """At 85: 10.99 - 15 = -4.01; 0.01 coin is worth 0.85 * 0.9 = 0.765; 3.245 are missing."""
    long, _ = _leveraged(venue, coin_units=10**6)
    assert venue.line("A", 0)[9] == "60000"  # 10,000 of the maker, 50,000 of the taker
    events = venue.price({0: 85})
    assert kinds(events)[-6:].count("SHORTFALL") == 1
    taken = _of(events, EventKind.COLLATERAL_TAKEN)[0]
    assert (taken.account, taken.size, taken.value, taken.extra) == (long.index, 10**6, 765_000, 1)
    shortfall = _of(events, EventKind.SHORTFALL)[0]
    assert (shortfall.account, shortfall.value) == (long.index, 3_245_000)
    assert (long.quote, long.balance(1), long.row()) == (0, 0, [])
    house = [venue.house_balance(asset) for asset in (0, 1)]
    assert house == [-765_000 - 3_245_000 + 60_000, 10**6]
    assert venue.line("A", 0)[9] == "0"  # the fees went first
    check_dump(venue.engine.dump(), 3)


def test_fees_cover_a_shortfall_and_no_more(venue: Venue) -> None:
    """4.86 of fees against 4.01: 0.85 stay, the house is at zero."""
    one, two = venue.trader(1_000), venue.trader(1_000)
    for seller, buyer in ((one, two), (two, one)):
        seller.order(SELL, 100, 40_000)
        buyer.order(BUY, 100, 40_000)
    assert venue.line("A", 0)[9] == "4800000"
    _leveraged(venue)
    events = venue.price({0: 85})
    assert _of(events, EventKind.SHORTFALL)[0].value == 4_010_000
    assert (venue.house_balance(), venue.line("A", 0)[9]) == (0, "850000")
    check_dump(venue.engine.dump(), 3)


def test_the_house_pays_before_the_fees_do(venue: Venue) -> None:
    """A penalty of 2.99 is in hand; of the shortfall of 4.01 the fees pay only 1.02."""
    _leveraged(venue)
    venue.price({0: 92})
    assert venue.house_balance() == 2_990_000
    one, two = venue.trader(1_000), venue.trader(1_000)
    for seller, buyer in ((one, two), (two, one)):
        seller.order(SELL, 100, 40_000)
        buyer.order(BUY, 100, 40_000)
    fees = int(venue.line("A", 0)[9])
    last = venue.trader(11)
    last.order(BUY, 92, 1_000)
    two.order(SELL, 92, 1_000)
    paid = 9_200 + 46_000
    events = venue.price({0: 77})
    shortfall = 15 * USD - (11 * USD - 9_200)
    assert [e.value for e in _of(events, EventKind.SHORTFALL)] == [shortfall]
    assert venue.house_balance() == 0
    assert int(venue.line("A", 0)[9]) == fees + paid - (shortfall - 2_990_000)


@pytest.mark.parametrize("side", [BUY, SELL])
def test_the_house_works_its_position_out_at_the_mark_or_better(venue: Venue, side: int) -> None:
    """Half a tick beyond the mark is not taken, half a tick inside it is; without a fee."""
    trader, other = venue.trader(11), venue.trader(1_000)
    trader.order(side, 100, 1_000)
    other.order(1 - side, 100, 1_000)
    crash, worse, better = (85, 84, 85) if side == BUY else (115, 116, 115)
    venue.price({0: crash})
    assert venue.line("R", 0)[1:3] == ["1", "1000" if side == BUY else "-1000"]
    in_debt = venue.house_balance()
    assert in_debt == -4_010_000 + 60_000
    mark_units = 84_500_000 if side == BUY else 115_500_000
    maker = venue.trader(1_000)
    maker.order(side, worse, 1_000)
    assert _of(_publish_units(venue, mark_units), EventKind.FILL) == []
    maker.order(side, better, 600)
    events = _publish_units(venue, mark_units)
    fills = _of(events, EventKind.FILL)
    assert [(f.account, f.price, f.size, f.value) for f in fills] == [(0, better, 600, 0)]
    flag = FillFlag.TAKER_SELLS if side == BUY else 0
    assert fills[0].reason == flag | FillFlag.HOUSE_UNWIND
    assert _of(events, EventKind.LIQUIDATED) == []
    assert venue.line("R", 0)[2] == ("400" if side == BUY else "-400")
    assert venue.house_balance() == in_debt  # taken over and given away at the same price


def _publish_units(venue: Venue, mark_units: int) -> list[Event]:
    venue.now_ms += 1
    code, events = venue.publish({0: 0}, entries=[(0, mark_units)])
    assert code == Code.OK
    return events + venue.finish()


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
    asker.order(SELL, 110, 1_000)
    asker.order(SELL, 111, 1_000)  # inside the band of 112.35, beyond bankruptcy
    events = venue.price({0: 107})
    assert _of(events, EventKind.LIQUIDATED)[0].price == 110  # 107 + 3.99 of equity
    fills = _of(events, EventKind.FILL)
    assert [(f.price, f.size, f.reason) for f in fills] == [(110, 1_000, FillFlag.LIQUIDATION)]
    assert (short.quote, short.row()) == (10_990_000 - 10 * USD - 550_000, [])


def test_a_negative_quote_balance_without_a_position_is_swept(venue: Venue) -> None:
    """0.05 coin backs a realised loss; when it is worth less than the debt, it is taken."""
    trader, other = venue.trader(1, coin_units=5 * 10**6), venue.trader(1_000)
    trader.order(BUY, 100, 500)
    other.order(SELL, 100, 500)
    venue.price({0: 97})
    other.order(BUY, 97, 500)
    trader.order(SELL, 97, 500)
    debt = 1_500_000 + 5_000 + 24_250 - 1 * USD
    assert (trader.quote, trader.row()) == (-debt, [])
    events = venue.price({0: 10})
    taken = _of(events, EventKind.COLLATERAL_TAKEN)
    assert [(e.size, e.value, e.extra) for e in taken] == [(5 * 10**6, 450_000, 1)]
    assert _of(events, EventKind.SHORTFALL)[0].value == debt - 450_000
    assert _of(events, EventKind.LIQUIDATED) == []
    assert (trader.quote, trader.balance(1)) == (0, 0)
    fees = 5_000 + 25_000 + 4_850 + 24_250
    assert venue.house_balance() == fees - debt


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
