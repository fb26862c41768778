"""How long an order lives and where it may stand: fill-or-kill, good-till-time, slide."""

import pytest
from tests.spec.venue import (
    BUY,
    FOK,
    GTC,
    GTT,
    IOC,
    MARK,
    POST_ONLY,
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

SLIDING = POST_ONLY | SLIDE
PRICE_MAX = (1 << 30) - 1


# --- fill-or-kill --------------------------------------------------------------------------------


def test_fill_or_kill_is_filled_in_full(venue: Venue) -> None:
    maker, taker = venue.trader(), venue.trader()
    maker.order(SELL, 99, 3)
    maker.order(SELL, 100, 4)
    code, events = taker.place(BUY, 100, 5, time_in_force=FOK)
    assert (code, kinds(events)) == (Code.OK, ["ORDER_ACCEPTED", "FILL", "FILL"])
    assert events[0].reason == FOK << 3
    assert fills(events) == [(99, 3), (100, 2)]
    assert taker.open_ids == []


def _unchanged_but_the_nonce(venue: Venue, before: list[str]) -> bool:
    after = venue.engine.dump().splitlines()
    different = [(a, b) for a, b in zip(before, after, strict=True) if a != b]
    return len(different) == 1 and different[0][0].startswith("K ")


@pytest.mark.parametrize("limit", [100, 98])
def test_fill_or_kill_that_is_not_filled_leaves_everything_as_it_was(
    venue: Venue, limit: int
) -> None:
    maker, taker = venue.trader(), venue.trader()
    maker.order(SELL, 99, 3)
    maker.order(SELL, 100, 1)
    maker.order(SELL, 101, 9)
    before = venue.engine.dump().splitlines()
    assert taker.place(BUY, limit, 5, time_in_force=FOK) == (Code.NOT_FILLED, [])
    assert _unchanged_but_the_nonce(venue, before)
    assert taker.place(BUY, limit, 5, nonce=taker.nonce - 1)[0] == Code.NONCE_USED


@pytest.mark.parametrize(("makers", "code"), [(4, "OK"), (5, "NOT_FILLED")])
def test_fill_or_kill_ends_within_one_message(venue: Venue, makers: int, code: str) -> None:
    """Four steps a message: it is never pending."""
    maker, taker = venue.trader(), venue.trader()
    for _ in range(makers):
        maker.order(SELL, MARK, 1)
    assert taker.place(BUY, MARK, makers, time_in_force=FOK)[0].name == code
    assert venue.send(Kind.CONTINUE, {})[0] == Code.NOTHING_TO_CONTINUE
    assert len(maker.open_ids) == (0 if code == "OK" else 5)


def test_a_maker_that_is_refused_costs_fill_or_kill_a_step(venue: Venue) -> None:
    """An own order at the touch is cancelled; four strangers behind it are one step too many."""
    maker, taker = venue.trader(), venue.trader()
    mine = taker.order(SELL, 99, 1)
    for _ in range(4):
        maker.order(SELL, MARK, 1)
    assert taker.place(BUY, MARK, 4, time_in_force=FOK)[0] == Code.NOT_FILLED
    assert taker.open_ids == [mine]
    code, events = taker.place(BUY, MARK, 3, time_in_force=FOK)
    assert (code, kinds(events)) == (Code.OK, ["ORDER_ACCEPTED", "ORDER_CANCELLED", *["FILL"] * 3])


@pytest.mark.parametrize("mode", [1, 2, 3])
def test_fill_or_kill_that_meets_an_own_order_is_not_filled(venue: Venue, mode: int) -> None:
    """It would be cancelled or become smaller; what was filled before is undone too."""
    maker, taker = venue.trader(), venue.trader()
    maker.order(SELL, 99, 2)
    mine = taker.order(SELL, MARK, 2)
    maker.order(SELL, 101, 9)
    before = venue.engine.dump().splitlines()
    size = 4 if mode == 3 else 5
    code, _ = taker.place(BUY, 101, size, time_in_force=FOK, self_trade=mode)
    assert code == Code.NOT_FILLED
    assert _unchanged_but_the_nonce(venue, before)
    assert taker.open_ids == [mine]


@pytest.mark.parametrize("offered", [3, 5])
def test_lots_that_an_own_order_has_met_are_not_filled(venue: Venue, offered: int) -> None:
    """Of five lots two would meet an own order, three a stranger's: not all of them."""
    maker, taker = venue.trader(), venue.trader()
    mine = taker.order(SELL, MARK, 2)
    maker.order(SELL, 101, offered)
    code, _ = taker.place(BUY, 101, 5, time_in_force=FOK, self_trade=3)
    assert (code, venue.queue(SELL, MARK)) == (Code.NOT_FILLED, [(mine, 2)])


def test_a_market_order_may_be_fill_or_kill(venue: Venue) -> None:
    maker, taker = venue.trader(), venue.trader()
    maker.order(SELL, 105, 2)
    maker.order(SELL, 106, 2)  # beyond the band of 5 %
    assert taker.place(BUY, 0, 3, order_type=1, time_in_force=FOK)[0] == Code.NOT_FILLED
    code, events = taker.place(BUY, 0, 2, order_type=1, time_in_force=FOK)
    assert (code, fills(events)) == (Code.OK, [(105, 2)])
    assert events[0].reason == 1 << 7 | FOK << 3


# --- good till a time ----------------------------------------------------------------------------


def _until(venue: Venue, trader: Trader, seconds: int, side: int = SELL, price: int = MARK) -> int:
    """An order of 5 lots, good for so many whole seconds from the next one on."""
    ends_s = venue.now_ms // 1_000 + seconds
    return trader.order(side, price, 5, time_in_force=GTT, good_till_s=ends_s)


def _expired(events: list[Event]) -> list[int]:
    cancelled = [e for e in events if e.kind == EventKind.ORDER_CANCELLED]
    return [e.order_id for e in cancelled if e.reason == CancelReason.EXPIRED]


def test_good_till_time_must_lie_ahead(venue: Venue) -> None:
    trader = venue.trader()
    venue.now_ms = (START_S + 10) * 1_000
    fields = {"time_in_force": GTT, "good_till_s": START_S + 10}
    assert trader.place(SELL, MARK, 1, **fields)[0] == Code.BAD_GOOD_TILL
    venue.now_ms -= 1
    assert trader.place(SELL, MARK, 1, **fields)[0] == Code.OK
    assert trader.place(SELL, MARK, 1, time_in_force=GTT)[0] == Code.BAD_GOOD_TILL


@pytest.mark.parametrize("time_in_force", [GTC, IOC, FOK])
def test_no_other_order_has_a_good_till_time(venue: Venue, time_in_force: int) -> None:
    trader, far = venue.trader(), (1 << 32) - 1
    fields = {"time_in_force": time_in_force, "good_till_s": far}
    assert trader.place(SELL, MARK, 1, **fields)[0] == Code.BAD_GOOD_TILL


@pytest.mark.parametrize(("early_ms", "event"), [(1, "FILL"), (0, "ORDER_CANCELLED")])
def test_a_taker_that_meets_an_expired_order_ends_it(
    venue: Venue, early_ms: int, event: str
) -> None:
    maker, other, taker = (venue.trader() for _ in range(3))
    id_ = _until(venue, maker, 3)
    behind = other.order(SELL, MARK, 5)
    assert venue.order_line(id_)[6:] == [str(GTT << 3), "1", str(START_S + 3)]
    venue.now_ms = (START_S + 3) * 1_000 - early_ms
    _, events = taker.place(BUY, MARK, 5)
    assert kinds(events)[1] == event
    if event == "FILL":
        assert events[1].counter_order_id == id_
    else:
        assert (_expired(events), events[1].size) == ([id_], 5)
        assert [e.counter_order_id for e in events if e.kind == EventKind.FILL] == [behind]


def test_meeting_an_expired_order_is_a_step(venue: Venue) -> None:
    maker, taker = venue.trader(), venue.trader()
    for _ in range(5):
        _until(venue, maker, 3)
    venue.now_ms += 3_000
    _, events = taker.place(BUY, MARK, 1)
    assert kinds(events) == ["ORDER_ACCEPTED", *["ORDER_CANCELLED"] * 4, "TAKER_CONTINUES"]
    assert kinds(venue.finish()) == ["ORDER_CANCELLED", "ORDER_RESTING"]


def test_an_expired_own_order_expires_whatever_the_mode(venue: Venue) -> None:
    trader = venue.trader()
    id_ = _until(venue, trader, 3)
    venue.now_ms += 3_000
    _, events = trader.place(BUY, MARK, 1, self_trade=1)
    assert _expired(events) == [id_]
    assert kinds(events)[-1] == "ORDER_RESTING"


def test_the_sweep_ends_what_has_expired_oldest_first(venue: Venue) -> None:
    trader = venue.trader()
    late, soon, sooner = (_until(venue, trader, n, price=100 + n) for n in (9, 3, 2))
    assert trader.next_expiry_s == START_S + 2
    venue.now_ms = (START_S + 3) * 1_000 - 1
    assert _expired(_tick(venue)) == [sooner]
    assert trader.next_expiry_s == START_S + 3
    again = _until(venue, trader, 0 + 1, price=110)  # START_S + 3
    venue.now_ms = (START_S + 3) * 1_000
    assert _expired(_tick(venue)) == [soon, again]
    assert (trader.next_expiry_s, trader.open_ids) == (START_S + 9, [late])


def _tick(venue: Venue) -> list[Event]:
    """The clock, and the sweep it starts, to its end."""
    return venue.ok(Kind.TICK, stamp_ms=venue.now_ms) + venue.finish()


def test_a_part_of_the_sweep_ends_where_orders_have_expired(venue: Venue) -> None:
    """The account is looked at again in the next part; so it takes one CONTINUE more."""
    trader = venue.trader()
    _until(venue, trader, 1)
    venue.now_ms += 2_000
    events = venue.ok(Kind.TICK, stamp_ms=venue.now_ms)
    assert kinds(events) == ["ORDER_CANCELLED"]
    assert (venue.lines("G")[0][2], venue.lines("G")[0][3]) == (str(trader.index), "1")
    assert kinds(venue.finish()) == ["SWEEP_FINISHED"]


def test_next_expiry_may_be_early_and_is_put_right_by_the_sweep(venue: Venue) -> None:
    trader = venue.trader()
    first, second = _until(venue, trader, 2), _until(venue, trader, 50)
    trader.cancel(first)
    assert trader.next_expiry_s == START_S + 2
    venue.now_ms += 2_000
    assert kinds(_tick(venue)) == ["SWEEP_FINISHED"]
    assert trader.next_expiry_s == START_S + 50
    trader.cancel(second)
    assert trader.next_expiry_s == 0


def test_next_expiry_is_zero_without_such_orders(venue: Venue) -> None:
    trader = venue.trader()
    trader.order(SELL, MARK, 1)
    assert trader.next_expiry_s == 0
    _until(venue, trader, 1)
    venue.now_ms += 2_000
    _tick(venue)
    assert (trader.next_expiry_s, len(trader.open_ids)) == (0, 1)


def test_an_expired_order_can_still_be_cancelled_but_not_changed(venue: Venue) -> None:
    trader = venue.trader()
    id_ = _until(venue, trader, 1)
    venue.now_ms += 2_000
    assert trader.amend(id_, MARK, 1)[0] == Code.ORDER_UNKNOWN
    assert trader.replace(id_, MARK, 1)[0] == Code.ORDER_UNKNOWN
    code, events = trader.cancel(id_)
    assert (code, events[0].reason) == (Code.OK, CancelReason.USER)


def test_an_expired_order_still_stands_in_the_way_of_post_only(venue: Venue) -> None:
    maker, late = venue.trader(), venue.trader()
    _until(venue, maker, 1)
    venue.now_ms += 2_000
    assert late.place(BUY, MARK, 1, flags=POST_ONLY)[0] == Code.POST_ONLY_WOULD_CROSS
    assert late.place(BUY, MARK, 1, flags=SLIDING)[1][0].price == MARK - 1


# --- slide ---------------------------------------------------------------------------------------


@pytest.mark.parametrize(("side", "best", "asked", "limit"), [
    (BUY, 100, 100, 99), (BUY, 100, 130, 99), (BUY, 100, 99, 99), (BUY, 100, 95, 95),
    (SELL, 100, 100, 101), (SELL, 100, 70, 101), (SELL, 100, 101, 101), (SELL, 100, 105, 105),
])  # fmt: skip
def test_a_sliding_order_rests_a_tick_from_the_other_side(
    venue: Venue, side: int, best: int, asked: int, limit: int
) -> None:
    maker, slider = venue.trader(), venue.trader()
    maker.order(1 - side, best, 1)
    code, events = slider.place(side, asked, 2, flags=SLIDING)
    assert (code, kinds(events)) == (Code.OK, ["ORDER_ACCEPTED", "ORDER_RESTING"])
    assert (events[0].price, events[0].reason) == (limit, SLIDING)
    assert venue.best(side) == limit


def test_a_sliding_order_without_another_side_stays_where_it_is(venue: Venue) -> None:
    assert venue.trader().place(BUY, 120, 1, flags=SLIDING)[1][0].price == 120


def test_there_is_no_tick_below_the_first(venue: Venue) -> None:
    maker, slider = venue.trader(), venue.trader()
    maker.order(SELL, 1, 1)
    assert slider.place(BUY, 5, 1, flags=SLIDING)[0] == Code.POST_ONLY_WOULD_CROSS


def test_there_is_no_tick_above_the_last(venue: Venue) -> None:
    """A bid of one lot at 2^30 - 1 ticks costs 1,073,741 USDC."""
    maker, slider = venue.trader(usdc=2_000_000), venue.trader()
    maker.order(BUY, PRICE_MAX, 1)
    assert slider.place(SELL, 5, 1, flags=SLIDING)[0] == Code.POST_ONLY_WOULD_CROSS
    maker.act(Kind.CANCEL_ALL, instrument=1)
    maker.order(BUY, PRICE_MAX - 1, 1)
    assert slider.place(SELL, 5, 1, flags=SLIDING)[1][0].price == PRICE_MAX


def test_margin_is_asked_at_the_price_that_it_slid_to(venue: Venue) -> None:
    """100 lots bid at 200 lose 10 USDC against the mark; at 99 they lose nothing."""
    maker, slider = venue.trader(), venue.trader(usdc=5)
    assert slider.place(BUY, 200, 100, flags=SLIDING)[0] == Code.MARGIN_INSUFFICIENT
    maker.order(SELL, MARK, 1)
    assert slider.place(BUY, 200, 100, flags=SLIDING)[0] == Code.OK
