"""Snapshots come back with the same root or not at all."""

import os
import random
from pathlib import Path

import pytest
from tests.engine.recorded import play, record

from provenue.engine import Engine, SnapshotError


@pytest.fixture
def used(seed: int) -> Engine:
    engine = Engine("minimal")
    for step in record(seed, 1_500).steps[:800]:
        play(engine, step.item)
    return engine


def test_a_restored_engine_goes_on_as_the_first_one_would(
    used: Engine, seed: int, tmp_path: Path
) -> None:
    header = used.snapshot(tmp_path / "a.snapshot", sequence=800)
    assert (header.preset, header.sequence, header.root) == ("minimal", 800, used.root().hex())
    restored, found = Engine.restore_with_header(tmp_path / "a.snapshot")
    assert found == header
    assert bytes(restored.image) == bytes(used.image)
    for step in record(seed, 1_500).steps[800:1_000]:
        assert play(restored, step.item) == (step.code, step.events)
        play(used, step.item)
    assert restored.root() == used.root() == restored.rehash()


def test_an_empty_engine_has_a_snapshot_too(tmp_path: Path) -> None:
    engine = Engine("dev")
    engine.snapshot(tmp_path / "zero", sequence=0)
    assert Engine.restore(tmp_path / "zero").root() == engine.root()
    assert (tmp_path / "zero").stat().st_size < 1_000


def test_only_pages_in_use_are_written(used: Engine, tmp_path: Path) -> None:
    header = used.snapshot(tmp_path / "a", sequence=1)
    image = bytes(used.image)
    pages = {at // 4096 for at in range(0, len(image), 4096) if any(image[at : at + 4096])}
    assert used.pages().tolist() == sorted(pages)
    assert header.pages == len(pages)


def test_every_damaged_byte_is_noticed(used: Engine, rng: random.Random, tmp_path: Path) -> None:
    path = tmp_path / "a"
    used.snapshot(path, sequence=1)
    good = path.read_bytes()
    for at in [*range(0, 420, 7), *(rng.randrange(len(good)) for _ in range(150))]:
        path.write_bytes(good[:at] + bytes([good[at] ^ 0x11]) + good[at + 1 :])
        with pytest.raises(SnapshotError):
            Engine.restore(path)
    for length in (0, 5, 11, 100, len(good) - 1):
        path.write_bytes(good[:length])
        with pytest.raises(SnapshotError):
            Engine.restore(path)
    path.write_bytes(good + b"\0")
    with pytest.raises(SnapshotError):
        Engine.restore(path)


def test_a_failed_write_leaves_the_old_snapshot(
    used: Engine, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    path = tmp_path / "a"
    Engine("minimal").snapshot(path, sequence=0)
    old = path.read_bytes()

    def full(_: int) -> None:
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(os, "fsync", full)
    with pytest.raises(OSError, match="No space"):
        used.snapshot(path, sequence=1)
    assert path.read_bytes() == old
    assert list(tmp_path.iterdir()) == [path]


def test_another_layout_is_refused(used: Engine, tmp_path: Path) -> None:
    from provenue import _snapshot

    path = tmp_path / "a"
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(_snapshot, "layout_digest", lambda _: "other")
        used.snapshot(path, sequence=1)
    with pytest.raises(SnapshotError, match="another version of the protocol"):
        Engine.restore(path)
