"""One message, many messages, and what an engine refuses."""

import threading
import time
from pathlib import Path

import numpy as np
import pytest
from tests.engine.recorded import play, record

from provenue.engine import Engine, pack
from provenue.wire import Code, EventKind, Genesis, decode_events, encode

GENESIS = encode(Genesis(chain_id=31_337, anchor=b"\xa4" * 20))
OPEN = {"stamp_min_ms": 1_000, "stamp_max_ms": (1 << 64) - 1}


def test_genesis_is_accepted_once_with_its_event() -> None:
    engine = Engine("minimal")
    code, events = engine.apply(GENESIS, from_inbox=True, **OPEN)
    assert code == Code.OK
    assert [event.kind for event in decode_events(events)] == [EventKind.CONFIGURED]
    assert engine.globals("configured") == 1
    assert engine.now_ms == 1_000
    root = engine.root()
    assert engine.apply(GENESIS, from_inbox=True, **OPEN) == (Code.ALREADY_CONFIGURED, b"")
    assert engine.root() == root


@pytest.mark.parametrize("preset", ["minimal", "dev", "main"])
def test_every_preset_applies_messages_to_an_image_of_its_own_size(preset: str) -> None:
    engine = Engine(preset)
    zero = engine.root()
    assert engine.apply(b"", from_inbox=False, **OPEN) == (Code.EMPTY_MESSAGE, b"")
    assert engine.root() == zero
    engine.apply(GENESIS, from_inbox=True, **OPEN)
    assert engine.root() == engine.rehash() != zero
    assert len(engine.image) == engine.image_bytes
    assert engine.image.readonly


def test_codes_events_and_dump_are_those_of_the_specification(seed: int) -> None:
    recorded, engine = record(seed, 1_500), Engine("minimal")
    for index, step in enumerate(recorded.steps):
        assert play(engine, step.item) == (step.code, step.events), f"message {index}"
        if step.dump is not None:
            assert engine.dump() == step.dump, f"message {index}"


def test_many_messages_at_once_are_the_same_as_one_by_one(seed: int) -> None:
    recorded = record(seed, 1_500)
    single, batch = Engine("minimal"), Engine("minimal")
    # One pair of bounds for all: the batch form takes one.
    items = [step.item._replace(stamp_min_ms=0, stamp_max_ms=1 << 63) for step in recorded.steps]
    results, roots = [], []
    for item in items:
        results.append(play(single, item))
        roots.append(single.root())
    data, offsets = pack(item.message for item in items)
    applied = batch.apply_many(
        data,
        offsets,
        from_inbox=np.array([item.from_inbox for item in items]),
        stamp_min_ms=0,
        stamp_max_ms=1 << 63,
        roots=True,
    )
    assert [(int(c), applied.events_of(i)) for i, c in enumerate(applied.codes)] == results
    assert applied.roots == roots
    assert bytes(batch.image) == bytes(single.image)


def test_bad_offsets_and_sources_are_refused() -> None:
    engine = Engine("minimal")
    bounds = {"stamp_min_ms": 0, "stamp_max_ms": 1}
    with pytest.raises(ValueError, match="rising"):
        engine.apply_many(b"abc", [0, 2, 1], from_inbox=False, **bounds)
    with pytest.raises(ValueError, match="rising"):
        engine.apply_many(b"abc", [0, 4], from_inbox=False, **bounds)
    with pytest.raises(ValueError, match="one value a message"):
        engine.apply_many(b"abc", [0, 3], from_inbox=[True, False], **bounds)
    with pytest.raises(ValueError, match="one value a message"):
        engine.apply_many(b"", [], from_inbox=False, **bounds)


def test_unknown_preset_is_named() -> None:
    with pytest.raises(ValueError, match="preset: expected one of minimal, dev, main, was 'big'"):
        Engine("big")


def test_a_second_thread_is_refused_and_nothing_is_lost() -> None:
    engine = Engine("minimal")
    data, offsets = pack([b"\x00"] * 400_000)
    done: list[int] = []

    def work() -> None:
        while not done:
            try:
                applied = engine.apply_many(
                    data, offsets, from_inbox=False, stamp_min_ms=0, stamp_max_ms=1
                )
            except RuntimeError:  # the other one was first
                continue
            done.append(len(applied.codes))

    thread = threading.Thread(target=work)
    thread.start()
    refused = 0
    while thread.is_alive():
        try:
            engine.root()
        except RuntimeError as error:
            assert "one at a time" in str(error)  # noqa: PT017 - it may or may not be raised
            refused += 1
        time.sleep(0.001)
    thread.join()
    assert done == [400_000]
    assert refused > 0
    assert engine.root() == engine.rehash()


def test_the_image_may_lie_in_a_file_that_others_can_read(tmp_path: Path) -> None:
    path = tmp_path / "image"
    path.write_bytes(b"left over from a crash")
    engine = Engine("minimal", image_path=path)
    assert not any(engine.image)
    engine.apply(GENESIS, from_inbox=True, **OPEN)
    assert path.read_bytes() == bytes(engine.image)
    with pytest.raises((OSError, RuntimeError), match="nowhere"):
        Engine("minimal", image_path=tmp_path / "nowhere" / "image")
