"""The dispatcher alone: every malformed request has an answer that says what is wrong."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable
from decimal import Decimal
from typing import Any

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st

from provenue.gateway.dispatcher import REQUEST_BYTES_MAX, Answer, Dispatcher
from provenue.gateway.errors import ApiError
from provenue.gateway.session import Bucket, RateLimit, Session


def make() -> Dispatcher:
    dispatcher = Dispatcher()
    dispatcher.register("public/echo", lambda _, params: params)
    dispatcher.register("private/secret", lambda session, _: session.owner)

    def fail(_: Session, __: Any) -> None:
        raise ZeroDivisionError("inside")

    async def slow(_: Session, params: dict[str, Any]) -> str:
        await asyncio.sleep(0)
        if "fail" in params:
            raise ApiError(1, "later")
        return "done"

    dispatcher.register("public/fail", fail)
    dispatcher.register("public/slow", slow)
    return dispatcher


def ask(raw: bytes | str, session: Session | None = None) -> dict[str, Any]:
    answer = make().handle(raw, session or Session())
    assert isinstance(answer, Answer)
    body: dict[str, Any] = msgspec.json.decode(answer.body)
    assert answer.good == ("result" in body)
    assert body["jsonrpc"] == "2.0"
    assert body["usDiff"] == body["usOut"] - body["usIn"] >= 0
    return body


def code_of(raw: bytes | str) -> int:
    return int(ask(raw)["error"]["code"])


@pytest.mark.parametrize(
    ("raw", "code"),
    [
        (b"", -32700),
        (b"{", -32700),
        (b"\xff\xfe", -32700),
        (b'{"id": 1, "method": "public/echo"} x', -32700),
        (b"[" * 30_000, -32600),
        (b'{"a":' * 10_000, -32600),
        (b"null", -32600),
        (b"17", -32600),
        (b'"text"', -32600),
        (b'[{"id":1,"method":"public/echo"}]', -32600),
        (b'{"id":1}', -32600),
        (b'{"method":"public/echo"}', -32600),
        (b'{"id":null,"method":"public/echo"}', -32600),
        (b'{"id":[1],"method":"public/echo"}', -32600),
        (b'{"id":1,"method":7}', -32600),
        (b'{"id":1,"method":"public/echo","params":[1,2]}', -32600),
        (b'{"id":1,"method":"public/echo","params":"x"}', -32600),
        (b'{"id":1,"method":"public/nothing"}', -32601),
        (b'{"id":1,"method":""}', -32601),
        (b'{"id":1,"method":"//public/echo"}', -32601),
        (b'{"id":1,"method":"private/secret"}', 13009),
    ],
)
def test_a_bad_request_gets_its_code(raw: bytes, code: int) -> None:
    assert code_of(raw) == code


def test_the_reason_names_the_field() -> None:
    assert "id" in ask(b'{"method":"public/echo"}')["error"]["data"]["reason"]
    body = ask(b'{"id":7,"method":"public/echo","params":[1]}')
    assert "params" in body["error"]["data"]["reason"]
    assert body["id"] == 7, "the client must know which request was wrong"


def test_a_request_that_is_too_large_is_refused() -> None:
    raw = b'{"id":1,"method":"public/echo","params":{"x":"' + b"a" * REQUEST_BYTES_MAX + b'"}}'
    assert code_of(raw) == -32600


@pytest.mark.parametrize("request_id", [1, "one", 2.5, 0, -1])
def test_the_answer_carries_the_id(request_id: Any) -> None:
    raw = msgspec.json.encode({"id": request_id, "method": "public/echo"})
    assert ask(raw)["id"] == request_id


def test_a_leading_slash_and_unknown_members_are_taken() -> None:
    raw = b'{"id":1,"method":"/public/echo","params":{"a":1},"extra":true,"jsonrpc":"1.0"}'
    assert ask(raw)["result"] == {"a": 1}


def test_numbers_arrive_as_decimals() -> None:
    seen: list[Any] = []
    dispatcher = Dispatcher()
    dispatcher.register("public/see", lambda _, params: seen.append(params["x"]))
    dispatcher.handle(
        b'{"id":1,"method":"public/see","params":{"x":0.30000000000000004}}', Session()
    )
    assert seen == [Decimal("0.30000000000000004")]


def test_a_bug_of_ours_tells_the_client_nothing_of_it() -> None:
    error = ask(b'{"id":1,"method":"public/fail"}')["error"]
    assert error == {"code": -32603, "message": "internal error"}


async def test_waiting_handlers_answer_later() -> None:
    for params, good in ((b"{}", True), (b'{"fail":1}', False)):
        waiting = make().handle(
            b'{"id":1,"method":"public/slow","params":' + params + b"}", Session()
        )
        assert isinstance(waiting, Awaitable)
        assert (await waiting).good is good


def test_requests_beyond_the_rate_are_refused_until_time_passes() -> None:
    now_s = [0.0]
    session = Session(bucket=Bucket(RateLimit(per_second=10, burst=3), lambda: now_s[0]))
    raw = b'{"id":1,"method":"public/echo"}'
    assert ["result" in ask(raw, session) for _ in range(5)] == [True] * 3 + [False] * 2
    assert ask(raw, session)["error"]["code"] == 10028
    now_s[0] = 0.1
    assert ["result" in ask(raw, session) for _ in range(2)] == [True, False]
    now_s[0] = 100.0
    assert ["result" in ask(raw, session) for _ in range(4)] == [True] * 3 + [False]


_json = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(), inner, max_size=3),
    max_leaves=6,
)


@given(st.binary(max_size=60) | st.builds(msgspec.json.encode, _json))
def test_any_bytes_get_an_answer(raw: bytes) -> None:
    assert "error" in ask(raw) or "result" in ask(raw)
