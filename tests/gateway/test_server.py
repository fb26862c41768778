"""The listeners: HTTP in every form clients use, order of arrival, slow and greedy clients."""

from __future__ import annotations

import asyncio
import json
import random
from pathlib import Path
from typing import Any

import aiohttp
import msgspec
import pytest
from tests.gateway.venue_world import (
    PERPETUAL,
    Api,
    ApiFailure,
    Gateway,
    open_gateway,
    order_params,
    signed,
)

from provenue import wire
from provenue.gateway import server
from provenue.gateway.dispatcher import REQUEST_BYTES_MAX
from provenue.gateway.session import RateLimit
from provenue.wire import Side

BUY, SELL = Side.BUY, Side.SELL
WANTED = """
    public/auth public/logout public/hello public/test public/get_time public/status
    public/set_heartbeat public/disable_heartbeat public/subscribe public/unsubscribe
    public/unsubscribe_all public/get_deployment public/get_currencies public/get_instruments
    public/get_instrument public/get_order_book public/ticker
    public/get_book_summary_by_currency public/get_book_summary_by_instrument
    public/get_last_trades_by_instrument public/get_index_price public/get_funding_rate_value
    public/get_accounts public/get_batches public/get_withdrawal_proof public/submit
    public/relay_prices
    private/buy private/sell private/cancel private/cancel_all
    private/cancel_all_by_instrument private/withdraw private/set_key private/subscribe
    private/unsubscribe private/unsubscribe_all private/get_open_orders
    private/get_open_orders_by_instrument private/get_open_orders_by_currency
    private/get_order_state private/get_order_history_by_instrument
    private/get_user_trades_by_instrument private/get_user_trades_by_currency
    private/get_user_trades_by_order private/get_positions private/get_position
    private/get_account_summary private/get_account_summaries private/get_subaccounts
"""
PARAMETERS = """
    instrument_name currency kind count depth interval id order_id account address amount
    price sorting channels start_timestamp end_timestamp index_name offset message slot
"""


async def get(gateway: Gateway, path: str, params: dict[str, Any]) -> tuple[int, dict[str, Any]]:
    query = {
        name: ("true" if value else "false") if isinstance(value, bool) else str(value)
        for name, value in params.items()
    }
    async with gateway.http.get(f"{gateway.url}/api/v2/{path}", params=query) as response:
        return response.status, msgspec.json.decode(await response.read())


async def post(gateway: Gateway, path: str, raw: bytes) -> tuple[int, dict[str, Any]]:
    async with gateway.http.post(f"{gateway.url}{path}", data=raw) as response:
        assert response.content_type == "application/json"
        return response.status, msgspec.json.decode(await response.read())


async def test_a_client_that_knows_only_get_can_trade(tmp_path: Path) -> None:
    async with open_gateway(tmp_path) as gateway:
        signer = gateway.signers[0]
        params = order_params(signer, BUY, 100, 24_950, post_only=True, client_id=3)
        status, body = await get(gateway, "private/buy", params | {"clientOrderId": "3", "x": "y"})
        assert status == 200, body
        order = body["result"]["order"]
        assert (order["price"], order["amount"], order["post_only"]) == (249.5, 0.01, True)
        order_id = order["order_id"]
        status, body = await get(
            gateway,
            "private/cancel",
            {"order_id": order_id, **signed(signer.cancel(int(order_id)))},
        )
        assert (status, body["result"]["order_state"]) == (200, "cancelled")
        status, body = await get(gateway, "public/ticker", {"instrument_name": PERPETUAL})
        assert (status, body["result"]["mark_price"]) == (200, 250)
        status, body = await get(gateway, "public/ticker", {"instrument_name": "X"})
        assert (status, body["error"]["code"]) == (400, 10020)
        status, body = await get(gateway, "private/get_positions", {})
        assert (status, body["error"]["code"]) == (400, 13009)
        status, body = await get(gateway, "public/subscribe", {"channels": "x"})
        assert (status, body["error"]["code"]) == (400, 10030)
        status, body = await get(gateway, "public/nothing", {})
        assert (status, body["error"]["code"]) == (400, -32601)


@pytest.mark.parametrize("path", ["/api/v2", "/api/v2/public/ticker", "/api/v2/private/buy"])
async def test_post_takes_json_rpc_at_every_address(tmp_path: Path, path: str) -> None:
    async with open_gateway(tmp_path, preset="minimal", traders=1) as gateway:
        body = {"jsonrpc": "2.0", "id": 5, "method": "public/ticker",
                "params": {"instrument_name": PERPETUAL}}  # fmt: skip
        status, answer = await post(gateway, path, json.dumps(body).encode())
        assert (status, answer["id"], answer["result"]["mark_price"]) == (200, 5, 250)
        status, answer = await post(gateway, path, b"{")
        assert (status, answer["error"]["code"]) == (400, -32700)
        status, answer = await post(gateway, path, json.dumps([body]).encode())
        assert (status, answer["error"]["code"]) == (400, -32600)
        for size in (REQUEST_BYTES_MAX + 1, 3 * REQUEST_BYTES_MAX):
            status, answer = await post(gateway, path, b" " * size)
            assert (status, answer["error"]["code"]) == (400, -32600)


async def test_a_body_that_is_not_in_its_encoding_is_told(tmp_path: Path) -> None:
    async with (
        open_gateway(tmp_path, preset="minimal", traders=1) as gateway,
        gateway.http.post(
            f"{gateway.url}/api/v2", data=b"nonsense", headers={"Content-Encoding": "gzip"}
        ) as response,
    ):
        answer = msgspec.json.decode(await response.read())
        assert (response.status, answer["error"]["code"]) == (400, -32700)
        assert "body" in answer["error"]["data"]["reason"]


async def test_health_and_metrics_answer(tmp_path: Path) -> None:
    async with open_gateway(tmp_path, preset="minimal", traders=1) as gateway:
        async with gateway.http.get(gateway.url + "/health") as response:
            assert await response.json() == {"status": "ok"}
        async with gateway.http.get(gateway.url + "/metrics") as response:
            assert "python_info" in await response.text()


async def test_orders_of_a_connection_are_sequenced_as_they_were_sent(
    tmp_path: Path, rng: random.Random
) -> None:
    """Hundreds on the way at once, over several connections: order ids rise with the sending."""
    async with open_gateway(tmp_path) as gateway:
        apis = [await gateway.connect() for _ in range(3)]
        waiting: list[list[asyncio.Future[Any]]] = [[], [], []]
        for index in range(90):
            number = rng.randrange(3)
            if len(waiting[number]) >= 60:  # an account holds 64 orders
                continue
            params = order_params(gateway.signers[number], BUY, 1 + index, 20_000 + index)
            if rng.random() < 0.3:  # unlike requests, some answered at once, in between
                await apis[number].send("public/ticker", instrument_name=PERPETUAL)
            if rng.random() < 0.5:
                waiting[number].append(await apis[number].send("private/buy", **params))
            else:
                action = gateway.signers[number].place(
                    instrument=0, side=BUY, size_lots=1 + index, price_ticks=20_000 + index
                )
                message = wire.encode(action).hex()
                waiting[number].append(await apis[number].send("public/submit", message=message))
        for futures in waiting:
            results = await asyncio.gather(*futures)
            ids = [int(r.get("result", r)["order"]["order_id"]) for r in results]
            assert len(ids) > 10
            assert ids == sorted(ids)


async def test_a_cancel_sent_behind_its_order_finds_it(tmp_path: Path) -> None:
    """Both in one TCP segment: the second must not overtake the first."""
    async with open_gateway(tmp_path) as gateway:
        api = await gateway.connect()
        signer = gateway.signers[0]
        for index in range(40):
            placing = await api.send("private/buy", **order_params(signer, BUY, 5, 20_000 + index))
            cancelling = await api.send("private/cancel_all", **signed(signer.cancel_all()))
            await placing
            assert await cancelling == 1


async def test_a_client_that_does_not_read_is_cut_off(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(server, "OUTGOING_BYTES_MAX", 200_000)
    async with open_gateway(tmp_path) as gateway:
        reader, writer = await asyncio.open_connection("127.0.0.1", gateway.server.port, limit=1)
        writer.write(
            b"GET /ws/api/v2 HTTP/1.1\r\nHost: x\r\nUpgrade: websocket\r\n"
            b"Connection: Upgrade\r\nSec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\n"
            b"Sec-WebSocket-Version: 13\r\n\r\n"
        )
        # From here on it only sends: masked frames with a zero mask.
        body = b'{"id":1,"method":"public/get_instruments"}'
        frame = bytes([0x81, 0x80 | len(body)]) + bytes(4) + body
        cut = False
        for _ in range(3_000):
            try:
                writer.write(frame * 20)
                await asyncio.wait_for(writer.drain(), 5)
            except (ConnectionError, TimeoutError):
                cut = True
                break
        assert cut, "thousands of unread answers piled up"
        writer.close()
        # Everyone else goes on.
        api = await gateway.connect()
        assert await api.call("public/test")
        assert reader is not None


async def test_a_message_that_is_too_large_gets_an_answer_or_the_end(tmp_path: Path) -> None:
    async with open_gateway(tmp_path, preset="minimal", traders=1) as gateway:
        socket = await gateway.http.ws_connect(gateway.url + "/ws/api/v2")
        await socket.send_str(" " * (REQUEST_BYTES_MAX + 1))
        answer = await socket.receive_json()
        assert answer["error"]["code"] == -32600
        await socket.send_str(" " * (3 * REQUEST_BYTES_MAX))
        assert (await socket.receive()).type in (
            aiohttp.WSMsgType.CLOSE,
            aiohttp.WSMsgType.CLOSED,
            aiohttp.WSMsgType.ERROR,
        )


async def test_binary_frames_and_nonsense_are_answered(tmp_path: Path) -> None:
    async with open_gateway(tmp_path, preset="minimal", traders=1) as gateway:
        socket = await gateway.http.ws_connect(gateway.url + "/ws/api/v2")
        await socket.send_bytes(b'{"id":1,"method":"public/test"}')
        assert (await socket.receive_json())["result"]["version"]
        for raw in (b"\xff\xff", b"", b"[]", b"{}"):
            await socket.send_bytes(raw)
            assert "error" in await socket.receive_json()
        await socket.close()


async def test_the_rate_limit_is_per_connection(tmp_path: Path) -> None:
    limit = RateLimit(per_second=1, burst=20)
    async with open_gateway(tmp_path, preset="minimal", traders=1, rate_limit=limit) as gateway:
        greedy, modest = await gateway.connect(), await gateway.connect()
        answers = await asyncio.gather(
            *[await greedy.send("public/test") for _ in range(50)], return_exceptions=True
        )
        refused = [a for a in answers if isinstance(a, ApiFailure)]
        assert 25 <= len(refused) <= 30
        assert {a.code for a in refused} == {10028}
        assert await modest.call("public/test")
        # Over HTTP the peer's address counts, whatever connection it uses.
        codes = []
        for _ in range(30):
            _, body = await get(gateway, "public/test", {})
            codes.append(body.get("error", {}).get("code"))
        assert codes[:20] == [None] * 20
        assert codes[-1] == 10028


async def test_heartbeats_are_asked_for_and_a_dead_client_is_closed(tmp_path: Path) -> None:
    async with open_gateway(tmp_path, preset="minimal", traders=1) as gateway:
        lively, dead = await gateway.connect(), await gateway.connect()
        for api in (lively, dead):
            assert await api.call("public/set_heartbeat", interval=1) == "ok"
        for _ in range(3):
            asked = await asyncio.wait_for(lively.notifications.get(), 5)
            assert asked == {
                "jsonrpc": "2.0",
                "method": "heartbeat",
                "params": {"type": "test_request"},
            }
            await lively.call("public/test")
        assert dead.socket.closed
        assert not lively.socket.closed
        await lively.call("public/disable_heartbeat")


async def test_after_the_sequencer_has_stopped_orders_are_refused_and_nothing_hangs(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    with pytest.raises(OSError, match="disk"):  # noqa: PT012 - it comes out at the end, too
        async with open_gateway(tmp_path) as gateway:
            api = await gateway.connect()
            await api.call("private/buy", **order_params(gateway.signers[0], BUY, 5, 20_000))

            def full() -> int:
                raise OSError("no space left on the disk")

            monkeypatch.setattr(gateway.service.sequencer.journal, "commit", full)
            for _ in range(2):  # the one under way, then one behind it
                with pytest.raises(ApiFailure) as failure:
                    await api.call(
                        "private/buy", **order_params(gateway.signers[0], BUY, 5, 20_000)
                    )
                assert failure.value.code == 10040
            assert (await api.call("public/ticker", instrument_name=PERPETUAL))["mark_price"] == 250


async def test_every_documented_method_is_served(tmp_path: Path) -> None:
    limit = RateLimit(per_second=10**6, burst=10**6)
    async with open_gateway(tmp_path, preset="minimal", traders=1, rate_limit=limit) as gateway:
        assert set(WANTED.split()) <= set(gateway.server.methods)
        # No method answers any parameter of a wrong type with a bug.
        api = await gateway.connect(0)
        await _throw_at_everything(gateway, api)


async def _throw_at_everything(gateway: Gateway, api: Api) -> None:
    values: list[Any] = [None, True, -1, 1.5, 10**30, "x", "", [], {}, [[]], "9" * 60]
    names = PARAMETERS.split()
    for method in gateway.server.methods:
        if method.endswith(("logout", "set_heartbeat")):
            continue
        for value in values:
            params = dict.fromkeys(names, value)
            for changed in ({}, {"instrument_name": PERPETUAL}, {"account": None}):
                merged = {k: v for k, v in (params | changed).items() if v is not None}
                assert await _code(api, method, merged) != -32603, (method, merged)


async def _code(api: Api, method: str, params: dict[str, Any]) -> int | None:
    try:
        await api.call(method, **params)
    except ApiFailure as failure:
        return failure.code
    return None
