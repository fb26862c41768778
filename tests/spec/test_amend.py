"""AMEND, REPLACE and CANCEL_LABEL (4.3 to 4.5): an order gives way to what its owner wants now."""

from typing import Any

import pytest
from tests.spec.venue import (
    BUY,
    CANCEL_TAKER,
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

EVERY = 0xFFFF


def _unchanged_but_the_nonce(venue: Venue, before: str) -> bool:
    pairs = zip(before.splitlines(), venue.engine.dump().splitlines(), strict=True)
    different = [a for a, b in pairs if a != b]
    return len(different) == 1 and different[0].startswith("K ")


# --- AMEND that keeps its place ------------------------------------------------------------------


def test_less_at_the_same_price_keeps_its_place(
    venue: Venue, trader: Trader, other: Trader
) -> None:
    id_, behind = trader.order(SELL, MARK, 5, client_id=9), other.order(SELL, MARK, 5)
    code, events = trader.amend(id_, MARK, 3)
    assert (code, kinds(events)) == (Code.OK, ["ORDER_AMENDED"])
    amended = events[0]
    assert (amended.order_id, amended.price, amended.size) == (id_, MARK, 3)
    assert (amended.value, amended.extra, amended.reason) == (SELL, 9, 0)
    assert venue.queue(SELL, MARK) == [(id_, 3), (behind, 5)]
    assert trader.row()[3:7] == [0, 3, 0, 3 * MARK * 1_000]


def test_the_same_again_changes_nothing(venue: Venue, trader: Trader, other: Trader) -> None:
    id_, _ = trader.order(SELL, MARK, 5), other.order(SELL, MARK, 5)
    before = venue.engine.dump()
    assert kinds(trader.amend(id_, MARK, 5)[1]) == ["ORDER_AMENDED"]
    assert _unchanged_but_the_nonce(venue, before)


@pytest.mark.parametrize(
    ("total", "code", "remaining"),
    [(1, "BAD_SIZE", 3), (2, "BAD_SIZE", 3), (3, "OK", 1), (5, "OK", 3)],
)
def test_the_new_size_counts_what_is_filled(
    venue: Venue, trader: Trader, other: Trader, total: int, code: str, remaining: int
) -> None:
    id_ = trader.order(SELL, MARK, 5)
    other.order(BUY, MARK, 2)
    assert trader.amend(id_, MARK, total)[0].name == code
    assert venue.queue(SELL, MARK) == [(id_, remaining)]
    size = total if code == "OK" else 5
    assert venue.order_line(id_)[3:5] == [str(size), str(remaining)]


def test_asking_for_less_needs_neither_price_nor_margin(venue: Venue) -> None:
    trader = venue.trader(usdc=3)
    id_ = trader.order(BUY, 100, 200)
    venue.now_ms += 60_001
    assert trader.amend(id_, 101, 200)[0] == Code.MARK_STALE
    assert trader.amend(id_, 100, 199)[0] == Code.OK


# --- AMEND that loses it -------------------------------------------------------------------------


@pytest.mark.parametrize(("price", "size"), [(100, 6), (101, 5), (101, 2), (99, 9)])
def test_more_or_another_price_loses_it(
    venue: Venue, trader: Trader, other: Trader, price: int, size: int
) -> None:
    id_, behind = trader.order(SELL, 100, 5), other.order(SELL, 100, 5)
    also = other.order(SELL, price, 1)
    code, events = trader.amend(id_, price, size)
    assert (code, kinds(events)) == (Code.OK, ["ORDER_AMENDED", "ORDER_RESTING"])
    assert (events[0].price, events[0].size, events[1].size) == (price, size, size)
    assert venue.queue(SELL, price)[-2:] == [(also, 1), (id_, size)]
    assert venue.queue(SELL, 100)[0] == (behind, 5)
    assert trader.row()[3:7] == [0, size, 0, size * price * 1_000]


def test_it_keeps_its_place_in_the_accounts_list_and_its_slot(trader: Trader) -> None:
    first, second = trader.order(SELL, 101, 1), trader.order(SELL, 102, 1)
    trader.amend(first, 103, 7)
    assert trader.open_ids == [first, second]
    _, events = trader.act(Kind.CANCEL_ALL, instrument=EVERY)
    assert [(e.order_id, e.size) for e in events] == [(first, 7), (second, 1)]


def test_bits_label_and_end_stay_as_they_were(venue: Venue, trader: Trader) -> None:
    fields = {"time_in_force": GTT, "good_till_s": START_S + 9, "self_trade": CANCEL_TAKER}
    id_ = trader.order(SELL, 101, 1, client_id=77, flags=POST_ONLY, **fields)
    before = venue.order_line(id_)
    _, events = trader.amend(id_, 103, 4)
    assert events[0].reason == CANCEL_TAKER << 5 | GTT << 3 | POST_ONLY
    assert venue.order_line(id_) == [*before[:2], "103", "4", "4", *before[5:]]
    assert trader.next_expiry_s == START_S + 9


def test_an_amended_order_takes_what_it_crosses(venue: Venue, trader: Trader) -> None:
    other = venue.trader()
    other.order(SELL, 99, 2)
    id_ = trader.order(BUY, 95, 5)
    _, events = trader.amend(id_, 99, 5)
    assert kinds(events) == ["ORDER_AMENDED", "FILL", "ORDER_RESTING"]
    assert (fills(events), events[1].order_id) == ([(99, 2)], id_)
    assert venue.queue(BUY, 99) == [(id_, 3)]
    assert venue.order_line(id_)[3:5] == ["5", "3"]
    _, events = trader.amend(id_, 98, 6)  # two are filled: four are wanted
    assert events[0].size == 4


def test_an_amended_order_can_be_filled_to_its_end(trader: Trader, other: Trader) -> None:
    other.order(SELL, 99, 5)
    id_ = trader.order(BUY, 95, 5)
    assert kinds(trader.amend(id_, 99, 5)[1]) == ["ORDER_AMENDED", "FILL"]
    assert trader.open_ids == []
    assert trader.amend(id_, 99, 5)[0] == Code.ORDER_UNKNOWN


def test_an_amended_order_can_be_continued(venue: Venue, trader: Trader, other: Trader) -> None:
    for _ in range(5):
        other.order(SELL, MARK, 1)
    id_ = trader.order(BUY, 95, 7)
    assert kinds(trader.amend(id_, MARK, 7)[1])[-1] == "TAKER_CONTINUES"
    assert trader.amend(id_, MARK, 1)[0] == Code.TAKER_PENDING
    assert kinds(venue.finish()) == ["FILL", "ORDER_RESTING"]
    assert venue.queue(BUY, MARK) == [(id_, 2)]


def test_it_meets_own_orders_in_its_own_mode(trader: Trader) -> None:
    mine = trader.order(SELL, MARK, 1)
    id_ = trader.order(BUY, 95, 5, self_trade=CANCEL_TAKER)
    _, events = trader.amend(id_, MARK, 5)
    assert kinds(events) == ["ORDER_AMENDED", "ORDER_CANCELLED"]
    assert (events[1].order_id, events[1].reason) == (id_, CancelReason.SELF_TRADE)
    assert trader.open_ids == [mine]


def test_a_post_only_order_may_not_be_amended_through_the_touch(
    venue: Venue, trader: Trader, other: Trader
) -> None:
    other.order(SELL, MARK, 1)
    id_ = trader.order(BUY, 95, 5, flags=POST_ONLY)
    before = venue.engine.dump()
    assert trader.amend(id_, MARK, 5) == (Code.POST_ONLY_WOULD_CROSS, [])
    assert _unchanged_but_the_nonce(venue, before)


def test_a_sliding_order_slides_when_amended(venue: Venue, trader: Trader, other: Trader) -> None:
    other.order(SELL, MARK, 1)
    id_ = trader.order(BUY, 95, 5, flags=POST_ONLY | SLIDE)
    _, events = trader.amend(id_, 110, 5)
    assert [(e.price, e.size) for e in events] == [(99, 5), (99, 5)]
    assert venue.queue(BUY, 99) == [(id_, 5)]


def test_an_amend_without_margin_leaves_everything_as_it_was(venue: Venue, other: Trader) -> None:
    """With 3 USDC and a fee of 0.05 % at most 297 lots at 100 (2.97 of margin, 0.01485 of fee)."""
    trader = venue.trader(usdc=3)
    id_, _ = trader.order(BUY, 100, 200), other.order(BUY, 100, 5)
    before = venue.engine.dump()
    assert trader.amend(id_, 100, 299) == (Code.MARGIN_INSUFFICIENT, [])
    assert _unchanged_but_the_nonce(venue, before)
    assert venue.queue(BUY, 100)[0] == (id_, 200)
    assert trader.amend(id_, 100, 297)[0] == Code.OK


def test_its_own_margin_is_free_for_the_amended_order(venue: Venue) -> None:
    """2.9 of 3 USDC are bound by the order itself: it may move all the same."""
    trader = venue.trader(usdc=3)
    id_ = trader.order(BUY, 99, 290)
    assert trader.amend(id_, 98, 291)[0] == Code.OK


def test_its_own_coins_are_free_for_the_amended_offer(venue: Venue) -> None:
    """100,000 units a lot; ten lots are all there is."""
    trader = venue.trader(coin_units=1_000_000)
    id_ = trader.order(SELL, 110, 10, instrument=0)
    assert trader.amend(id_, 111, 10)[0] == Code.OK
    assert trader.amend(id_, 111, 11)[0] == Code.INSUFFICIENT_BALANCE
    assert venue.queue(SELL, 111, 0) == [(id_, 10)]


def test_its_own_level_is_free_when_levels_are_full(venue: Venue) -> None:
    one, two = venue.trader(), venue.trader()
    ids = [one.order(BUY, 50 + n, 1) for n in range(10)]
    for n in range(10):
        two.order(BUY, 60 + n, 1)
    assert venue.trader().place(BUY, 70, 1)[0] == Code.LEVEL_TABLE_FULL
    assert one.amend(ids[0], 70, 1)[0] == Code.OK
    one.cancel(ids[1])
    one.order(BUY, 70, 1)  # a second order there, then a level more
    venue.trader().order(BUY, 71, 1)
    assert one.amend(ids[0], 72, 1)[0] == Code.LEVEL_TABLE_FULL
    assert venue.queue(BUY, 70)[0] == (ids[0], 1)


def test_its_own_row_is_free_and_an_account_full_of_orders_may_amend(venue: Venue) -> None:
    trader = venue.trader()
    ids = [trader.order(BUY, 90 + n, 1) for n in range(10)]
    assert trader.place(BUY, 50, 1)[0] == Code.ACCOUNT_ORDERS_FULL
    assert trader.amend(ids[0], 50, 1)[0] == Code.OK
    assert trader.replace(ids[1], 51, 1)[0] == Code.OK


# --- REPLACE -------------------------------------------------------------------------------------


def test_replace_is_a_cancel_and_a_new_order(venue: Venue, trader: Trader) -> None:
    old = trader.order(SELL, 105, 5, client_id=3)
    code, events = trader.replace(old, 103, 8, client_id=4)
    assert (code, kinds(events)) == (
        Code.OK, ["ORDER_CANCELLED", "ORDER_ACCEPTED", "ORDER_RESTING"],
    )  # fmt: skip
    gone, new = events[0], events[1]
    assert (gone.order_id, gone.size, gone.extra) == (old, 5, 3)
    assert gone.reason == CancelReason.REPLACED
    assert (new.instrument, new.value, new.price, new.size, new.extra) == (1, SELL, 103, 8, 4)
    assert new.order_id == old + (1 << 32)  # the slot that was given back, its next generation
    assert trader.open_ids == [new.order_id]


@pytest.mark.parametrize(
    ("size", "code", "gets"), [(2, "BAD_SIZE", 0), (3, "OK", 1), (5, "OK", 3), (9, "OK", 7)]
)
def test_a_replacement_counts_what_the_old_order_has_filled(
    trader: Trader, other: Trader, size: int, code: str, gets: int
) -> None:
    old = trader.order(SELL, MARK, 5)
    other.order(BUY, MARK, 2)
    answer, events = trader.replace(old, 105, size)
    assert answer.name == code
    assert [e.size for e in events if e.kind == EventKind.ORDER_ACCEPTED] == [gets] * (gets > 0)


def test_a_replacement_may_be_of_any_kind(venue: Venue, trader: Trader, other: Trader) -> None:
    other.order(BUY, 96, 9)
    old = trader.order(SELL, 105, 5)
    _, events = trader.replace(old, 0, 4, order_type=1, time_in_force=IOC)
    assert kinds(events) == ["ORDER_CANCELLED", "ORDER_ACCEPTED", "FILL"]
    old = trader.order(SELL, 105, 5)
    fields = {"time_in_force": GTT, "good_till_s": START_S + 9, "flags": POST_ONLY | REDUCE_ONLY}
    assert trader.replace(old, 105, 5, **fields)[0] == Code.NOTHING_TO_REDUCE
    _, events = trader.replace(old, 105, 5, **(fields | {"flags": POST_ONLY}))
    assert venue.order_line(events[1].order_id)[6:] == ["25", "1", str(START_S + 9)]


@pytest.mark.parametrize(
    ("fields", "code"),
    [
        ({"price_ticks": 99, "size_lots": 5, "time_in_force": FOK}, "NOT_FILLED"),
        ({"price_ticks": 99, "flags": POST_ONLY}, "POST_ONLY_WOULD_CROSS"),
        ({"size_lots": 1_000_000}, "MARGIN_INSUFFICIENT"),
        ({"time_in_force": 4}, "BAD_TIME_IN_FORCE"),
        ({"price_ticks": 0}, "BAD_PRICE"),
        ({"size_lots": (1 << 32) + 5}, "BAD_SIZE"),
    ],
)
def test_a_replacement_that_fails_leaves_the_old_order(
    venue: Venue, trader: Trader, other: Trader, fields: dict[str, Any], code: str
) -> None:
    other.order(SELL, 99, 2)
    old = trader.order(BUY, 95, 3, time_in_force=GTT, good_till_s=START_S + 9)
    other.order(BUY, 95, 3)
    before = venue.engine.dump()
    terms = {"price_ticks": 95, "size_lots": 3} | fields
    price, size = terms.pop("price_ticks"), terms.pop("size_lots")
    answer, events = trader.replace(old, price, size, **terms)
    assert (answer.name, events) == (code, [])
    assert _unchanged_but_the_nonce(venue, before)
    assert venue.queue(BUY, 95)[0] == (old, 3)


def test_only_own_orders_are_amended_and_replaced(trader: Trader, other: Trader) -> None:
    id_ = trader.order(SELL, MARK, 5)
    for unknown in (0, id_ + (1 << 32), 40, (1 << 64) - 1):
        assert trader.amend(unknown, MARK, 1)[0] == Code.ORDER_UNKNOWN
        assert trader.replace(unknown, MARK, 1)[0] == Code.ORDER_UNKNOWN
    assert other.amend(id_, MARK, 1)[0] == Code.ORDER_UNKNOWN
    assert other.replace(id_, MARK, 1)[0] == Code.ORDER_UNKNOWN


# --- CANCEL_LABEL --------------------------------------------------------------------------------


def test_a_label_cancels_its_orders_oldest_first(trader: Trader, other: Trader) -> None:
    label = (1 << 64) - 1
    ids = [trader.order(SELL, price, 1, client_id=label) for price in (103, 101, 102)]
    elsewhere = trader.order(SELL, 101, 1, instrument=2, client_id=label)
    kept = trader.order(SELL, 101, 1, client_id=1)
    others = other.order(SELL, 101, 1, client_id=label)
    _, events = trader.act(Kind.CANCEL_LABEL, instrument=1, client_id=label)
    assert [(e.order_id, e.reason) for e in events] == [(id_, CancelReason.USER) for id_ in ids]
    _, events = trader.act(Kind.CANCEL_LABEL, instrument=EVERY, client_id=label)
    assert [e.order_id for e in events] == [elsewhere]
    assert (trader.open_ids, other.open_ids) == ([kept], [others])


def test_a_label_that_no_order_has_is_fine(trader: Trader) -> None:
    trader.order(SELL, MARK, 1, client_id=1)
    assert trader.act(Kind.CANCEL_LABEL, instrument=EVERY, client_id=0) == (Code.OK, [])
    answer, _ = trader.act(Kind.CANCEL_LABEL, instrument=3, client_id=1)
    assert answer == Code.INSTRUMENT_UNKNOWN
