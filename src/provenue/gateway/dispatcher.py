"""The dispatcher: one JSON-RPC request as bytes in, one response as bytes out.

It knows nothing of sockets: the WebSocket and HTTP listeners hand it bytes and a session, so that
another listener can take their place. Handlers are plain functions `(session, params) -> result`,
registered by their method name ("public/ticker"). A handler that has to wait returns an awaitable
after it has done everything whose order matters: `handle` runs each handler at once, so what one
connection sends is sequenced in the order in which it came.
"""

from __future__ import annotations

import inspect
import time
from collections.abc import Awaitable, Callable
from decimal import Decimal
from typing import Any, NamedTuple

import msgspec
import structlog

from provenue.gateway.errors import (
    INTERNAL_ERROR,
    INVALID_REQUEST,
    METHOD_NOT_FOUND,
    PARSE_ERROR,
    RETRY,
    TOO_MANY_REQUESTS,
    ApiError,
    unauthorized,
)
from provenue.gateway.session import Session
from provenue.sequencer.sequencer import SequencerError

__all__ = ["REQUEST_BYTES_MAX", "Answer", "Dispatcher", "Handler", "Params"]

Params = dict[str, Any]
Handler = Callable[[Session, Params], Any | Awaitable[Any]]
_log = structlog.get_logger(__name__)
REQUEST_BYTES_MAX = 64 * 1024
# The JSON decoder recurses, and libraries in this process may have raised Python's recursion limit
# beyond what the C stack holds: depth is bounded before decoding, by the number of openings.
OPENINGS_MAX = 500


class _Request(msgspec.Struct):
    method: str
    id: int | float | str
    params: dict[str, Any] | None = None


class Answer(NamedTuple):
    """A response, and whether it is a result (HTTP needs to know for its status line)."""

    body: bytes
    good: bool


class Dispatcher:
    """Routes requests to handlers and turns results and errors into JSON-RPC responses."""

    def __init__(self) -> None:
        self._handlers: dict[str, Handler] = {}
        # JSON numbers stay the decimals that were written: no float comes near money.
        self._decoder = msgspec.json.Decoder(_Request, float_hook=Decimal)
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

    def handle(self, raw: bytes | str, session: Session) -> Answer | Awaitable[Answer]:
        """Serve one request; never raises for anything a client can send."""
        started_us = time.time_ns() // 1_000
        if len(raw) > REQUEST_BYTES_MAX:
            reason = f"expected at most {REQUEST_BYTES_MAX} bytes, got {len(raw)}"
            return self._fail(None, started_us, INVALID_REQUEST, "Invalid request", reason)
        if _openings(raw) > OPENINGS_MAX:
            reason = f"expected at most {OPENINGS_MAX} lists and objects"
            return self._fail(None, started_us, INVALID_REQUEST, "Invalid request", reason)
        try:
            request = self._decoder.decode(raw)
        except msgspec.ValidationError as problem:
            request_id = _id_of(raw)
            return self._fail(
                request_id, started_us, INVALID_REQUEST, "Invalid request", str(problem)
            )
        except (msgspec.DecodeError, UnicodeError, RecursionError) as problem:
            return self._fail(None, started_us, PARSE_ERROR, "Parse error", str(problem))
        return self._call(request.method, request.id, request.params or {}, session, started_us)

    def unreadable(self, reason: str) -> Answer:
        """Answer a request whose bytes could not be had."""
        return self._fail(None, time.time_ns() // 1_000, PARSE_ERROR, "Parse error", reason)

    def call(self, method: str, params: Params, session: Session) -> Answer | Awaitable[Answer]:
        """Serve a call that came as an HTTP path and query."""
        return self._call(method, None, params, session, time.time_ns() // 1_000)

    def _call(
        self,
        method: str,
        request_id: int | float | str | None,
        params: Params,
        session: Session,
        started_us: int,
    ) -> Answer | Awaitable[Answer]:
        try:
            # Some clients write the method with a leading slash.
            result = self._run(method.removeprefix("/"), params, session)
        except Exception as problem:
            return self._respond_error(request_id, started_us, method, problem)
        if inspect.isawaitable(result):
            return self._finish(method, request_id, result, started_us)
        return self._respond(request_id, started_us, result)

    async def _finish(
        self,
        method: str,
        request_id: int | float | str | None,
        waiting: Awaitable[Any],
        started_us: int,
    ) -> Answer:
        try:
            result = await waiting
        except Exception as problem:
            return self._respond_error(request_id, started_us, method, problem)
        return self._respond(request_id, started_us, result)

    def _run(self, method: str, params: Params, session: Session) -> Any:
        if session.bucket is not None and not session.bucket.take():
            raise ApiError(
                TOO_MANY_REQUESTS, "too_many_requests", {"reason": "slow down, then try again"}
            )
        handler = self._handlers.get(method)
        if handler is None:
            raise ApiError(METHOD_NOT_FOUND, "Method not found", {"method": method[:80]})
        if method.startswith("private/") and session.owner is None and "signature" not in params:
            raise unauthorized()
        return handler(session, params)

    def _respond_error(
        self, request_id: Any, started_us: int, method: str, problem: Exception
    ) -> Answer:
        if isinstance(problem, ApiError):
            error = problem
        elif isinstance(problem, SequencerError):
            _log.error("not sequenced", method=method, problem=str(problem))
            error = ApiError(RETRY, "retry", {"reason": "the venue takes no messages now"})
        else:
            # A bug of ours: logged in full, the client learns only that it happened.
            _log.error("handler failed", method=method, exc_info=problem)
            error = ApiError(INTERNAL_ERROR, "internal error")
        return self._answer(request_id, started_us, {"error": error.body()}, good=False)

    def _fail(
        self, request_id: Any, started_us: int, code: int, message: str, reason: str
    ) -> Answer:
        error = ApiError(code, message, {"reason": reason})
        return self._answer(request_id, started_us, {"error": error.body()}, good=False)

    def _respond(self, request_id: Any, started_us: int, result: Any) -> Answer:
        return self._answer(request_id, started_us, {"result": result}, good=True)

    def _answer(
        self, request_id: Any, started_us: int, content: dict[str, Any], *, good: bool
    ) -> Answer:
        ended_us = time.time_ns() // 1_000
        body = {
            "jsonrpc": "2.0",
            "id": request_id,
            **content,
            "usIn": started_us,
            "usOut": ended_us,
            "usDiff": ended_us - started_us,
            "testnet": True,
        }
        return Answer(self._encoder.encode(body), good)


def _openings(raw: bytes | str) -> int:
    if isinstance(raw, str):
        return raw.count("[") + raw.count("{")
    return raw.count(b"[") + raw.count(b"{")


def _id_of(raw: bytes | str) -> int | float | str | None:
    """The id of a request that is wrong in another way, so that the client knows which it was."""
    try:
        found = msgspec.json.decode(raw)
    except (msgspec.DecodeError, UnicodeError, RecursionError):
        return None
    request_id = found.get("id") if isinstance(found, dict) else None
    return request_id if isinstance(request_id, int | float | str) else None
