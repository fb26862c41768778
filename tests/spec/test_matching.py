"""Matching: the recurring bugs of matching engines, each as a behaviour, on both engines."""

import pytest
from tests.spec.venue import BUY, IOC, MARK, SELL, Trader, Venue, fills, kinds

from provenue.spec.constants import CancelReason, Code, EventKind, Kind


def test_a_trade_prints_at_the_makers_price(venue: Venue) -> None:
    maker, taker = venue.trader(), venue.trader()
    maker.order(SELL, 99, 5)
    _, events = taker.place(BUY, 105, 5)
    assert fills(events) == [(99, 5)]


def test_fifo_survives_cancel_and_fill(venue: Venue) -> None:
    makers = [venue.trader() for _ in range(4)]
    taker = venue.trader()
    ids = [maker.order(SELL, MARK, 2) for maker in makers]
    makers[1].cancel(ids[1])
    again = makers[1].order(SELL, MARK, 2)
    assert [id_ for id_, _ in venue.queue(SELL, MARK)] == [ids[0], ids[2], ids[3], again]
    _, events = taker.place(BUY, MARK, 6)
    fills = [event.counter_order_id for event in events if event.kind == EventKind.FILL]
    assert fills == [ids[0], ids[2], ids[3]]
    assert venue.queue(SELL, MARK) == [(again, 2)]


def test_a_partially_filled_maker_keeps_its_place(venue: Venue) -> None:
    first, second, taker = (venue.trader() for _ in range(3))
    a, b = first.order(SELL, MARK, 5), second.order(SELL, MARK, 5)
    taker.order(BUY, MARK, 2)
    assert venue.queue(SELL, MARK) == [(a, 3), (b, 5)]
    _, events = taker.place(BUY, MARK, 4)
    assert fills(events) == [(MARK, 3), (MARK, 1)]
    assert venue.queue(SELL, MARK) == [(b, 4)]


def test_cancel_removes_the_right_order_of_the_right_side(venue: Venue) -> None:
    one, two = venue.trader(), venue.trader()
    bids = [one.order(BUY, 98, 1), two.order(BUY, 98, 1), one.order(BUY, 97, 1)]
    asks = [one.order(SELL, 102, 1), two.order(SELL, 102, 1)]
    code, events = two.cancel(bids[1])
    assert (code, kinds(events)) == (Code.OK, ["ORDER_CANCELLED"])
    assert venue.queue(BUY, 98) == [(bids[0], 1)]
    assert venue.queue(BUY, 97) == [(bids[2], 1)]
    assert venue.queue(SELL, 102) == [(asks[0], 1), (asks[1], 1)]


def test_an_immediate_remainder_never_rests(venue: Venue) -> None:
    maker, taker = venue.trader(), venue.trader()
    maker.order(SELL, MARK, 3)
    _, events = taker.place(BUY, MARK, 5, time_in_force=IOC)
    assert kinds(events) == ["ORDER_ACCEPTED", "FILL", "ORDER_CANCELLED"]
    assert (events[-1].reason, events[-1].size) == (CancelReason.IMMEDIATE_REMAINDER, 2)
    assert venue.best(BUY) is None
    assert taker.open_ids == []


def test_a_sweep_respects_its_limit_beyond_the_first_level(venue: Venue) -> None:
    maker, taker = venue.trader(), venue.trader()
    for price in (100, 101, 102):
        maker.order(SELL, price, 1)
    _, events = taker.place(BUY, 101, 10)
    assert fills(events) == [(100, 1), (101, 1)]
    assert (venue.best(BUY), venue.best(SELL)) == (101, 102)


def test_a_filled_maker_is_unknown_afterwards(venue: Venue) -> None:
    maker, taker = venue.trader(), venue.trader()
    id_ = maker.order(SELL, MARK, 1)
    taker.order(BUY, MARK, 1)
    assert maker.cancel(id_)[0] == Code.ORDER_UNKNOWN
    assert maker.open_ids == []


def test_no_trade_has_no_quantity(venue: Venue) -> None:
    maker, taker = venue.trader(), venue.trader()
    assert maker.place(SELL, MARK, 0)[0] == Code.BAD_SIZE
    maker.order(SELL, MARK, 1)
    _, events = taker.place(BUY, MARK, 1, time_in_force=IOC)
    assert all(size > 0 for _, size in fills(events))
    _, events = taker.place(BUY, MARK, 1, time_in_force=IOC)
    assert kinds(events) == ["ORDER_ACCEPTED", "ORDER_CANCELLED"]


def test_depth_is_right_after_a_partial_fill(venue: Venue) -> None:
    maker, taker = venue.trader(), venue.trader()
    a, b = maker.order(SELL, MARK, 5), maker.order(SELL, MARK, 7)
    taker.order(BUY, MARK, 6)
    assert venue.queue(SELL, MARK) == [(b, 6)]
    assert a not in maker.open_ids
    assert maker.row()[4] == 6  # open sell lots


def test_best_price_is_right_after_the_best_level_is_cancelled(venue: Venue) -> None:
    maker = venue.trader()
    best = maker.order(BUY, 99, 1)
    maker.order(BUY, 97, 1)
    maker.cancel(best)
    assert venue.best(BUY) == 97


def test_cancelling_twice_or_what_never_was_is_a_clean_reject(venue: Venue) -> None:
    maker, other = venue.trader(), venue.trader()
    id_ = maker.order(BUY, 99, 1)
    assert other.cancel(id_)[0] == Code.ORDER_UNKNOWN
    assert maker.cancel(id_)[0] == Code.OK
    book = venue.lines("B")
    for unknown in (id_, 0, id_ + (1 << 32), 40, (1 << 64) - 1):
        assert maker.cancel(unknown)[0] == Code.ORDER_UNKNOWN
    assert venue.lines("B") == book


def test_an_old_id_never_hits_the_slots_next_order(venue: Venue) -> None:
    maker = venue.trader()
    old = maker.order(BUY, 99, 1)
    maker.cancel(old)
    new = maker.order(BUY, 99, 1)
    assert (new & 0xFFFF_FFFF, new >> 32) == (old & 0xFFFF_FFFF, (old >> 32) + 1)
    assert maker.cancel(old)[0] == Code.ORDER_UNKNOWN
    assert maker.open_ids == [new]


def test_free_slots_are_taken_last_in_first_out(venue: Venue) -> None:
    maker = venue.trader()
    ids = [maker.order(BUY, 90 + n, 1) for n in range(3)]
    maker.cancel(ids[0])
    maker.cancel(ids[2])
    slots = [maker.order(BUY, 95, 1) & 0xFFFF_FFFF for _ in range(3)]
    assert slots == [2, 0, 3]


def test_own_orders_are_cancelled_at_the_touch_and_the_taker_goes_on(venue: Venue) -> None:
    own, other = venue.trader(), venue.trader()
    mine = own.order(SELL, MARK, 3)
    other.order(SELL, MARK, 2)
    _, events = own.place(BUY, MARK, 5)
    assert kinds(events) == ["ORDER_ACCEPTED", "ORDER_CANCELLED", "FILL", "ORDER_RESTING"]
    assert (events[1].order_id, events[1].reason) == (mine, CancelReason.SELF_TRADE)
    assert venue.queue(BUY, MARK)[0][1] == 3
    assert venue.best(SELL) is None  # P7: not crossed with what was its own


def test_post_only_never_trades(venue: Venue) -> None:
    maker, late = venue.trader(), venue.trader()
    maker.order(SELL, MARK, 1)
    assert late.place(BUY, MARK, 1, flags=1)[0] == Code.POST_ONLY_WOULD_CROSS
    assert kinds(late.place(BUY, MARK - 1, 1, flags=1)[1]) == ["ORDER_ACCEPTED", "ORDER_RESTING"]


@pytest.mark.parametrize("side", [BUY, SELL])
def test_a_market_order_stops_at_its_band(venue: Venue, side: int) -> None:
    maker, taker = venue.trader(), venue.trader()
    inside, outside = (105, 106) if side == BUY else (95, 94)
    maker.order(1 - side, inside, 1)
    maker.order(1 - side, outside, 1)
    _, events = taker.place(side, 0, 5, order_type=1, time_in_force=IOC)
    assert events[0].price == inside
    assert fills(events) == [(inside, 1)]
    assert events[-1].reason == CancelReason.IMMEDIATE_REMAINDER


def test_a_market_order_keeps_the_traders_tighter_bound(venue: Venue) -> None:
    taker = venue.trader()
    assert taker.place(BUY, 101, 1, order_type=1, time_in_force=IOC)[1][0].price == 101
    assert taker.place(SELL, 98, 1, order_type=1, time_in_force=IOC)[1][0].price == 98
    assert taker.place(BUY, 200, 1, order_type=1, time_in_force=IOC)[1][0].price == 105


def test_a_deep_taker_is_continued_before_anything_else_is_served(venue: Venue) -> None:
    makers, taker = [venue.trader() for _ in range(6)], venue.trader()
    for maker in makers:
        maker.order(SELL, MARK, 1)
    _, events = taker.place(BUY, MARK, 10)
    assert kinds(events) == ["ORDER_ACCEPTED", *["FILL"] * 4, "TAKER_CONTINUES"]
    assert events[-1].size == 6
    assert makers[0].place(BUY, 90, 1)[0] == Code.TAKER_PENDING
    assert venue.publish({0: 90})[0] == Code.TAKER_PENDING
    assert venue.send(Kind.TICK, {})[0] == Code.TAKER_PENDING
    events = venue.finish()
    assert kinds(events) == ["FILL", "FILL", "ORDER_RESTING"]
    assert venue.queue(BUY, MARK)[0][1] == 4


def test_a_pending_taker_can_be_cancelled_by_force_only(venue: Venue) -> None:
    makers, taker = [venue.trader() for _ in range(5)], venue.trader()
    for maker in makers:
        maker.order(SELL, MARK, 1)
    id_ = taker.order(BUY, MARK, 10)
    assert taker.cancel(id_)[0] == Code.TAKER_PENDING
    owner = {"owner": taker.signer.address, "subaccount": 0}
    events = venue.ok(Kind.FORCED_CANCEL, **owner)
    assert [(e.order_id, e.size, e.reason) for e in events] == [(id_, 6, CancelReason.FORCED)]
    assert venue.send(Kind.CONTINUE, {})[0] == Code.NOTHING_TO_CONTINUE
    assert (venue.best(BUY), venue.best(SELL)) == (None, MARK)
    assert taker.row()[0] == 4


def test_a_maker_without_margin_is_cancelled_at_the_touch(venue: Venue) -> None:
    weak, strong, taker = venue.trader(usdc=3), venue.trader(usdc=1_000), venue.trader(usdc=1_000)
    weak.order(BUY, 100, 100)  # long 100 lots at 100: 10 USDC notional, 1 USDC initial margin
    taker.order(SELL, 100, 100)
    bid = weak.order(BUY, 80, 100)
    venue.price({0: 82})  # weak has lost 1.8 USDC; equity is about 1.2, initial margin 1.64
    strong.order(BUY, 80, 10)
    _, events = taker.place(SELL, 80, 10)
    assert kinds(events)[:3] == ["ORDER_ACCEPTED", "ORDER_CANCELLED", "FILL"]
    assert (events[1].order_id, events[1].reason) == (bid, CancelReason.MAKER_MARGIN)
    assert events[2].counter_account == strong.index


def test_a_reducing_maker_is_served_below_initial_margin(venue: Venue) -> None:
    weak, taker = venue.trader(usdc=3), venue.trader(usdc=1_000)
    weak.order(BUY, 100, 100)
    taker.order(SELL, 100, 100)
    ask = weak.order(SELL, 101, 100)
    venue.price({0: 82})
    _, events = taker.place(BUY, 101, 100)
    assert [e.counter_order_id for e in events if e.kind == EventKind.FILL] == [ask]
    assert weak.row() == []


def _touch(venue: Venue, maker: Trader, side: int, price: int, size: int, index: int = 1) -> str:
    """The event after a stranger's order has met the maker's."""
    taker = venue.trader(1_000, coin_units=10**9)
    code, events = taker.place(side, price, size, index, time_in_force=IOC)
    assert code == Code.OK
    if events[1].kind == EventKind.ORDER_CANCELLED:
        assert (events[1].account, events[1].reason) == (maker.index, CancelReason.MAKER_MARGIN)
    return kinds(events)[1]


@pytest.mark.parametrize(("units", "event"), [(2_001_009, "ORDER_CANCELLED"), (2_001_010, "FILL")])
def test_a_maker_is_judged_with_what_its_fill_costs(venue: Venue, units: int, event: str) -> None:
    """A bid of 100 lots at 101 with the mark at 90: margin 0.9, loss 1.1, fee 1,010."""
    maker = venue.trader(3)
    maker.order(BUY, 101, 100)
    leave = {"asset": 0, "recipient": maker.signer.address}
    assert maker.act(Kind.WITHDRAW, amount_units=3_000_000 - units, **leave)[0] == Code.OK
    venue.price({0: 90})
    assert _touch(venue, maker, SELL, 101, 100) == event


def test_a_part_of_a_maker_costs_a_part(venue: Venue) -> None:
    """The same bid: with 1.5 of equity 49 lots (0.539 and 495) may be hit beside 0.9 of margin."""
    maker = venue.trader(3)
    maker.order(BUY, 101, 100)
    leave = {"asset": 0, "recipient": maker.signer.address}
    assert maker.act(Kind.WITHDRAW, amount_units=1_500_000, **leave)[0] == Code.OK
    venue.price({0: 90})
    assert _touch(venue, maker, SELL, 101, 49) == "FILL"
    assert _touch(venue, maker, SELL, 101, 49) == "ORDER_CANCELLED"


@pytest.mark.parametrize(("mark", "event"), [(117, "FILL"), (118, "ORDER_CANCELLED")])
def test_a_reducing_maker_keeps_its_maintenance_margin(venue: Venue, mark: int, event: str) -> None:
    """Long 100 lots from 100 with 2.99; sold at 76 it has 0.59 less 760 of fee, at any mark.

    Maintenance is 0.585 at 117 and 0.59 at 118.
    """
    maker, other = venue.trader(3), venue.trader(1_000)
    maker.order(BUY, 100, 100)
    other.order(SELL, 100, 100)
    assert maker.quote == 2_990_000 + 9_000  # the maker's fee is 1,000
    leave = {"asset": 0, "recipient": maker.signer.address}
    assert maker.act(Kind.WITHDRAW, amount_units=9_000, **leave)[0] == Code.OK
    maker.order(SELL, 76, 100)
    venue.price({0: mark})
    assert _touch(venue, maker, BUY, 76, 100) == event


@pytest.mark.parametrize(
    ("units", "event"), [(10_000_999, "ORDER_CANCELLED"), (10_001_000, "FILL")]
)
def test_a_spot_bid_pays_with_quote(venue: Venue, units: int, event: str) -> None:
    """10 and a fee of 1,000; that 90 of coin lie beside it does not help."""
    maker = venue.trader(11, coin_units=10**8)
    maker.order(BUY, 100, 100, 0)
    leave = {"asset": 0, "recipient": maker.signer.address}
    assert maker.act(Kind.WITHDRAW, amount_units=11_000_000 - units, **leave)[0] == Code.OK
    assert _touch(venue, maker, SELL, 100, 100, 0) == event
    if event == "FILL":
        assert (maker.quote, maker.row(0)) == (0, [])


def test_tables_that_are_full_say_which(venue: Venue) -> None:
    traders = [venue.trader() for _ in range(5)]
    for n in range(10):
        traders[0].order(BUY, 50 + n, 1)
    assert traders[0].place(BUY, 50, 1)[0] == Code.ACCOUNT_ORDERS_FULL
    for n in range(10):
        traders[1].order(BUY, 60 + n, 1)
    assert traders[2].place(BUY, 70, 1)[0] == Code.LEVEL_TABLE_FULL
    assert traders[2].place(BUY, 70, 1, time_in_force=IOC)[0] == Code.OK
    for trader in traders[2:4]:
        for _ in range(10):
            trader.order(BUY, 55, 1)
    assert traders[4].place(BUY, 55, 1)[0] == Code.ORDER_TABLE_FULL
