"""A lean JSON-RPC connection for simulated traders: many calls on the way, none awaited in turn."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Callable
from typing import Any

import aiohttp
import msgspec

__all__ = ["Connection", "Reply"]

# (result or None, error or None, microseconds from sending to the answer)
Reply = Callable[[dict[str, Any] | None, dict[str, Any] | None, int], None]


class Connection:
    """One WebSocket. `send` does not wait; `call` does."""

    def __init__(self, url: str) -> None:
        self._url = url
        self._encoder = msgspec.json.Encoder()
        self._decoder = msgspec.json.Decoder()
        self._waiting: dict[int, tuple[int, Reply]] = {}
        self._next_id = 1
        self._http: aiohttp.ClientSession | None = None
        self._socket: aiohttp.ClientWebSocketResponse | None = None
        self._reader: asyncio.Task[None] | None = None

    @property
    def in_flight(self) -> int:
        """Calls without an answer yet."""
        return len(self._waiting)

    async def open(self) -> None:
        """Connect."""
        self._http = aiohttp.ClientSession()
        self._socket = await self._http.ws_connect(self._url, max_msg_size=0)
        self._reader = asyncio.create_task(self._read())

    async def close(self) -> None:
        """Disconnect; calls on the way get no answer."""
        if self._socket is not None:
            await self._socket.close()
        if self._reader is not None:
            await asyncio.gather(self._reader, return_exceptions=True)
        if self._http is not None:
            await self._http.close()

    async def send(self, method: str, params: dict[str, Any], reply: Reply) -> None:
        """Send a call; `reply` is called when its answer comes."""
        assert self._socket is not None
        number = self._next_id
        self._next_id += 1
        self._waiting[number] = (time.perf_counter_ns(), reply)
        body = {"jsonrpc": "2.0", "id": number, "method": method, "params": params}
        await self._socket.send_str(self._encoder.encode(body).decode())

    async def call(self, method: str, params: dict[str, Any]) -> Any:
        """Call and wait; raises RuntimeError with the API's error."""
        future: asyncio.Future[Any] = asyncio.get_running_loop().create_future()

        def reply(result: Any, error: dict[str, Any] | None, _us: int) -> None:
            if future.done():
                return
            if error is not None:
                future.set_exception(RuntimeError(f"{method}: {error}"))
            else:
                future.set_result(result)

        await self.send(method, params, reply)
        return await future

    async def _read(self) -> None:
        assert self._socket is not None
        async for message in self._socket:
            if message.type is not aiohttp.WSMsgType.TEXT:
                break
            answer = self._decoder.decode(message.data)
            waiting = self._waiting.pop(answer.get("id"), None)
            if waiting is not None:
                sent_ns, reply = waiting
                took_us = (time.perf_counter_ns() - sent_ns) // 1_000
                reply(answer.get("result"), answer.get("error"), took_us)
