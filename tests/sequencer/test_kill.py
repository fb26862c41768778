"""kill -9 under load: no acknowledged message is lost, and the same root comes back."""

from __future__ import annotations

import os
import random
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest
from tests.sequencer.crash_child import no_guest, open_world

from provenue.engine import Engine
from provenue.sequencer import journal
from provenue.sequencer.batches import BatchOpen
from provenue.sequencer.journal import RecordType
from provenue.sequencer.sequencer import Limits, Sequencer
from provenue.wire import STAMP_MAX_LIVE

ROUNDS_AT_ONCE = 10
# The long way takes 200: make faults.
KILLS = int(os.environ.get("PROVENUE_KILLS", "50"))


def _run_until_killed(folder: Path, seed: int, number: int, after_s: float) -> list[str]:
    """Lines the child had written before SIGKILL; the clock starts with its first one."""
    child = subprocess.Popen(
        [sys.executable, "-m", "tests.sequencer.crash_child", str(folder), str(seed), str(number)],
        stdout=subprocess.PIPE,
        text=True,
    )
    assert child.stdout is not None
    try:
        lines = [child.stdout.readline()]
        assert lines[0].startswith("ack "), "the child died before it acknowledged anything"
        time.sleep(after_s)
        os.kill(child.pid, signal.SIGKILL)
        lines += child.stdout.read().splitlines()
    finally:
        child.kill()
        child.wait()
        child.stdout.close()
    # The kill may have cut the last line.
    return [line for line in lines if len(line.split()) == 3 and len(line.split()[2]) == 64]


class HandReplay:
    """Applies the journal's messages with nothing of recovery's code: the oracle."""

    def __init__(self) -> None:
        self.engine = Engine("minimal")
        self.next_sequence = 0
        self._next_record = 0
        self._stamp_min_ms = 0

    def catch_up(self, folder: Path, roots: dict[int, str]) -> None:
        """Apply what is new; compare the root after each sequence number in `roots`."""
        for record in journal.read(folder, start=self._next_record):
            self._next_record = record.index + 1
            if record.type is RecordType.BATCH_OPEN:
                self._stamp_min_ms = BatchOpen.decode(record.payload).stamp_min_ms
            if record.type not in (RecordType.INBOX_MESSAGE, RecordType.POSTED_MESSAGE):
                continue
            self.engine.apply(
                record.payload,
                from_inbox=record.type is RecordType.INBOX_MESSAGE,
                stamp_min_ms=self._stamp_min_ms,
                stamp_max_ms=STAMP_MAX_LIVE,
            )
            want = roots.get(self.next_sequence)
            if want is not None:
                assert self.engine.root().hex() == want, f"root after {self.next_sequence}"
            self.next_sequence += 1


@pytest.mark.parametrize("part", range(KILLS // ROUNDS_AT_ONCE))
def test_kill_9_loses_nothing_acknowledged_and_keeps_the_root(
    tmp_path: Path, seed: int, part: int
) -> None:
    rng = random.Random(f"{seed}:{part}")
    replay = HandReplay()
    acknowledged = 0
    for number in range(ROUNDS_AT_ONCE):
        lines = _run_until_killed(tmp_path, seed + part, number, rng.uniform(0.0, 0.35))
        roots = {int(line.split()[1]): line.split()[2] for line in lines}
        last = max(roots)
        # The torn tail, if any, is cut by the writer; reading before that must cope too.
        replay.catch_up(tmp_path, roots)
        assert replay.next_sequence > last, "an acknowledged message is not in the journal"
        recovered = Sequencer(
            tmp_path,
            preset="minimal",
            guest_traps=no_guest,
            limits=Limits(),
            clock=open_world(seed, number).clock,
        )
        assert recovered.next_sequence == replay.next_sequence
        assert recovered.engine.root() == recovered.engine.rehash() == replay.engine.root()
        recovered.journal.close()
        acknowledged += len(roots)
    assert acknowledged > ROUNDS_AT_ONCE
