"""aiohttp listeners: WebSocket `/ws/api/v2`, HTTP GET `/api/v2/{scope}/{method}`, POST `/api/v2`.

One port for both, as on Deribit; permessage-deflate off. Beside the API: `/health` and `/metrics`.
"""

from __future__ import annotations

import asyncio
from collections import deque
from typing import Any

import prometheus_client
from aiohttp import WSCloseCode, WSMsgType, web

from provenue.gateway.auth import Authenticator
from provenue.gateway.dispatcher import REQUEST_BYTES_MAX, Dispatcher
from provenue.gateway.errors import ApiError
from provenue.gateway.hub import Hub
from provenue.gateway.session import Session

__all__ = ["Server"]

# A reader this far behind is cut off: the venue must not grow with its slowest client.
OUTGOING_MAX = 10_000
# Requests of one connection that may be on their way at once.
IN_FLIGHT_MAX = 256


class Server:
    """Serves one dispatcher on one port of 127.0.0.1 (or the given host)."""

    def __init__(self, dispatcher: Dispatcher, hub: Hub, authenticator: Authenticator) -> None:
        self._dispatcher = dispatcher
        self._hub = hub
        self._authenticator = authenticator
        self._runner: web.AppRunner | None = None
        self._sockets: set[web.WebSocketResponse] = set()
        self.port = 0

    async def start(self, host: str, port: int) -> None:
        """Listen; port 0 takes a free one (then see `port`)."""
        app = web.Application(client_max_size=REQUEST_BYTES_MAX)
        app.router.add_get("/ws/api/v2", self._websocket)
        app.router.add_get("/api/v2/{scope:public|private}/{method}", self._http_get)
        app.router.add_post("/api/v2", self._http_post)
        app.router.add_post("/api/v2/{scope:public|private}/{method}", self._http_post_method)
        app.router.add_get("/health", self._health)
        app.router.add_get("/metrics", self._metrics)
        self._runner = web.AppRunner(app, access_log=None, handle_signals=False)
        await self._runner.setup()
        site = web.TCPSite(self._runner, host, port)
        await site.start()
        assert self._runner.addresses
        self.port = self._runner.addresses[0][1]

    async def stop(self) -> None:
        """Close every connection and stop listening."""
        for socket in list(self._sockets):
            await socket.close(code=WSCloseCode.GOING_AWAY, message=b"the venue is stopping")
        if self._runner is not None:
            await self._runner.cleanup()

    # --- HTTP ------------------------------------------------------------------------------------

    def _session_of(self, request: web.Request) -> Session:
        session = Session()
        header = request.headers.get("Authorization", "")
        if header.startswith("Bearer "):
            session.owner = self._authenticator.owner_of_token(header.removeprefix("Bearer "))
        return session

    async def _answer(self, handled: tuple[bytes, bool]) -> web.Response:
        body, good = handled
        return web.Response(body=body, status=200 if good else 400, content_type="application/json")

    async def _http_get(self, request: web.Request) -> web.Response:
        method = f"{request.match_info['scope']}/{request.match_info['method']}"
        params: dict[str, Any] = dict(request.query)
        return await self._answer(
            await self._dispatcher.call(method, params, self._session_of(request))
        )

    async def _http_post(self, request: web.Request) -> web.Response:
        raw = await request.read()
        session = self._session_of(request)
        return await self._answer(await self._dispatcher.handle_with_status(raw, session))

    async def _http_post_method(self, request: web.Request) -> web.Response:
        # Deribit takes the same body here; the method in the body counts.
        return await self._http_post(request)

    async def _health(self, _: web.Request) -> web.Response:
        return web.json_response({"status": "ok"})

    async def _metrics(self, _: web.Request) -> web.Response:
        return web.Response(body=prometheus_client.generate_latest(), content_type="text/plain")

    # --- WebSocket -------------------------------------------------------------------------------

    async def _websocket(self, request: web.Request) -> web.WebSocketResponse:
        socket = web.WebSocketResponse(
            compress=False, max_msg_size=REQUEST_BYTES_MAX, autoping=True
        )
        await socket.prepare(request)
        connection = _Connection(socket, self._dispatcher)
        self._sockets.add(socket)
        try:
            await connection.serve()
        finally:
            self._sockets.discard(socket)
            self._hub.drop(connection.session)
        return socket


class _Connection:
    """One WebSocket: requests run concurrently, answers and notifications leave in one order."""

    def __init__(self, socket: web.WebSocketResponse, dispatcher: Dispatcher) -> None:
        self._socket = socket
        self._dispatcher = dispatcher
        self._outgoing: deque[bytes] = deque()
        self._wake = asyncio.Event()
        self._tasks: set[asyncio.Task[None]] = set()
        self._overflow = False
        self.session = Session(send=self.queue)

    def queue(self, message: bytes) -> None:
        """Send when the socket is free; a client that does not read is cut off."""
        if len(self._outgoing) >= OUTGOING_MAX:
            self._overflow = True
        else:
            self._outgoing.append(message)
        self._wake.set()

    async def serve(self) -> None:
        writer = asyncio.create_task(self._write())
        heartbeat = asyncio.create_task(self._heartbeat())
        try:
            async for message in self._socket:
                if message.type not in (WSMsgType.TEXT, WSMsgType.BINARY):
                    break
                if len(self._tasks) >= IN_FLIGHT_MAX:
                    await asyncio.wait(self._tasks, return_when=asyncio.FIRST_COMPLETED)
                # Started eagerly in arrival order, so orders of one connection are sequenced in
                # the order they were sent.
                task = asyncio.create_task(self._serve_one(message.data))
                self._tasks.add(task)
                task.add_done_callback(self._tasks.discard)
        finally:
            writer.cancel()
            heartbeat.cancel()
            for task in self._tasks:
                task.cancel()

    async def _serve_one(self, raw: bytes | str) -> None:
        self.queue(await self._dispatcher.handle(raw, self.session))

    async def _write(self) -> None:
        while True:
            await self._wake.wait()
            self._wake.clear()
            while self._outgoing:
                # Decoding costs less than a client that expects text and gets binary.
                await self._socket.send_str(self._outgoing.popleft().decode())
            if self._overflow:
                await self._socket.close(code=WSCloseCode.POLICY_VIOLATION, message=b"too slow")
                return

    async def _heartbeat(self) -> None:
        while True:
            interval_s = self.session.heartbeat_interval_s
            await asyncio.sleep(interval_s or 1)
            if interval_s:
                body = {
                    "jsonrpc": "2.0",
                    "method": "heartbeat",
                    "params": {"type": "test_request"},
                }
                self.queue(self._dispatcher.encode(body))


def http_error(error: ApiError) -> web.Response:
    """An API error as an HTTP answer outside JSON-RPC."""
    return web.json_response({"error": error.body()}, status=400)
