"""A small operator: takes public/relay_prices over HTTP and WebSocket, as the gateway does."""

from typing import Any, Self

import msgspec
from aiohttp import WSMsgType, web

from provenue import wire

__all__ = ["Operator"]


class Operator:
    """Decodes what is relayed and keeps it; refuses times that do not rise."""

    def __init__(self, domain: wire.Domain) -> None:
        self.domain = domain
        self.received: list[wire.Prices] = []
        self.signers: list[bytes] = []
        self.noise = False  # send a notification before each answer
        self._runner: web.AppRunner | None = None
        self.port = 0

    async def __aenter__(self) -> Self:
        app = web.Application()
        app.router.add_post("/api/v2", self._post)
        app.router.add_get("/ws/api/v2", self._websocket)
        self._runner = web.AppRunner(app, handle_signals=False, shutdown_timeout=0.2)
        await self._runner.setup()
        await web.TCPSite(self._runner, "127.0.0.1", self.port).start()
        self.port = self._runner.addresses[0][1]
        return self

    async def __aexit__(self, *_: object) -> None:
        assert self._runner is not None
        await self._runner.cleanup()

    def _take(self, text: bytes) -> dict[str, Any]:
        request = msgspec.json.decode(text)
        assert request["method"] == "public/relay_prices"
        message = wire.decode(bytes.fromhex(request["params"]["message"]))
        assert isinstance(message, wire.Prices)
        answer = {"jsonrpc": "2.0", "id": request["id"]}
        last = self.received[-1].published_at_ms if self.received else 0
        if message.published_at_ms <= last:
            data = {"reason": "PRICE_NOT_NEWER", "code": 84}
            return {**answer, "error": {"code": 11036, "message": "other_reject", "data": data}}
        self.received.append(message)
        self.signers.append(wire.recover(message, self.domain))
        return {**answer, "result": {"sequence": len(self.received)}}

    async def _post(self, request: web.Request) -> web.Response:
        answer = self._take(await request.read())
        return web.json_response(answer, status=400 if "error" in answer else 200)

    async def _websocket(self, request: web.Request) -> web.WebSocketResponse:
        socket = web.WebSocketResponse()
        await socket.prepare(request)
        async for received in socket:
            if received.type == WSMsgType.TEXT:
                answer = self._take(received.data.encode())
                if self.noise:
                    await socket.send_json({"jsonrpc": "2.0", "method": "heartbeat"})
                    await socket.send_json({"jsonrpc": "2.0", "id": 0, "result": "late"})
                await socket.send_json(answer)
        return socket
