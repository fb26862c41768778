"""The streams find planted mistakes: a wrong rounding or a missing check does not stay hidden.

A rule of the specification is replaced by a wrong one; the comparison with the native engine must
then fail. (A generator that cannot see these would not see them in the engine either.)
"""

import importlib.util
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import pytest
from tests.differential.compare import Difference, MakeEngine, run

from provenue.spec import (
    amending,
    authorisation,
    clearing,
    conditions,
    custody,
    leaving,
    margin,
    matching,
    prices,
    program,
    sweep,
    trading,
)
from provenue.spec.conditions import cancel_expired, reduce_order
from provenue.spec.constants import CancelReason, FillFlag, Side
from provenue.spec.margin import equity, initial_margin, prices_fresh, reserved
from provenue.spec.state import QUOTE, Account, Instrument, Order, Scan, State
from provenue.spec.trading import band_limit

pytestmark = pytest.mark.slow

cover_shortfall = vars(sweep)["_cover_shortfall"]
scan_part = vars(leaving)["_scan_part"]
would_cross = vars(trading)["_would_cross"]
SEEDS, MESSAGES = range(100, 104), 4_000


def _floor(a: int, b: int) -> int:
    return a // b


def _makers_as_they_stand(state: State, maker: Order, _: int) -> bool:
    account = state.accounts[maker.account]
    return equity(state, account) >= initial_margin(state, account)


def _placed_on_stale_collateral(state: State, account: Account, **_: bool) -> bool:
    return prices_fresh(state, account)


def _only_the_band(state: State, account: Account, index: int, _kept: int = 0) -> int:
    instrument, size = state.instruments[index], account.rows[index].size_lots
    side = Side.SELL if size > 0 else Side.BUY
    return band_limit(state, instrument, side, instrument.liquidation_band_ppm)


def _house_within_the_band(state: State, instrument: Instrument, side: int, ppm: int) -> int:
    return band_limit(state, instrument, side, ppm or instrument.liquidation_band_ppm)


def _shortfall_without_fees(state: State, account: Account) -> None:
    fees = state.assets[QUOTE].fees_units
    cover_shortfall(state, account)
    state.house.balances[QUOTE] -= fees - state.assets[QUOTE].fees_units
    state.assets[QUOTE].fees_units = fees


def _last_position(_: State, account: Account, among: list[int] | None = None) -> int | None:
    held = among or [i for i, row in account.rows.items() if row.size_lots]
    return max(held, default=None)


def _cut_to_the_balance(state: State, account: Account, asset: int, amount: int) -> int:
    most = account.balances[asset] - reserved(state, account, asset)
    return min(amount, most) if most > 0 else amount


def _all_is_missing(state: State) -> tuple[int, int]:
    quote = state.assets[QUOTE]
    return quote.applied_units - quote.issued_units, max(0, -state.house.balances[QUOTE])


def _scan_without_ties(state: State, scan: Scan) -> None:
    """The later of two equal candidates first."""
    scan_part(state, scan)
    scan.ranks.sort(key=lambda rank: (-rank[0], -rank[1]))


@contextmanager
def _not_undone(_: State) -> Iterator[None]:
    yield


def _expired_and_on(state: State, account: Account) -> bool:
    cancel_expired(state, account)
    return False


def _reduced_without_size(state: State, order: Order, lots: int, reason: CancelReason) -> None:
    reduce_order(state, order, lots, reason)
    order.size_lots += lots


def _only_through(state: State, ticket: trading.Ticket, limit: int) -> bool:
    return would_cross(state, ticket, limit + (1 if ticket.side == Side.SELL else -1))


def _run_all(make_engine: MakeEngine) -> None:
    for seed in SEEDS:
        run(seed, MESSAGES, make_engine)


@pytest.mark.parametrize(
    ("module", "name", "wrong"),
    [
        pytest.param(margin, "ceil_div", _floor, id="margin rounded down"),
        pytest.param(clearing, "ceil_div", _floor, id="fees rounded down"),
        pytest.param(clearing, "trunc_div", _floor, id="funding index rounded down"),
        pytest.param(trading, "ceil_div", _floor, id="market sells rounded down"),
        pytest.param(prices, "trunc_div", _floor, id="premium rounded down"),
        pytest.param(matching, "_may_make", lambda *_: True, id="makers never checked"),
        pytest.param(matching, "_may_make", _makers_as_they_stand, id="makers before the fill"),
        pytest.param(matching, "loss_against_mark", lambda *_: 0, id="makers lose nothing"),
        pytest.param(margin, "loss_against_mark", lambda *_: 0, id="orders lose nothing"),
        pytest.param(trading, "_can_deliver", lambda *_: True, id="spot on credit"),
        pytest.param(trading, "prices_fresh", _placed_on_stale_collateral, id="stale collateral"),
        pytest.param(clearing, "feed_fresh", lambda *_: True, id="funding on a dead feed"),
        pytest.param(sweep, "liquidation_limit", _only_the_band, id="beyond bankruptcy"),
        pytest.param(sweep, "maintenance", lambda *_: 0, id="no penalty"),
        pytest.param(sweep, "_cover_shortfall", _shortfall_without_fees, id="fees kept"),
        pytest.param(sweep, "band_limit", _house_within_the_band, id="the house pays the band"),
        pytest.param(margin, "only_reduces", lambda *_: False, id="no reducing orders"),
        pytest.param(custody, "prices_fresh", lambda *_: True, id="withdrawals on stale prices"),
        pytest.param(trading, "reserved", lambda *_: 0, id="nothing reserved"),
        pytest.param(sweep, "largest_position", _last_position, id="another position first"),
        pytest.param(prices, "PRICE_FRESH_MS", 30_001, id="a price fresh a millisecond longer"),
        pytest.param(authorisation, "NONCE_WINDOW", 193, id="a window of one nonce more"),
        pytest.param(margin, "MARK_ABANDONED_MS", 86_400_001, id="a day of a millisecond more"),
        pytest.param(leaving, "trunc_div", _floor, id="scores rounded down"),
        pytest.param(leaving, "ceil_div", _floor, id="the last mark rounded for the leaver"),
        pytest.param(leaving, "liquidation_limit", _only_the_band, id="closed beyond bankruptcy"),
        pytest.param(leaving, "maintenance", lambda *_: 0, id="closed at the others' cost"),
        pytest.param(leaving, "largest_position", _last_position, id="another one closed first"),
        pytest.param(leaving, "_scan_part", _scan_without_ties, id="of equals the higher account"),
        pytest.param(
            matching, "_FEE_TO_HOUSE", (FillFlag.LIQUIDATION,), id="the leaver's fee to the fees"
        ),
        pytest.param(sweep, "drop_scan", lambda _: None, id="a scan that outlives the cursor"),
        pytest.param(custody, "_cut", _cut_to_the_balance, id="exits that margin voids"),
        pytest.param(custody, "_held_and_missing", _all_is_missing, id="debt that fees could pay"),
        pytest.param(custody, "venue_abandoned", lambda _: False, id="first come, first paid"),
        pytest.param(program, "undone_by_a_reject", _not_undone, id="rejects that leave effects"),
        pytest.param(matching, "has_expired", lambda *_: False, id="expired makers filled"),
        pytest.param(amending, "has_expired", lambda *_: False, id="expired orders amended"),
        pytest.param(sweep, "cancel_expired", _expired_and_on, id="the part goes on"),
        pytest.param(matching, "cut_reduce_only", lambda *_: None, id="fills cut nothing"),
        pytest.param(leaving, "cut_reduce_only", lambda *_: None, id="deleveraging cuts nothing"),
        pytest.param(conditions, "reduce_order", _reduced_without_size, id="the size stays"),
        pytest.param(trading, "REDUCE_ONLY_MAX", 7, id="one reduce-only order more"),
        pytest.param(trading, "_slid", lambda _, t: t.price_ticks, id="post-only never slides"),
        pytest.param(trading, "_would_cross", _only_through, id="the touch does not cross"),
        pytest.param(amending, "leave_row", lambda *_: None, id="the old lots still count"),
    ],
)
def test_a_planted_mistake_is_found(
    monkeypatch: pytest.MonkeyPatch, module: Any, name: str, wrong: Any
) -> None:
    if importlib.util.find_spec("provenue.engine") is None:
        pytest.skip("the native engine is not built: make setup")
    from provenue.engine import Engine

    monkeypatch.setattr(module, name, wrong)
    with pytest.raises((Difference, AssertionError)):
        _run_all(Engine)
