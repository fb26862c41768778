"""Reduce-only: cut to the position when it comes, kept cut while the position shrinks (4.6).

Positions are made at 100 ticks: 10 lots are 1 USDC of notional, 0.1 of initial margin.
"""

from typing import Any

import pytest
from tests.spec.venue import (
    BUY,
    DECREMENT,
    FOK,
    GTT,
    IOC,
    MARK,
    POST_ONLY,
    REDUCE_ONLY,
    SELL,
    SLIDE,
    START_S,
    Trader,
    Venue,
    fills,
    kinds,
)

from provenue.spec.constants import CancelReason, Code, EventKind, Kind
from provenue.spec.events import Event


def _long(venue: Venue, lots: int, usdc: int = 1_000) -> tuple[Trader, Trader]:
    """Who has bought, and who has sold."""
    long, short = venue.trader(usdc), venue.trader()
    short.order(SELL, MARK, lots)
    long.order(BUY, MARK, lots)
    return long, short


def _offer(trader: Trader, price: int, lots: int, **fields: Any) -> int:
    return trader.order(SELL, price, lots, **({"flags": REDUCE_ONLY} | fields))


def _changes(events: list[Event]) -> list[tuple[str, int, int]]:
    """What happened to reduce-only orders: (event, id, lots in it)."""
    return [
        (EventKind(e.kind).name, e.order_id, e.size)
        for e in events
        if e.kind in (EventKind.ORDER_REDUCED, EventKind.ORDER_CANCELLED)
        and e.reason == CancelReason.REDUCE_ONLY
    ]


# --- at entry ------------------------------------------------------------------------------------


@pytest.mark.parametrize(("asked", "gets"), [(9, 9), (10, 10), (11, 10), (4_000_000_000, 10)])
def test_it_is_cut_to_the_position_when_it_comes(venue: Venue, asked: int, gets: int) -> None:
    long, _ = _long(venue, 10)
    _, events = long.place(SELL, 110, asked, flags=REDUCE_ONLY)
    assert (events[0].size, events[0].reason) == (gets, REDUCE_ONLY)
    assert venue.order_line(events[0].order_id)[3:5] == [str(gets), str(gets)]


@pytest.mark.parametrize("side", [BUY, SELL])
def test_it_needs_a_position_of_the_other_side(venue: Venue, side: int) -> None:
    long, short = _long(venue, 10)
    holder = long if side == BUY else short
    assert holder.place(side, MARK, 1, flags=REDUCE_ONLY)[0] == Code.NOTHING_TO_REDUCE
    assert venue.trader().place(side, MARK, 1, flags=REDUCE_ONLY)[0] == Code.NOTHING_TO_REDUCE
    other = venue.trader()
    other.order(1 - side, 50 if side == SELL else 150, 3)
    assert other.place(side, MARK, 1, flags=REDUCE_ONLY)[0] == Code.NOTHING_TO_REDUCE


def test_a_spot_order_has_no_position_to_reduce(venue: Venue) -> None:
    trader = venue.trader(coin_units=10**8)
    assert trader.place(SELL, MARK, 1, instrument=0, flags=REDUCE_ONLY)[0] == Code.BAD_FLAGS


def test_a_position_has_six_of_them_at_most(venue: Venue) -> None:
    long, _ = _long(venue, 10)
    ids = [_offer(long, 110 + n, 10) for n in range(6)]
    assert long.row()[7] == 6
    assert long.place(SELL, 120, 10, flags=REDUCE_ONLY)[0] == Code.REDUCE_ONLY_FULL
    assert long.place(SELL, 120, 10)[0] == Code.OK  # a plain one is no matter
    long.cancel(ids[0])
    assert long.place(SELL, 120, 10, flags=REDUCE_ONLY)[0] == Code.OK


def test_it_is_in_no_open_sum_and_needs_no_initial_margin(venue: Venue) -> None:
    """Long 100 lots (10 USDC, 1 of initial margin) with 1.5; as many again would need 2."""
    long, _ = _long(venue, 100, usdc=2)
    for n in range(6):
        _offer(long, 101 + n, 100)
    assert long.row()[3:] == [0, 0, 0, 0, 6]
    leave = {"asset": 0, "recipient": long.signer.address}
    free = long.quote - 1_000_000
    assert long.act(Kind.WITHDRAW, amount_units=free + 1, **leave)[0] == Code.MARGIN_INSUFFICIENT
    assert long.act(Kind.WITHDRAW, amount_units=free, **leave)[0] == Code.OK
    assert long.place(BUY, 50, 1)[0] == Code.MARGIN_INSUFFICIENT


def test_it_may_come_below_initial_margin_but_not_below_maintenance(venue: Venue) -> None:
    """Long 100 lots from 100 with 1.995: at 90 it has 0.995 and needs 0.9 or 0.45."""
    long, _ = _long(venue, 100, usdc=2)
    assert long.quote == 1_995_000
    venue.price({0: 90})
    # At 85 it loses 0.5 and a fee of 4,250 is set aside: 490,750. At 84: 390,800.
    assert long.place(SELL, 84, 100, flags=REDUCE_ONLY)[0] == Code.MARGIN_INSUFFICIENT
    assert long.place(SELL, 85, 100, flags=REDUCE_ONLY)[0] == Code.OK


# --- kept cut by fills ---------------------------------------------------------------------------


def test_one_that_is_filled_cuts_the_others(venue: Venue) -> None:
    long, _ = _long(venue, 10)
    first, second, third = _offer(long, 101, 10), _offer(long, 102, 10), _offer(long, 103, 5)
    _, events = venue.trader().place(BUY, 101, 4)
    assert kinds(events) == ["ORDER_ACCEPTED", "FILL", "ORDER_REDUCED"]
    assert _changes(events) == [("ORDER_REDUCED", second, 6)]
    assert venue.order_line(second)[3:5] == ["6", "6"]  # its size with what remains
    assert venue.queue(SELL, 101) == [(first, 6)]
    assert venue.queue(SELL, 103) == [(third, 5)]


def test_an_order_that_was_filled_in_part_keeps_what_it_has_filled(venue: Venue) -> None:
    long, _ = _long(venue, 10)
    order = _offer(long, 102, 8)
    venue.trader().order(BUY, 102, 3)  # 7 lots are left, and 5 of the order
    long.place(SELL, 90, 4, time_in_force=IOC)
    assert long.row()[0] == 7
    venue.trader().order(BUY, 99, 4)
    _, events = long.place(SELL, 99, 4, time_in_force=IOC)
    assert _changes(events) == [("ORDER_REDUCED", order, 3)]
    assert venue.order_line(order)[3:5] == ["6", "3"]


def test_a_closed_position_ends_them_all_oldest_first(venue: Venue) -> None:
    long, _ = _long(venue, 10)
    ids = [_offer(long, price, 10) for price in (105, 103, 104)]
    venue.trader().order(BUY, 99, 10)
    _, events = long.place(SELL, 99, 10, time_in_force=IOC)
    assert kinds(events) == ["ORDER_ACCEPTED", "FILL", *["ORDER_CANCELLED"] * 3]
    assert _changes(events) == [("ORDER_CANCELLED", id_, 10) for id_ in ids]
    assert (long.row(), long.open_ids) == ([], [])


def test_a_position_that_turns_ends_them(venue: Venue) -> None:
    long, _ = _long(venue, 10)
    id_ = _offer(long, 105, 10)
    venue.trader().order(BUY, 99, 15)
    _, events = long.place(SELL, 99, 15, time_in_force=IOC)
    assert _changes(events) == [("ORDER_CANCELLED", id_, 10)]
    assert (long.row()[0], long.row()[7]) == (-5, 0)


def test_a_position_that_grows_or_moves_elsewhere_leaves_them(venue: Venue) -> None:
    long, short = _long(venue, 10)
    id_ = _offer(long, 105, 10)
    short.order(SELL, MARK, 5)
    assert _changes(long.place(BUY, MARK, 5)[1]) == []
    short.order(SELL, MARK, 5, instrument=2)
    assert _changes(long.place(BUY, MARK, 5, instrument=2)[1]) == []
    assert venue.queue(SELL, 105) == [(id_, 10)]


def test_the_makers_are_cut_before_the_takers(venue: Venue) -> None:
    long, short = _long(venue, 10)
    mine = _offer(long, 105, 10)
    its = short.order(BUY, 90, 10, flags=REDUCE_ONLY)
    short.order(BUY, 99, 4)
    _, events = long.place(SELL, 99, 4, time_in_force=IOC)
    assert _changes(events) == [("ORDER_REDUCED", its, 6), ("ORDER_REDUCED", mine, 6)]


def test_a_taker_cuts_its_own_after_every_fill(venue: Venue) -> None:
    long, _ = _long(venue, 10)
    resting = _offer(long, 105, 10)
    for price in (99, 98):
        venue.trader().order(BUY, price, 4)
    _, events = long.place(SELL, 98, 20, flags=REDUCE_ONLY)
    assert events[0].size == 10
    assert _changes(events) == [("ORDER_REDUCED", resting, 6), ("ORDER_REDUCED", resting, 2)]
    assert kinds(events)[-1] == "ORDER_RESTING"
    assert venue.best(SELL) == 98


def test_a_reduce_only_taker_that_closes_all_ends_without_further_event(venue: Venue) -> None:
    long, _ = _long(venue, 10)
    venue.trader().order(BUY, 99, 10)
    _, events = long.place(SELL, 99, 10, flags=REDUCE_ONLY, time_in_force=FOK)
    assert kinds(events) == ["ORDER_ACCEPTED", "FILL"]
    assert (long.row(), long.open_ids) == ([], [])


def test_a_reduce_only_market_order_closes_what_there_is(venue: Venue) -> None:
    long, _ = _long(venue, 10)
    venue.trader().order(BUY, 96, 30)
    flags = {"flags": REDUCE_ONLY, "order_type": 1, "time_in_force": IOC}
    _, events = long.place(SELL, 0, 1_000, **flags)
    assert fills(events) == [(96, 10)]
    assert long.row() == []


def test_a_reduce_only_taker_can_be_continued(venue: Venue) -> None:
    long, _ = _long(venue, 10)
    resting = _offer(long, 105, 10)
    makers = [venue.trader() for _ in range(6)]
    for maker in makers:
        maker.order(BUY, 99, 1)
    _, events = long.place(SELL, 99, 10, flags=REDUCE_ONLY)
    assert kinds(events)[-1] == "TAKER_CONTINUES"
    assert (long.row()[0], long.row()[7]) == (6, 2)
    events = venue.finish()
    assert fills(events) == [(99, 1), (99, 1)]
    assert _changes(events) == [("ORDER_REDUCED", resting, 5), ("ORDER_REDUCED", resting, 4)]
    assert venue.queue(SELL, 99)[0][1] == 4


def test_flags_go_together(venue: Venue) -> None:
    """Post-only, sliding, good till a time, and cut."""
    long, _ = _long(venue, 10)
    venue.trader().order(BUY, 100, 1)
    flags = POST_ONLY | SLIDE | REDUCE_ONLY
    code, events = long.place(
        SELL, 90, 50, flags=flags, time_in_force=GTT, good_till_s=START_S + 9, self_trade=DECREMENT
    )
    assert code == Code.OK
    assert (events[0].price, events[0].size) == (101, 10)
    assert events[0].reason == DECREMENT << 5 | GTT << 3 | flags


# --- beside other rules --------------------------------------------------------------------------


def test_cancelling_it_gives_the_row_back(venue: Venue) -> None:
    long, _ = _long(venue, 10)
    id_ = _offer(long, 105, 10)
    long.cancel(id_)
    assert long.row()[3:] == [0, 0, 0, 0, 0]


def test_a_decremented_one_leaves_the_sums_alone(venue: Venue) -> None:
    """An own bid of 4 meets the reduce-only offer of 10: 6 are left of it."""
    long, _ = _long(venue, 10)
    id_ = _offer(long, 101, 10)
    _, events = long.place(BUY, 101, 4, self_trade=DECREMENT)
    assert kinds(events) == ["ORDER_ACCEPTED", "ORDER_REDUCED", "ORDER_CANCELLED"]
    assert (events[1].order_id, events[1].size) == (id_, 6)
    assert events[1].reason == CancelReason.SELF_TRADE
    assert long.row()[3:] == [0, 0, 0, 0, 1]


def test_amending_cuts_it_again_and_the_total_too(venue: Venue) -> None:
    long, _ = _long(venue, 10)
    id_ = _offer(long, 102, 10)
    venue.trader().order(BUY, 102, 3)
    _, events = long.amend(id_, 104, 50)
    assert kinds(events) == ["ORDER_AMENDED", "ORDER_RESTING"]
    assert (events[0].price, events[0].size) == (104, 7)
    assert venue.order_line(id_)[3:5] == ["10", "7"]
    assert long.row()[7] == 1


def test_the_last_of_six_can_be_amended_and_replaced(venue: Venue) -> None:
    long, _ = _long(venue, 10)
    ids = [_offer(long, 110 + n, 10) for n in range(6)]
    assert long.amend(ids[0], 120, 10)[0] == Code.OK
    assert long.replace(ids[0], 121, 10, flags=REDUCE_ONLY)[0] == Code.OK
    assert long.row()[7] == 6


def test_deleveraging_cuts_the_candidates(venue: Venue) -> None:
    """The long one leaves through L1; nobody bids near the mark: both shorts are closed."""
    long, short = _long(venue, 10)
    other = venue.trader()
    other.order(SELL, MARK, 6)
    long.order(BUY, MARK, 6)
    first = short.order(BUY, 50, 10, flags=REDUCE_ONLY)
    second = other.order(BUY, 50, 6, flags=REDUCE_ONLY)
    long.leave()
    events = venue.price({0: MARK})
    shown = [name for name in kinds(events) if name in ("DELEVERAGED", "ORDER_CANCELLED")]
    assert shown == ["DELEVERAGED", "ORDER_CANCELLED"] * 2
    assert _changes(events) == [("ORDER_CANCELLED", first, 10), ("ORDER_CANCELLED", second, 6)]
    assert (short.row(), other.row()) == ([], [])


def test_deleveraging_in_part_reduces_them(venue: Venue) -> None:
    """Short 10; who leaves was long 4 of them: 6 of the bid are left."""
    long, short = _long(venue, 4)
    third = venue.trader()
    short.order(SELL, MARK, 6)
    third.order(BUY, MARK, 6)
    bid = short.order(BUY, 50, 10, flags=REDUCE_ONLY)
    long.leave()
    events = venue.price({0: MARK})
    assert _changes(events) == [("ORDER_REDUCED", bid, 6)]
    at = kinds(events)
    assert at.index("ORDER_REDUCED") == at.index("DELEVERAGED") + 1


def test_a_liquidation_that_is_filled_by_one_cuts_the_others(venue: Venue) -> None:
    """The long one is sold out at 95 or above, into the bids of who is short."""
    long, short = _long(venue, 100, usdc=2)
    bids = [short.order(BUY, price, 100, flags=REDUCE_ONLY) for price in (85, 84)]
    long.order(SELL, 150, 1)
    events = venue.price({0: 84})
    assert "LIQUIDATED" in kinds(events)
    assert fills(events) == [(85, 100)]
    assert _changes(events) == [("ORDER_CANCELLED", bids[1], 100)]
    assert short.row() == []
