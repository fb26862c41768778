"""Self-trade prevention (4.2 step 3): what a taker's mode does when it meets an own order."""

import pytest
from tests.spec.venue import (
    BUY,
    CANCEL_BOTH,
    CANCEL_MAKER,
    CANCEL_TAKER,
    DECREMENT,
    IOC,
    MARK,
    SELL,
    Trader,
    Venue,
    fills,
    kinds,
)

from provenue.spec.constants import CancelReason, Code, EventKind, Kind
from provenue.spec.events import Event


def _meeting(events: list[Event]) -> list[tuple[str, int, int]]:
    """What happened to own orders: (event, id, lots in it)."""
    own = [e for e in events if e.kind in (EventKind.ORDER_CANCELLED, EventKind.ORDER_REDUCED)]
    assert all(e.reason == CancelReason.SELF_TRADE for e in own)
    return [(EventKind(e.kind).name, e.order_id, e.size) for e in own]


@pytest.mark.parametrize("size", [3, 5, 8])
def test_cancel_maker_goes_on_to_strangers(trader: Trader, other: Trader, size: int) -> None:
    mine, theirs = trader.order(SELL, MARK, 5), other.order(SELL, MARK, 1)
    _, events = trader.place(BUY, MARK, size, self_trade=CANCEL_MAKER)
    assert _meeting(events) == [("ORDER_CANCELLED", mine, 5)]
    assert [e.counter_order_id for e in events if e.kind == EventKind.FILL] == [theirs]
    assert kinds(events)[-1] == "ORDER_RESTING"
    assert events[-1].size == size - 1


@pytest.mark.parametrize("size", [3, 5, 8])
def test_cancel_taker_leaves_the_own_order(
    venue: Venue, trader: Trader, other: Trader, size: int
) -> None:
    other.order(SELL, 99, 1)
    mine = trader.order(SELL, MARK, 5)
    _, events = trader.place(BUY, MARK, size, self_trade=CANCEL_TAKER)
    assert kinds(events) == ["ORDER_ACCEPTED", "FILL", "ORDER_CANCELLED"]
    assert events[0].reason == CANCEL_TAKER << 5
    assert _meeting(events) == [("ORDER_CANCELLED", events[0].order_id, size - 1)]
    assert trader.open_ids == [mine]
    assert (venue.best(BUY), venue.queue(SELL, MARK)) == (None, [(mine, 5)])


@pytest.mark.parametrize("size", [3, 5, 8])
def test_cancel_both_ends_both(venue: Venue, trader: Trader, other: Trader, size: int) -> None:
    mine, theirs = trader.order(SELL, MARK, 5), other.order(SELL, MARK, 5)
    _, events = trader.place(BUY, MARK, size, self_trade=CANCEL_BOTH)
    assert kinds(events) == ["ORDER_ACCEPTED", *["ORDER_CANCELLED"] * 2]
    assert _meeting(events) == [
        ("ORDER_CANCELLED", mine, 5), ("ORDER_CANCELLED", events[0].order_id, size),
    ]  # fmt: skip
    assert (trader.open_ids, venue.queue(SELL, MARK)) == ([], [(theirs, 5)])


def test_decrement_of_a_smaller_taker_reduces_the_maker(venue: Venue, trader: Trader) -> None:
    mine = trader.order(SELL, MARK, 5, client_id=7)
    _, events = trader.place(BUY, MARK, 3, self_trade=DECREMENT)
    taker = events[0].order_id
    assert kinds(events) == ["ORDER_ACCEPTED", "ORDER_REDUCED", "ORDER_CANCELLED"]
    assert _meeting(events) == [("ORDER_REDUCED", mine, 2), ("ORDER_CANCELLED", taker, 3)]
    reduced = events[1]
    assert (reduced.price, reduced.value, reduced.extra) == (MARK, SELL, 7)
    assert venue.order_line(mine)[3:5] == ["2", "2"]
    assert trader.row()[3:] == [0, 2, 0, 2 * MARK * 1_000, 0]


def test_decrement_of_a_smaller_maker_reduces_the_taker(
    venue: Venue, trader: Trader, other: Trader
) -> None:
    mine, theirs = trader.order(SELL, MARK, 3), other.order(SELL, MARK, 1)
    _, events = trader.place(BUY, MARK, 8, self_trade=DECREMENT)
    taker = events[0].order_id
    assert kinds(events) == [
        "ORDER_ACCEPTED", "ORDER_CANCELLED", "ORDER_REDUCED", "FILL", "ORDER_RESTING",
    ]  # fmt: skip
    assert _meeting(events) == [("ORDER_CANCELLED", mine, 3), ("ORDER_REDUCED", taker, 5)]
    assert events[3].counter_order_id == theirs
    assert venue.order_line(taker)[3:5] == ["5", "4"]
    assert trader.row()[3:] == [4, 0, 4 * MARK * 1_000, 0, 0]


def test_decrement_of_equal_orders_ends_both(venue: Venue, trader: Trader, other: Trader) -> None:
    mine, theirs = trader.order(SELL, MARK, 5), other.order(SELL, MARK, 5)
    _, events = trader.place(BUY, MARK, 5, self_trade=DECREMENT)
    taker = events[0].order_id
    assert _meeting(events) == [("ORDER_CANCELLED", mine, 5), ("ORDER_CANCELLED", taker, 5)]
    assert (trader.row(), venue.queue(SELL, MARK)) == ([], [(theirs, 5)])


def test_decrement_counts_what_is_left_of_an_order(venue: Venue, trader: Trader) -> None:
    """Three of the five are filled: two are off the taker, and the maker ends with two."""
    other = venue.trader()
    mine = trader.order(SELL, MARK, 5)
    other.order(BUY, MARK, 3)
    _, events = trader.place(BUY, MARK, 4, self_trade=DECREMENT)
    assert _meeting(events)[0] == ("ORDER_CANCELLED", mine, 2)
    assert (events[-1].size, trader.row()[3]) == (2, 2)


def test_a_reduced_maker_keeps_its_place_and_what_it_has_filled(
    venue: Venue, trader: Trader, other: Trader
) -> None:
    mine, theirs = trader.order(SELL, MARK, 5), other.order(SELL, MARK, 5)
    venue.trader().order(BUY, MARK, 1)
    trader.place(BUY, MARK, 2, self_trade=DECREMENT)
    assert venue.queue(SELL, MARK) == [(mine, 2), (theirs, 5)]
    assert venue.order_line(mine)[3:5] == ["3", "2"]


def test_the_mode_is_the_takers(trader: Trader) -> None:
    mine = trader.order(SELL, MARK, 5, self_trade=CANCEL_BOTH)
    _, events = trader.place(BUY, MARK, 1, self_trade=CANCEL_MAKER)
    assert _meeting(events) == [("ORDER_CANCELLED", mine, 5)]
    assert len(trader.open_ids) == 1


def test_each_own_order_is_a_step(venue: Venue, trader: Trader) -> None:
    for _ in range(5):
        trader.order(SELL, MARK, 1)
    _, events = trader.place(BUY, MARK, 9, self_trade=DECREMENT)
    steps = ["ORDER_CANCELLED", "ORDER_REDUCED"] * 4
    assert kinds(events) == ["ORDER_ACCEPTED", *steps, "TAKER_CONTINUES"]
    assert kinds(venue.finish()) == ["ORDER_CANCELLED", "ORDER_REDUCED", "ORDER_RESTING"]


def test_a_pending_taker_keeps_its_mode(venue: Venue, trader: Trader, other: Trader) -> None:
    for _ in range(4):
        other.order(SELL, MARK, 1)
    mine = trader.order(SELL, MARK, 1)
    trader.order(BUY, MARK, 9, self_trade=CANCEL_TAKER)
    events = venue.finish()
    assert kinds(events) == ["ORDER_CANCELLED"]
    assert (events[0].size, trader.open_ids) == (5, [mine])
    assert venue.send(Kind.CONTINUE, {})[0] == Code.NOTHING_TO_CONTINUE


def test_a_cancelled_taker_has_no_remainder_to_cancel(trader: Trader) -> None:
    trader.order(SELL, MARK, 1)
    _, events = trader.place(BUY, MARK, 5, self_trade=CANCEL_TAKER, time_in_force=IOC)
    assert kinds(events) == ["ORDER_ACCEPTED", "ORDER_CANCELLED"]
    assert events[1].reason == CancelReason.SELF_TRADE


def test_slots_come_back_maker_first(trader: Trader) -> None:
    """The taker's slot was given back last, so it is taken first."""
    mine = trader.order(SELL, MARK, 5)
    _, events = trader.place(BUY, MARK, 5, self_trade=CANCEL_BOTH)
    slots = [trader.order(BUY, 90, 1) & 0xFFFF_FFFF for _ in range(2)]
    assert slots == [events[0].order_id & 0xFFFF_FFFF, mine & 0xFFFF_FFFF]


def test_a_liquidation_cannot_meet_an_own_order_and_fills_at_strangers(venue: Venue) -> None:
    """All orders of the account are cancelled in the step before."""
    weak, strong = venue.trader(usdc=2), venue.trader()
    strong.order(SELL, MARK, 100)
    weak.order(BUY, MARK, 100)
    weak.order(SELL, 120, 10, self_trade=CANCEL_TAKER)
    strong.order(BUY, 85, 100)
    events = venue.price({0: 84})
    assert fills(events) == [(85, 100)]
    assert weak.open_ids == []
