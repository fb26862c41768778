"""A whole gateway over a real sequencer, journal and engine in a folder; no chain.

The inbox is fed as the follower of the chain would; orders are signed and sent over real sockets.
"""

from __future__ import annotations

import asyncio
import itertools
import time
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import aiohttp
import msgspec
import pytest
from tests.sequencer.world import ANCHOR, CHAIN_ID, DOMAIN, MARK_UNITS, World, address_of, key_of

from provenue import wire
from provenue.client.signing import ActionSigner
from provenue.gateway.app import build
from provenue.gateway.auth import Authenticator, login_digest, login_text
from provenue.gateway.server import Server
from provenue.gateway.session import RateLimit
from provenue.gateway.venue import Venue
from provenue.sequencer.anchor_log import AnchorLog
from provenue.sequencer.read_model import ReadModel
from provenue.sequencer.sequencer import Limits, Sequencer
from provenue.sequencer.service import SequencerService
from provenue.wire import OrderType, Side, TimeInForce

__all__ = [
    "PERPETUAL",
    "SPOT",
    "Api",
    "ApiFailure",
    "Gateway",
    "edit_params",
    "open_gateway",
    "order_params",
    "refused",
    "replace_params",
    "signed",
]

PERPETUAL, SPOT = "BTC-PERPETUAL", "BTC_USDC"
TICK = wire.encode(wire.Tick())


@dataclass(frozen=True)
class Deployment:
    """Where contracts would be."""

    chain_id: int = CHAIN_ID
    contracts: dict[str, str] = field(default_factory=lambda: {"Anchor": "0x" + ANCHOR.hex()})
    assets: tuple[str, ...] = ("USDC", "BTC")
    block: int = 0


class ApiFailure(Exception):  # noqa: N818 - what a test expects
    """The `error` of an answer."""

    def __init__(self, error: dict[str, Any]) -> None:
        super().__init__(str(error))
        self.code: int = error["code"]
        self.message: str = error["message"]
        self.data: dict[str, Any] = error.get("data", {})


class Api:
    """A WebSocket client written for the tests: it shares no code with the SDK."""

    def __init__(self, socket: aiohttp.ClientWebSocketResponse) -> None:
        self.socket = socket
        self.notifications: asyncio.Queue[dict[str, Any]] = asyncio.Queue()
        self._waiting: dict[int, asyncio.Future[Any]] = {}
        self._ids = itertools.count(1)
        self._reader = asyncio.create_task(self._read())

    async def _read(self) -> None:
        async for message in self.socket:
            answer = msgspec.json.decode(message.data)
            if "method" in answer:
                self.notifications.put_nowait(answer)
            else:
                future = self._waiting.pop(answer["id"])
                if "error" in answer:
                    future.set_exception(ApiFailure(answer["error"]))
                else:
                    future.set_result(answer["result"])
        for future in self._waiting.values():
            future.set_exception(ConnectionError("closed"))

    async def send(self, method: str, **params: Any) -> asyncio.Future[Any]:
        """Send without waiting for the answer."""
        number = next(self._ids)
        future: asyncio.Future[Any] = asyncio.get_running_loop().create_future()
        self._waiting[number] = future
        body = {"jsonrpc": "2.0", "id": number, "method": method, "params": params}
        await self.socket.send_str(msgspec.json.encode(body).decode())
        return future

    async def call(self, method: str, **params: Any) -> Any:
        """Send and wait."""
        return await asyncio.wait_for(await self.send(method, **params), 10)

    async def next(self, channel: str, timeout: float = 5) -> Any:
        """Data of the next notification on a channel; others are dropped."""
        async with asyncio.timeout(timeout):
            while True:
                notification = await self.notifications.get()
                if notification["params"].get("channel") == channel:
                    return notification["params"]["data"]

    def drain(self) -> list[dict[str, Any]]:
        """Notifications that have come."""
        found = []
        while not self.notifications.empty():
            found.append(self.notifications.get_nowait())
        return found

    async def login(self, trader: int, nonce: str = "n") -> dict[str, Any]:
        """Log in as a trader of the world."""
        return await self.call("public/auth", **login_params(trader, nonce=nonce))

    async def close(self) -> None:
        """Close the connection."""
        await self.socket.close()
        await self._reader


async def refused(api: Api, method: str, **params: Any) -> ApiFailure:
    """The error of a call that has to be refused."""
    with pytest.raises(ApiFailure) as failure:
        await api.call(method, **params)
    return failure.value


def login_params(
    trader: int, *, nonce: str = "n", at_ms: int | None = None, signer: int | None = None
) -> dict[str, Any]:
    """Parameters of public/auth."""
    at_ms = at_ms if at_ms is not None else time.time_ns() // 1_000_000
    text = login_text(
        chain_id=CHAIN_ID,
        anchor=ANCHOR,
        address=address_of(trader),
        timestamp_ms=at_ms,
        nonce=nonce,
    )
    key = key_of(trader if signer is None else signer)
    return {
        "grant_type": "wallet_signature",
        "address": "0x" + address_of(trader).hex(),
        "timestamp": at_ms,
        "nonce": nonce,
        "signature": wire.sign_digest(login_digest(text), key).hex(),
    }


def signed(action: Any) -> dict[str, Any]:
    """The envelope of a signed action."""
    return {
        "account": str(action.account),
        "key": action.key,
        "nonce": action.nonce,
        "expires_at": action.expires_at_ms,
        "signature": action.signature.hex(),
    }


def order_params(
    signer: ActionSigner,
    side: Side,
    lots: int,
    ticks: int,
    *,
    instrument: int = 0,
    immediate: bool = False,
    market: bool = False,
    **terms: Any,
) -> dict[str, Any]:
    """Parameters of private/buy or private/sell; a tick is 0.01 USDC, a lot 0.0001 BTC. `terms` are
    those of ActionSigner.place.
    """
    if immediate:
        terms["time_in_force"] = TimeInForce.IMMEDIATE_OR_CANCEL
    action = signer.place(
        instrument=instrument,
        side=side,
        size_lots=lots,
        price_ticks=ticks,
        order_type=OrderType.MARKET if market else OrderType.LIMIT,
        **terms,
    )
    return {"instrument_name": (PERPETUAL, SPOT)[instrument], **shown(action)}


def replace_params(
    signer: ActionSigner, order_id: str, lots: int, ticks: int, **terms: Any
) -> dict[str, Any]:
    """Parameters of private/replace."""
    action = signer.replace(int(order_id), size_lots=lots, price_ticks=ticks, **terms)
    return {"order_id": order_id, **shown(action)}


def edit_params(signer: ActionSigner, order_id: str, lots: int, ticks: int) -> dict[str, Any]:
    """Parameters of private/edit."""
    action = signer.amend(int(order_id), size_lots=lots, price_ticks=ticks)
    return {
        "order_id": order_id, "amount": lots / 10_000, "price": ticks / 100, **signed(action)
    }  # fmt: skip


def shown(action: wire.Place | wire.Replace) -> dict[str, Any]:
    """A signed order in the API's words; shares no code with the gateway."""
    params: dict[str, Any] = {
        "amount": action.size_lots / 10_000,
        "type": ("limit", "market")[action.order_type],
        "time_in_force": (
            "good_til_cancelled", "immediate_or_cancel", "fill_or_kill", "good_til_date",
        )[action.time_in_force],
        **signed(action),
    }  # fmt: skip
    if action.price_ticks:
        params["price"] = action.price_ticks / 100
    if action.flags & 1:
        params |= {"post_only": True, "reject_post_only": not action.flags & 2}
    if action.flags & 4:
        params["reduce_only"] = True
    if action.self_trade:
        modes = ("cancel_maker", "cancel_taker", "cancel_both", "decrement")
        params["self_trade"] = modes[action.self_trade]
    if action.client_id:
        params["label"] = str(action.client_id)
    if action.good_till_s:
        params["good_til_timestamp"] = action.good_till_s * 1_000
    return params


@dataclass
class Gateway:
    """A running gateway and what is behind it."""

    folder: Path
    world: World
    service: SequencerService
    read_model: ReadModel
    anchor_log: AnchorLog
    venue: Venue
    server: Server
    http: aiohttp.ClientSession
    signers: list[ActionSigner]
    apis: list[Api] = field(default_factory=list)

    @property
    def url(self) -> str:
        """The HTTP root."""
        return f"http://127.0.0.1:{self.server.port}"

    async def connect(self, trader: int | None = None) -> Api:
        """A new connection, logged in as a trader."""
        socket = await self.http.ws_connect(self.url + "/ws/api/v2", max_msg_size=0)
        api = Api(socket)
        self.apis.append(api)
        if trader is not None:
            await api.login(trader, nonce=str(len(self.apis)))
        return api

    async def set_price(self, price_units: int) -> None:
        """Two signers agree on a mark."""
        self.world.now_ms = time.time_ns() // 1_000_000
        for signer in range(2):
            outcome = await self.service.submit(self.world.prices(signer, price_units))
            assert outcome.code == wire.Code.OK, outcome.code


@asynccontextmanager
async def open_gateway(
    folder: Path,
    *,
    seed: int = 1,
    preset: str = "dev",
    traders: int = 4,
    rate_limit: RateLimit | None = None,
    limits: Limits | None = None,
    world: World | None = None,
) -> AsyncIterator[Gateway]:
    """Recover (or begin) in a folder, list everything, deposit for the traders, and listen."""
    first = world is None
    world = world or World(seed, traders)
    world.now_ms = time.time_ns() // 1_000_000
    read_model = ReadModel(folder / "read.sqlite")
    anchor_log = AnchorLog(folder / "anchor.sqlite")
    sequencer = Sequencer(
        folder / "journal",
        preset=preset,
        guest_traps=_never,
        limits=limits,
        published=read_model.last_sequence(),
        republish=read_model.take,
    )
    service = SequencerService(sequencer, tick_interval_ms=60_000, tick=TICK)
    service.subscribe(read_model.take)
    venue = Venue(service, read_model, anchor_log, Deployment())
    authenticator = Authenticator(chain_id=CHAIN_ID, anchor=ANCHOR)
    server = build(venue, authenticator, rate_limit=rate_limit)
    service.start()
    await server.start("127.0.0.1", 0)
    signers = [ActionSigner(DOMAIN, 1 << 32 | i + 1, 0, key_of(i)) for i in range(traders)]
    async with aiohttp.ClientSession() as http:
        gateway = Gateway(
            folder, world, service, read_model, anchor_log, venue, server, http, signers
        )
        if first:
            service.offer_inbox(world.inbox)
            while True:
                if venue.directory.of_owner(address_of(traders - 1)):
                    break
                await asyncio.sleep(0.01)
            # A first price only: a later one would sample a premium, and funding would move.
            await gateway.set_price(MARK_UNITS)
        try:
            yield gateway
        finally:
            for api in gateway.apis:
                await api.close()
            await server.stop()
            await service.stop()
            read_model.close()
    if service.failed is not None:
        raise service.failed


def _never(*_: object, **__: object) -> bool:
    raise AssertionError("no message may fault here")
