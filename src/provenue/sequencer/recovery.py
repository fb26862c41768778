"""Recovery: newest snapshot, replay the journal behind it, compare roots; and writing snapshots.

The live memory of a crashed process is never trusted (design, settled details): only snapshot files
and the journal. A snapshot is `snapshot-<journal index>.img` (the engine's own format, with its
root) and `snapshot-<journal index>.json` (where the sequencer stood). The json is written last, so
a snapshot without it does not count.
"""

from __future__ import annotations

import json
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

from provenue._durable import write_durably
from provenue._generated.messages import MESSAGES
from provenue.engine import Engine, EngineFault
from provenue.sequencer import journal
from provenue.sequencer.batches import BatchOpen, OpenBatch, decode_close, decode_skip
from provenue.sequencer.journal import JournalError, Record, RecordType
from provenue.wire import STAMP_MAX_LIVE

__all__ = [
    "SKIPPED_CODE",
    "STAMPED_KINDS",
    "Position",
    "Recovered",
    "recover",
    "save_snapshot",
    "snapshots",
]

# Outside the protocol's codes: the message trapped, by rule it has no effect (chapter 7.6).
SKIPPED_CODE = 0xFFFF_FFFF
# Kinds whose first field is the sequencer's stamp (chapter 2.3).
STAMPED_KINDS = frozenset(
    kind for kind, form in MESSAGES.items() if form.fields and form.fields[0].name == "stamp_ms"
)
_SNAPSHOTS_KEPT = 3


# sequence, batch, message, from_inbox, code, events
Observer = Callable[[int, OpenBatch, bytes, bool, int, bytes], None]


@dataclass(frozen=True, slots=True)
class Position:
    """Where the sequencer stands between two batches."""

    next_batch: int = 0
    next_sequence: int = 0
    next_inbox: int = 0
    inbox_accumulator: bytes = bytes(32)
    stamp_ms: int = 0

    def behind(self, batch: OpenBatch) -> Position:
        """The position once this batch is closed."""
        return Position(
            next_batch=batch.head.number + 1,
            next_sequence=batch.next_sequence,
            next_inbox=batch.head.inbox_first + batch.head.inbox_count,
            inbox_accumulator=batch.head.inbox_accumulator,
            stamp_ms=batch.stamp_max_ms,
        )


@dataclass(slots=True)
class Recovered:
    """A running state out of the files, and how it was found."""

    engine: Engine
    position: Position
    open_batch: OpenBatch | None
    snapshot_batch: int
    snapshot_index: int
    next_index: int
    """Journal index of the first record that was not replayed."""
    replayed_messages: int
    faulted_tail: Record | None
    """The journal's last message, when it faults and no SKIP was written: the guest must decide."""


def snapshots(folder: Path) -> list[Path]:
    """The complete snapshots (their json files), newest first."""
    found = [p for p in folder.glob("snapshot-*.json") if p.with_suffix(".img").exists()]
    return sorted(found, reverse=True)


def save_snapshot(folder: Path, engine: Engine, position: Position, *, journal_index: int) -> None:
    """Write a snapshot that continues at `journal_index`; older ones beyond a few are removed.

    JournalError when the disk does not take it. The journal's last commit stands all the same.
    """
    base = folder / f"snapshot-{journal_index:016d}"
    try:
        _write_snapshot(base, engine, position, journal_index)
    except OSError as error:
        raise JournalError(
            f"{base}.img: the snapshot could not be written: {error}; nothing since was "
            "acknowledged, and nothing before is lost: mend the disk and restart"
        ) from error
    for old in snapshots(folder)[_SNAPSHOTS_KEPT:]:
        old.unlink()
        old.with_suffix(".img").unlink()


def _write_snapshot(base: Path, engine: Engine, position: Position, journal_index: int) -> None:
    engine.snapshot(base.with_suffix(".img"), sequence=position.next_sequence)
    meta = {
        "journal_index": journal_index,
        "next_batch": position.next_batch,
        "next_sequence": position.next_sequence,
        "next_inbox": position.next_inbox,
        "inbox_accumulator": position.inbox_accumulator.hex(),
        "stamp_ms": position.stamp_ms,
    }
    write_durably(base.with_suffix(".json"), json.dumps(meta, indent=1).encode())


def load_snapshot(path: Path, preset: str) -> tuple[Engine, Position, int]:
    """(engine, position, journal index) of one snapshot; raises when it does not verify."""
    meta = json.loads(path.read_bytes())
    engine = Engine.restore(path.with_suffix(".img"))
    if engine.preset != preset:
        raise JournalError(f"{path}: preset: expected {preset}, the snapshot has {engine.preset}")
    position = Position(
        next_batch=int(meta["next_batch"]),
        next_sequence=int(meta["next_sequence"]),
        next_inbox=int(meta["next_inbox"]),
        inbox_accumulator=bytes.fromhex(meta["inbox_accumulator"]),
        stamp_ms=int(meta["stamp_ms"]),
    )
    return engine, position, int(meta["journal_index"])


def _newest_good_snapshot(
    folder: Path, preset: str, batch_max: int | None, sequence_max: int | None
) -> tuple[Engine, Position, int] | None:
    problems = []
    for path in snapshots(folder):
        try:
            found = load_snapshot(path, preset)
        except (OSError, ValueError, KeyError) as problem:
            problems.append(f"{path.name}: {problem}")
            continue
        early_enough = (batch_max is None or found[1].next_batch <= batch_max) and (
            sequence_max is None or found[1].next_sequence <= sequence_max
        )
        if early_enough:
            return found
    files = journal.segments(folder)
    if files and journal.first_index(files[0]) != 0:
        raise JournalError(
            f"{folder}: no usable snapshot ({'; '.join(problems) or 'none found'}), and the "
            f"journal starts at record {journal.first_index(files[0])}: restore the older segments"
        )
    return None


@dataclass(slots=True)
class _Replay:
    engine: Engine
    position: Position
    observer: Observer | None = None
    batch: OpenBatch | None = None
    messages: int = 0
    faulted_tail: Record | None = None

    def take(self, record: Record, following: Record | None) -> None:
        """Replay one record; `following` tells whether a SKIP stands behind it."""
        kind = record.type
        if kind is RecordType.BATCH_OPEN:
            head = BatchOpen.decode(record.payload)
            self._check_open(record, head)
            self.batch = OpenBatch(head, stamp_max_ms=head.stamp_min_ms)
        elif kind is RecordType.STATE_ROOT:
            self._check_root(record)
        elif self.batch is None:
            raise JournalError(f"record {record.index}: {kind.name} outside a batch")
        elif kind is RecordType.BATCH_CLOSE:
            _, stamp_max_ms, count = decode_close(record.payload)
            if count != self.batch.message_count:
                raise JournalError(
                    f"record {record.index}: BATCH_CLOSE: expected "
                    f"{self.batch.message_count} messages, it says {count}"
                )
            self.batch.stamp_max_ms = stamp_max_ms
            self.position = self.position.behind(self.batch)
            self.batch = None
        elif kind is not RecordType.SKIP:
            self._message(record, self.batch, following)

    def _message(self, record: Record, batch: OpenBatch, following: Record | None) -> None:
        from_inbox = record.type is RecordType.INBOX_MESSAGE
        sequence = batch.next_sequence
        if from_inbox:
            batch.add_inbox()
        else:
            batch.add_posted(record.payload)
            batch.stamp_max_ms = max(batch.stamp_max_ms, _stamp_of(record.payload))
        self.messages += 1
        if following is not None and following.type is RecordType.SKIP:
            if decode_skip(following.payload) != sequence:
                raise JournalError(f"record {following.index}: SKIP names another message")
            return
        try:
            code, events = self.engine.apply(
                record.payload,
                from_inbox=from_inbox,
                stamp_min_ms=batch.head.stamp_min_ms,
                stamp_max_ms=STAMP_MAX_LIVE,
            )
        except EngineFault:
            # The process died between the fault and its SKIP; the fault left no trace in the image.
            if following is not None:
                raise
            self.faulted_tail = record
            return
        if self.observer is not None:
            self.observer(sequence, batch, record.payload, from_inbox, code, events)

    def _check_open(self, record: Record, head: BatchOpen) -> None:
        want = (self.position.next_batch, self.position.next_sequence, self.position.next_inbox)
        got = (head.number, head.first_sequence, head.inbox_first)
        if self.batch is not None or want != got:
            raise JournalError(
                f"record {record.index}: BATCH_OPEN: expected (batch, sequence, inbox) {want}, "
                f"got {got}"
            )

    def _check_root(self, record: Record) -> None:
        root = self.engine.root()
        if root != record.payload:
            raise JournalError(
                f"record {record.index}: replay gives state root {root.hex()}, the journal has "
                f"{record.payload.hex()}: the program differs from the one that wrote this journal"
            )


def _stamp_of(message: bytes) -> int:
    """The stamp of a posted message as the sequencer wrote it; 0 where the kind has none."""
    if message and message[0] in STAMPED_KINDS and len(message) >= 9:
        return int.from_bytes(message[1:9], "big")
    return 0


def recover(
    folder: Path,
    *,
    preset: str,
    batch_max: int | None = None,
    sequence_max: int | None = None,
    observer: Observer | None = None,
) -> Recovered:
    """The state that the files in `folder` describe (a new one when there are none).

    With `batch_max`, the newest snapshot that stands before that batch is used and replay stops at
    the end of the batch before it (the anchoring worker starts there). With `sequence_max`, the
    snapshot stands at or before that sequence number, so that `observer` is called with every
    message from there on (read models catch up).
    Raises JournalError when files are damaged or disagree.
    """
    folder.mkdir(parents=True, exist_ok=True)
    found = _newest_good_snapshot(folder, preset, batch_max, sequence_max)
    engine, position, index = found or (Engine(preset), Position(), 0)
    replay = _Replay(engine, position, observer)
    pending: Record | None = None
    next_index = index
    for record in journal.read(folder, start=index):
        if pending is not None:
            replay.take(pending, record)
            next_index = record.index
            pending = None
        at_boundary = replay.batch is None
        if batch_max is not None and at_boundary and replay.position.next_batch >= batch_max:
            break
        pending = record
    else:
        if pending is not None:
            replay.take(pending, None)
            next_index = pending.index + 1
    return Recovered(
        engine=engine,
        position=replay.position,
        open_batch=replay.batch,
        snapshot_batch=position.next_batch,
        snapshot_index=index,
        next_index=next_index,
        replayed_messages=replay.messages,
        faulted_tail=replay.faulted_tail,
    )
