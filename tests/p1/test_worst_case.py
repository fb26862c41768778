"""P3: the dearest messages we know stay sixteen times below the bound, on the presets that run.

A crowd of accounts that fill every row and hold every asset stands where the sweep begins, and what
follows it in the same message is as dear as it can be. Beside the instructions: events and leaves
of the undo log, which have bounds of their own. The table is printed at the end (`pytest -s`).
"""

from collections.abc import Iterator
from dataclasses import dataclass

import pytest
from tests.p1.venue import DEEP, MARK, WIDE, Measured, Venue

from provenue._generated.constants import (
    EVENTS_MAX,
    FEEDS_PER_MESSAGE,
    MARK_ABANDONED_MS,
    MESSAGE_INSTRUCTIONS_MAX,
    PRESETS,
    REDUCE_ONLY_MAX,
    SIGNERS_MAX,
    Preset,
)
from provenue.engine import pack
from provenue.wire import (
    AnyMessage,
    Cancel,
    Code,
    Continue,
    Deposit,
    EventKind,
    ForcedWithdraw,
    Kind,
    OrderFlag,
    SetKey,
    Side,
    encode,
)

RICH = 1 << 46
POOR = 500_000_000_000  # covers its positions at the mark, and not what a fall by a quarter costs
BIG_LOTS = (1 << 32) - 1
FALLEN = MARK * 3 // 4
ASK = 63 << 24  # nearly the highest price there is: everything below is for bids
UNDO_LEAVES_MAX = 4_096  # kUndoEntriesMax of core/image/undo.hpp

# One worker, in order: the crowd is built once a preset, and the table is looked at last.
pytestmark = [
    pytest.mark.slow,
    pytest.mark.timeout(300),
    pytest.mark.xdist_group("worst_case"),
]


@dataclass
class Crowd:
    """The venue and who is in it. Account 0 is the house."""

    preset: Preset
    venue: Venue
    fodder: list[int]  # together they have a position in every instrument
    makers: list[int]  # quote every instrument on both sides
    full: list[int]  # every row with a position and orders on both sides; every asset
    victim: int  # stands behind `full`

    @property
    def groups(self) -> int:
        """Instruments fall into groups of as many as an account has rows."""
        return self.preset.instruments_max // self.preset.positions_per_account

    def group(self, number: int) -> list[int]:
        """Instruments spread over the table; the first one comes last."""
        return list(range(number, self.preset.instruments_max, self.groups))[::-1]

    @property
    def rows(self) -> list[int]:
        """The group in which the full accounts and the victim trade."""
        return self.group(0)

    @property
    def deep(self) -> int:
        """The instrument of the group that has prices of thirty bits: in everybody's last row."""
        return self.rows[-1]

    def copy(self) -> "Crowd":
        """To go on from here."""
        return Crowd(
            self.preset, self.venue.copy(), self.fodder, self.makers, self.full, self.victim
        )

    def quote(self, account: int, instruments: list[int], lots: int, deep_lots: int) -> None:
        """Orders on both sides, away from the mark and from each other's middle."""
        for instrument in instruments:
            deep = instrument == self.deep
            ask, size = (ASK, deep_lots) if deep else (6, lots)
            self.venue.post(self.venue.order(account, instrument, Side.BUY, 1, size))
            self.venue.post(self.venue.order(account, instrument, Side.SELL, ask, size))

    def buy(self, account: int, group: int, deep_lots: int) -> None:
        """A position in each instrument of a group, at the mark."""
        self._trade(account, group, deep_lots, Side.BUY)

    def sell(self, account: int, group: int, deep_lots: int) -> None:
        """The same on the other side."""
        self._trade(account, group, deep_lots, Side.SELL)

    def _trade(self, account: int, group: int, deep_lots: int, side: Side) -> None:
        for instrument in self.group(group):
            deep = instrument == self.deep
            price, size = (1 << 29, deep_lots) if deep else (2, BIG_LOTS)
            maker, other = self.makers[group], Side(1 - side)
            self.venue.post(self.venue.order(maker, instrument, other, price, size))
            self.venue.post(self.venue.order(account, instrument, side, price, size))


def _accounts(crowd: Crowd) -> None:
    preset, venue = crowd.preset, crowd.venue
    every = [RICH] + [1 << 40] * (preset.assets_max - 1)
    little = [POOR] + [100] * (preset.assets_max - 1)
    crowd.fodder += [venue.open(little) for _ in range(crowd.groups)]
    crowd.makers += [venue.open([1 << 50]) for _ in range(crowd.groups)]
    # Two parts of a sweep are a circle: parts begin where the tests need them.
    used = 2 * preset.sweep_accounts_per_message
    crowd.full += [venue.open(every) for _ in range(used - 2 * crowd.groups - 2)]
    crowd.victim = venue.open(little)
    assert venue.engine.globals("accounts_used") == used
    assert len(crowd.full) > max(preset.sweep_accounts_per_message, preset.fills_per_message)


def _build(name: str) -> Crowd:
    preset = PRESETS[name]
    shapes = [WIDE] * preset.instruments_max
    shapes[0] = DEEP
    feeds = min(preset.feeds_max, FEEDS_PER_MESSAGE)
    venue = Venue(name, assets=preset.assets_max, feeds=feeds, shapes=shapes, signers=SIGNERS_MAX)
    crowd = Crowd(preset, venue, [], [], [], 0)
    assert crowd.deep == 0
    _accounts(crowd)
    venue.price_round()
    for number, maker in enumerate(crowd.makers):
        crowd.quote(maker, crowd.group(number), 1, 1)
    for account in crowd.full:
        crowd.buy(account, 0, 100)
        crowd.quote(account, crowd.rows, BIG_LOTS, 10_000)
        assert len(venue.engine.positions(account)) == preset.positions_per_account
    venue.price_round()  # every book has two sides now, so that funding flows
    return crowd


TABLE: dict[tuple[str, str], Measured] = {}


@pytest.fixture(scope="module", params=["dev", "main"])
def built(request: pytest.FixtureRequest) -> Iterator[Crowd]:
    crowd = _build(request.param)
    yield crowd
    print(f"\n{request.param:<58} steps  below  leaves  events")
    for (preset, what), found in TABLE.items():
        if preset == request.param:
            below = MESSAGE_INSTRUCTIONS_MAX / found.steps
            print(
                f"{what:<54} {found.steps:>9} {below:>5.1f}x {found.leaves:>7} "
                f"{len(found.events):>7}"
            )


@pytest.fixture
def crowd(built: Crowd) -> Crowd:
    return built.copy()


def _measure(
    crowd: Crowd, what: str, message: AnyMessage, *, from_inbox: bool = False
) -> list[EventKind]:
    """Runs the message on both sides, holds it to the bounds; the kinds of its events."""
    found = crowd.venue.check(message, from_inbox=from_inbox)
    assert found.code == Code.OK
    label = f"{Kind(encode(message)[0]).name}{what and ': ' + what}"
    TABLE[crowd.preset.name, label] = found
    assert found.steps * 16 <= MESSAGE_INSTRUCTIONS_MAX, f"{label}: {found.steps} instructions"
    assert found.leaves <= UNDO_LEAVES_MAX
    assert len(found.events) <= EVENTS_MAX
    return [event.kind for event in found.events]


# --- setting the stage ---------------------------------------------------------------------------


def _deep_price(number: int) -> int:
    """Prices that share no node below the root of the book."""
    return sum((number % 64) << shift for shift in (24, 18, 12, 6, 0))


def _bids_of_full_accounts(crowd: Crowd) -> None:
    """One bid each from accounts that are long already, so that their margin is asked for."""
    for number in range(crowd.preset.fills_per_message):
        # Above the mark after the fall: neither the house nor a bankrupt account sells below it.
        price = _deep_price(62 - number)
        order = crowd.venue.order(crowd.full[number], crowd.deep, Side.BUY, price, 1)
        crowd.venue.post(order)


def _many_orders(crowd: Crowd, account: int) -> None:
    """As many orders as an account may have, none of which shares a node with another below."""
    open_orders = len(crowd.venue.engine.orders(account))
    rows = crowd.rows
    for number in range(crowd.preset.orders_per_account - open_orders):
        price = _deep_price(62 - number // len(rows))
        instrument = rows[number % len(rows)]
        crowd.venue.post(crowd.venue.order(account, instrument, Side.SELL, price, 1))


def _reduce_only_orders(crowd: Crowd) -> None:
    """As many as a position may have, far from each other, of accounts that sell all they hold."""
    number = 0
    for account in crowd.full[: crowd.preset.fills_per_message]:
        for _ in range(REDUCE_ONLY_MAX):
            digits = (33 + number % 29, number % 64, number * 7 % 64, number % 61, number % 59)
            price = sum(digit << 6 * (4 - place) for place, digit in enumerate(digits))
            order = crowd.venue.order(account, crowd.deep, Side.SELL, price, 50,
                                      flags=OrderFlag.REDUCE_ONLY)  # fmt: skip
            crowd.venue.post(order)
            number += 1
        crowd.venue.post(crowd.venue.order(account, crowd.deep, Side.SELL, 1 << 29, 100))


def _before_the_victim(crowd: Crowd) -> int:
    """Where a part must begin that comes to the victim as its last account."""
    return crowd.victim - crowd.preset.sweep_accounts_per_message + 1


def _before_the_house(crowd: Crowd) -> int:
    """The same for the house, which is next after the last account."""
    return _before_the_victim(crowd) + 1


# --- signed actions ------------------------------------------------------------------------------


def test_a_taker_that_meets_makers_with_full_rows(crowd: Crowd) -> None:
    _bids_of_full_accounts(crowd)
    fills = crowd.preset.fills_per_message
    crowd.venue.post(crowd.venue.order(crowd.makers[0], crowd.deep, Side.BUY, 2, 1))
    taker = crowd.full[fills]
    order = crowd.venue.order(taker, crowd.deep, Side.SELL, 2, 1_000)
    kinds = _measure(crowd, "fills with full makers", order)
    assert kinds.count(EventKind.FILL) == fills
    assert kinds[-1] == EventKind.TAKER_CONTINUES


def test_a_continued_taker(crowd: Crowd) -> None:
    _bids_of_full_accounts(crowd)
    fills = crowd.preset.fills_per_message
    for _ in range(fills):  # better ones, for the message before
        crowd.venue.post(crowd.venue.order(crowd.makers[0], crowd.deep, Side.BUY, ASK - 1, 1))
    crowd.venue.post_only(crowd.venue.order(crowd.full[fills], crowd.deep, Side.SELL, 2, 1_000))
    kinds = _measure(crowd, "a taker's remainder", Continue())
    assert kinds.count(EventKind.FILL) == fills


def test_a_taker_whose_makers_lose_their_reduce_only_orders(crowd: Crowd) -> None:
    _reduce_only_orders(crowd)
    fills = crowd.preset.fills_per_message
    order = crowd.venue.order(crowd.full[fills], crowd.deep, Side.BUY, 1 << 29, 100 * fills + 1)
    kinds = _measure(crowd, "fills, reduce-only orders end", order)
    assert kinds.count(EventKind.FILL) == fills
    assert kinds.count(EventKind.ORDER_CANCELLED) == fills * REDUCE_ONLY_MAX


def test_an_amended_and_a_replaced_order_that_meet_makers_with_full_rows(crowd: Crowd) -> None:
    _bids_of_full_accounts(crowd)
    fills = crowd.preset.fills_per_message
    taker = crowd.full[fills]
    crowd.venue.post(crowd.venue.order(taker, crowd.deep, Side.SELL, ASK - 1, 1_000))
    order_id = crowd.venue.engine.orders(taker)[-1]["order_id"]
    for message in (
        crowd.venue.amend(taker, order_id, 2, 1_000),
        crowd.venue.replace(taker, order_id, 2, 1_000),
    ):
        kinds = _measure(crowd, "fills with full makers", message)
        assert kinds.count(EventKind.FILL) == fills


def test_an_account_cancels_one_order_and_all(crowd: Crowd) -> None:
    account = crowd.full[0]
    _many_orders(crowd, account)
    order = crowd.venue.engine.orders(account)[7]
    head = crowd.venue.head(account)
    one = crowd.venue.signed(account, Cancel(**head, order_id=order["order_id"]))
    assert _measure(crowd, "", one) == [EventKind.ORDER_CANCELLED]
    for every in (crowd.venue.cancel_all(account), crowd.venue.cancel_label(account, 0)):
        kinds = _measure(crowd, "every order", every)
        assert kinds.count(EventKind.ORDER_CANCELLED) == crowd.preset.orders_per_account
    forced = crowd.venue.forced_cancel(account)
    kinds = _measure(crowd, "every order", forced, from_inbox=True)
    assert kinds.count(EventKind.ORDER_CANCELLED) == crowd.preset.orders_per_account


def test_a_withdrawal_from_a_full_account(crowd: Crowd) -> None:
    account, last = crowd.full[0], crowd.preset.assets_max - 1
    for _ in range(3):  # so that the next leaf has siblings on both sides
        crowd.venue.post(crowd.venue.withdraw(account, last, 1))
    assert _measure(crowd, "full rows", crowd.venue.withdraw(account, last, 1)) == [
        EventKind.WITHDRAWN
    ]
    forced = crowd.venue.forced_withdraw(account, last, 1)
    assert _measure(crowd, "full rows", forced, from_inbox=True) == [EventKind.WITHDRAWN]


def test_a_key_is_set(crowd: Crowd) -> None:
    account = crowd.full[0]
    action = SetKey(**crowd.venue.head(account), slot=1, key_address=b"\x55" * 20, scope=1,
                    key_expires_at_ms=0)  # fmt: skip
    assert _measure(crowd, "", crowd.venue.signed(account, action)) == [EventKind.KEY_SET]


# --- prices and what a sweep may come to ---------------------------------------------------------


def test_prices_of_every_feed_and_a_part_over_full_accounts(crowd: Crowd) -> None:
    crowd.venue.stand_at(_before_the_victim(crowd))
    message = crowd.venue.last_of_round(MARK + 1)
    kinds = _measure(crowd, "a part over full accounts", message)
    assert kinds.count(EventKind.PRICE_UPDATED) == crowd.venue.feeds


def test_prices_a_part_over_full_accounts_and_then_cancels(crowd: Crowd) -> None:
    crowd.buy(crowd.victim, 0, 1_000)
    _many_orders(crowd, crowd.victim)
    crowd.venue.stand_at(_before_the_victim(crowd))
    kinds = _measure(crowd, "a part, then cancels", crowd.venue.last_of_round(FALLEN))
    assert kinds.count(EventKind.ORDER_CANCELLED) == crowd.preset.orders_per_account


def test_prices_a_part_over_full_accounts_and_then_a_liquidation(crowd: Crowd) -> None:
    crowd.buy(crowd.victim, 0, 1_000)
    _bids_of_full_accounts(crowd)
    crowd.venue.stand_at(_before_the_victim(crowd))
    kinds = _measure(crowd, "a part, then fills", crowd.venue.last_of_round(FALLEN))
    fills = crowd.preset.fills_per_message
    assert (kinds.count(EventKind.LIQUIDATED), kinds.count(EventKind.FILL)) == (1, fills)
    assert kinds.count(EventKind.FUNDING_PAID) == fills + 1


def test_prices_a_part_over_full_accounts_and_then_a_takeover(crowd: Crowd) -> None:
    crowd.buy(crowd.victim, 0, 1_000)
    crowd.venue.stand_at(_before_the_victim(crowd))
    kinds = _measure(crowd, "a part, then a takeover", crowd.venue.last_of_round(FALLEN))
    assert kinds.count(EventKind.TAKEN_OVER) == crowd.preset.positions_per_account
    assert kinds.count(EventKind.COLLATERAL_TAKEN) == crowd.preset.assets_max - 1
    assert kinds.count(EventKind.SHORTFALL) == 1


def _house_holds_everything(crowd: Crowd) -> None:
    for number, account in enumerate(crowd.fodder):
        crowd.buy(account, number, 1_000)
    crowd.venue.price_round(FALLEN)
    held = crowd.venue.engine.positions(0)
    assert len(held) == crowd.preset.instruments_max


def test_prices_a_part_over_full_accounts_and_then_the_house_unwinds(crowd: Crowd) -> None:
    crowd.venue.inbox(crowd.venue.deposit(crowd.victim, 0, RICH))
    crowd.buy(crowd.victim, 0, 100)
    _house_holds_everything(crowd)
    crowd.venue.stand_at(_before_the_house(crowd))
    _bids_of_full_accounts(crowd)
    kinds = _measure(crowd, "a part, then the house", crowd.venue.last_of_round(FALLEN - 1))
    fills = crowd.preset.fills_per_message
    assert (kinds.count(EventKind.LIQUIDATED), kinds.count(EventKind.FILL)) == (0, fills)


def test_a_tick_and_a_continued_sweep_that_come_to_a_liquidation(crowd: Crowd) -> None:
    crowd.buy(crowd.victim, 0, 1_000)
    _bids_of_full_accounts(crowd)
    crowd.venue.stand_at(0)
    crowd.venue.post_only(crowd.venue.last_of_round(FALLEN))
    # The part of the prices ends where the next one must begin.
    assert crowd.venue.engine.globals("sweep_next") == _before_the_victim(crowd)
    for message in (Continue(), crowd.venue.tick()):
        kinds = _measure(crowd, "a part, then fills", message)
        assert kinds.count(EventKind.FILL) == crowd.preset.fills_per_message


# --- leaving through L1 --------------------------------------------------------------------------


def _victim_is_safe(crowd: Crowd) -> None:
    """It has enough to be closed by rule, and not liquidated."""
    crowd.venue.inbox(crowd.venue.deposit(crowd.victim, 0, RICH))


def _short_victim(crowd: Crowd) -> None:
    """Short in every row against the full accounts, each more profitable than the one before."""
    _victim_is_safe(crowd)
    crowd.sell(crowd.victim, 0, 10_000)
    crowd.venue.post(crowd.venue.cancel_all(crowd.makers[0]))
    for number, account in enumerate(crowd.full):
        price = _deep_price(62 - number)
        crowd.venue.post(crowd.venue.order(account, crowd.deep, Side.BUY, price, 1))
    lots = len(crowd.full)
    crowd.venue.post(crowd.venue.order(crowd.makers[0], crowd.deep, Side.SELL, 2, lots))
    for account in crowd.full:  # nothing on the book for the victim to buy
        crowd.venue.post(crowd.venue.cancel_all(account))


def test_an_owner_closes_and_revokes(crowd: Crowd) -> None:
    account = crowd.full[0]
    _many_orders(crowd, account)
    close = crowd.venue.forced_close(account)
    kinds = _measure(crowd, "every order", close, from_inbox=True)
    assert kinds.count(EventKind.ORDER_CANCELLED) == crowd.preset.orders_per_account
    assert kinds[-1] == EventKind.ACCOUNT_LEAVING
    revoke = crowd.venue.forced_revoke(account, 3)
    assert _measure(crowd, "", revoke, from_inbox=True) == [EventKind.KEY_SET]


def test_a_withdrawal_from_an_abandoned_venue(crowd: Crowd) -> None:
    account = crowd.full[0]
    crowd.venue.now_ms += MARK_ABANDONED_MS + 1
    for _ in range(3):
        crowd.venue.inbox(crowd.venue.forced_withdraw(account, 0, 1))
    leave = crowd.venue.forced_withdraw(account, 0, RICH)
    kinds = _measure(crowd, "an abandoned venue, full rows", leave, from_inbox=True)
    assert kinds == [EventKind.WITHDRAWN]


def test_prices_a_part_over_full_accounts_and_then_a_forced_close(crowd: Crowd) -> None:
    _victim_is_safe(crowd)
    crowd.buy(crowd.victim, 0, 1_000)
    crowd.venue.stand_at(_before_the_victim(crowd))
    _bids_of_full_accounts(crowd)
    crowd.venue.inbox(crowd.venue.forced_close(crowd.victim))
    kinds = _measure(crowd, "a part, then a close's fills", crowd.venue.last_of_round(FALLEN))
    fills = crowd.preset.fills_per_message
    assert (kinds.count(EventKind.CLOSING), kinds.count(EventKind.FILL)) == (1, fills)
    assert kinds.count(EventKind.FUNDING_PAID) == fills + 1


def test_prices_a_part_over_full_accounts_and_then_a_scan(crowd: Crowd) -> None:
    _short_victim(crowd)
    crowd.venue.stand_at(_before_the_victim(crowd))
    crowd.venue.inbox(crowd.venue.forced_close(crowd.victim))
    message = crowd.venue.last_of_round(MARK + 1)
    kinds = _measure(crowd, "a part, then a scan", message)
    assert kinds[-1] == EventKind.CLOSING
    crowd.venue.post_only(message)
    scan = crowd.venue.engine.tables["scan"][0]
    assert scan["next"] == crowd.preset.sweep_accounts_per_message


def test_a_scan_and_then_reductions_of_full_accounts(crowd: Crowd) -> None:
    _short_victim(crowd)
    crowd.venue.stand_at(_before_the_victim(crowd))
    crowd.venue.inbox(crowd.venue.forced_close(crowd.victim))
    crowd.venue.post_only(crowd.venue.last_of_round(MARK + 1))
    tables = crowd.venue.engine.tables
    ranked = int(tables["scan"][0]["ranked"])
    assert 0 < ranked < crowd.preset.fills_per_message
    assert _measure(crowd, "a part of a scan", Continue()) == []
    crowd.venue.post_only(Continue())
    best = [int(row["account"]) for row in tables["scan_ranks"]]
    full = [account for account in best if account in crowd.full]
    assert len(full) >= len(best) - 1
    assert full == sorted(full, reverse=True), "each one was more profitable than those before"
    assert int(tables["scan"][0]["remaining"]) == 0
    fills = crowd.preset.fills_per_message
    for message in (Continue(), crowd.venue.tick(), crowd.venue.prices(0, MARK + 2)):
        kinds = _measure(crowd, "reductions", message)
        assert kinds.count(EventKind.DELEVERAGED) == fills
        assert kinds.count(EventKind.FUNDING_PAID) == fills + 1


# --- the inbox -----------------------------------------------------------------------------------


def test_listings(crowd: Crowd) -> None:
    fresh = Venue(crowd.preset.name, assets=1, feeds=1, shapes=[WIDE], signers=1)
    blank = Crowd(crowd.preset, fresh, [], [], [], 0)
    last = crowd.preset.assets_max - 1
    assert _measure(blank, "", fresh.asset(last), from_inbox=True) == [EventKind.ASSET_LISTED]
    listing = fresh.perpetual(crowd.preset.instruments_max - 1, WIDE)
    assert _measure(blank, "", listing, from_inbox=True) == [EventKind.INSTRUMENT_LISTED]


def test_signers_are_replaced_when_every_price_is_there(crowd: Crowd) -> None:
    venue = crowd.venue
    for first in range(0, crowd.preset.feeds_max, FEEDS_PER_MESSAGE):
        venue.now_ms += 1_000
        for signer in range(SIGNERS_MAX):
            venue.post(venue.prices(signer, MARK, first))
    kinds = _measure(crowd, "every price is there", venue.signer_set(), from_inbox=True)
    assert kinds == [EventKind.SIGNERS_SET]


def _deposit(number: int, asset: int) -> Deposit:
    owner = b"\xde" * 12 + number.to_bytes(8, "big")
    return Deposit(asset=asset, amount_units=5, owner=owner, subaccount=0)


def test_deposits_when_the_account_table_is_full(crowd: Crowd) -> None:
    """Nobody is empty but for the last balance that is looked at."""
    engine, last = crowd.venue.engine, crowd.preset.assets_max - 1
    free = crowd.preset.accounts_max - engine.globals("accounts_used")
    data, offsets = pack(encode(_deposit(number, last)) for number in range(free))
    applied = engine.apply_many(
        data, offsets, from_inbox=True, stamp_min_ms=crowd.venue.now_ms,
        stamp_max_ms=(1 << 64) - 1,
    )  # fmt: skip
    assert not applied.codes.any()
    assert engine.globals("accounts_used") == crowd.preset.accounts_max
    stranger = _deposit(free, last)
    assert _measure(crowd, "bounced, no account is empty", stranger, from_inbox=True) == [
        EventKind.DEPOSIT_BOUNCED
    ]
    # Now the last one that is looked at is empty.
    first = _deposit(0, last)
    assert engine.find_account(first.owner, 0) == crowd.preset.reclaim_scan_max
    leave = ForcedWithdraw(owner=first.owner, subaccount=0, asset=last, amount_units=5,
                           recipient=first.owner)  # fmt: skip
    crowd.venue.inbox(leave)
    assert _measure(crowd, "in place of the last looked at", stranger, from_inbox=True) == [
        EventKind.ACCOUNT_OPENED, EventKind.DEPOSITED,
    ]  # fmt: skip


def test_every_kind_is_in_the_table(crowd: Crowd) -> None:
    """Comes last. GENESIS is measured here, on an image without anything."""
    blank = Crowd(crowd.preset, Venue.blank(crowd.preset.name), [], [], [], 0)
    assert _measure(blank, "", blank.venue.genesis(), from_inbox=True) == [EventKind.CONFIGURED]
    kinds = {label.partition(":")[0] for preset, label in TABLE if preset == crowd.preset.name}
    assert kinds == {kind.name for kind in Kind}
