"""The venue's states as the watcher computes them: one engine that follows the archive.

The order of messages is final when it is posted, so there is one history, whatever is claimed about
it. Snapshots spare the way from the zero image after a restart; one at or before the first batch
that is not final is always kept, so that every claim that can still be disputed can be judged, and
any message of it be run again.
"""

from __future__ import annotations

from pathlib import Path

import structlog

from provenue import wire
from provenue.engine import Engine, EngineFault, SnapshotError
from provenue.watcher.archive import Archive, ArchivedBatch, ArchiveError
from provenue.watcher.replay import Executed, Traps, execute, recover_ahead

__all__ = ["SNAPSHOT_EVERY_BATCHES", "History"]

SNAPSHOT_EVERY_BATCHES = 16
_log = structlog.get_logger(__name__)


class History:
    """Executed batches of one archive. `next_batch` is the first that has not been executed."""

    def __init__(self, archive: Archive, *, preset: str, domain: wire.Domain, traps: Traps) -> None:
        self.archive = archive
        self.preset = preset
        self.executed: dict[int, Executed] = {}
        self.next_batch = 0
        self._engine = Engine(preset)
        self._domain = domain
        self._traps = traps
        self._folder = archive.folder / "states"
        self._folder.mkdir(exist_ok=True)

    @property
    def engine(self) -> Engine:
        """At the start of batch `next_batch`."""
        return self._engine

    def start(self, batch: int) -> None:
        """Stand at the newest usable snapshot at or before the start of a batch."""
        self._engine, self.next_batch = self._state_before(batch)
        self.executed = {n: e for n, e in self.executed.items() if n < self.next_batch}

    def run_next(self) -> Executed:
        """Execute the next archived batch."""
        number = self.next_batch
        batch = self.archive.load(number)
        done = execute(self._engine, batch, domain=self._domain, traps=self._traps)
        self.executed[number] = done
        self.next_batch = number + 1
        if self.next_batch % SNAPSHOT_EVERY_BATCHES == 0:
            self._engine.snapshot(self._path(self.next_batch), sequence=batch.next_sequence)
        return done

    def rewind(self, batch: int) -> None:
        """Forget what was made of batches from `batch` on: L1 has others in their place."""
        for number, path in self._snapshots():
            if number > batch:
                path.unlink(missing_ok=True)
        if self.next_batch > batch:
            self.executed = {n: e for n, e in self.executed.items() if n < batch}
            self.start(batch)

    def prune(self, final_count: int) -> None:
        """Drop what only final batches need."""
        for number in [n for n in self.executed if n < final_count]:
            del self.executed[number]
        old = [path for number, path in self._snapshots() if number <= final_count]
        for path in old[:-1]:
            path.unlink(missing_ok=True)

    def engine_at(self, number: int, index: int = 0) -> Engine:
        """A new engine before message `index` of an archived batch."""
        engine, at = self._state_before(number)
        while at < number:
            execute(engine, self.archive.load(at), domain=self._domain, traps=self._traps)
            at += 1
        if index:
            self._run_messages(engine, self.archive.load(number), index)
        return engine

    def _run_messages(self, engine: Engine, batch: ArchivedBatch, count: int) -> None:
        """The first messages of a batch."""
        messages, head = batch.messages[:count], batch.head
        recover_ahead(messages[len(batch.inbox) :], self._domain)
        for index, message in enumerate(messages):
            try:
                engine.apply(
                    message,
                    from_inbox=index < len(batch.inbox),
                    stamp_min_ms=head.stamp_min_ms,
                    stamp_max_ms=head.stamp_max_ms,
                )
            except EngineFault:
                # Judged when the batch was executed: it has no effect (P4).
                continue

    # --- snapshots -------------------------------------------------------------------------------

    def _path(self, batch: int) -> Path:
        return self._folder / f"before-{batch:010d}.img"

    def _snapshots(self) -> list[tuple[int, Path]]:
        """By the number of the batch they stand before, oldest first."""
        found = self._folder.glob("before-*.img")
        return sorted((int(path.stem.removeprefix("before-")), path) for path in found)

    def _state_before(self, batch: int) -> tuple[Engine, int]:
        """The newest good snapshot at or before a batch, and the batch it stands before."""
        for number, path in reversed(self._snapshots()):
            if number > min(batch, self.archive.count):
                continue
            try:
                engine, header = Engine.restore_with_header(path)
                sequence = self.archive.load(number - 1).next_sequence
                if engine.preset != self.preset or header.sequence != sequence:
                    raise SnapshotError(f"{path}: of another preset or history")
            except (SnapshotError, ArchiveError, OSError) as problem:
                _log.warning("snapshot not usable", problem=str(problem))
                continue
            return engine, number
        return Engine(self.preset), 0
