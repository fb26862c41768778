"""Posted bytes, header, inbox slots (chapter 7)."""

import pytest
from hypothesis import given
from hypothesis import strategies as st
from tests.wire.oracles import keccak256, slow_root

from provenue import wire
from provenue._generated import constants


def words(data: bytes) -> list[int]:
    return [int.from_bytes(data[at : at + 4], "big") for at in range(0, len(data), 4)]


def slow_decode(data: bytes) -> list[bytes]:
    """Chapter 7.1 literally."""

    def word(at: int) -> int | None:
        inside = data[at : at + 4]
        return int.from_bytes(inside) if len(inside) == 4 else None

    def message(k: int) -> bytes:
        start, end = word(4 + 4 * k), word(8 + 4 * k)
        if start is None or end is None or not start <= end <= len(data):
            return b""
        return data[start:end]

    return [message(k) for k in range(word(0) or 0)]


@given(st.lists(st.binary(max_size=80), max_size=40))
def test_messages_survive_a_batch(messages: list[bytes]) -> None:
    posted = wire.encode_posted(messages)
    assert wire.decode_posted(posted) == messages
    assert len(posted) == wire.posted_size_bytes(len(messages), sum(map(len, messages)))


def test_posted_bytes_are_count_offsets_messages() -> None:
    posted = wire.encode_posted([b"ab", b"", b"xyz"])
    assert words(posted[:20]) == [3, 20, 22, 22, 25]
    assert posted[20:] == b"abxyz"


@given(
    st.integers(0, 6),
    st.lists(st.one_of(st.integers(0, 60), st.integers(0, 2**32 - 1)), max_size=8),
    st.binary(max_size=40),
)
def test_bad_offsets_give_empty_messages(count: int, offsets: list[int], rest: bytes) -> None:
    data = b"".join(number.to_bytes(4, "big") for number in [count, *offsets]) + rest
    assert wire.decode_posted(data) == slow_decode(data)


def test_a_cut_offset_is_none_even_if_zeros_behind_it_would_make_it_one() -> None:
    whole = wire.encode_posted([b"x" * 300])
    shifted = whole[:8] + (256).to_bytes(4, "big")
    assert wire.decode_posted(shifted[:11]) == [b""]
    assert wire.decode_posted(whole[:7]) == [b""]


@given(st.binary(max_size=11))
def test_offsets_that_are_not_wholly_there_make_empty_messages(rest: bytes) -> None:
    for data in (b"", b"\0", b"\0\0", b"\0\0\0\5" + rest):
        assert wire.decode_posted(data) == slow_decode(data)


def test_too_large_batches_are_refused_with_the_bound() -> None:
    with pytest.raises(wire.WireError, match="expected at most 4096 messages, was 4097"):
        wire.encode_posted([b""] * 4097)
    with pytest.raises(wire.WireError, match="expected at most 120000 bytes, was 120012"):
        wire.encode_posted([b"x" * 120_000])
    assert len(wire.encode_posted([b"x" * (120_000 - 12)])) == constants.BATCH_BYTES_MAX
    with pytest.raises(wire.WireError, match=r"batch\.count: expected at most 4096, was 4097"):
        wire.decode_posted((4097).to_bytes(4, "big"))


def test_the_header_is_ten_words_in_the_order_of_the_chapter() -> None:
    header = wire.Header(
        batch=1, stamp_min_ms=2, stamp_max_ms=3, inbox_count=4, posted_bytes=5, inbox_first=6,
        sequence_first=7, posted_at_s=8, forced=1, inbox_accumulator=b"\x09" * 32,
    )  # fmt: skip
    data = header.encode()
    expected = [1, 2, 3, 4, 5, 6, 7, 8, 1]
    assert [int.from_bytes(data[at : at + 32], "big") for at in range(0, 288, 32)] == expected
    assert data[288:] == b"\x09" * 32
    assert wire.Header.decode(data) == header
    assert wire.Header().stamp_max_ms == 2**64 - 1
    with pytest.raises(wire.WireError, match=r"header\.batch: expected 0 to"):
        wire.Header(batch=-1).encode()


def extend(root: bytes, low: int, high: int) -> bytes:
    """The root of a taller tree whose other leaves are zero."""
    zero = slow_root(b"", low)
    for _ in range(low, high):
        root, zero = keccak256(root + zero), keccak256(zero + zero)
    return root


def test_the_input_quarter_hashes_as_laid_out() -> None:
    inbox = [b"\x90" + b"a" * 29, b"\x92" + b"b" * 479]
    posted = wire.encode_posted([b"q" * 100, b"r" * 33])
    header = wire.Header(batch=4, inbox_count=2, posted_bytes=len(posted))
    upper = header.encode().ljust(32768, b"\0") + b"".join(map(wire.encode_slot, inbox))
    lower_root = extend(slow_root(posted, 4), 4, 28)
    upper_root = extend(slow_root(upper, 11), 11, 28)
    assert wire.posted_root(posted) == lower_root
    assert wire.header_root(header, inbox) == upper_root
    assert wire.input_root(posted, header, inbox) == keccak256(lower_root + upper_root)


def test_slots_hold_a_length_word_and_the_message() -> None:
    message = b"\x92" + bytes(21)
    slot = wire.encode_slot(message)
    assert len(slot) == 512
    assert slot[:32] == (22).to_bytes(32, "big")
    assert slot[32:54] == message
    assert not any(slot[54:])
    assert wire.decode_slot(slot) == message
    assert wire.slot_root(message) == slow_root(slot, 4)
    with pytest.raises(wire.WireError, match="inbox item: expected at most 480 bytes, was 481"):
        wire.encode_slot(bytes(481))
    with pytest.raises(wire.WireError, match="inbox slot"):
        wire.decode_slot((481).to_bytes(32, "big") + bytes(480))


def test_the_accumulator_chains_slot_roots() -> None:
    first = keccak256(bytes(32) + wire.slot_root(b"one"))
    second = keccak256(first + wire.slot_root(b"two"))
    assert wire.inbox_accumulator(bytes(32), [b"one", b"two"]) == second
    assert wire.inbox_accumulator(first, [b"two"]) == second
    assert wire.inbox_accumulator(first, []) == first
