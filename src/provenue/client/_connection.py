"""One WebSocket to the venue: concurrent calls, subscriptions, and coming back when it breaks.

Calls that wait when the connection ends fail (their outcome is unknown); nothing is sent twice.
Subscriptions live on: after reconnecting, the login and every channel are made again, and book
channels begin with a new snapshot.
"""

from __future__ import annotations

import asyncio
import contextlib
import itertools
from collections import deque
from collections.abc import Awaitable, Callable
from decimal import Decimal
from types import TracebackType
from typing import Any, Final, Self, TypeAlias
from urllib.parse import urlsplit, urlunsplit

import aiohttp
import msgspec

from provenue.client.errors import (
    ClientError,
    ConnectionFailedError,
    NotAuthorizedError,
    OutcomeUnknownError,
    RateLimitedError,
    RejectedError,
    RequestError,
    SubscriptionError,
)

__all__ = ["Connection", "Request", "Subscription", "websocket_url"]

_PATH: Final = "/ws/api/v2"
_SCHEMES: Final = {"http": "ws", "https": "wss", "ws": "ws", "wss": "wss"}
_TIMEOUT_S: Final = 30.0
_RETRY_S_FIRST, _RETRY_S_LAST = 0.1, 5.0
_WAITING_MAX: Final = 10_000
_TOO_MANY_REQUESTS: Final = 10028
_NOT_AUTHORIZED: Final = (13004, 13009)


Request: TypeAlias = Callable[[str, dict[str, Any]], Awaitable[Any]]


def websocket_url(url: str) -> str:
    """The WebSocket of an API URL (http, https, ws or wss; the path may be left out)."""
    try:
        parts = urlsplit(url)
        good = parts.scheme in _SCHEMES and bool(parts.hostname) and parts.port != 0
    except (ValueError, AttributeError):  # a port beyond 65535, half an IPv6 address, no text
        good = False
    if not good:
        raise ConnectionFailedError(f"api_url: expected an http, https, ws or wss URL, was {url!r}")
    path = parts.path.rstrip("/")
    if path in ("", "/api/v2"):
        path = _PATH
    return urlunsplit((_SCHEMES[parts.scheme], parts.netloc, path, "", ""))


def _error_of(method: str, error: dict[str, Any]) -> RequestError:
    code, message, data = error["code"], error["message"], error.get("data")
    if isinstance(data, dict) and "code" in data:
        kind: type[RequestError] = RejectedError
    elif code == _TOO_MANY_REQUESTS:
        kind = RateLimitedError
    elif code in _NOT_AUTHORIZED:
        kind = NotAuthorizedError
    else:
        kind = RequestError
    return kind(method, code, message, data)


class Subscription:
    """What comes on one channel, in order: `async for data in subscription`.

    A reader that falls _WAITING_MAX messages behind gets SubscriptionError, not a gap.
    """

    def __init__(self, connection: Connection, channel: str) -> None:
        self.channel = channel
        self._connection = connection
        self._waiting: deque[Any] = deque()
        self._wake = asyncio.Event()
        self._end: ClientError | None = None
        self._closed = False

    def put(self, data: Any) -> None:
        """One notification has come."""
        if len(self._waiting) >= _WAITING_MAX:
            self.end(SubscriptionError(f"{self.channel}: read too slowly; subscribe again"))
        else:
            self._waiting.append(data)
            self._wake.set()

    def end(self, reason: ClientError | None) -> None:
        """No more will come."""
        self._end, self._closed = reason, True
        self._wake.set()

    def __aiter__(self) -> Self:
        return self

    async def __anext__(self) -> Any:
        while not self._waiting:
            if self._closed:
                if self._end is not None:
                    raise self._end
                raise StopAsyncIteration
            self._wake.clear()
            await self._wake.wait()
        return self._waiting.popleft()

    async def close(self) -> None:
        """Unsubscribe."""
        self.end(None)
        await self._connection.leave(self)

    async def __aenter__(self) -> Self:
        return self

    async def __aexit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        await self.close()


class Connection:
    """Calls and subscriptions over one WebSocket that is kept open.

    `greet` is run after each connecting, before anything else is sent (logging in); what it gets
    makes calls.
    """

    def __init__(
        self,
        url: str,
        *,
        greet: Callable[[Request], Awaitable[None]] | None = None,
        timeout_s: float = _TIMEOUT_S,
    ) -> None:
        self.url = websocket_url(url)
        self._greet = greet
        self._timeout_s = timeout_s
        self._ids = itertools.count(1)
        self._encoder = msgspec.json.Encoder(decimal_format="string")
        # JSON numbers come as the decimals that were written, never as floats.
        self._decoder = msgspec.json.Decoder(float_hook=Decimal)
        self._calls: dict[int, tuple[str, asyncio.Future[Any]]] = {}
        self._channels: dict[str, list[Subscription]] = {}
        self._http: aiohttp.ClientSession | None = None
        self._socket: aiohttp.ClientWebSocketResponse | None = None
        self._keeper: asyncio.Task[None] | None = None
        self._reader: asyncio.Task[None]
        self._ready = asyncio.Event()
        self._closing = False

    async def open(self) -> None:
        """Connect; ConnectionFailedError if the venue cannot be reached."""
        self._http = aiohttp.ClientSession()
        try:
            await self._connect()
        except BaseException:
            await self._http.close()
            raise
        self._keeper = asyncio.create_task(self._keep(), name="provenue-connection")

    async def close(self) -> None:
        """Close for good; subscriptions end."""
        self._closing = True
        if self._socket is not None:
            await self._socket.close()
        if self._keeper is not None:
            self._keeper.cancel()
            await asyncio.gather(self._keeper, return_exceptions=True)
        if self._http is not None:
            await self._http.close()
        for listeners in self._channels.values():
            for subscription in listeners:
                subscription.end(None)
        self._fail_calls()

    # --- calls -----------------------------------------------------------------------------------

    async def call(self, method: str, params: dict[str, Any] | None = None) -> Any:
        """Call and wait for the result. Concurrent calls are sent in the order they are made."""
        if not self._ready.is_set():
            raise ConnectionFailedError(f"{method}: {self.url}: not connected; it is being retried")
        return await self._request(method, params or {})

    async def _request(self, method: str, params: dict[str, Any]) -> Any:
        assert self._socket is not None
        number = next(self._ids)
        body = {"jsonrpc": "2.0", "id": number, "method": method, "params": params}
        try:
            frame = self._encoder.encode(body)
        except (TypeError, OverflowError, UnicodeEncodeError) as problem:
            raise ClientError(f"{method}: params: expected what JSON can hold: {problem}") from None
        future: asyncio.Future[Any] = asyncio.get_running_loop().create_future()
        self._calls[number] = (method, future)
        try:
            async with asyncio.timeout(self._timeout_s):
                await self._socket.send_frame(frame, aiohttp.WSMsgType.TEXT)
                return await future
        except TimeoutError:
            raise OutcomeUnknownError(f"{method}: no answer in {self._timeout_s:g} s") from None
        except ConnectionError as problem:
            raise OutcomeUnknownError(f"{method}: the connection broke: {problem}") from None
        finally:
            self._calls.pop(number, None)

    async def wait_ready(self, timeout_s: float | None = None) -> None:
        """Until connected and logged in again."""
        try:
            async with asyncio.timeout(self._timeout_s if timeout_s is None else timeout_s):
                await self._ready.wait()
        except TimeoutError:
            raise ConnectionFailedError(f"{self.url}: cannot be reached") from None

    # --- subscriptions ---------------------------------------------------------------------------

    async def subscribe(self, channel: str) -> Subscription:
        """Listen to a channel; SubscriptionError when the venue has none of that name."""
        subscription = Subscription(self, channel)
        listeners = self._channels.setdefault(channel, [])
        listeners.append(subscription)
        try:
            # Asked again even if another listens, so that a new snapshot comes for this one.
            if len(listeners) > 1:
                await self.call(_method(channel, "unsubscribe"), {"channels": [channel]})
            accepted = await self.call(_method(channel, "subscribe"), {"channels": [channel]})
        except BaseException:
            self._forget(subscription)
            raise
        if channel not in accepted:
            self._forget(subscription)
            raise SubscriptionError(
                f"{channel}: the venue has no such channel, or it needs a login"
            )
        return subscription

    async def leave(self, subscription: Subscription) -> None:
        """Unsubscribe when nobody else listens."""
        channel = subscription.channel
        self._forget(subscription)
        if channel not in self._channels and self._ready.is_set():
            with contextlib.suppress(ClientError):
                await self.call(_method(channel, "unsubscribe"), {"channels": [channel]})

    def _forget(self, subscription: Subscription) -> None:
        listeners = self._channels.get(subscription.channel, [])
        if subscription in listeners:
            listeners.remove(subscription)
        if not listeners:
            self._channels.pop(subscription.channel, None)

    # --- staying connected -----------------------------------------------------------------------

    async def _connect(self) -> None:
        assert self._http is not None
        try:
            self._socket = await self._http.ws_connect(
                self.url, heartbeat=20, max_msg_size=0, timeout=aiohttp.ClientWSTimeout(ws_close=2)
            )
        except (aiohttp.ClientError, OSError, TimeoutError) as problem:
            raise ConnectionFailedError(f"{self.url}: {problem}") from problem
        self._reader = asyncio.create_task(self._read(self._socket))
        try:
            if self._greet is not None:
                await self._greet(self._request)
            await self._resubscribe()
        except BaseException:
            await self._socket.close()
            await asyncio.wait([self._reader])
            raise
        self._ready.set()

    async def _resubscribe(self) -> None:
        for scope in ("public", "private"):
            channels = [c for c in self._channels if _method(c, "") == f"{scope}/"]
            if channels:
                await self._request(f"{scope}/subscribe", {"channels": channels})

    async def _keep(self) -> None:
        pause_s = _RETRY_S_FIRST
        while True:
            await asyncio.wait([self._reader])
            self._ready.clear()
            self._fail_calls()
            if self._closing:
                return
            await asyncio.sleep(pause_s)
            try:
                await self._connect()
                pause_s = _RETRY_S_FIRST
            except ClientError:
                pause_s = min(pause_s * 2, _RETRY_S_LAST)

    async def _read(self, socket: aiohttp.ClientWebSocketResponse) -> None:
        async for message in socket:
            if message.type not in (aiohttp.WSMsgType.TEXT, aiohttp.WSMsgType.BINARY):
                break
            self._take(self._decoder.decode(message.data))

    def _take(self, message: dict[str, Any]) -> None:
        method = message.get("method")
        if method == "subscription":
            params = message["params"]
            for subscription in self._channels.get(params["channel"], ()):
                subscription.put(params["data"])
            return
        if method == "heartbeat":
            if message["params"]["type"] == "test_request":
                answering = asyncio.ensure_future(self._request("public/test", {}))
                answering.add_done_callback(lambda done: done.cancelled() or done.exception())
            return
        called, future = self._calls.pop(message.get("id") or 0, ("", None))
        if future is None or future.done():
            return
        if "error" in message:
            future.set_exception(_error_of(called, message["error"]))
        else:
            future.set_result(message.get("result"))

    def _fail_calls(self) -> None:
        calls, self._calls = self._calls, {}
        for method, future in calls.values():
            if not future.done():
                future.set_exception(
                    OutcomeUnknownError(f"{method}: the connection ended before the answer came")
                )


def _method(channel: str, verb: str) -> str:
    scope = "private" if channel.startswith("user.") else "public"
    return f"{scope}/{verb}"
