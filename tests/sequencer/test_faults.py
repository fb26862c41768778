"""What a disk can do to a running venue: full, failing, slow, torn, flipped, cut short.

The victim is the operator's core under load in a process of its own (crash_child.py); `ack` lines
are what it acknowledged. Whatever the fault: nothing acknowledged is lost, or the next start says
that something is.
"""

from __future__ import annotations

import os
import random
import shutil
import subprocess
import sys
from dataclasses import dataclass
from pathlib import Path

import pytest
from tests.sequencer.crash_child import no_guest, open_world
from tests.sequencer.test_kill import HandReplay

from provenue.sequencer import journal
from provenue.sequencer.journal import JournalError
from provenue.sequencer.sequencer import Limits, Outcome, Sequencer, SequencerError

pytestmark = pytest.mark.slow
FLIPS = int(os.environ.get("PROVENUE_FLIPS", "60"))


@dataclass
class Victim:
    """What a run under a fault left behind."""

    folder: Path
    acknowledged: dict[int, str]
    """State root by the sequence number of the last message of each acknowledged group."""
    errors: str

    @property
    def last(self) -> int:
        return max(self.acknowledged, default=-1)


def _run(folder: Path, seed: int, fault: str, acks: int | None = None) -> Victim:
    """Run the victim until it ends by itself, or kill -9 it after so many acknowledgements."""
    command = [sys.executable, "-m", "tests.sequencer.crash_child", str(folder), str(seed), "0"]
    child = subprocess.Popen(
        command,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
        env=os.environ | {"PROVENUE_DISK_FAULT": fault},
    )
    assert child.stdout is not None
    assert child.stderr is not None
    lines: list[str] = []
    try:
        for line in child.stdout:
            lines.append(line)
            if acks is not None and len(lines) >= acks:
                child.kill()
                break
        lines += child.stdout.readlines()
        errors = child.stderr.read()
        child.wait(timeout=60)
    finally:
        child.kill()
        child.wait()
        child.stdout.close()
        child.stderr.close()
    told = [line.split() for line in lines if len(line.split()) == 3 and len(line) > 64]
    return Victim(folder, {int(t[1]): t[2] for t in told if len(t[2]) == 64}, errors)


def _recover(folder: Path, seed: int, *, published: int = -1) -> Sequencer:
    def republish(_: list[Outcome]) -> None:
        pass

    return Sequencer(
        folder,
        preset="minimal",
        guest_traps=no_guest,
        limits=Limits(),
        clock=open_world(seed, 0).clock,
        published=published,
        republish=republish,
    )


def _check_nothing_is_lost(victim: Victim, seed: int) -> None:
    replay = HandReplay()
    replay.catch_up(victim.folder, victim.acknowledged)
    assert replay.next_sequence > victim.last, "an acknowledged message is not in the journal"
    recovered = _recover(victim.folder, seed, published=victim.last)
    assert recovered.next_sequence == replay.next_sequence
    assert recovered.engine.root() == recovered.engine.rehash() == replay.engine.root()
    recovered.journal.close()


@pytest.mark.parametrize("part", range(3))
def test_a_full_disk_stops_the_venue_and_loses_nothing(
    tmp_path: Path, seed: int, part: int
) -> None:
    """The kernel itself refuses the write, after taking a part of it."""
    limit = random.Random(f"{seed}:{part}").randrange(20_000, 60_000)
    victim = _run(tmp_path, seed, f"file-bytes:{limit}")
    assert "nothing since was acknowledged" in victim.errors
    assert victim.last > 0
    assert max(path.stat().st_size for path in journal.segments(tmp_path)) <= limit
    _check_nothing_is_lost(victim, seed)


@pytest.mark.parametrize("part", range(3))
def test_a_failed_sync_stops_the_venue_and_what_it_lost_was_never_acknowledged(
    tmp_path: Path, seed: int, part: int
) -> None:
    """The sync fails, and the pages that it should have written are gone."""
    count = random.Random(f"{seed}:{part}").randrange(3, 40)
    victim = _run(tmp_path, seed, f"sync-fails:{count}")
    assert "nothing since was acknowledged" in victim.errors
    assert len(victim.acknowledged) >= 1
    _check_nothing_is_lost(victim, seed)


def test_a_slow_disk_delays_acknowledgements_and_loses_nothing(tmp_path: Path, seed: int) -> None:
    """Every sync takes up to 50 ms; what is not synced when the process dies is thrown away."""
    victim = _run(tmp_path, seed, "slow-sync:50", acks=25)
    assert len(victim.acknowledged) >= 25
    _check_nothing_is_lost(victim, seed)


@pytest.fixture(scope="module")
def killed(tmp_path_factory: pytest.TempPathFactory) -> Victim:
    """A venue killed under load, whole files."""
    return _run(tmp_path_factory.mktemp("killed") / "journal", 7, "", acks=60)


def test_a_torn_last_write_is_cut_off(killed: Victim, tmp_path: Path, seed: int) -> None:
    """Half of a record, or noise of any length, behind the last whole one."""
    rng = random.Random(seed)
    for number in range(20):
        folder = tmp_path / str(number)
        shutil.copytree(killed.folder, folder)
        with journal.segments(folder)[-1].open("ab") as file:
            file.write(rng.randbytes(rng.randrange(1, 400)))
        _check_nothing_is_lost(Victim(folder, killed.acknowledged, ""), 7)


def test_a_tail_cut_short_is_noticed_by_who_has_read_further(
    killed: Victim, tmp_path: Path, seed: int
) -> None:
    """Wherever the cut is: the sequencer starts with all that was published, or not at all."""
    rng = random.Random(seed)
    refused: list[str] = []
    for number in range(20):
        folder = tmp_path / str(number)
        shutil.copytree(killed.folder, folder)
        last = journal.segments(folder)[-1]
        os.truncate(last, rng.randrange(last.stat().st_size))
        try:
            _recover(folder, 7, published=killed.last).journal.close()
        except SequencerError as problem:
            refused.append(str(problem))
    assert refused
    assert all("acknowledged messages are lost" in text for text in refused)


def test_a_flipped_bit_anywhere_is_noticed_or_harmless(
    killed: Victim, tmp_path: Path, seed: int
) -> None:
    """In every file of the folder: the start is refused, or the state is the same as without."""
    want = _recover(_copy(killed, tmp_path / "whole"), 7)
    root, next_sequence = want.engine.root(), want.next_sequence
    want.journal.close()
    rng = random.Random(seed)
    refused = 0
    for number in range(FLIPS):
        folder = _copy(killed, tmp_path / str(number))
        path = rng.choice(sorted(folder.iterdir()))
        at, bit = rng.randrange(path.stat().st_size), rng.randrange(8)
        data = bytearray(path.read_bytes())
        data[at] ^= 1 << bit
        path.write_bytes(data)
        try:
            recovered = _recover(folder, 7, published=killed.last)
        except (JournalError, SequencerError):
            refused += 1
            continue
        where = f"{path.name} byte {at} bit {bit}"
        assert recovered.next_sequence == next_sequence, where
        assert recovered.engine.root() == root, where
        recovered.journal.close()
    print(f"{refused} of {FLIPS} flips refused, the others passed over")
    assert refused > 0


def _copy(victim: Victim, folder: Path) -> Path:
    shutil.copytree(victim.folder, folder)
    return folder
