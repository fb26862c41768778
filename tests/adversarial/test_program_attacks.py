"""Attacks on custody, tables, prices and time through the engine; xfail marks an open hole."""

from typing import Any

import pytest
from tests.adversarial.attack import equity, gang_worth, house_worth, native
from tests.spec.venue import BUY, IOC, MARK, SELL, USD, Trader, Venue, kinds

from provenue.spec.constants import Code, Kind

COIN = 10**8
MINUTE_MS = 60_000
HOUR_MS = 60 * MINUTE_MS


def _withdraw(trader: Trader, units: int, asset: int = 0) -> Code:
    recipient = trader.signer.address
    code, _ = trader.act(Kind.WITHDRAW, asset=asset, amount_units=units, recipient=recipient)
    return code


def _forced(trader: Trader, units: int, *, stamp_min_ms: int | None = None) -> Code:
    venue = trader.venue
    kept, venue.now_ms = venue.now_ms, stamp_min_ms or venue.now_ms
    owner = trader.signer.address
    code, _ = venue.send(
        Kind.FORCED_WITHDRAW,
        {"owner": owner, "subaccount": 0, "asset": 0, "amount_units": units, "recipient": owner},
    )
    venue.now_ms = kept
    return code


# --- collateral ----------------------------------------------------------------------------------


def test_the_first_order_is_not_margined_on_a_stale_collateral_price() -> None:
    """The coin's feed is dead and the coin worthless outside: its old price buys a perpetual."""
    venue = Venue.listed("native")
    mule, friend = venue.trader(1, coin_units=100 * COIN), venue.trader(10_000)
    venue.price({1: MARK}, after_ms=HOUR_MS)  # feed 0, the coin's, is an hour old
    friend.order(SELL, 175, 100_000, 2)
    before = equity(friend)
    code, _ = mule.place(BUY, 175, 100_000, 2, time_in_force=IOC)
    print(code.name, "profit", (equity(friend) - before) / USD)
    assert code == Code.MARK_STALE


def test_nobody_empties_the_vault_of_usdc_with_another_asset() -> None:
    """Buying coin from oneself on credit pays out USDC that others deposited, free of interest."""
    venue = Venue.listed("native")
    victim = venue.trader(9_000)
    mule, friend = venue.trader(1, coin_units=100 * COIN), venue.trader(1, coin_units=90 * COIN)
    friend.order(SELL, MARK, 89_000, 0)
    mule.place(BUY, MARK, 89_000, 0, time_in_force=IOC)
    print("friend", _withdraw(friend, friend.quote).name, "mule owes", mule.quote / USD)
    _withdraw(victim, 9_000 * USD)
    usdc = native(venue).ledger()[0]
    print("applied", usdc["applied"] / USD, "issued", usdc["issued"] / USD)
    assert usdc["issued"] <= usdc["applied"]


def test_unrealised_profit_cannot_be_withdrawn() -> None:
    """Only the balance leaves, and only down to initial margin (P6)."""
    venue = Venue.listed("native")
    long, short = venue.trader(1_000), venue.trader(10_000)
    long.order(BUY, MARK, 50_000)
    short.order(SELL, MARK, 50_000, time_in_force=IOC)
    venue.price({0: 150, 1: MARK})
    assert equity(long) > 3_000 * USD
    assert _withdraw(long, 1_001 * USD) == Code.INSUFFICIENT_BALANCE
    assert _withdraw(short, 7_000 * USD) == Code.MARGIN_INSUFFICIENT


def test_thousands_of_one_lot_fills_make_no_money() -> None:
    """Rounding games: every fill of a lot costs both sides a unit of fee at least."""
    venue = Venue.listed("native")
    one, two = venue.trader(1_000), venue.trader(1_000)
    before = one.quote + two.quote
    for turn in range(400):
        price = 1 + turn % 7
        one.order((BUY, SELL)[turn % 2], price, 1 + turn % 3)
        two.order((SELL, BUY)[turn % 2], price, 1 + turn % 3, time_in_force=IOC)
        one.act(Kind.CANCEL_ALL, instrument=0xFFFF)
    venue.price({0: MARK, 1: MARK})
    assert equity(one) + equity(two) < before
    assert all(row["total"] == row["applied"] for row in native(venue).ledger())


def test_fees_pay_for_a_shortfall() -> None:
    """A venue with fees in hand has no bad debt before they are used up."""
    venue = Venue.listed("native")
    long, short = venue.trader(1_000), venue.trader(100_000)
    for _ in range(30):
        short.order(SELL, MARK, 60_000)
        long.order(BUY, MARK, 60_000, time_in_force=IOC)
        short.order(BUY, MARK, 60_000)
        long.order(SELL, MARK, 60_000, time_in_force=IOC)
    short.order(SELL, MARK, 60_000)
    long.order(BUY, MARK, 60_000, time_in_force=IOC)
    fees = native(venue).ledger()[0]["fees"]
    venue.price({0: 86, 1: MARK})
    print("fees", fees / USD, "house", house_worth(venue) / USD)
    assert house_worth(venue) >= 0


# --- tables --------------------------------------------------------------------------------------


@pytest.mark.xfail(strict=True, reason="far one-lot orders cost nothing and fill the levels (C1)")
def test_two_accounts_with_a_dollar_cannot_close_the_venue() -> None:
    """levels_max / orders_per_account accounts: 2 here, 512 in `dev`, 2,048 in `main`."""
    venue = Venue.listed("native")
    for number in range(2):
        spammer = venue.trader(1)
        for price in range(10):
            spammer.order(BUY, 1 + 10 * number + price, 1)
    honest = venue.trader(1_000)
    code, _ = honest.place(BUY, MARK - 1, 1_000)
    print(code.name)
    assert code == Code.OK


@pytest.mark.xfail(strict=True, reason="an account with a dust balance is never reclaimed (C2)")
def test_a_table_of_dust_accounts_does_not_lock_newcomers_out() -> None:
    """Open for the minimum, take all but one unit out again: the index is squatted for ever."""
    venue = Venue.listed("native")
    for _ in range(11):
        squatter = venue.trader(1)
        assert _withdraw(squatter, USD - 1) == Code.OK
    owner = b"\x77" * 20
    events = venue.ok(Kind.DEPOSIT, asset=0, amount_units=1_000 * USD, owner=owner, subaccount=0)
    assert "DEPOSIT_BOUNCED" not in kinds(events)


@pytest.mark.xfail(strict=True, reason="6.2 spends visits on accounts that hold no risk (C4)")
def test_idle_accounts_do_not_make_every_price_longer() -> None:
    """A CONTINUE per 64 accounts (`main`: 2,048 of a batch's 4,096 messages) for each price."""
    venue = Venue.listed("native")
    for _ in range(11):
        venue.trader(1)
    venue.now_ms += 1
    code, _ = venue.publish({0: MARK, 1: MARK})
    assert code == Code.OK
    assert not native(venue).pending()


def test_a_huge_nonce_bricks_only_the_key_that_signed_it() -> None:
    """A session key cannot burn the owner's nonces, nor give itself rights."""
    venue = Venue.listed("native")
    trader = venue.trader(1_000)
    session = venue.trader(1).signer
    trader.act(Kind.SET_KEY, slot=1, key_address=session.address, scope=1, key_expires_at_ms=0)
    code, _ = trader.act(
        Kind.SET_KEY, slot=1, key_address=session.address, scope=15, key_expires_at_ms=0,
        key=1, nonce=(1 << 63) - 1, signer=session,
    )  # fmt: skip
    assert code == Code.SCOPE_MISSING
    code, _ = trader.place(BUY, 99, 1, key=1, nonce=0, signer=session)
    assert code == Code.NONCE_TOO_OLD
    assert trader.place(BUY, 99, 1)[0] == Code.OK


@pytest.mark.xfail(strict=True, reason="2.6: a slot's unused nonces outlive its revocation (C3)")
def test_what_a_revoked_key_signed_never_runs() -> None:
    """Set, sign, revoke, set again: 2.6 promises that an old action of the slot cannot run."""
    venue = Venue.listed("native")
    trader, session = venue.trader(1_000), venue.trader(1).signer
    give = {"slot": 1, "key_address": session.address, "scope": 1, "key_expires_at_ms": 0}
    trader.act(Kind.SET_KEY, **give)
    trader.act(Kind.SET_KEY, **(give | {"key_address": bytes(20)}))
    trader.act(Kind.SET_KEY, **give)
    code, _ = trader.place(BUY, 99, 1, key=1, nonce=0, signer=session)  # signed before
    assert code != Code.OK


# --- prices and time -----------------------------------------------------------------------------


@pytest.mark.xfail(strict=True, reason="6.1: of two values the lower one is the median (D1)")
def test_one_signer_of_a_quorum_of_two_does_not_set_the_price() -> None:
    """Two of three, one of them silent: the other two must agree, not the lower one win."""
    venue = Venue.listed("native")
    venue.signers(2, 3)
    long = venue.trader(1_000)
    short = venue.trader(10_000)
    venue.now_ms += 1
    venue.publish({0: MARK, 1: MARK}, signer=0)
    venue.publish({0: MARK, 1: MARK}, signer=1)
    venue.finish()
    long.order(BUY, MARK, 50_000)
    short.order(SELL, MARK, 50_000, time_in_force=IOC)
    venue.now_ms += 1
    venue.publish({0: MARK // 2}, signer=1)  # alone against signer 0's fresh 100
    events = venue.finish()
    print(kinds(events))
    assert long.row()


def test_funding_stops_while_the_mark_is_stale() -> None:
    """One sample, one lot at each side, and a feed that then dies: a day of funding at the cap."""
    venue = Venue.listed("native")
    long, short = venue.trader(10_000), venue.trader(10_000)
    long.order(BUY, MARK, 90_000)
    short.order(SELL, MARK, 90_000, time_in_force=IOC)
    short.order(BUY, MARK - 1, 1)
    short.order(SELL, MARK * 3, 1)
    venue.price({0: MARK, 1: MARK})
    before = equity(short)
    for _ in range(24):
        venue.now_ms += HOUR_MS
        venue.ok(Kind.TICK)
        venue.finish()
    print("paid", (equity(short) - before) / USD)
    assert equity(short) - before <= 90 * USD * MARK // 100 // 480 + USD  # a stale minute at most


@pytest.mark.xfail(
    strict=True, reason="2.3: an inbox item runs at a stamp_min the poster chose (D3)"
)
def test_a_forced_batch_cannot_withdraw_at_the_marks_of_yesterday() -> None:
    """The mark has halved outside; stamp_min still is the end of the last batch before."""
    venue = Venue.listed("native")
    long, short = venue.trader(1_000), venue.trader(10_000)
    long.order(BUY, MARK, 10_000)
    short.order(SELL, MARK, 10_000, time_in_force=IOC)
    last_batch_ms = venue.now_ms
    venue.now_ms += 24 * HOUR_MS
    amount = 890 * USD
    code = _forced(long, amount, stamp_min_ms=last_batch_ms)
    venue.price({0: MARK // 2, 1: MARK})
    print(code.name, "house", house_worth(venue) / USD)
    assert house_worth(venue) >= 0


@pytest.mark.xfail(
    strict=True, reason="3.5: the operator's price cadence decides who may leave (D4)"
)
def test_an_operator_cannot_stop_exits_by_posting_prices_late_in_the_batch() -> None:
    """Inbox items run first; prices follow in the same batch; batches are 61 s apart."""
    venue = Venue.listed("native")
    long, short = venue.trader(1_000), venue.trader(10_000)
    long.order(BUY, MARK, 1_000)
    short.order(SELL, MARK, 1_000, time_in_force=IOC)
    codes = []
    for _ in range(10):
        venue.now_ms += 61_000
        codes.append(_forced(long, 500 * USD))  # of 1,000, with 10 of margin needed
        venue.price({0: MARK, 1: MARK}, after_ms=0)
    print({code.name for code in codes})
    assert Code.OK in codes


def test_an_operator_who_posts_prices_late_cannot_keep_who_closes() -> None:
    """The same batches: the late price closes what the item asked for, the next item takes all."""
    venue = Venue.listed("native")
    long, short = venue.trader(1_000), venue.trader(10_000)
    long.order(BUY, MARK, 1_000)
    short.order(SELL, MARK, 1_000, time_in_force=IOC)
    venue.now_ms += 61_000
    long.leave()
    assert _forced(long, 1_000 * USD) == Code.MARK_STALE
    venue.price({0: MARK, 1: MARK}, after_ms=0)
    assert long.row() == []
    venue.now_ms += 61_000
    assert _forced(long, 1_000 * USD) == Code.OK
    assert long.quote == 0
    assert native(venue).ledger()[0]["issued"] >= 994 * USD  # the band's edge, and a fee


def test_a_forced_withdrawal_pays_what_there_is() -> None:
    """A maker's fill of one lot (a unit of fee) voids no exit that took days to come through."""
    venue = Venue.listed("native")
    owner, operator = venue.trader(1_000), venue.trader(1_000, coin_units=COIN)
    asked = owner.quote
    owner.order(BUY, MARK, 1, 0)
    operator.order(SELL, MARK, 1, 0, time_in_force=IOC)
    left = owner.quote
    assert 0 < left < asked
    assert _forced(owner, asked) == Code.OK
    assert owner.quote == 0
    assert native(venue).ledger()[0]["issued"] == left


def test_a_forced_withdrawal_leaves_the_margin_of_a_lot_behind() -> None:
    """The same with a perpetual: the lot needs a little margin, the rest of the exit is paid."""
    venue = Venue.listed("native")
    owner, operator = venue.trader(1_000), venue.trader(1_000)
    asked = owner.quote
    owner.order(BUY, MARK, 1)
    operator.order(SELL, MARK, 1, time_in_force=IOC)
    owner.act(Kind.CANCEL_ALL, instrument=0xFFFF)
    assert _forced(owner, asked) == Code.OK


@pytest.mark.xfail(strict=True, reason="12.2: who takes in prices decides what is abandoned (D6)")
def test_an_operator_cannot_close_what_loses_at_a_mark_of_yesterday() -> None:
    """Signers publish 50 all day; the operator posts everything but that, and leaves at 100."""
    venue = Venue.listed("native")
    operator, other = venue.trader(1_000), venue.trader(1_000)
    operator.order(BUY, MARK, 1_000)
    other.order(SELL, MARK, 1_000, time_in_force=IOC)
    before = other.quote
    venue.now_ms += 24 * HOUR_MS + 1
    operator.leave()
    venue.finish()
    venue.price({0: MARK // 2, 1: MARK})
    print("settled", operator.row() == [], "gain", (other.quote - before) / USD)
    assert other.row() or other.quote - before >= 45 * USD


@pytest.mark.xfail(strict=True, reason="12.5: every round of deleveraging walks anew (C5)")
def test_a_leaving_account_costs_one_walk_over_the_accounts() -> None:
    """Nine counterparties of one lot: three rounds of four, each with a walk of its own."""
    venue = Venue.listed("native")
    leaver, others = venue.trader(1_000), [venue.trader(100) for _ in range(9)]
    for other in others:
        leaver.order(BUY, MARK, 1)
        other.order(SELL, MARK, 1, time_in_force=IOC)
    leaver.leave()
    venue.now_ms += 1
    venue.publish({0: MARK, 1: MARK})
    messages = 1
    while leaver.is_leaving:
        assert venue.send(Kind.CONTINUE, {})[0] == Code.OK
        messages += 1
    print(messages, "messages")
    assert messages <= 4 + 3 + 1  # the walk, three times four counterparties, the last visit


def test_fees_of_resting_orders_cannot_pile_up_below_initial_margin() -> None:
    """5.5 reserves no fee for orders that rest, but the touch looks again before every fill."""
    venue = Venue.listed("native", maker_fee_ppm=500)
    maker, taker = venue.trader(1_000), venue.trader(10_000)
    for _ in range(9):
        maker.order(BUY, MARK, 11_000)
    maker.order(BUY, MARK, 900)
    taker.order(SELL, MARK, 99_900, time_in_force=IOC)
    venue.finish()
    margins = native(venue).margins(maker.index)
    assert margins.equity >= margins.initial - 11 * MARK * USD * 500 // 1_000_000


def test_the_sequencers_loop_always_ends() -> None:
    """CONTINUE comes to an end whatever is unsafe: walls of one-lot makers, empty books, debts."""
    venue = Venue.listed("native")
    victims: list[Any] = [venue.trader(1_000) for _ in range(4)]
    wall = [venue.trader(2_000) for _ in range(4)]
    short = venue.trader(50_000)
    for victim in victims:
        victim.order(BUY, MARK, 80_000)
        short.order(SELL, MARK, 80_000, time_in_force=IOC)
    for maker in wall:
        for _ in range(9):
            maker.order(BUY, 84, 1)
    venue.price({0: 88, 1: MARK})  # finish() fails after 200 messages
    venue.price({0: 60, 1: MARK})
    for trader in [*victims, *wall, short]:
        margins = native(venue).margins(trader.index)
        assert margins.equity >= margins.maintenance
    assert gang_worth(wall) > 0
