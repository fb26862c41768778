"""aiohttp listeners: WebSocket `/ws/api/v2`, HTTP GET `/api/v2/{scope}/{method}`, POST `/api/v2`.

One port for both, as on Deribit; permessage-deflate off. Beside the API: `/health` and `/metrics`.
"""

from __future__ import annotations

import asyncio
import errno
import socket
from collections import deque
from collections.abc import Awaitable
from typing import Any

import prometheus_client
from aiohttp import WSCloseCode, WSMsgType, web

from provenue.gateway.auth import Authenticator
from provenue.gateway.channels import Channels
from provenue.gateway.dispatcher import REQUEST_BYTES_MAX, Answer, Dispatcher
from provenue.gateway.hub import Hub
from provenue.gateway.session import Bucket, Buckets, RateLimit, Session

__all__ = ["Server"]

# A reader this far behind is cut off: the venue must not grow with its slowest client.
OUTGOING_BYTES_MAX = 16 << 20
# Requests of one connection that may be on their way at once.
IN_FLIGHT_MAX = 256


class Server:
    """Serves one dispatcher on one port of 127.0.0.1 (or the given host)."""

    def __init__(
        self,
        dispatcher: Dispatcher,
        hub: Hub,
        authenticator: Authenticator,
        channels: Channels,
        rate_limit: RateLimit,
    ) -> None:
        self._dispatcher = dispatcher
        self._hub = hub
        self._authenticator = authenticator
        self._channels = channels
        self._rate_limit = rate_limit
        self._peers: Buckets[str] = Buckets(rate_limit)
        self._runner: web.AppRunner | None = None
        self._connections: set[_Connection] = set()
        self.port = 0

    @property
    def methods(self) -> list[str]:
        """The served method names."""
        return self._dispatcher.methods

    async def start(self, host: str, port: int) -> None:
        """Listen; port 0 takes a free one (then see `port`)."""
        # The listener reads a little more than a request may have, so that it can say so.
        app = web.Application(client_max_size=2 * REQUEST_BYTES_MAX)
        app.router.add_get("/ws/api/v2", self._websocket)
        app.router.add_get("/api/v2/{scope:public|private}/{method}", self._http_get)
        app.router.add_post("/api/v2", self._http_post)
        app.router.add_post("/api/v2/{scope:public|private}/{method}", self._http_post)
        app.router.add_get("/health", self._health)
        app.router.add_get("/metrics", self._metrics)
        self._runner = web.AppRunner(app, access_log=None, handle_signals=False)
        await self._runner.setup()
        site = web.TCPSite(self._runner, host, port)
        try:
            await site.start()
        except socket.gaierror as problem:
            raise OSError(
                f"host: expected an address of this machine, was {host} ({problem})"
            ) from None
        except OSError as problem:
            if problem.errno != errno.EADDRINUSE:
                raise OSError(f"host and port: cannot serve on {host}:{port} ({problem})") from None
            raise OSError(f"port: expected a free one, was {port} ({problem})") from None
        assert self._runner.addresses
        self.port = self._runner.addresses[0][1]
        self._channels.start()

    async def stop(self) -> None:
        """Close every connection and stop listening."""
        await self._channels.stop()
        await asyncio.gather(*(c.close() for c in list(self._connections)))
        if self._runner is not None:
            await self._runner.cleanup()

    # --- HTTP ------------------------------------------------------------------------------------

    def _session_of(self, request: web.Request) -> Session:
        session = Session(bucket=self._peers.of(request.remote or ""))
        scheme, _, token = request.headers.get("Authorization", "").partition(" ")
        if scheme.lower() == "bearer":
            session.owner = self._authenticator.owner_of_token(token)
        return session

    async def _respond(self, answer: Answer | Awaitable[Answer]) -> web.Response:
        done = answer if isinstance(answer, Answer) else await answer
        return web.Response(
            body=done.body, status=200 if done.good else 400, content_type="application/json"
        )

    async def _http_get(self, request: web.Request) -> web.Response:
        method = f"{request.match_info['scope']}/{request.match_info['method']}"
        params: dict[str, Any] = dict(request.query)
        return await self._respond(self._dispatcher.call(method, params, self._session_of(request)))

    async def _http_post(self, request: web.Request) -> web.Response:
        # Deribit takes the same body at /{scope}/{method}; the method in the body counts.
        try:
            raw = await request.read()
        except web.HTTPRequestEntityTooLarge:
            raw = bytes(REQUEST_BYTES_MAX + 1)  # refused by the dispatcher, in its own words
        except web.RequestPayloadError as problem:
            reason = f"body: expected what its headers say, was not: {problem}"
            return await self._respond(self._dispatcher.unreadable(reason))
        return await self._respond(self._dispatcher.handle(raw, self._session_of(request)))

    async def _health(self, _: web.Request) -> web.Response:
        return web.json_response({"status": "ok"})

    async def _metrics(self, _: web.Request) -> web.Response:
        return web.Response(body=prometheus_client.generate_latest(), content_type="text/plain")

    # --- WebSocket -------------------------------------------------------------------------------

    async def _websocket(self, request: web.Request) -> web.WebSocketResponse:
        # Twice the limit, so that what is a little too large gets an answer; more is cut off.
        socket = web.WebSocketResponse(compress=False, max_msg_size=2 * REQUEST_BYTES_MAX)
        await socket.prepare(request)
        connection = _Connection(
            socket, request, self._dispatcher, Bucket(self._rate_limit), self._authenticator
        )
        self._connections.add(connection)
        try:
            await connection.serve()
        finally:
            self._connections.discard(connection)
            self._hub.drop(connection.session)
        return socket


class _Connection:
    """One WebSocket: requests start in the order they come and may wait together for the journal;
    answers and notifications leave through one queue.
    """

    def __init__(
        self,
        socket: web.WebSocketResponse,
        request: web.Request,
        dispatcher: Dispatcher,
        bucket: Bucket,
        authenticator: Authenticator,
    ) -> None:
        self._socket = socket
        self._transport = request.transport
        self._dispatcher = dispatcher
        self._outgoing: deque[bytes] = deque()
        self._outgoing_bytes = 0
        self._wake = asyncio.Event()
        self._waiting: set[asyncio.Task[None]] = set()
        self.session = Session(send=self.queue, bucket=bucket)
        scheme, _, token = request.headers.get("Authorization", "").partition(" ")
        if scheme.lower() == "bearer":
            self.session.owner = authenticator.owner_of_token(token)

    def queue(self, message: bytes) -> None:
        """Send when the socket is free; a client that does not read is cut off."""
        self._outgoing.append(message)
        self._outgoing_bytes += len(message)
        self._wake.set()
        if self._outgoing_bytes > OUTGOING_BYTES_MAX and self._transport is not None:
            # The writer hangs in the full socket: only the transport itself can end this.
            self._outgoing.clear()
            self._outgoing_bytes = 0
            self._transport.abort()

    async def close(self) -> None:
        """The venue is stopping."""
        await self._socket.close(code=WSCloseCode.GOING_AWAY, message=b"the venue is stopping")

    async def serve(self) -> None:
        """Until either side closes."""
        helpers = [asyncio.create_task(self._write()), asyncio.create_task(self._heartbeat())]
        try:
            async for message in self._socket:
                if message.type not in (WSMsgType.TEXT, WSMsgType.BINARY):
                    break
                if len(self._waiting) >= IN_FLIGHT_MAX:
                    await asyncio.wait(self._waiting, return_when=asyncio.FIRST_COMPLETED)
                self._serve_one(message.data)
        finally:
            for task in [*helpers, *self._waiting]:
                task.cancel()

    def _serve_one(self, raw: bytes | str) -> None:
        # The handler runs now, whatever it then waits for: orders of one connection are sequenced
        # in the order they were sent.
        session = self.session
        session.requests += 1
        answer = self._dispatcher.handle(raw, session)
        if isinstance(answer, Answer):
            self.queue(answer.body)
        else:
            task = asyncio.ensure_future(self._answer_later(answer))
            self._waiting.add(task)
            task.add_done_callback(self._waiting.discard)
        if session.after_answer:
            waiting, session.after_answer = session.after_answer, []
            for action in waiting:
                action()

    async def _answer_later(self, waiting: Awaitable[Answer]) -> None:
        self.queue((await waiting).body)

    async def _write(self) -> None:
        try:
            while True:
                await self._wake.wait()
                self._wake.clear()
                while self._outgoing:
                    message = self._outgoing.popleft()
                    self._outgoing_bytes -= len(message)
                    await self._socket.send_frame(message, WSMsgType.TEXT)
        except ConnectionError:
            pass  # the reading side ends the connection

    async def _heartbeat(self) -> None:
        body = {"jsonrpc": "2.0", "method": "heartbeat", "params": {"type": "test_request"}}
        asked_at: int | None = None
        while True:
            interval_s = self.session.heartbeat_interval_s
            await asyncio.sleep(interval_s or 1)
            if not interval_s:
                asked_at = None
            elif asked_at == self.session.requests:
                await self._socket.close(code=WSCloseCode.POLICY_VIOLATION, message=b"no answer")
                return
            else:
                asked_at = self.session.requests
                self.queue(self._dispatcher.encode(body))
