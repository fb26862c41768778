"""docs/api.md against a running gateway: methods, fields of every result, channels, error codes.

Each documented method is called over a real socket; what it answers must have the documented
fields, and no other. So the page cannot drift from the code.
"""

from __future__ import annotations

import asyncio
import re
import tomllib
from collections.abc import Awaitable, Callable
from pathlib import Path
from typing import Any

from tests.docs.markdown import ROOT, Shape, rows, section, shape_of, ticks
from tests.gateway.venue_world import (
    PERPETUAL,
    SPOT,
    Api,
    Gateway,
    edit_params,
    login_params,
    open_gateway,
    order_params,
    replace_params,
    signed,
)
from tests.sequencer.world import MARK_TICKS, MARK_UNITS, address_of

from provenue import wire
from provenue._generated.constants import REDUCE_ONLY_MAX
from provenue.gateway import errors
from provenue.gateway.auth import login_text
from provenue.gateway.orders import CANCEL_REASONS
from provenue.sequencer.anchor_log import BatchRecord
from provenue.wire import SELF_TRADE_NAMES, TIME_NAMES, Side

PAGE = (ROOT / "docs" / "api.md").read_text(encoding="utf-8")
_PRICE_SIGNER = 2


def _objects() -> dict[str, Shape]:
    objects: dict[str, Shape] = {}
    for name, fields in rows(section(PAGE, "Objects")):
        objects[name.strip("*")] = shape_of(fields, objects)
    return objects


OBJECTS = _objects()


def _documented() -> dict[str, Shape]:
    found: dict[str, Shape] = {}
    for heading in ("Public methods", "Private methods"):
        for methods, _, result in rows(section(PAGE, heading)):
            for method in ticks(methods):
                assert method not in found, f"{method} stands twice"
                found[method] = shape_of(result, OBJECTS)
    return found


METHODS = _documented()
Call = Callable[..., Awaitable[Any]]


def _post_a_batch(gateway: Gateway, withdrawals: int) -> None:
    """Write down a final batch, as the anchoring worker does."""
    gateway.read_model.flush()
    rows_ = gateway.read_model.withdrawals(from_id=0, up_to_id=withdrawals)
    tree = wire.WithdrawalTree()
    tree.extend(
        wire.withdrawal_leaf(
            number=row.id, asset=row.asset, recipient=row.recipient, amount_units=row.amount_units
        )
        for row in rows_
    )
    gateway.anchor_log.record(
        BatchRecord(
            number=rows_[-1].batch, first_sequence=0, message_count=1, posted_bytes=100,
            inbox_count=0, withdrawal_count=withdrawals, withdrawal_root=tree.root,
            withdrawal_proof=bytes(29 * 32), end_root=bytes(32), claim_root=bytes(32),
            root_mismatches=0, steps_max=1, tx_hash="0x" + "00" * 32, gas_used=1, posted_at_s=1,
            final=1,
        )
    )  # fmt: skip


async def _trade(gateway: Gateway, call: Call) -> None:
    """What acts: trader 0 (logged in) against trader 1; the order of calls matters here."""
    own, other = gateway.signers[:2]
    name = {"instrument_name": PERPETUAL}
    sell = order_params(own, Side.SELL, 50, MARK_TICKS)
    placed = await call("private/sell", **sell)
    taker = await gateway.connect(1)
    await taker.call("private/buy", **order_params(other, Side.BUY, 30, MARK_TICKS))
    order_id = placed["order"]["order_id"]
    await call("private/get_open_orders")
    await call("private/get_open_orders_by_instrument", **name)
    await call("private/get_open_orders_by_currency", currency="BTC")
    await call("private/get_order_state", order_id=order_id)
    await call("private/cancel", order_id=order_id, **signed(own.cancel(int(order_id))))
    await taker.call("private/sell", **order_params(other, Side.SELL, 10, MARK_TICKS))
    await call("private/buy", **order_params(own, Side.BUY, 10, MARK_TICKS))
    await taker.call("private/buy", **order_params(other, Side.BUY, 10, MARK_TICKS))
    await call("private/sell", **order_params(own, Side.SELL, 10, MARK_TICKS))
    await _change(gateway, call, taker)
    message = wire.encode(own.cancel_all())
    await call("public/submit", message=message.hex())
    await call("private/cancel_all", **signed(own.cancel_all()))
    params = signed(own.cancel_all(0))
    await call("private/cancel_all_by_instrument", **name, **params)
    action = own.set_key(slot=1, key_address=address_of(77), scope=3)
    await call(
        "private/set_key", slot=1, key_address="0x" + address_of(77).hex(), scope=3,
        **signed(action),
    )  # fmt: skip
    withdraw = own.withdraw(asset=0, amount_units=1_000_000, recipient=address_of(0))
    await call(
        "private/withdraw", currency="USDC", amount=1, address="0x" + address_of(0).hex(),
        **signed(withdraw),
    )  # fmt: skip
    vector = gateway.world.prices(_PRICE_SIGNER, MARK_UNITS)
    await call("public/relay_prices", message=vector.hex())


async def _change(gateway: Gateway, call: Call, taker: Api) -> None:
    """Orders that are edited and replaced into a trade, and cancelled by their label."""
    own, other = gateway.signers[:2]
    await taker.call("private/buy", **order_params(other, Side.BUY, 20, MARK_TICKS - 5))
    far = order_params(own, Side.SELL, 10, MARK_TICKS + 100)
    placed = await call("private/sell", **far)
    await call("private/edit", **edit_params(own, placed["order"]["order_id"], 5, MARK_TICKS - 5))
    far = order_params(own, Side.SELL, 10, MARK_TICKS + 100)
    placed = await call("private/sell", **far)
    await call(
        "private/replace", **replace_params(own, placed["order"]["order_id"], 5, MARK_TICKS - 5)
    )
    await call("private/cancel_by_label", label=3, **signed(own.cancel_label(3)))


async def _read_public(call: Call) -> None:
    name = {"instrument_name": PERPETUAL}
    for method in ("hello", "test", "get_time", "status", "get_deployment", "disable_heartbeat"):
        await call(f"public/{method}")
    await call("public/set_heartbeat", interval=60)
    await call("public/disable_heartbeat")
    await call("public/get_currencies")
    await call("public/get_instruments", currency="any")
    for instrument in (PERPETUAL, SPOT):
        for method in ("get_instrument", "get_order_book", "ticker"):
            await call(f"public/{method}", instrument_name=instrument)
    for method in ("get_book_summary_by_instrument", "get_last_trades_by_instrument"):
        await call(f"public/{method}", **name)
    await call("public/get_last_trades_by_instrument_and_time", **name, start_timestamp=1)
    await call("public/get_funding_rate_value", **name)
    await call("public/get_book_summary_by_currency", currency="BTC")
    await call("public/get_last_trades_by_currency", currency="BTC")
    await call("public/get_last_trades_by_currency_and_time", currency="BTC", start_timestamp=1)
    await call("public/get_index_price", index_name="btc_usdc")
    await call("public/get_accounts", address="0x" + address_of(0).hex())
    await call("public/get_batches", count=1)
    await call("public/get_withdrawal_proof", id=0)


async def _read_private(call: Call, order_id: str) -> None:
    name = {"instrument_name": PERPETUAL}
    for method in ("get_order_history_by_instrument", "get_user_trades_by_instrument"):
        await call(f"private/{method}", **name)
    for method in ("get_order_history_by_currency", "get_user_trades_by_currency"):
        await call(f"private/{method}", currency="BTC")
    await call("private/get_user_trades_by_order", order_id=order_id)
    await call("private/get_positions", currency="any")
    for instrument in (PERPETUAL, SPOT):
        await call("private/get_position", instrument_name=instrument)
    for currency in ("USDC", "BTC"):
        await call("private/get_account_summary", currency=currency)
    for method in ("get_withdrawals", "get_account_summaries", "get_subaccounts", "get_keys"):
        await call(f"private/{method}")


async def test_every_method_answers_with_the_documented_fields(tmp_path: Path) -> None:
    compared: set[str] = set()
    async with open_gateway(tmp_path) as gateway:
        api = await gateway.connect()

        async def call(method: str, **params: Any) -> Any:
            result = await api.call(method, **params)
            METHODS[method].check(method, result, compared)
            return result

        assert set(gateway.server.methods) == set(METHODS)
        await call("public/auth", **login_params(0))
        await _trade(gateway, call)
        _post_a_batch(gateway, withdrawals=1)
        await _read_public(call)
        trades = await api.call("private/get_user_trades_by_instrument", instrument_name=PERPETUAL)
        await _read_private(call, trades["trades"][0]["order_id"])
        for scope in ("public", "private"):
            channel = f"ticker.{PERPETUAL}.100ms"
            await call(f"{scope}/subscribe", channels=[channel])
            await call(f"{scope}/unsubscribe", channels=[channel])
            await call(f"{scope}/unsubscribe_all")
        await call("private/logout")
        await call("public/logout")
    wanted = set().union(*(shape.places(method) for method, shape in METHODS.items()))
    assert compared == wanted, f"never seen here: {sorted(wanted - compared)}"


# --- channels ------------------------------------------------------------------------------------

_NAMES = {
    "instrument": (PERPETUAL,), "i": ("raw", "100ms", "agg2"), "depth": ("1", "10", "20"),
    "kind": ("future", "any"), "currency": ("BTC", "any"),
}  # fmt: skip


def _filled(pattern: str) -> list[str]:
    """Every channel that a documented pattern stands for."""
    names = [pattern]
    for key, values in _NAMES.items():
        place = "{" + key + "}"
        names = list(dict.fromkeys(n.replace(place, v) for n in names for v in values))
    return names


def _channels() -> dict[str, Shape]:
    found = {}
    for patterns, data in rows(section(PAGE, "Channels")):
        for pattern in ticks(patterns):
            for name in _filled(pattern):
                if not (".none." in name and name.endswith(".raw")):
                    found[name] = shape_of(data, OBJECTS)
    return found


CHANNELS = _channels()


async def _stir(gateway: Gateway, api: Api) -> None:
    """A trade, a resting order, a mark and a batch: something for every channel."""
    own, other = gateway.signers[:2]
    await api.call("private/sell", **order_params(own, Side.SELL, 50, MARK_TICKS))
    taker = await gateway.connect(1)
    await taker.call("private/buy", **order_params(other, Side.BUY, 30, MARK_TICKS))
    await gateway.set_price(MARK_UNITS + 10_000)
    withdraw = own.withdraw(asset=0, amount_units=1_000_000, recipient=address_of(0))
    await api.call("public/submit", message=wire.encode(withdraw).hex())
    _post_a_batch(gateway, withdrawals=1)


async def test_every_channel_sends_the_documented_fields(tmp_path: Path) -> None:
    async with open_gateway(tmp_path) as gateway:
        api = await gateway.connect(0)
        subscribed = await api.call("private/subscribe", channels=list(CHANNELS))
        assert set(subscribed) == set(CHANNELS)
        refused = [f"book.{PERPETUAL}.none.10.raw", f"book.{PERPETUAL}.none.5.100ms", "book.X.raw"]
        assert await api.call("private/subscribe", channels=refused) == []
        await _stir(gateway, api)
        heard: set[str] = set()
        while heard != set(CHANNELS):
            waiting = sorted(set(CHANNELS) - heard)
            try:
                notification = await _next(api)
            except TimeoutError:
                raise AssertionError(f"nothing came on {waiting}") from None
            params = notification["params"]
            shape, data = CHANNELS[params["channel"]], params["data"]
            if isinstance(data, list) and shape.kind == "object":  # orders: raw, else a list
                shape = Shape("list of", shape.needed, shape.optional, shape.inside)
            shape.check(params["channel"], data, set())
            heard.add(params["channel"])


async def _next(api: Api) -> dict[str, Any]:
    return await asyncio.wait_for(api.notifications.get(), 5)


# --- errors and signing --------------------------------------------------------------------------


def test_every_error_code_is_documented() -> None:
    documented = {
        int(code) for code, *_ in rows(section(PAGE, "Errors")) for code in code.split(",")
    }
    used = {value for value in vars(errors).values() if isinstance(value, int)}
    assert documented == used


def test_the_signed_types_are_named() -> None:
    source = tomllib.loads((ROOT / "protocol" / "messages.toml").read_text(encoding="utf-8"))
    types = {form["eip712"].split("(")[0] for form in source["message"] if "eip712" in form}
    assert types - {"Prices"} <= set(ticks(section(PAGE, "Signing")))


def test_the_terms_of_orders_are_the_gateways() -> None:
    text = section(PAGE, "Terms of an order")
    words = {*TIME_NAMES.values(), *SELF_TRADE_NAMES.values(), *CANCEL_REASONS.values()}
    assert words <= set(ticks(text))
    assert f"{REDUCE_ONLY_MAX} a position" in text


def test_the_login_text_is_the_gateways() -> None:
    text = login_text(
        chain_id=31337, anchor=bytes(20), address=bytes(20), timestamp_ms=1795347280055,
        nonce="any text",
    )  # fmt: skip
    (shown,) = re.findall(r"```\n(Provenue login\n.*?)\n```", PAGE, re.DOTALL)
    plain = re.sub(r"0x\.\.\. +\(lower case\)", "0x" + "00" * 20, shown)
    assert plain == text
