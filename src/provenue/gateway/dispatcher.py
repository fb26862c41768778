"""The dispatcher: one JSON-RPC request as bytes in, one response as bytes out.

It knows nothing of sockets: the WebSocket and HTTP listeners hand it bytes and a session, so that
another listener can take their place. Handlers are plain functions `(session, params) -> result`,
sync or async, registered by their method name ("public/ticker").
"""

from __future__ import annotations

import inspect
import time
from collections.abc import Awaitable, Callable
from typing import Any

import msgspec
import structlog

from provenue.gateway.errors import (
    INTERNAL_ERROR,
    INVALID_PARAMS,
    INVALID_REQUEST,
    METHOD_NOT_FOUND,
    PARSE_ERROR,
    UNAUTHORIZED,
    ApiError,
)
from provenue.gateway.session import Session

__all__ = ["Dispatcher", "Handler", "Params"]

Params = dict[str, Any]
Handler = Callable[[Session, Params], Any | Awaitable[Any]]
_log = structlog.get_logger(__name__)
REQUEST_BYTES_MAX = 64 * 1024


class _Request(msgspec.Struct):
    method: str = ""
    id: int | float | str | None = None
    params: dict[str, Any] | None = None
    jsonrpc: str = "2.0"


class Dispatcher:
    """Routes requests to handlers and turns results and errors into JSON-RPC responses."""

    def __init__(self) -> None:
        self._handlers: dict[str, Handler] = {}
        self._decoder = msgspec.json.Decoder(_Request)
        self._encoder = msgspec.json.Encoder()

    def register(self, method: str, handler: Handler) -> None:
        """Serve `method` ("public/..." or "private/...") with `handler`."""
        assert method not in self._handlers, method
        self._handlers[method] = handler

    @property
    def methods(self) -> list[str]:
        """The served method names, sorted."""
        return sorted(self._handlers)

    def encode(self, message: object) -> bytes:
        """Encode any API message (notifications use it too)."""
        return self._encoder.encode(message)

    async def handle(self, raw: bytes | str, session: Session) -> bytes:
        """Serve one request; never raises for anything a client can send."""
        response, _ = await self.handle_with_status(raw, session)
        return response

    async def handle_with_status(self, raw: bytes | str, session: Session) -> tuple[bytes, bool]:
        """(response, whether it is a result): HTTP needs to know for its status line."""
        started_us = time.time_ns() // 1_000
        if len(raw) > REQUEST_BYTES_MAX:
            error = ApiError(INVALID_REQUEST, f"request larger than {REQUEST_BYTES_MAX} bytes")
            return self._respond(None, started_us, error=error), False
        try:
            request = self._decoder.decode(raw)
        except msgspec.ValidationError as problem:
            error = ApiError(INVALID_REQUEST, "Invalid request", {"reason": str(problem)})
            return self._respond(None, started_us, error=error), False
        except (msgspec.DecodeError, UnicodeDecodeError) as problem:
            error = ApiError(PARSE_ERROR, "Parse error", {"reason": str(problem)})
            return self._respond(None, started_us, error=error), False
        return await self._call(request, session, started_us)

    async def call(self, method: str, params: Params, session: Session) -> tuple[bytes, bool]:
        """Serve a call that came as an HTTP path and query."""
        request = _Request(method=method, params=params)
        return await self._call(request, session, time.time_ns() // 1_000)

    async def _call(
        self, request: _Request, session: Session, started_us: int
    ) -> tuple[bytes, bool]:
        try:
            # Some clients write the method with a leading slash.
            result = await self._run(request.method.lstrip("/"), request.params or {}, session)
        except ApiError as error:
            return self._respond(request.id, started_us, error=error), False
        except Exception:
            # A bug of ours: logged in full, the client learns only that it happened.
            _log.exception("handler failed", method=request.method)
            error = ApiError(INTERNAL_ERROR, "internal error")
            return self._respond(request.id, started_us, error=error), False
        return self._respond(request.id, started_us, result=result), True

    async def _run(self, method: str, params: Params, session: Session) -> Any:
        handler = self._handlers.get(method)
        if handler is None:
            raise ApiError(METHOD_NOT_FOUND, "Method not found", {"method": method[:80]})
        if method.startswith("private/") and session.owner is None and "signature" not in params:
            raise ApiError(
                UNAUTHORIZED,
                "unauthorized",
                {"reason": "call public/auth first, or send a signed action"},
            )
        result = handler(session, params)
        if inspect.isawaitable(result):
            result = await result
        return result

    def _respond(
        self,
        request_id: int | float | str | None,
        started_us: int,
        *,
        result: Any = None,
        error: ApiError | None = None,
    ) -> bytes:
        ended_us = time.time_ns() // 1_000
        body: dict[str, Any] = {"jsonrpc": "2.0", "id": request_id}
        if error is None:
            body["result"] = result
        else:
            body["error"] = error.body()
        body |= {"usIn": started_us, "usOut": ended_us, "usDiff": ended_us - started_us}
        body["testnet"] = True
        return self._encoder.encode(body)


def require(params: Params, name: str) -> Any:
    """A parameter that must be there."""
    if name not in params:
        raise ApiError(INVALID_PARAMS, "Invalid params", {"param": name, "reason": "is missing"})
    return params[name]
