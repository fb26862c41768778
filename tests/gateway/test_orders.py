"""The terms of orders end to end: real sockets, journal and engine. After each test what clients
see of books and orders is what the engine holds.
"""

from __future__ import annotations

import asyncio
import time
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import pytest
from tests.gateway.venue_world import (
    PERPETUAL,
    SPOT,
    TICK,
    Api,
    Gateway,
    edit_params,
    open_gateway,
    order_params,
    refused,
    replace_params,
    signed,
)

from provenue._generated.constants import REDUCE_ONLY_MAX
from provenue.wire import Code, SelfTrade, Side, TimeInForce

BUY, SELL = Side.BUY, Side.SELL
FOK, UNTIL = TimeInForce.FILL_OR_KILL, TimeInForce.GOOD_TILL_TIME


@asynccontextmanager
async def venue(folder: Path) -> AsyncIterator[tuple[Gateway, Api]]:
    """A gateway and a connection of trader 0; the end compares what is shown with the engine."""
    async with open_gateway(folder) as gateway:
        api = await gateway.connect(0)
        yield gateway, api
        engine = gateway.venue.engine
        for instrument in range(2):
            view, book = engine.book(instrument, 1_000), gateway.venue.books.of(instrument)
            for side, levels in (("bids", book.bids(1_000)), ("asks", book.asks(1_000))):
                held = [tuple(level.values())[:2] for level in view[side]]  # type: ignore[literal-required]
                assert levels == held, side
        for index in range(1, 5):
            kept = gateway.venue.orders.of_account(index)
            assert {
                order.id: (order.price_ticks, order.size_lots - order.filled_lots, order.size_lots)
                for order in kept
            } == {
                view["order_id"]: (view["price_ticks"], view["remaining_lots"], view["size_lots"])
                for view in engine.orders(index)
            }


async def buy(gateway: Gateway, api: Api, trader: int, *what: Any, **terms: Any) -> dict[str, Any]:
    params = order_params(gateway.signers[trader], BUY, *what, **terms)
    return (await api.call("private/buy", **params))["order"]


async def sell(gateway: Gateway, api: Api, trader: int, *what: Any, **terms: Any) -> dict[str, Any]:
    params = order_params(gateway.signers[trader], SELL, *what, **terms)
    return (await api.call("private/sell", **params))["order"]


async def state(api: Api, order: dict[str, Any]) -> dict[str, Any]:
    """The caller's own order as it stands."""
    return await api.call("private/get_order_state", order_id=order["order_id"])


def parts(order: dict[str, Any], *names: str) -> tuple[Any, ...]:
    return tuple(order.get(name) for name in names)


# --- time in force -------------------------------------------------------------------------------


@pytest.mark.parametrize("market", [False, True])
async def test_fill_or_kill_is_filled_in_full_or_leaves_no_trace(
    tmp_path: Path, market: bool
) -> None:
    async with venue(tmp_path) as (gateway, api):
        await sell(gateway, api, 1, 100, 25_000)
        ticks = 0 if market else 25_000
        params = order_params(gateway.signers[0], BUY, 150, ticks, market=market, time_in_force=FOK)
        error = await refused(api, "private/buy", **params)
        assert (error.code, error.data["reason"]) == (11030, "not_filled")
        assert error.data["code"] == Code.NOT_FILLED
        # The nonce is burnt: the program has seen it.
        again = await refused(api, "private/buy", **params)
        assert again.data["reason"] == "nonce_used"
        assert gateway.venue.books.of(0).asks(9) == [(25_000, 100)]
        assert await api.call("private/get_positions") == []
        done = await buy(gateway, api, 0, 100, ticks, market=market, time_in_force=FOK)
        assert parts(done, "order_state", "filled_amount", "time_in_force") == (
            "filled", 0.01, "fill_or_kill",
        )  # fmt: skip


async def test_a_good_til_date_order_ends_in_time(tmp_path: Path) -> None:
    async with venue(tmp_path) as (gateway, api):
        ends_s = int(time.time()) + 2
        until = {"time_in_force": UNTIL, "good_till_s": ends_s}
        met = await sell(gateway, api, 0, 100, 25_000, **until)
        alone = await sell(gateway, api, 0, 100, 25_100, **until)
        assert parts(met, "time_in_force", "good_til_timestamp") == (
            "good_til_date", ends_s * 1_000,
        )  # fmt: skip
        assert gateway.venue.engine.account(1)["next_expiry_s"] == ends_s  # type: ignore[index]
        late = order_params(
            gateway.signers[0], SELL, 1, 25_200, time_in_force=UNTIL, good_till_s=ends_s - 3
        )
        error = await refused(api, "private/sell", **late)
        assert (error.code, error.data["reason"]) == (11030, "bad_good_till")
        await asyncio.sleep(ends_s - time.time() + 0.05)
        # A taker that meets it ends it, and takes the next one.
        await sell(gateway, api, 1, 30, 25_010)
        taker = await buy(gateway, api, 2, 50, 25_010, immediate=True)
        assert parts(taker, "filled_amount", "average_price") == (0.003, 250.1)
        assert parts(await state(api, met), "order_state", "cancel_reason") == (
            "cancelled", "expired",
        )  # fmt: skip
        assert (await state(api, alone))["order_state"] == "open"
        # A tick's sweep ends those that nobody meets.
        await gateway.service.submit(TICK)
        assert parts(await state(api, alone), "order_state", "cancel_reason") == (
            "cancelled", "expired",
        )  # fmt: skip


async def test_valid_until_is_when_the_action_itself_is_void(tmp_path: Path) -> None:
    async with venue(tmp_path) as (gateway, api):
        params = order_params(gateway.signers[0], BUY, 10, 24_000)
        both = params | {"valid_until": params["expires_at"]}
        assert (await api.call("private/buy", **both))["order"]["order_state"] == "open"
        params = order_params(gateway.signers[0], BUY, 10, 24_000, expires_at_ms=5)
        params["valid_until"] = params.pop("expires_at")
        assert (await refused(api, "private/buy", **params)).data["reason"] == "expired"


# --- flags ---------------------------------------------------------------------------------------


async def test_post_only_slides_unless_it_shall_be_rejected(tmp_path: Path) -> None:
    async with venue(tmp_path) as (gateway, api):
        await sell(gateway, api, 1, 100, 25_000)
        moved = await buy(gateway, api, 0, 10, 25_050, post_only=True, slide=True)
        assert parts(moved, "price", "post_only", "reject_post_only", "order_state") == (
            249.99, True, False, "open",
        )  # fmt: skip
        calm = await buy(gateway, api, 0, 10, 24_000, post_only=True, slide=True)
        assert calm["price"] == 240
        params = order_params(gateway.signers[0], BUY, 10, 25_050, post_only=True)
        error = await refused(api, "private/buy", **params)
        assert (error.code, error.data["reason"]) == (11054, "post_only_would_cross")
        kept = await buy(gateway, api, 0, 10, 24_990, post_only=True)
        assert parts(kept, "price", "post_only", "reject_post_only") == (249.9, True, True)


async def test_a_reduce_only_order_is_cut_to_the_position_and_kept_cut(tmp_path: Path) -> None:
    async with venue(tmp_path) as (gateway, api):
        channel = f"user.orders.{PERPETUAL}.raw"
        await buy(gateway, api, 1, 1_000, 24_900)
        params = order_params(gateway.signers[0], SELL, 10, 26_000, reduce_only=True)
        error = await refused(api, "private/sell", **params)
        assert (error.code, error.data["reason"]) == (11030, "nothing_to_reduce")
        await sell(gateway, api, 1, 100, 25_000)
        await buy(gateway, api, 0, 100, 25_000)
        await api.call("private/subscribe", channels=[channel])
        order = await sell(gateway, api, 0, 300, 26_000, reduce_only=True)
        assert parts(order, "amount", "reduce_only") == (0.01, True)
        await sell(gateway, api, 0, 60, 24_900)
        assert (await state(api, order))["amount"] == 0.004
        assert gateway.venue.books.of(0).asks(9) == [(26_000, 40)]
        await sell(gateway, api, 0, 40, 24_900)
        gone = await state(api, order)
        assert parts(gone, "order_state", "cancel_reason") == ("cancelled", "reduce_only")
        told = [(await api.next(channel)) for _ in range(5)]
        mine = [o for o in told if o["order_id"] == order["order_id"]]
        assert [parts(o, "order_state", "amount") for o in mine] == [
            ("open", 0.01), ("open", 0.004), ("cancelled", 0.004),
        ]  # fmt: skip
        history = await api.call(
            "private/get_order_history_by_instrument",
            instrument_name=PERPETUAL, include_unfilled=True,
        )  # fmt: skip
        assert gone in history


async def test_too_many_reduce_only_orders_of_a_position(tmp_path: Path) -> None:
    async with venue(tmp_path) as (gateway, api):
        await sell(gateway, api, 1, 100, 25_000)
        await buy(gateway, api, 0, 100, 25_000)
        for index in range(REDUCE_ONLY_MAX):
            await sell(gateway, api, 0, 10, 26_000 + index, reduce_only=True)
        params = order_params(gateway.signers[0], SELL, 10, 26_100, reduce_only=True)
        error = await refused(api, "private/sell", **params)
        assert (error.code, error.data["reason"]) == (10013, "reduce_only_full")


@pytest.mark.parametrize(
    ("mode", "maker", "taker"),
    [
        # Order states, amounts, and why they ended.
        (SelfTrade.CANCEL_MAKER, ("cancelled", 0.01, "self_trading"), ("open", 0.015, None)),
        (SelfTrade.CANCEL_TAKER, ("open", 0.01, None), ("cancelled", 0.015, "self_trading")),
        (SelfTrade.CANCEL_BOTH, ("cancelled", 0.01, "self_trading"),
         ("cancelled", 0.015, "self_trading")),
        (SelfTrade.DECREMENT, ("cancelled", 0.01, "self_trading"), ("open", 0.005, None)),
    ],
)  # fmt: skip
async def test_an_order_that_meets_its_own_account(
    tmp_path: Path, mode: SelfTrade, maker: tuple[Any, ...], taker: tuple[Any, ...]
) -> None:
    async with venue(tmp_path) as (gateway, api):
        resting = await buy(gateway, api, 0, 100, 24_900)
        met = await sell(gateway, api, 0, 150, 24_900, self_trade=mode)
        assert met["self_trade"] == mode.name.lower()
        names = ("order_state", "amount", "cancel_reason")
        assert parts(met, *names) == taker
        assert parts(await state(api, resting), *names) == maker
        assert await api.call("private/get_positions") == []


async def test_a_larger_resting_order_is_decremented_in_its_place(tmp_path: Path) -> None:
    async with venue(tmp_path) as (gateway, api):
        resting = await buy(gateway, api, 0, 100, 24_900)
        met = await sell(gateway, api, 0, 30, 24_900, self_trade=SelfTrade.DECREMENT)
        assert parts(met, "order_state", "cancel_reason") == ("cancelled", "self_trading")
        assert parts(await state(api, resting), "order_state", "amount") == ("open", 0.007)


# --- edit ----------------------------------------------------------------------------------------


@pytest.mark.parametrize(("lots", "first"), [(40, 0), (100, 0), (101, 1)])
async def test_an_edit_keeps_the_place_only_if_the_size_does_not_grow(
    tmp_path: Path, lots: int, first: int
) -> None:
    async with venue(tmp_path) as (gateway, api):
        edited = await sell(gateway, api, 0, 100, 25_000)
        await sell(gateway, api, 1, 100, 25_000)
        result = await api.call(
            "private/edit", **edit_params(gateway.signers[0], edited["order_id"], lots, 25_000)
        )
        assert result["trades"] == []
        assert parts(result["order"], "order_id", "amount", "replaced", "order_state") == (
            edited["order_id"], lots / 10_000, True, "open",
        )  # fmt: skip
        await buy(gateway, api, 2, 10, 25_000)
        makers = [gateway.venue.engine.positions(index + 1) for index in range(2)]
        assert makers[first]
        assert not makers[1 - first]


async def test_an_edit_that_crosses_trades(tmp_path: Path) -> None:
    async with venue(tmp_path) as (gateway, api):
        edited = await buy(gateway, api, 0, 100, 24_000)
        await sell(gateway, api, 1, 60, 25_000)
        result = await api.call(
            "private/edit", **edit_params(gateway.signers[0], edited["order_id"], 110, 25_000)
        )
        assert [parts(t, "price", "amount", "liquidity") for t in result["trades"]] == [
            (250, 0.006, "T")
        ]
        assert parts(result["order"], "amount", "filled_amount", "price") == (0.011, 0.006, 250)
        # What is filled counts into the amount: half of it is filled already.
        params = edit_params(gateway.signers[0], edited["order_id"], 80, 24_990)
        order = (await api.call("private/edit", **params))["order"]
        assert parts(order, "amount", "filled_amount", "price") == (0.008, 0.006, 249.9)
        assert gateway.venue.books.of(0).bids(9) == [(24_990, 20)]
        params = edit_params(gateway.signers[0], edited["order_id"], 60, 24_990)
        error = await refused(api, "private/edit", **params)
        assert (error.code, error.data["reason"]) == (10021, "bad_size")


async def test_an_edited_order_slides_back_to_its_price_and_to_the_end_of_the_queue(
    tmp_path: Path,
) -> None:
    async with venue(tmp_path) as (gateway, api):
        await sell(gateway, api, 1, 100, 25_000)
        slid = await buy(gateway, api, 0, 100, 25_050, post_only=True, slide=True)
        await buy(gateway, api, 2, 100, 24_999)
        params = edit_params(gateway.signers[0], slid["order_id"], 50, 25_020)
        order = (await api.call("private/edit", **params))["order"]
        assert parts(order, "price", "amount", "order_state") == (249.99, 0.005, "open")
        assert gateway.venue.books.of(0).bids(9) == [(24_999, 150)]
        await sell(gateway, api, 3, 10, 24_999)
        assert gateway.venue.engine.positions(3), "the other one was first"


@pytest.mark.parametrize(
    ("change", "field"),
    [
        ({"order_id": "mine"}, "order_id"),
        ({"order_id": None}, "order_id"),
        ({"amount": 0.00001}, "amount"),
        ({"amount": None}, "amount"),
        ({"price": "cheap"}, "price"),
        ({"price": None}, "price"),
        ({"post_only": True}, "post_only"),
        ({"reduce_only": True}, "reduce_only"),
        ({"trigger_price": 1}, "trigger_price"),
        ({"signature": "0x"}, "signature"),
    ],
)
async def test_a_wrong_parameter_of_an_edit_is_named(
    tmp_path: Path, change: dict[str, Any], field: str
) -> None:
    async with venue(tmp_path) as (gateway, api):
        order = await buy(gateway, api, 0, 100, 24_000)
        params = edit_params(gateway.signers[0], order["order_id"], 90, 24_000)
        error = await refused(api, "private/edit", **params | change)
        assert error.data["param"] == field
        assert "expected" in error.data["reason"]
        # As the order has it is no wish for anything else.
        same = {"post_only": False, "reject_post_only": False, "reduce_only": "false"}
        await api.call("private/edit", **params | same)


async def test_an_edit_of_what_is_not_there_or_not_ones_own(tmp_path: Path) -> None:
    async with venue(tmp_path) as (gateway, api):
        own, other = gateway.signers[:2]
        order_id = (await buy(gateway, api, 0, 100, 24_000))["order_id"]
        sequence = gateway.service.sequencer.next_sequence
        error = await refused(api, "private/edit", **edit_params(own, "77", 90, 24_000))
        assert (error.code, error.data["reason"]) == (10004, "order_unknown")
        assert gateway.service.sequencer.next_sequence == sequence
        for method, params in (
            ("edit", edit_params(other, order_id, 90, 24_000)),
            ("replace", replace_params(other, order_id, 90, 24_000)),
        ):
            error = await refused(api, f"private/{method}", **params)
            assert (error.code, error.data["reason"]) == (10004, "order_unknown")
        await api.call("private/cancel", order_id=order_id, **signed(own.cancel(int(order_id))))
        error = await refused(api, "private/edit", **edit_params(own, order_id, 90, 24_000))
        assert (error.code, error.data["reason"]) == (10004, "order_unknown")


# --- replace, cancel by label --------------------------------------------------------------------


async def test_a_replaced_order_is_another_one_on_the_same_side(tmp_path: Path) -> None:
    async with venue(tmp_path) as (gateway, api):
        old = await buy(gateway, api, 0, 100, 24_900, client_id=5)
        await sell(gateway, api, 1, 30, 24_900)
        params = replace_params(
            gateway.signers[0], old["order_id"], 80, 24_950, client_id=6, post_only=True
        )
        result = await api.call("private/replace", **params)
        # 30 of the 80 are filled already.
        assert parts(result["order"], "direction", "amount", "price", "label", "post_only") == (
            "buy", 0.005, 249.5, "6", True,
        )  # fmt: skip
        assert parts(result["cancelled"], "order_id", "order_state", "cancel_reason") == (
            old["order_id"], "cancelled", "replaced",
        )  # fmt: skip
        assert result["order"]["order_id"] != old["order_id"]
        assert gateway.venue.books.of(0).bids(9) == [(24_950, 50)]
        await sell(gateway, api, 1, 500, 25_500)
        params = replace_params(gateway.signers[0], result["order"]["order_id"], 70, 25_500)
        met = await api.call("private/replace", **params)
        assert [parts(t, "price", "amount") for t in met["trades"]] == [(255, 0.007)]
        assert met["order"]["order_state"] == "filled"


async def test_a_replacement_that_is_refused_leaves_the_old_order(tmp_path: Path) -> None:
    async with venue(tmp_path) as (gateway, api):
        old = await buy(gateway, api, 0, 100, 24_900)
        await sell(gateway, api, 1, 30, 25_000)
        order_id, signer = old["order_id"], gateway.signers[0]
        for reason, terms in (
            ("post_only_would_cross", {"post_only": True}),
            ("not_filled", {"time_in_force": FOK}),
            ("nothing_to_reduce", {"reduce_only": True}),
        ):
            params = replace_params(signer, order_id, 100, 25_000, **terms)
            assert (await refused(api, "private/replace", **params)).data["reason"] == reason
            assert await state(api, old) == old
        assert gateway.venue.books.of(0).bids(9) == [(24_900, 100)]
        for change, field in (
            ({"time_in_force": "forever"}, "time_in_force"),
            ({"order_id": []}, "order_id"),
            ({"amount": "all"}, "amount"),
            ({"price": None}, "price"),
        ):
            params = replace_params(signer, order_id, 100, 24_000) | change
            assert (await refused(api, "private/replace", **params)).data["param"] == field


async def test_orders_are_cancelled_by_their_label(tmp_path: Path) -> None:
    async with venue(tmp_path) as (gateway, api):
        signer = gateway.signers[0]
        for index in range(6):
            instrument, label = index % 2, 1 + index % 3
            await buy(gateway, api, 0, 10, 24_000 + index, instrument=instrument, client_id=label)
        await buy(gateway, api, 0, 10, 24_500)
        await buy(gateway, api, 1, 10, 24_500, client_id=1)
        method = "private/cancel_by_label"
        spot = {"instrument_name": SPOT, "label": "1", **signed(signer.cancel_label(1, 1))}
        assert await api.call(method, **spot) == 1
        assert await api.call(method, label=2, **signed(signer.cancel_label(2))) == 2
        assert await api.call(method, label=2, **signed(signer.cancel_label(2))) == 0
        left = await api.call("private/get_open_orders")
        assert sorted(order["label"] for order in left) == ["", "1", "3", "3"]
        for change, field in (
            ({"label": None}, "label"),
            ({"label": "0"}, "label"),
            ({"label": "mine"}, "label"),
            ({"currency": "BTC"}, "currency"),
            ({"instrument_name": "DOGE"}, "instrument_name"),
        ):
            params = {"label": 3, **signed(signer.cancel_label(3))} | change
            assert (await refused(api, method, **params)).data["param"] == field
