"""Event records."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from provenue import wire

SIGNED = st.integers(-(2**63), 2**63 - 1)
EVENTS = st.builds(
    wire.Event,
    st.sampled_from(list(wire.EventKind)),
    *[st.integers(0, 2**bits - 1) for bits in (16, 32, 32, 32, 64, 64)],
    *[SIGNED] * 4,
)


@given(st.lists(EVENTS, max_size=5))
def test_objects_and_array_show_the_same_records(events: list[wire.Event]) -> None:
    data = wire.encode_events(events)
    assert len(data) == 64 * len(events)
    assert wire.decode_events(data) == events
    array = wire.event_array(data)
    for event, row in zip(events, array, strict=True):
        for name in wire.Event.__struct_fields__:
            assert int(row[name]) == getattr(event, name), name


def test_a_fill_stands_in_64_little_endian_bytes() -> None:
    data = bytes.fromhex(
        "0c00010002000000030000000400000005000000010000000600000001000000"
        "e8030000000000000700000000000000fdffffffffffffff0000000000000080"
    )  # fmt: skip
    (event,) = wire.decode_events(data)
    assert event == wire.Event(
        wire.EventKind.FILL, 1, 2, 3, 4, 1 << 32 | 5, 1 << 32 | 6, 1000, 7, -3, -(2**63)
    )


def test_events_that_are_none_are_refused() -> None:
    with pytest.raises(wire.WireError, match="expected a multiple of 64 bytes, was 63"):
        wire.decode_events(bytes(63))
    with pytest.raises(wire.WireError, match=r"event\.kind: expected a kind .*, was 0"):
        wire.decode_events(bytes(64))
