"""The way of a signed vector to the operator: `public/relay_prices` over HTTP or WebSocket."""

import asyncio
from types import TracebackType
from typing import Any, Final, Self
from urllib.parse import urlsplit, urlunsplit

import aiohttp
import msgspec

__all__ = ["Relay", "RelayError", "api_url"]

METHOD: Final = "public/relay_prices"
_PATHS: Final = {"http": "/api/v2", "https": "/api/v2", "ws": "/ws/api/v2", "wss": "/ws/api/v2"}
_TIMEOUT_S: Final = 5.0


class RelayError(Exception):
    """The vector did not arrive, or was refused; `reason` is the reject code's name if there is
    one."""

    def __init__(self, text: str, reason: str = "") -> None:
        super().__init__(text)
        self.reason = reason


def api_url(url: str) -> str:
    """The API's URL with its path, which may be left out."""
    try:
        parts = urlsplit(url)
        good = parts.scheme in _PATHS and bool(parts.hostname) and parts.port != 0
    except ValueError:  # a port beyond 65535, half an IPv6 address
        good = False
    if not good:
        raise ValueError(f"api: expected an http, https, ws or wss URL, was {url!r}")
    path = parts.path.rstrip("/") or _PATHS[parts.scheme]
    return urlunsplit((parts.scheme, parts.netloc, path, "", ""))


class Relay:
    """A connection to one operator. It is made when it is needed, and again when it broke."""

    def __init__(self, url: str, *, timeout_s: float = _TIMEOUT_S) -> None:
        self.url = api_url(url)
        self._timeout_s = timeout_s
        self._session: aiohttp.ClientSession | None = None
        self._socket: aiohttp.ClientWebSocketResponse | None = None
        self._id = 0

    async def __aenter__(self) -> Self:
        return self

    async def __aexit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        await self.close()

    async def close(self) -> None:
        """Close the connection."""
        if self._socket is not None:
            await self._socket.close()
        if self._session is not None:
            await self._session.close()
        self._socket = self._session = None

    async def send(self, message: bytes) -> Any:
        """Relay an encoded PRICES message; the result is the API's, RelayError if it refused."""
        self._id += 1
        body = msgspec.json.encode(
            {
                "jsonrpc": "2.0",
                "id": self._id,
                "method": METHOD,
                "params": {"message": message.hex()},
            }
        )
        try:
            async with asyncio.timeout(self._timeout_s):
                answer = await (self._over_ws(body) if self._is_ws else self._over_http(body))
        except (TimeoutError, aiohttp.ClientError, OSError, msgspec.DecodeError) as error:
            await self._drop_socket()
            raise RelayError(f"{self.url}: {type(error).__name__} {error}".rstrip()) from error
        return self._result(answer)

    @property
    def _is_ws(self) -> bool:
        return self.url.startswith("ws")

    async def _drop_socket(self) -> None:
        socket, self._socket = self._socket, None
        if socket is not None:
            await socket.close()

    def _client(self) -> aiohttp.ClientSession:
        if self._session is None:
            self._session = aiohttp.ClientSession()
        return self._session

    async def _over_http(self, body: bytes) -> Any:
        headers = {"Content-Type": "application/json"}
        async with self._client().post(self.url, data=body, headers=headers) as response:
            return msgspec.json.decode(await response.read())

    async def _over_ws(self, body: bytes) -> Any:
        """Send, and skip what is not the answer (notifications, answers that came too late)."""
        if self._socket is None or self._socket.closed:
            self._socket = await self._client().ws_connect(self.url, heartbeat=20)
        await self._socket.send_str(body.decode())
        while True:
            received = await self._socket.receive()
            if received.type not in (aiohttp.WSMsgType.TEXT, aiohttp.WSMsgType.BINARY):
                raise aiohttp.ClientConnectionError("connection closed")
            answer = msgspec.json.decode(received.data)
            if isinstance(answer, dict) and answer.get("id") == self._id:
                return answer

    def _result(self, answer: Any) -> Any:
        if not isinstance(answer, dict) or not ("result" in answer or "error" in answer):
            raise RelayError(f"{self.url}: expected a JSON-RPC answer, was {str(answer)[:200]}")
        error = answer.get("error")
        if error is None:
            return answer["result"]
        data = error.get("data") if isinstance(error, dict) else None
        reason = data.get("reason", "") if isinstance(data, dict) else ""
        text = error.get("message", error) if isinstance(error, dict) else error
        raise RelayError(f"refused: {reason or text}", str(reason))
