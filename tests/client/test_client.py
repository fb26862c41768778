"""The SDK against a real gateway, without a chain (tests/client/test_custody.py has one)."""

from __future__ import annotations

import asyncio
import threading
from decimal import Decimal
from pathlib import Path
from typing import Any

import pytest
from tests.gateway.venue_world import PERPETUAL, SPOT, Gateway, open_gateway
from tests.sequencer.world import address_of, key_of

from provenue.client import (
    AmountError,
    AsyncClient,
    Client,
    ClientError,
    ConnectionFailedError,
    KeyLoadError,
    NotAuthorizedError,
    NotFinalError,
    OutcomeUnknownError,
    RateLimitedError,
    RejectedError,
    RequestError,
    SubscriptionError,
    generate_key,
)
from provenue.client._connection import websocket_url
from provenue.gateway.session import RateLimit


def client_of(gateway: Gateway, trader: int) -> AsyncClient:
    return AsyncClient(gateway.url, private_key=key_of(trader))


async def test_two_clients_trade(tmp_path: Path) -> None:
    async with (
        open_gateway(tmp_path) as gateway,
        client_of(gateway, 0) as maker,
        client_of(gateway, 1) as taker,
    ):
        resting = await maker.buy(PERPETUAL, "0.05", "249.95", label=7)
        assert resting.is_open
        assert (resting.price, resting.amount, resting.label) == (
            Decimal("249.95"), Decimal("0.05"), "7",
        )  # fmt: skip
        book = await taker.book(PERPETUAL)
        assert book.bids == [(Decimal("249.95"), Decimal("0.05"))]
        met = await taker.sell(PERPETUAL, Decimal("0.02"))  # a market order
        assert (met.type, met.state, met.price) == ("market", "filled", None)
        assert [(t.price, t.amount, t.is_maker) for t in met.trades] == [
            (Decimal("249.95"), Decimal("0.02"), False)
        ]
        (own,) = await maker.trades(PERPETUAL)
        assert (own.order_id, own.is_maker, own.direction) == (resting.id, True, "buy")
        assert await maker.trades() == [own]
        (public,) = await taker.last_trades(PERPETUAL)
        assert (public.id, public.direction) == (own.id, "sell")
        (position,) = await maker.positions()
        assert (position.size, position.average_price) == (Decimal("0.02"), Decimal("249.95"))
        assert [p.size for p in await taker.positions()] == [Decimal("-0.02")]
        assert [o.filled for o in await maker.open_orders()] == [Decimal("0.02")]
        assert await maker.open_orders(SPOT) == []
        ticker = await taker.ticker(PERPETUAL)
        assert (ticker.last, ticker.mark, ticker.ask) == (Decimal("249.95"), Decimal(250), None)
        gone = await maker.cancel(resting)
        assert (gone.state, (await maker.order(resting.id)).state) == ("cancelled", "cancelled")


async def test_an_account_shows_exact_balances(tmp_path: Path) -> None:
    async with open_gateway(tmp_path) as gateway, client_of(gateway, 0) as client:
        account = await client.account()
        assert account.address == "0x" + address_of(0).hex()
        assert account.balance("USDC") == Decimal(50_000)
        assert account.balance("BTC") == Decimal(200)
        assert account.balance("DOGE") == 0
        # 200 BTC at 250, nine tenths of it count.
        assert account.equity == Decimal(95_000)


async def test_cancel_all_and_post_only(tmp_path: Path) -> None:
    async with open_gateway(tmp_path) as gateway, client_of(gateway, 0) as client:
        for price in (240, 241):
            await client.buy(PERPETUAL, 1, price, post_only=True)
            await client.buy(SPOT, 1, price, time_in_force="good_til_cancelled")
        assert await client.cancel_all(SPOT) == 2
        assert await client.cancel_all() == 2
        ioc = await client.buy(PERPETUAL, 1, 240, time_in_force="immediate_or_cancel")
        assert ioc.state == "cancelled"


async def test_errors_say_what_and_why(tmp_path: Path) -> None:
    async with open_gateway(tmp_path) as gateway, client_of(gateway, 0) as client:
        with pytest.raises(AmountError, match=r"amount: expected a multiple of 0\.0001"):
            await client.buy(PERPETUAL, "0.00001", 250)
        with pytest.raises(AmountError, match="price"):
            await client.buy(PERPETUAL, 1, "250.001")
        with pytest.raises(ClientError, match=f"expected one of .*{SPOT}, was 'DOGE'"):
            await client.buy("DOGE", 1, 1)
        with pytest.raises(ValueError, match="time_in_force"):
            await client.buy(PERPETUAL, 1, 250, time_in_force="forever")
        with pytest.raises(RejectedError) as rejected:
            await client.buy(PERPETUAL, 100_000, 250)
        assert rejected.value.reason == "margin_insufficient"
        assert rejected.value.sequence is not None
        with pytest.raises(RejectedError, match="order_unknown"):
            await client.cancel(12345)
        with pytest.raises(RequestError, match="instrument_name"):
            await client.call("public/ticker", {"instrument_name": "X"})
        with pytest.raises(ClientError, match="currency: expected one of USDC, BTC"):
            await client.withdraw("DOGE", 1)
        with pytest.raises(AmountError, match="more than 0"):
            await client.withdraw("USDC", 0)
        with pytest.raises(ClientError, match="rpc_url"):
            await client.deposit("USDC", 1)
        with pytest.raises(ValueError, match="time_in_force"):
            await client.buy(PERPETUAL, 1, 250, time_in_force=[])  # type: ignore[arg-type]
        with pytest.raises(ClientError, match="currency: expected one of"):
            await client.withdraw(["USDC"], 1)  # type: ignore[arg-type]
        with pytest.raises(KeyLoadError, match="address: expected"):
            await client.withdraw("USDC", 1, 7)  # type: ignore[arg-type]
        with pytest.raises(ClientError, match="params: expected what JSON can hold"):
            await client.call("public/test", {"x": object()})


@pytest.mark.parametrize(
    ("field", "arguments"),
    [
        ("api_url", {"api_url": "http://127.0.0.1:99999"}),
        ("api_url", {"api_url": "http://[::1"}),
        ("api_url", {"api_url": 5}),
        ("key", {"private_key": 5}),
        ("subaccount", {"subaccount": -1}),
        ("subaccount", {"subaccount": 256}),
        ("key_slot", {"key_slot": 4, "account_id": 1}),
        ("account_id", {"key_slot": 1}),
        ("timeout_s", {"timeout_s": 0}),
    ],
)
def test_wrong_settings_are_named_before_anything_is_sent(
    field: str, arguments: dict[str, Any]
) -> None:
    settings = {"api_url": "http://127.0.0.1:1", "private_key": "0x" + "11" * 32} | arguments
    with pytest.raises((ClientError, ValueError), match=f"^{field}: expected"):
        AsyncClient(**settings)


async def test_without_a_key_only_public_data(tmp_path: Path) -> None:
    async with open_gateway(tmp_path) as gateway, AsyncClient(gateway.url) as client:
        assert (await client.ticker(PERPETUAL)).mark == 250
        assert {i.name for i in await client.instruments()} == {PERPETUAL, SPOT}
        with pytest.raises(ClientError, match="private_key"):
            await client.buy(PERPETUAL, 1, 1)
        with pytest.raises(NotAuthorizedError):
            await client.call("private/get_positions")


async def test_a_key_without_an_account_is_told_to_deposit(tmp_path: Path) -> None:
    async with (
        open_gateway(tmp_path) as gateway,
        AsyncClient(gateway.url, private_key=generate_key()) as client,
    ):
        with pytest.raises(ClientError, match="deposit first"):
            await client.account()
        with pytest.raises(ClientError, match="deposit first"):
            await client.buy(PERPETUAL, 1, 1)


async def test_a_session_key_acts_for_its_account(tmp_path: Path) -> None:
    key = generate_key()
    async with open_gateway(tmp_path) as gateway, client_of(gateway, 0) as owner:
        await owner.set_key(1, key.address_text, 1)
        account_id = await owner.account_id()
        async with AsyncClient(
            gateway.url, private_key=key, account_id=account_id, key_slot=1
        ) as session:
            order = await session.buy(PERPETUAL, 1, 200)
            assert [o.id for o in await owner.open_orders()] == [order.id]
            with pytest.raises(RejectedError, match="scope_missing"):
                await session.withdraw("USDC", 1)
            await owner.revoke_key(1)
            with pytest.raises(RejectedError, match="key_unknown"):
                await session.cancel(order)
    with pytest.raises(ValueError, match="account_id"):
        AsyncClient("http://x", private_key=key, key_slot=1)


async def test_many_calls_at_once(tmp_path: Path) -> None:
    async with open_gateway(tmp_path) as gateway, client_of(gateway, 0) as client:
        orders = await asyncio.gather(*(client.buy(PERPETUAL, "0.001", 200 + n) for n in range(50)))
        assert len({order.id for order in orders}) == 50
        assert await client.cancel_all() == 50


async def test_a_withdrawal_that_is_not_final_is_said_to_be(tmp_path: Path) -> None:
    async with open_gateway(tmp_path) as gateway, client_of(gateway, 0) as client:
        number = await client.withdraw("USDC", "12.5")
        assert number == 0
        answer = await client.call("public/get_withdrawal_proof", {"id": number})
        assert answer["final"] is False
        assert answer["amount_units"] == 12_500_000
        assert (await client.account()).balance("USDC") == Decimal("49987.5")
        assert issubclass(NotFinalError, ClientError)


async def test_subscriptions_are_streams(tmp_path: Path) -> None:
    async with (
        open_gateway(tmp_path) as gateway,
        client_of(gateway, 0) as maker,
        client_of(gateway, 1) as taker,
    ):
        trades = await taker.subscribe(f"trades.{PERPETUAL}.raw")
        async with await maker.subscribe("user.orders.any.any.raw") as orders:
            await maker.buy(PERPETUAL, "0.01", 250)
            await taker.sell(PERPETUAL, "0.01", 250)
            assert [(await anext(orders))["order_state"] for _ in range(2)] == ["open", "filled"]
        (trade,) = await anext(trades)
        assert trade["amount"] == Decimal("0.01")
        assert isinstance(trade["amount"], Decimal)
        await trades.close()
        with pytest.raises(StopAsyncIteration):
            await anext(trades)
        with pytest.raises(SubscriptionError, match="no such channel"):
            await taker.subscribe("nothing")
        second = [await taker.subscribe(f"book.{PERPETUAL}.raw") for _ in range(2)]
        # Each listener begins with a snapshot, also the one that came later.
        assert (await anext(second[0]))["type"] == "snapshot"
        assert (await anext(second[1]))["type"] == "snapshot"


async def test_a_broken_connection_comes_back_with_login_and_subscriptions(tmp_path: Path) -> None:
    async with open_gateway(tmp_path) as gateway, client_of(gateway, 0) as client:
        orders = await client.subscribe("user.orders.any.any.raw")
        book = await client.subscribe(f"book.{PERPETUAL}.raw")
        assert (await anext(book))["type"] == "snapshot"
        (connection,) = gateway.server._connections
        assert connection._transport is not None
        connection._transport.abort()
        calls = [client.ticker(PERPETUAL) for _ in range(5)]
        answers = await asyncio.gather(*calls, return_exceptions=True)
        assert {type(a) for a in answers} <= {OutcomeUnknownError, ConnectionFailedError}
        await client.wait_ready()
        order = await client.buy(PERPETUAL, "0.01", 240)
        assert (await anext(orders))["order_id"] == str(order.id)
        async with asyncio.timeout(5):
            while (await anext(book))["type"] != "snapshot":
                pass
        assert (await anext(book))["bids"] == [["new", 240, Decimal("0.01")]]


async def test_a_venue_that_is_not_there(tmp_path: Path, unused_tcp_port: int) -> None:
    with pytest.raises(ConnectionFailedError, match=r"127\.0\.0\.1"):
        await AsyncClient(f"http://127.0.0.1:{unused_tcp_port}").connect()
    for url in ("ftp://x", "127.0.0.1", "http://"):
        with pytest.raises(ConnectionFailedError, match="api_url"):
            websocket_url(url)
    assert websocket_url("https://x.y") == "wss://x.y/ws/api/v2"
    assert websocket_url("http://x:1/api/v2/") == "ws://x:1/ws/api/v2"
    assert websocket_url("ws://x/other") == "ws://x/other"


async def test_the_rate_limit_is_an_error_of_its_own(tmp_path: Path) -> None:
    limit = RateLimit(per_second=1, burst=10)
    async with (
        open_gateway(tmp_path, rate_limit=limit) as gateway,
        AsyncClient(gateway.url) as client,
    ):
        calls = [client.call("public/test") for _ in range(20)]
        answers = await asyncio.gather(*calls, return_exceptions=True)
        refused = [a for a in answers if isinstance(a, RateLimitedError)]
        assert 10 <= len(refused) < 20


async def test_the_plain_client_does_the_same(tmp_path: Path) -> None:
    def script(url: str) -> list[str]:
        seen = []
        with Client(url, private_key=key_of(0)) as client:
            order = client.buy(PERPETUAL, "0.01", 240)
            seen.append(order.state)
            updates = client.stream("user.orders.any.any.raw")
            # The generator subscribes at its first step; a thread moves the market meanwhile.
            timer = threading.Timer(0.3, lambda: client.cancel(order))
            timer.start()
            seen.append(next(updates)["order_state"])
            updates.close()
            timer.join()
            seen.append(str(client.account().balance("USDC")))
            with pytest.raises(RejectedError):
                client.cancel(order)
        with pytest.raises(ClientError, match="closed"):
            client.ticker(PERPETUAL)
        client.close()
        return seen

    async with open_gateway(tmp_path) as gateway:
        seen = await asyncio.to_thread(script, gateway.url)
        assert seen == ["open", "cancelled", "50000"]
