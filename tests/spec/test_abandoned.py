"""A venue without a price for a day: settled at the last mark (12.5), paid pro rata (12.6)."""

from typing import Any

import pytest
from tests.spec.venue import BUY, SELL, USD, CheckedVenue, Trader, Venue, kinds

from provenue.spec.constants import Code, EventKind, Kind
from provenue.spec.events import Event

ABANDONED_MS = 86_400_000


def _trade(long: Trader, short: Trader, price: int, lots: int) -> None:
    short.order(SELL, price, lots)
    long.order(BUY, price, lots)


def _publish(venue: Venue, ticks: dict[int, int], **fields: Any) -> None:
    """Without the rest of the sweep that it starts."""
    venue.now_ms += 1
    assert venue.publish(ticks, **fields)[0] == Code.OK


def _of(events: list[Event], kind: EventKind) -> list[Event]:
    return [event for event in events if event.kind == kind]


def _deals(events: list[Event]) -> list[tuple[int, int, int]]:
    """(against whom, price, size) of what was closed by deleveraging."""
    closed = _of(events, EventKind.DELEVERAGED)
    return [(event.counter_account, event.price, event.size) for event in closed]


# --- closing -------------------------------------------------------------------------------------


@pytest.mark.parametrize(("side", "price"), [(BUY, 100), (SELL, 101)])
def test_an_abandoned_mark_settles_without_fees_or_slippage(
    venue: Venue, side: int, price: int
) -> None:
    """The last mark is 100.5: half a tick against the one who leaves, no book, no fee."""
    leaver, other, maker = venue.trader(), venue.trader(), venue.trader()
    other.order(1 - side, 100, 1_000)
    leaver.order(side, 100, 1_000)
    _publish(venue, {0: 0, 1: 0}, entries=[(0, 100_500_000), (1, 100 * USD)])
    venue.finish()
    maker.order(side, 100 if side == BUY else 101, 1_000)
    quotes = [leaver.quote, other.quote]
    venue.now_ms += ABANDONED_MS
    assert kinds(leaver.leave()) == ["ACCOUNT_LEAVING"]
    assert venue.send(Kind.CONTINUE, {})[0] == Code.NOTHING_TO_CONTINUE  # a millisecond early
    venue.now_ms += 1
    assert leaver.leave() == []  # the same item again starts the sweep that closes it
    assert venue.lines("G")[0][3] == "4"
    events = venue.finish()
    assert _of(events, EventKind.CLOSING) == _of(events, EventKind.FILL) == []
    assert [e.value for e in _of(events, EventKind.DELEVERAGED)] == [0]
    assert _deals(events) == [(other.index, price, 1_000)]
    gain = (price - 100) * USD * (1 if side == BUY else -1)
    assert [leaver.quote, other.quote] == [quotes[0] + gain, quotes[1] - gain]
    assert venue.house_balance() == 0
    assert not leaver.is_leaving


def test_a_forced_close_during_a_sweep_that_has_passed_starts_it_anew(venue: Venue) -> None:
    leaver, other = venue.trader(), venue.trader()
    for _ in range(3):
        venue.trader()
    _trade(leaver, other, 100, 10)
    venue.now_ms += ABANDONED_MS + 1
    venue.ok(Kind.TICK)  # the house, the leaver, the other: the cursor is behind them
    assert venue.lines("G")[0][2:4] == ["3", "3"]
    leaver.leave()
    assert venue.lines("G")[0][2:4] == ["3", "6"]
    assert _deals(venue.finish()) == [(other.index, 100, 10)]


def test_a_mark_below_one_tick_settles_at_nothing(engine_name: str) -> None:
    """Whoever sells for 0 leaves with what the ticks can say; nobody else pays for them."""
    venue = CheckedVenue.listed(engine_name)
    short, long = venue.trader(), venue.trader()
    _trade(long, short, 100, 10)
    _publish(venue, {0: 0}, entries=[(0, USD // 2)])
    venue.finish()
    venue.now_ms += ABANDONED_MS + 1
    quote = short.quote
    long.leave()
    events = venue.finish()
    assert _deals(events) == [(short.index, 0, 10)]
    assert short.quote == quote + USD  # 10 lots sold at 100


# --- withdrawing ---------------------------------------------------------------------------------


def _held_and_missing(venue: Venue) -> tuple[int, int]:
    applied, issued, fees = (int(x) for x in venue.line("A", 0)[7:10])
    return applied - issued, max(0, -venue.house_balance() - fees)


def _bankrupt(venue: Venue) -> list[Trader]:
    """The house owes 4.01 less 0.06 of fees; the others have 1,000 and what has been lost."""
    long, short = venue.trader(11), venue.trader()
    long.order(BUY, 100, 1_000)
    short.order(SELL, 100, 1_000)
    venue.price({0: 85})
    assert _held_and_missing(venue) == (1_011 * USD, 4_010_000 - 60_000)
    return [short, venue.trader(500), venue.trader(7)]


def _exit(trader: Trader, amount: int = 1 << 53, asset: int = 0) -> tuple[Code, list[Event]]:
    fields = {"asset": asset, "amount_units": amount, "recipient": b"w" * 20}
    return trader.force(Kind.FORCED_WITHDRAW, **fields)


def test_an_abandoned_venue_pays_everybody_the_same_share(venue: Venue) -> None:
    short, one, two = _bankrupt(venue)
    venue.now_ms += ABANDONED_MS + 1
    short.leave()
    venue.finish()
    assert short.row() == []
    owed = [trader.quote for trader in (short, one, two)]
    held, missing = _held_and_missing(venue)
    for trader, units in zip((two, short, one), (owed[2], owed[0], owed[1]), strict=True):
        for amount in (units // 3, units):  # a part, then all that is left
            before = _held_and_missing(venue)
            have = trader.quote
            code, events = _exit(trader, amount)
            assert code == Code.OK
            cut = min(amount, have)
            paid = cut * before[0] // sum(before)
            assert [(e.kind, e.size) for e in events] == [
                (EventKind.WITHDRAWN, paid), (EventKind.HAIRCUT, cut - paid),
            ]  # fmt: skip
            # The same share for the others, but for a unit that rounding has left to them.
            now = _held_and_missing(venue)
            assert 0 <= now[0] * (held + missing) - held * sum(now) <= 6 * (held + missing)
        assert trader.quote == 0
    assert 0 <= _held_and_missing(venue)[0] <= 6
    assert _held_and_missing(venue)[1] <= 6


def test_no_more_is_paid_than_there_is(venue: Venue) -> None:
    """The last price has ruined one account, whom no sweep has visited: claims without money."""
    seller, short, ruined = venue.trader(101), venue.trader(112), venue.trader(41)
    _trade(seller, short, 100, 1_000)
    for price in range(105, 201, 5):
        venue.price({0: price})
    _trade(ruined, seller, 200, 1_000)  # the seller has realised 100
    _publish(venue, {0: 100})  # and the buyer has lost as much, but is not looked at yet
    assert venue.lines("G")[0][2:4] == ["3", "1"]
    venue.now_ms += ABANDONED_MS + 1
    assert _exit(short)[0] == Code.OK
    held, missing = _held_and_missing(venue)
    assert missing == 0
    assert seller.quote > held
    code, events = _exit(seller)
    assert (code, kinds(events), events[0].size) == (Code.OK, ["WITHDRAWN"], held)
    assert _exit(seller)[0] == Code.INSUFFICIENT_BALANCE
    assert _held_and_missing(venue) == (0, 0)


def test_a_signed_withdrawal_is_not_paid_in_full_before_the_others(venue: Venue) -> None:
    _, one, _ = _bankrupt(venue)
    fields = {"asset": 0, "amount_units": 1 * USD, "recipient": b"w" * 20}
    assert one.act(Kind.WITHDRAW, **fields)[0] == Code.OK  # while there are prices
    venue.now_ms += ABANDONED_MS + 1
    assert one.act(Kind.WITHDRAW, **fields)[0] == Code.INSUFFICIENT_BALANCE
    code, events = _exit(one, USD)
    assert (code, kinds(events)) == (Code.OK, ["WITHDRAWN", "HAIRCUT"])


def test_an_abandoned_venue_without_debt_pays_in_full(venue: Venue) -> None:
    trader = venue.trader(10)
    venue.now_ms += ABANDONED_MS + 1
    fields = {"asset": 0, "amount_units": 1 * USD, "recipient": b"w" * 20}
    assert trader.act(Kind.WITHDRAW, **fields)[0] == Code.OK
    code, events = _exit(trader)
    assert (code, kinds(events), events[0].size) == (Code.OK, ["WITHDRAWN"], 9 * USD)


def test_the_last_marks_count_for_the_margin_of_an_abandoned_venue(venue: Venue) -> None:
    """0.5 base at 100: 5 of the 10 stay as margin, whatever has happened since."""
    trader, other = venue.trader(10), venue.trader()
    trader.order(BUY, 100, 500)
    other.order(SELL, 100, 500)
    venue.now_ms += ABANDONED_MS
    assert _exit(trader)[0] == Code.MARK_STALE
    venue.now_ms += 1
    fields = {"asset": 0, "amount_units": 1, "recipient": b"w" * 20}
    assert trader.act(Kind.WITHDRAW, **fields)[0] == Code.MARK_STALE  # a key alone does not do
    code, events = _exit(trader)
    assert (code, events[0].size) == (Code.OK, 5 * USD - 5_000)


def test_one_kept_feed_keeps_the_venue(venue: Venue) -> None:
    trader, other = venue.trader(10), venue.trader()
    _trade(trader, other, 100, 10)
    venue.now_ms += ABANDONED_MS + 1
    _publish(venue, {1: 100})
    venue.finish()
    assert _exit(trader)[0] == Code.MARK_STALE
    venue.now_ms += ABANDONED_MS + 1
    assert _exit(trader)[0] == Code.OK


def test_a_share_of_less_than_a_unit_is_not_paid(venue: Venue) -> None:
    _, one, _ = _bankrupt(venue)
    venue.now_ms += ABANDONED_MS + 1
    assert _exit(one, 1)[0] == Code.INSUFFICIENT_BALANCE
    assert [e.size for e in _exit(one, 2)[1]] == [1, 1]
