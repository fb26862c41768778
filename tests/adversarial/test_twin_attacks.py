"""Guest and native side by side on batches that only an attacker would post (P1, P4)."""

import random

from tests.sequencer.world import MARK_UNITS, World

from provenue import wire
from provenue.p1 import Twin
from provenue.wire import Header

ROUNDS = 60


def _start(twin: Twin, world: World) -> Header:
    inbox = [item.message for item in world.inbox]
    posted = wire.encode_posted([*world.opening_prices(), *[b"\x12"] * 4])
    header = Header(
        stamp_min_ms=world.now_ms, stamp_max_ms=world.now_ms + 10_000,
        inbox_count=len(inbox), posted_bytes=len(posted),
    )  # fmt: skip
    check = twin.check_batch(header, inbox, posted)
    assert check.ok, check.mismatches
    assert not check.codes[: len(inbox)].any()
    return header


def _spoil(rng: random.Random, data: bytearray, count: int) -> None:
    """Change offsets, count or message bytes in place; never the length."""
    for _ in range(rng.randrange(1, 6)):
        kind = rng.randrange(4)
        if kind == 0:  # an offset
            at = 4 + 4 * rng.randrange(count + 1)
            value = rng.choice([0, 4, len(data), len(data) + 1, 2**32 - 1, rng.randrange(2**32)])
            data[at : at + 4] = value.to_bytes(4, "big")
        elif kind == 1:  # two offsets swapped
            a, b = (4 + 4 * rng.randrange(count + 1) for _ in range(2))
            data[a : a + 4], data[b : b + 4] = data[b : b + 4], data[a : a + 4]
        elif kind == 2:  # any byte behind the count
            data[rng.randrange(4, len(data))] = rng.randrange(256)
        else:  # fewer messages than offsets
            data[0:4] = rng.randrange(1, count + 1).to_bytes(4, "big")


def test_garbage_batches_are_the_same_to_both(rng: random.Random) -> None:
    """Bad offset tables, overlapping slices, torn messages, stamps at the ends of 64 bits."""
    twin, world = Twin("minimal"), World(rng.randrange(2**32), traders=4)
    _start(twin, world)
    codes: set[int] = set()
    for number in range(ROUNDS):
        messages = [b"\x12"] * 4 + [world.message() for _ in range(rng.randrange(4, 16))]
        if rng.random() < 0.3:
            messages += [bytes([rng.randrange(256)]) + rng.randbytes(rng.randrange(200))]
        data = bytearray(wire.encode_posted(messages))
        _spoil(rng, data, len(messages))
        low = rng.choice([0, world.now_ms, 2**64 - 1 if number > ROUNDS - 5 else world.now_ms])
        high = rng.choice([low, 2**64 - 1])
        header = Header(
            batch=number, stamp_min_ms=low, stamp_max_ms=high, posted_bytes=len(data),
            inbox_first=rng.randrange(2**48), sequence_first=rng.randrange(2**63),
            posted_at_s=rng.randrange(2**40), forced=bool(rng.randrange(2)),
        )  # fmt: skip
        check = twin.check_batch(header, [], bytes(data))
        assert check.ok, check.mismatches
        codes |= {int(code) for code in check.codes}
    assert len(codes) > 8, codes


def test_inbox_garbage_is_the_same_to_both(rng: random.Random) -> None:
    """Items of every length to 480 bytes, of inbox kinds and others."""
    twin, world = Twin("minimal"), World(1, traders=2)
    _start(twin, world)
    for _ in range(6):
        items = [
            bytes([rng.choice([0x80, 0x81, 0x82, 0x83, 0x90, 0x91, 0x92, 0x01, 0xFF])])
            + rng.randbytes(rng.randrange(480))
            for _ in range(64)
        ]
        items[0] = b""
        header = Header(inbox_count=64, posted_bytes=8)
        check = twin.check_batch(header, items, bytes(4) + (8).to_bytes(4, "big"))
        assert check.ok, check.mismatches


def test_a_full_batch_of_continues_is_the_same_to_both() -> None:
    """4,096 messages of a byte, and their prices: nothing but rejects, nothing written."""
    twin, world = Twin("minimal"), World(1, traders=2)
    _start(twin, world)
    posted = wire.encode_posted([world.prices(0, MARK_UNITS), *[b"\x12"] * 4_095])
    header = Header(stamp_min_ms=world.now_ms, stamp_max_ms=world.now_ms, posted_bytes=len(posted))
    check = twin.check_batch(header, [], posted, compare_every=0)
    assert check.ok, check.mismatches
    assert len(set(check.roots[10:])) == 1
