"""Leaving through L1 (chapter 12) in numbers worked by hand: on the book, then by deleveraging.

One base is 1,000 lots, ticks are 1 USDC, the band is 5 %, the taker's fee 500 ppm, the maker's 100.
P5 and the sum of positions are asked after every message.
"""

from typing import Any

import pytest
from tests.spec.venue import BUY, SELL, USD, CheckedVenue, Trader, Venue, kinds

from provenue.spec.constants import CancelReason, Code, EventKind, FillFlag, Kind
from provenue.spec.events import Event

STALE_MS = 60_000


def _of(events: list[Event], kind: EventKind) -> list[Event]:
    return [event for event in events if event.kind == kind]


def _deals(events: list[Event]) -> list[tuple[int, int, int]]:
    """(against whom, price, size) of what was closed by deleveraging."""
    closed = _of(events, EventKind.DELEVERAGED)
    return [(event.counter_account, event.price, event.size) for event in closed]


def _trade(long: Trader, short: Trader, price: int, lots: int, instrument: int = 1) -> None:
    short.order(SELL, price, lots, instrument)
    long.order(BUY, price, lots, instrument)


def _scan(venue: Venue) -> list[str]:
    """The fields of the scan under way, [] if none is."""
    lines = venue.lines("X")
    return lines[0] if lines else []


def _step(venue: Venue) -> list[Event]:
    code, events = venue.send(Kind.CONTINUE, {})
    assert code == Code.OK
    return events


def _publish(venue: Venue, ticks: dict[int, int], **fields: Any) -> list[Event]:
    venue.now_ms += 1
    code, events = venue.publish(ticks, **fields)
    assert code == Code.OK, code.name
    return events


# --- the messages --------------------------------------------------------------------------------


def test_a_forced_close_cancels_and_marks_whoever_holds_a_position(venue: Venue) -> None:
    long, short = venue.trader(), venue.trader()
    _trade(long, short, 100, 10)
    resting = long.order(BUY, 90, 5)
    events = long.leave()
    assert kinds(events) == ["ORDER_CANCELLED", "ACCOUNT_LEAVING"]
    assert (events[0].order_id, events[0].reason) == (resting, CancelReason.FORCED)
    assert events[1].account == long.index
    assert (long.is_leaving, short.is_leaving) == (True, False)
    assert long.leave() == []  # once is enough
    assert venue.send(Kind.CONTINUE, {})[0] == Code.NOTHING_TO_CONTINUE  # it waits for a price


def test_without_a_position_a_forced_close_only_cancels(venue: Venue) -> None:
    trader = venue.trader()
    trader.order(BUY, 90, 5)
    assert kinds(trader.leave()) == ["ORDER_CANCELLED"]
    assert not trader.is_leaving


def test_a_forced_close_cancels_the_own_pending_taker(venue: Venue) -> None:
    makers, taker = [venue.trader() for _ in range(5)], venue.trader()
    for maker in makers:
        maker.order(SELL, 100, 1)
    taker.order(BUY, 100, 10)
    assert venue.lines("G")[0][4] != "0"
    assert kinds(taker.leave()) == ["ORDER_CANCELLED", "ACCOUNT_LEAVING"]
    assert venue.lines("G")[0][4] == "0"
    assert taker.row()[0] == 4


def test_a_leaving_account_places_nothing_until_it_has_left(venue: Venue) -> None:
    long, short = venue.trader(), venue.trader()
    _trade(long, short, 100, 10)
    long.leave()
    assert long.place(SELL, 0, 0, instrument=99)[0] == Code.ACCOUNT_LEAVING  # before its checks
    assert long.act(Kind.CANCEL_ALL, instrument=0xFFFF)[0] == Code.OK
    withdraw = {"asset": 0, "amount_units": 1, "recipient": b"\x77" * 20}
    assert long.act(Kind.WITHDRAW, **withdraw)[0] == Code.OK
    events = venue.price({0: 100})
    assert [e.account for e in _of(events, EventKind.ACCOUNT_LEFT)] == [long.index]
    assert (long.is_leaving, long.row()) == (False, [])
    long.order(BUY, 90, 1)


def test_who_has_closed_otherwise_has_left_at_the_next_visit(venue: Venue) -> None:
    """Its own bankruptcy closes it too: the house takes the position over."""
    long, short = venue.trader(11), venue.trader()
    _trade(long, short, 100, 1_000)
    long.leave()
    events = venue.price({0: 85})
    assert _of(events, EventKind.TAKEN_OVER)[0].account == long.index
    assert _of(events, EventKind.CLOSING) == []
    assert kinds(_of(events, EventKind.ACCOUNT_LEFT)) == ["ACCOUNT_LEFT"]
    assert not long.is_leaving


# --- on the book ---------------------------------------------------------------------------------


@pytest.mark.parametrize("side", [BUY, SELL])
def test_a_position_is_closed_on_the_book_first(venue: Venue, side: int) -> None:
    trader, other, maker = venue.trader(), venue.trader(), venue.trader()
    other.order(1 - side, 100, 1_000)
    trader.order(side, 100, 1_000)
    near, edge = (99, 95) if side == BUY else (101, 105)
    maker.order(side, near, 400)
    maker.order(side, edge, 900)
    fees, quote = int(venue.line("A", 0)[9]), trader.quote
    trader.leave()
    events = venue.price({0: 100})
    closing = _of(events, EventKind.CLOSING)
    assert [(e.account, e.instrument, e.price, e.size) for e in closing] == [
        (trader.index, 1, edge, 1_000)
    ]
    fills = _of(events, EventKind.FILL)
    assert [(f.order_id, f.price, f.size) for f in fills] == [(0, near, 400), (0, edge, 600)]
    flag = FillFlag.FORCED_CLOSE | (FillFlag.TAKER_SELLS if side == BUY else 0)
    assert {fill.reason for fill in fills} == {flag}
    paid = [near * 400 * 1_000 * 500 // 10**6, edge * 600 * 1_000 * 500 // 10**6]
    earned = [near * 400 * 1_000 * 100 // 10**6, edge * 600 * 1_000 * 100 // 10**6]
    assert [(f.value, f.extra) for f in fills] == list(zip(paid, earned, strict=True))
    # 400 lots lose 1 a base, 600 lots lose 5: the slippage is the leaver's
    assert trader.quote == quote - 400_000 - 3_000_000 - sum(paid)
    assert venue.house_balance() == sum(paid)  # the house may have to stand for it, so it has it
    assert int(venue.line("A", 0)[9]) == fees + sum(earned)
    assert (trader.row(), trader.is_leaving) == ([], False)
    assert _of(events, EventKind.DELEVERAGED) == []


@pytest.mark.parametrize(("side", "beyond", "edge"), [(BUY, 94, 95), (SELL, 106, 105)])
def test_beyond_the_band_others_are_closed_at_its_edge(
    venue: Venue, side: int, beyond: int, edge: int
) -> None:
    trader, other, maker = venue.trader(), venue.trader(), venue.trader()
    other.order(1 - side, 100, 1_000)
    trader.order(side, 100, 1_000)
    maker.order(side, beyond, 1_000)
    before, theirs = trader.quote, other.quote
    trader.leave()
    events = venue.price({0: 100})
    assert _of(events, EventKind.FILL) == []
    assert [e.price for e in _of(events, EventKind.CLOSING)] == [edge]
    deal = _of(events, EventKind.DELEVERAGED)[0]
    fee = edge * USD * 500 // 10**6
    assert (deal.account, deal.counter_account, deal.instrument) == (trader.index, other.index, 1)
    assert (deal.price, deal.size, deal.value, deal.extra) == (edge, 1_000, fee, 0)
    assert deal.reason == (FillFlag.TAKER_SELLS if side == BUY else 0)
    assert trader.quote == before - 5 * USD - fee
    assert other.quote == theirs + 5 * USD  # paid for what was not asked for, without a fee
    assert venue.house_balance() == fee
    assert (trader.row(), other.row()) == ([], [])


def test_a_close_stops_at_the_bankruptcy_price(engine_name: str) -> None:
    """At 97 equity is 7.99: 89.01 a base is bankruptcy, though a band of 10 % goes to 87.3."""
    venue = CheckedVenue.listed(engine_name, liquidation_band_ppm=100_000)
    long, short, bidder = venue.trader(11), venue.trader(), venue.trader()
    _trade(long, short, 100, 1_000)
    quote = long.quote  # a taker's fee of 0.05 has been paid
    assert quote == 10_950_000
    bidder.order(BUY, 89, 1_000)
    long.leave()
    events = venue.price({0: 97})
    assert [e.price for e in _of(events, EventKind.CLOSING)] == [90]
    assert _deals(events) == [(short.index, 90, 1_000)]
    assert long.quote == quote - 10 * USD - 45_000
    assert _of(events, EventKind.SHORTFALL) == []


def test_a_close_leaves_what_the_other_positions_need(engine_name: str) -> None:
    """At 97 and 97 equity is 15.98, and 4.85 of it is the margin of the other base.

    Down to 85.87 for the first, though its band goes to 77.6 and all of the equity to 81.02.
    """
    venue = CheckedVenue.listed(engine_name, liquidation_band_ppm=200_000)
    leaver, short = venue.trader(22), venue.trader()
    for instrument in (1, 2):
        leaver.order(BUY, 100, 1_000, instrument)
        short.order(SELL, 100, 1_000, instrument)
    assert leaver.quote == 21_980_000
    leaver.leave()
    events = venue.price({0: 97, 1: 97})
    deals = _of(events, EventKind.DELEVERAGED)
    assert [(e.instrument, e.price) for e in deals] == [(1, 86), (2, 93)]
    assert _of(events, EventKind.LIQUIDATED) == _of(events, EventKind.TAKEN_OVER) == []
    assert leaver.quote == 21_980_000 - 14 * USD - 43_000 - 7 * USD - 46_500


def test_at_bankruptcy_the_house_pays_the_fee_to_itself(engine_name: str) -> None:
    """Sold at 90, the last price that leaves anything, 0 are left to pay a fee of 0.09 from."""
    venue = CheckedVenue.listed(
        engine_name, liquidation_band_ppm=200_000, taker_fee_ppm=1_000, maker_fee_ppm=0
    )
    long, short = venue.trader(11), venue.trader()
    short.order(BUY, 1, 1)
    long.order(BUY, 100, 1_000)
    short.order(SELL, 100, 1_000)
    leave = {"asset": 0, "amount_units": 1 * USD, "recipient": b"\x77" * 20}
    assert long.act(Kind.WITHDRAW, **leave)[0] == Code.OK
    fees = int(venue.line("A", 0)[9])
    long.leave()
    events = venue.price({0: 96})
    assert _deals(events) == [(short.index, 90, 1_000)]
    assert [e.value for e in _of(events, EventKind.SHORTFALL)] == [90_000]
    assert (long.quote, venue.house_balance()) == (0, 0)
    assert int(venue.line("A", 0)[9]) == fees  # nobody has earned what the house has lost


def test_a_close_takes_as_many_makers_a_message_as_any_taker(venue: Venue) -> None:
    long, short, maker = venue.trader(), venue.trader(), venue.trader()
    _trade(long, short, 100, 60)
    for _ in range(6):
        maker.order(BUY, 99, 10)
    long.leave()
    parts = [_publish(venue, {0: 100})]
    while long.is_leaving:
        parts.append(_step(venue))
    sizes = [[f.size for f in _of(part, EventKind.FILL)] for part in parts]
    assert [size for size in sizes if size] == [[10] * 4, [10] * 2]
    assert [e.size for part in parts for e in _of(part, EventKind.CLOSING)] == [60, 20]


# --- the scan and its order ----------------------------------------------------------------------


def test_the_most_profitable_are_closed_first_and_of_equals_the_lower_account(
    venue: Venue,
) -> None:
    leaver = venue.trader()
    one, two, three, same_side = (venue.trader() for _ in range(4))
    _trade(leaver, one, 100, 100)
    _trade(leaver, three, 105, 200)
    _trade(leaver, two, 105, 100)
    _trade(same_side, one, 100, 50)  # one is short 150 at 100
    leaver.leave()
    events = venue.price({0: 100})
    # 105 against 100 is 5 %; the size does not count
    assert [(e.counter_account, e.extra) for e in _of(events, EventKind.DELEVERAGED)] == [
        (two.index, 50_000), (three.index, 50_000), (one.index, 0),
    ]  # fmt: skip
    assert _deals(events) == [(two.index, 95, 100), (three.index, 95, 200), (one.index, 95, 100)]
    assert (one.row()[0], same_side.row()[0]) == (-50, 50)


def test_only_as_many_are_closed_as_it_takes(venue: Venue) -> None:
    leaver, stays, worse, better = (venue.trader() for _ in range(4))
    _trade(leaver, worse, 100, 100)
    _trade(stays, better, 110, 300)
    leaver.leave()
    events = venue.price({0: 100})
    assert _deals(events) == [(better.index, 95, 100)]
    assert (stays.row()[0], worse.row()[0], better.row()[0]) == (300, -100, -200)


def test_those_who_lose_are_closed_too_if_there_is_nobody_else(venue: Venue) -> None:
    """Shorts of 90 at 100 have lost 10 of the 100 that they owe: trunc(-10 / 100)."""
    leaver, short = venue.trader(), venue.trader()
    _trade(leaver, short, 90, 100)
    leaver.leave()
    events = venue.price({0: 100})
    assert [e.extra for e in _of(events, EventKind.DELEVERAGED)] == [-100_000]
    assert (leaver.row(), short.row()) == ([], [])


def test_the_house_is_a_counterparty_like_any_other(venue: Venue) -> None:
    bankrupt, leaver = venue.trader(11), venue.trader()
    _trade(leaver, bankrupt, 100, 1_000)
    venue.price({0: 115})
    assert venue.line("R", 0)[1:3] == ["1", "-1000"]
    debt = venue.house_balance()
    leaver.leave()
    events = venue.price({0: 115})
    assert _deals(events) == [(0, 110, 1_000)]  # ceil(115 * 0.95)
    fee = 110 * USD * 500 // 10**6
    assert venue.house_balance() == debt + 5 * USD + fee  # taken over at 115, bought at 110
    assert venue.lines("R") == []


def test_a_scan_goes_on_in_parts_and_rounds(venue: Venue) -> None:
    """Ten accounts with the house: parts of three. Six are to be closed: four, then two."""
    leaver = venue.trader()
    shorts = [venue.trader() for _ in range(6)]
    for _ in range(2):
        venue.trader()
    for short in shorts:
        _trade(leaver, short, 100, 10)
    leaver.leave()
    parts, scans = [_publish(venue, {0: 100})], [_scan(venue)]
    for _ in range(9):
        assert leaver.place(BUY, 90, 1)[0] == Code.SWEEP_PENDING
        parts.append(_step(venue))
        scans.append(_scan(venue))
    first = [f"0:{short.index}" for short in shorts[:4]]
    second = [f"0:{short.index}" for short in shorts[4:]]
    me = [str(leaver.index), "1"]
    assert scans == [
        [*me, "3", "7", *first[:1]], [*me, "6", "4", *first], [*me, "9", "1", *first],
        [*me, "10", "0", *first], [],
        [*me, "3", "7"], [*me, "6", "4"], [*me, "9", "1", *second], [*me, "10", "0", *second], [],
    ]  # fmt: skip
    deals = [[deal[0] for deal in _deals(part)] for part in parts]
    assert deals[4] == [short.index for short in shorts[:4]]
    assert deals[9] == [short.index for short in shorts[4:]]
    assert sum(map(bool, deals)) == 2
    assert [len(_of(part, EventKind.CLOSING)) for part in parts] == [1, 0, 0, 0, 0] * 2
    assert leaver.is_leaving  # until the next visit
    assert kinds(_step(venue)) == ["ACCOUNT_LEFT"]
    assert not leaver.is_leaving


def test_prices_in_between_move_the_price_and_not_the_ranks(venue: Venue) -> None:
    leaver, late, early = venue.trader(), venue.trader(), venue.trader()
    _trade(leaver, late, 100, 10)
    _trade(leaver, early, 104, 10)
    leaver.leave()
    _publish(venue, {0: 100})
    assert _scan(venue)[2:] == ["3", "1", f"0:{late.index}"]
    _publish(venue, {0: 80})
    assert _scan(venue)[2:] == ["4", "0", "300000:3", "0:2"]  # 24 of 80; the other as it was
    remaining = venue.lines("G")[0][3]
    assert remaining == "4"  # the sweep is a full circle again, and its cursor has stayed
    events = _publish(venue, {0: 90})
    assert _deals(events) == [(early.index, 86, 10), (late.index, 86, 10)]  # ceil(90 * 0.95)


def test_a_scan_stays_with_its_position_when_another_outgrows_it(venue: Venue) -> None:
    leaver, other = venue.trader(), venue.trader()
    for _ in range(3):
        venue.trader()
    _trade(leaver, other, 100, 20, instrument=1)
    _trade(leaver, other, 100, 19, instrument=2)
    leaver.leave()
    _publish(venue, {0: 100, 1: 100})
    assert _scan(venue)[:2] == [str(leaver.index), "1"]
    _publish(venue, {1: 120})
    assert _scan(venue)[:4] == [str(leaver.index), "1", "6", "0"]
    events = venue.price({0: 100, 1: 120})
    deals = [(e.instrument, e.price) for e in _of(events, EventKind.DELEVERAGED)]
    assert deals == [(1, 95), (2, 114)]


def test_a_leaving_account_in_danger_is_liquidated_like_any_other(venue: Venue) -> None:
    """A scan is under way when its mark falls: nobody buys above bankruptcy, the house has it."""
    long, short = venue.trader(11), venue.trader()
    _trade(long, short, 100, 1_000)
    long.leave()
    _publish(venue, {0: 100})
    assert _scan(venue)[:2] == [str(long.index), "1"]
    events = venue.price({0: 93})
    assert [e.price for e in _of(events, EventKind.LIQUIDATED)] == [90]
    assert _of(events, EventKind.TAKEN_OVER)[0].account == long.index
    assert _deals(events) == []
    assert (long.is_leaving, _scan(venue)) == (False, [])


def test_what_a_liquidation_leaves_is_closed_like_the_rest(venue: Venue) -> None:
    """At 93 it is unsafe; half is sold on the book, the rest is safe and goes to the ranks."""
    long, short, bidder = venue.trader(12), venue.trader(), venue.trader()
    _trade(long, short, 100, 1_000)
    bidder.order(BUY, 92, 900)
    long.leave()
    venue.now_ms += STALE_MS + 1
    venue.ok(Kind.TICK)
    venue.finish()
    assert (long.is_leaving, long.row()[0]) == (True, 1_000)
    events = _publish(venue, {0: 92})
    assert [(f.size, f.price) for f in _of(events, EventKind.FILL)] == [(900, 92)]
    assert _of(events, EventKind.LIQUIDATED)[0].account == long.index
    events = venue.finish()
    assert _deals(events) == [(short.index, 88, 100)]
    assert _of(events, EventKind.LIQUIDATED) == []
    assert not long.is_leaving


def test_a_position_of_both_instruments_is_closed_the_larger_margin_first(venue: Venue) -> None:
    leaver, other = venue.trader(), venue.trader()
    _trade(leaver, other, 100, 10, instrument=1)
    _trade(other, leaver, 100, 20, instrument=2)
    leaver.leave()
    events = venue.price({0: 100, 1: 100})
    deals = [(e.instrument, e.price, e.reason) for e in _of(events, EventKind.DELEVERAGED)]
    assert deals == [(2, 105, 0), (1, 95, FillFlag.TAKER_SELLS)]
    assert [e.instrument for e in _of(events, EventKind.CLOSING)] == [2, 1]


def test_of_two_equal_margins_the_lower_instrument_is_closed_first(venue: Venue) -> None:
    leaver, other = venue.trader(), venue.trader()
    for instrument in (2, 1):
        _trade(leaver, other, 100, 10, instrument=instrument)
    leaver.leave()
    events = venue.price({0: 100, 1: 100})
    assert [e.instrument for e in _of(events, EventKind.DELEVERAGED)] == [1, 2]


def test_nobody_is_closed_at_a_price_worse_than_the_mark(engine_name: str) -> None:
    """A band of 1 ppm around 100.5 ends, on the tick, at 101 for sales and at 100 for buys."""
    for side, price in ((BUY, 100), (SELL, 101)):
        venue = CheckedVenue.listed(engine_name, liquidation_band_ppm=1)
        leaver, other = venue.trader(), venue.trader()
        other.order(1 - side, 100, 1_000)
        leaver.order(side, 100, 1_000)
        leaver.leave()
        _publish(venue, {0: 0}, entries=[(0, 100_500_000)])
        events = venue.finish()
        assert _deals(events) == [(other.index, price, 1_000)]


# --- marks that wait -----------------------------------------------------------------------------


def test_a_stale_mark_waits(venue: Venue) -> None:
    leaver, other = venue.trader(), venue.trader()
    _trade(leaver, other, 100, 10, instrument=1)
    _trade(leaver, other, 100, 10, instrument=2)
    leaver.leave()
    events = venue.price({1: 100}, after_ms=STALE_MS + 1)
    assert [e.instrument for e in _of(events, EventKind.DELEVERAGED)] == [2]
    assert (leaver.is_leaving, leaver.row(1)[0], leaver.row(2)) == (True, 10, [])
    assert venue.send(Kind.CONTINUE, {})[0] == Code.NOTHING_TO_CONTINUE
    events = venue.price({0: 100})
    assert [e.instrument for e in _of(events, EventKind.DELEVERAGED)] == [1]
    assert not leaver.is_leaving


def test_a_scan_whose_mark_grows_stale_is_dropped_when_the_cursor_goes_on(venue: Venue) -> None:
    leaver, other = venue.trader(), venue.trader()
    for _ in range(3):
        venue.trader()
    _trade(leaver, other, 100, 10)
    leaver.leave()
    _publish(venue, {0: 100})
    assert _scan(venue)
    venue.now_ms += STALE_MS + 1
    _publish(venue, {1: 100})
    assert _scan(venue) == []
    venue.finish()
    assert leaver.is_leaving
    assert _deals(venue.price({0: 100})) == [(other.index, 95, 10)]
