"""Slicing of posted bytes, packed events, rounding: small things with exact answers."""

from fractions import Fraction
from math import ceil, floor, trunc

import pytest

from provenue.spec import batch_messages, pack_events, posted_message
from provenue.spec.events import Event
from provenue.spec.notation import ceil_div, clamp, trunc_div, word


def _posted(count: int, offsets: list[int], body: bytes) -> bytes:
    numbers = [count, *offsets]
    return b"".join(number.to_bytes(4, "big") for number in numbers) + body


GOOD = _posted(3, [20, 21, 21, 24], b"\x12abc")


@pytest.mark.parametrize(
    ("posted", "messages"),
    [
        (GOOD, [b"\x12", b"", b"abc"]),
        (_posted(1, [12, 13], b"\x12"), [b"\x12"]),
        (_posted(1, [13, 12], b"\x12"), [b""]),  # falls
        (_posted(1, [12, 14], b"\x12"), [b""]),  # beyond the end
        (_posted(2, [16, 99, 17], b"\x12"), [b"", b""]),  # one bad offset spoils both beside it
        (_posted(1, [0, 4], b""), [b"\x00\x00\x00\x01"]),  # overlapping the table is allowed
        (_posted(1, [12], b""), [b""]),  # the table itself is cut short
        (_posted(1, [12, 12], b""), [b""]),
        (b"", []),
        (b"\x00\x00\x01", []),
        (_posted(0, [8], b""), []),
    ],
)
def test_posted_messages(posted: bytes, messages: list[bytes]) -> None:
    assert batch_messages(posted, []) == [(message, False) for message in messages]


def test_items_of_the_inbox_run_first() -> None:
    items = [b"\x90" + bytes(31), bytes(480), bytes(481)]
    expected = [(items[0], True), (items[1], True), (b"", True), (b"\x12", False), (b"", False)]
    assert batch_messages(GOOD, items)[:5] == expected


def test_a_message_beyond_the_last_is_empty() -> None:
    assert posted_message(GOOD, 100_000) == b""


def test_an_event_is_64_little_endian_bytes() -> None:
    event = Event(12, 3, 1, 4, 5, 6 << 32 | 7, 8, 9, 10, -11, (1 << 64) - 1)
    packed = pack_events([event, Event(14)])
    assert len(packed) == 128
    assert packed[:16].hex() == "0c000300" + "01000000" + "04000000" + "05000000"
    assert packed[16:24].hex() == "0700000006000000"
    assert packed[48:56] == (-11).to_bytes(8, "little", signed=True)
    assert packed[56:64] == b"\xff" * 8
    assert packed[64:].hex() == "0e00" + "00" * 62


@pytest.mark.parametrize("a", [-7, -6, -1, 0, 1, 6, 7, 10**40 + 1, -(10**40) - 1])
@pytest.mark.parametrize("b", [1, 2, 3, 7, 10**20])
def test_rounding_is_that_of_exact_rationals(a: int, b: int) -> None:
    exact = Fraction(a, b)
    assert (a // b, ceil_div(a, b), trunc_div(a, b)) == (floor(exact), ceil(exact), trunc(exact))


def test_words_and_clamps() -> None:
    assert word(1) == bytes(31) + b"\x01"
    assert word(b"\xff" * 20) == bytes(12) + b"\xff" * 20
    assert [clamp(x, 3, 5) for x in (2, 3, 4, 5, 6)] == [3, 3, 4, 5, 5]
