"""The journal: what was committed is read back, a torn tail is cut, damage is refused."""

from __future__ import annotations

import errno
import os
import random
from pathlib import Path

import pytest

from provenue.sequencer import journal
from provenue.sequencer.journal import JournalError, RecordType

MESSAGE = RecordType.POSTED_MESSAGE


def _fill(folder: Path, payloads: list[bytes]) -> None:
    writer = journal.open_writer(folder)
    for payload in payloads:
        writer.append(MESSAGE, payload)
    writer.close()


def _payloads(count: int, seed: int = 7) -> list[bytes]:
    rng = random.Random(seed)
    return [rng.randbytes(rng.randrange(0, 300)) for _ in range(count)]


def test_committed_records_are_read_back_in_order(tmp_path: Path) -> None:
    payloads = _payloads(100)
    _fill(tmp_path, payloads)
    records = list(journal.read(tmp_path))
    assert [r.payload for r in records] == payloads
    assert [r.index for r in records] == list(range(100))


def test_reading_can_start_in_the_middle_and_skips_whole_segments(tmp_path: Path) -> None:
    writer = journal.open_writer(tmp_path)
    for i in range(30):
        writer.append(MESSAGE, bytes([i]))
        if i % 10 == 9:
            writer.rotate()
    writer.close()
    assert len(journal.segments(tmp_path)) == 4
    assert [r.payload[0] for r in journal.read(tmp_path, start=17)] == list(range(17, 30))
    # A start inside a later segment must not need the earlier file.
    journal.segments(tmp_path)[0].unlink()
    assert [r.payload[0] for r in journal.read(tmp_path, start=17)] == list(range(17, 30))


def test_uncommitted_records_are_not_in_the_file(tmp_path: Path) -> None:
    writer = journal.open_writer(tmp_path)
    writer.append(MESSAGE, b"durable")
    writer.commit()
    writer.append(MESSAGE, b"buffered")
    assert [r.payload for r in journal.read(tmp_path)] == [b"durable"]
    writer.close()


def test_every_cut_of_the_tail_keeps_exactly_the_whole_records(tmp_path: Path) -> None:
    payloads = _payloads(5, seed=1)
    _fill(tmp_path / "whole", payloads)
    source = journal.segments(tmp_path / "whole")[0]
    data = source.read_bytes()
    ends = [journal.HEADER.size]
    for payload in payloads:
        ends.append(ends[-1] + 4 + 1 + len(payload) + 32)
    for cut in range(journal.HEADER.size, len(data) + 1):
        folder = tmp_path / f"cut{cut}"
        folder.mkdir()
        (folder / source.name).write_bytes(data[:cut])
        whole = sum(end <= cut for end in ends) - 1
        assert [r.payload for r in journal.read(folder)] == payloads[:whole]
        writer = journal.open_writer(folder)
        assert writer.next_index == whole
        writer.append(MESSAGE, b"after")
        writer.close()
        assert [r.payload for r in journal.read(folder)] == [*payloads[:whole], b"after"]


def test_a_flipped_bit_in_the_middle_is_refused_and_never_cut_off(tmp_path: Path) -> None:
    payloads = _payloads(6, seed=2)
    _fill(tmp_path, payloads)
    path = journal.segments(tmp_path)[0]
    good = path.read_bytes()
    first_end = journal.HEADER.size + 4 + 1 + len(payloads[0]) + 32
    rng = random.Random(3)
    for _ in range(40):
        at = rng.randrange(journal.HEADER.size + 4, first_end)
        bad = bytearray(good)
        bad[at] ^= 1 << rng.randrange(8)
        path.write_bytes(bad)
        with pytest.raises(
            JournalError, match=r"record 0\): chain hash differs, with good records behind it"
        ):
            journal.open_writer(tmp_path)
        assert path.read_bytes() == bytes(bad)


def test_a_damaged_older_segment_is_refused(tmp_path: Path) -> None:
    writer = journal.open_writer(tmp_path)
    writer.append(MESSAGE, b"one")
    writer.rotate()
    writer.append(MESSAGE, b"two")
    writer.close()
    path = journal.segments(tmp_path)[0]
    data = bytearray(path.read_bytes())
    data[-1] ^= 1
    path.write_bytes(data)
    with pytest.raises(JournalError, match="later segments exist"):
        list(journal.read(tmp_path))


def test_a_missing_segment_is_noticed(tmp_path: Path) -> None:
    writer = journal.open_writer(tmp_path)
    for _ in range(3):
        writer.append(MESSAGE, b"x")
        writer.rotate()
    writer.append(MESSAGE, b"last")
    writer.close()
    journal.segments(tmp_path)[1].unlink()
    with pytest.raises(JournalError, match="does not continue"):
        list(journal.read(tmp_path))


@pytest.mark.parametrize("call", ["write", "fdatasync"])
def test_a_failed_write_or_sync_is_final(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, call: str
) -> None:
    writer = journal.open_writer(tmp_path)
    writer.append(MESSAGE, b"kept")
    writer.commit()
    writer.append(MESSAGE, b"lost")

    def fail(*_: object) -> int:
        raise OSError(errno.ENOSPC, "No space left on device")

    with monkeypatch.context() as patch:
        patch.setattr(os, call, fail)
        with pytest.raises(JournalError, match="No space left"):
            writer.commit()
    with pytest.raises(JournalError, match="failed before"):
        writer.commit()
    writer.close()
    assert next(iter(journal.read(tmp_path))).payload == b"kept"


def test_a_foreign_file_is_refused_by_name_and_magic(tmp_path: Path) -> None:
    (tmp_path / "journal-0000000000000000.log").write_bytes(
        b"not a journal, but long enough for a header to be read."
    )
    with pytest.raises(JournalError, match="magic: expected"):
        journal.open_writer(tmp_path)
