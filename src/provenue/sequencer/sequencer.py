"""The sequencer: gives every input its place, applies it, and keeps the journal and the batches.

`Sequencer` is synchronous and single-threaded; `service.py` puts group commit and asyncio around
it. The order of things for each message: stamp it, open or close a batch when needed, append it to
the journal, apply it, and continue whatever it left pending (a taker's remainder, a sweep) before
anything else is served (P6). Nothing is published before the journal is durable: `drain` returns
what was done, and the caller commits before it tells anyone.
"""

from __future__ import annotations

import time
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Protocol

from provenue._generated import constants
from provenue.engine import Engine, EngineFault
from provenue.sequencer import journal, recovery
from provenue.sequencer.batches import BatchOpen, OpenBatch, encode_close, encode_skip
from provenue.sequencer.journal import RecordType
from provenue.wire import STAMP_MAX_LIVE, Kind, posted_size_bytes

__all__ = [
    "GuestTrap",
    "InboxItem",
    "Limits",
    "MessageTooLongError",
    "Outcome",
    "Sequencer",
    "SequencerError",
    "wall_clock_ms",
]

_CONTINUE = bytes((Kind.CONTINUE,))


class SequencerError(Exception):
    """The sequencer met something it must not run past; the operator has to look."""


class MessageTooLongError(ValueError):
    """A message fits no batch at all; it is refused, and nothing else is touched."""


class GuestTrap(Protocol):
    """Asks the guest whether a message traps on the present image (after a native fault)."""

    def __call__(
        self, image: memoryview, message: bytes, *, from_inbox: bool, stamp_min_ms: int
    ) -> bool: ...


@dataclass(frozen=True, slots=True)
class InboxItem:
    """One item of the L1 inbox: its index, message bytes, and the accumulator after it."""

    index: int
    message: bytes
    accumulator: bytes


@dataclass(frozen=True, slots=True)
class Outcome:
    """What became of one message. `events` are packed 64-byte records (chapter 8)."""

    sequence: int
    batch: int
    message: bytes
    from_inbox: bool
    code: int
    events: bytes
    stamp_ms: int


@dataclass(frozen=True, slots=True)
class Limits:
    """When a batch is closed, and how often a snapshot is taken.

    `batch_age_ms_min` is the pace that the chain's pipeline carries (see pace.py); only a full
    batch is closed faster. `inbox_silence_ms_max`: how long after the last look at the inbox
    messages are still taken (0: for ever). Items that came since are unknown; a batch stamped when
    one of them is due could never be posted.
    """

    batch_bytes_max: int = constants.BATCH_BYTES_MAX
    batch_messages_max: int = constants.BATCH_MESSAGES_MAX
    batch_age_ms_max: int = 4_000
    batch_age_ms_min: int = 0
    inbox_silence_ms_max: int = 0
    snapshot_batches: int = 64

    @property
    def inbox_age_ms(self) -> int:
        """From this age on, a batch is closed when inbox items wait for the next one."""
        return max(self.batch_age_ms_max // 2, self.batch_age_ms_min)


def wall_clock_ms() -> int:
    """Milliseconds since 1970."""
    return time.time_ns() // 1_000_000


class Sequencer:
    """Owns the engine, the journal writer and the open batch. One thread only."""

    def __init__(
        self,
        folder: Path,
        *,
        preset: str,
        guest_traps: GuestTrap,
        limits: Limits | None = None,
        clock: Callable[[], int] = wall_clock_ms,
        published: int = -1,
        republish: Callable[[list[Outcome]], None] | None = None,
    ) -> None:
        """Recover from `folder`. Outcomes behind sequence `published` are handed to `republish`."""
        self._folder = folder
        self._limits = limits or Limits()
        self._clock = clock
        self._guest_traps = guest_traps
        self._outcomes: list[Outcome] = []
        self._waiting_inbox: list[InboxItem] = []
        missed: list[Outcome] = []

        def observe(
            sequence: int, batch: OpenBatch, message: bytes, inbox: bool, code: int, events: bytes
        ) -> None:
            if sequence > published:
                number, stamp_ms = batch.head.number, batch.stamp_max_ms
                missed.append(Outcome(sequence, number, message, inbox, code, events, stamp_ms))

        state = recovery.recover(
            folder,
            preset=preset,
            sequence_max=published + 1 if republish else None,
            observer=observe if republish else None,
        )
        self.engine: Engine = state.engine
        self.recovered = state
        self._position = state.position
        self._batch: OpenBatch | None = state.open_batch
        if self.next_sequence <= published:
            # A journal cut at the end of a record looks whole; who has read further knows better.
            raise SequencerError(
                f"{folder}: the journal ends before message {self.next_sequence}, but message "
                f"{published} was published: acknowledged messages are lost; restore the journal "
                "from a copy"
            )
        if republish and missed:
            republish(missed)
        # An age goes on through an outage: what came to the inbox meanwhile may be due, and a batch
        # that is filled on would leave it behind.
        self._batch_opened_ms = self._batch.head.stamp_min_ms if self._batch else 0
        # A crash between closing a batch and its snapshot only means the snapshot comes later.
        self._last_snapshot_batch = state.snapshot_batch
        self.journal = journal.open_writer(folder)
        if state.faulted_tail is not None:
            self._settle_faulted_tail(state.faulted_tail)

    # --- what others may ask ---------------------------------------------------------------------

    @property
    def limits(self) -> Limits:
        """What it was started with."""
        return self._limits

    def now_ms(self) -> int:
        """The time that messages are stamped with."""
        return self._clock()

    @property
    def next_sequence(self) -> int:
        """Sequence number that the next message will get."""
        return self._batch.next_sequence if self._batch else self._position.next_sequence

    @property
    def closed_batches(self) -> int:
        """Batches closed so far; those that the chain does not have yet are the backlog."""
        return self._batch.head.number if self._batch else self._position.next_batch

    @property
    def open_batch(self) -> OpenBatch | None:
        """The batch being filled."""
        return self._batch

    @property
    def next_inbox_index(self) -> int:
        """Index of the first inbox item that the sequencer has neither consumed nor waiting."""
        if self._waiting_inbox:
            return self._waiting_inbox[-1].index + 1
        return self.inbox_consumed

    @property
    def inbox_consumed(self) -> int:
        """Inbox items that have been applied (those of the open batch, too)."""
        if self._batch is not None:
            return self._batch.head.inbox_first + self._batch.head.inbox_count
        return self._position.next_inbox

    def drain(self) -> list[Outcome]:
        """Outcomes since the last call. Commit the journal before publishing them."""
        outcomes, self._outcomes = self._outcomes, []
        return outcomes

    # --- input -----------------------------------------------------------------------------------

    def offer_inbox(self, items: list[InboxItem]) -> None:
        """Take new inbox items, in order and without gaps; they run when the next batch opens."""
        for item in items:
            if item.index != self.next_inbox_index:
                raise SequencerError(
                    f"inbox item: expected index {self.next_inbox_index}, got {item.index}"
                )
            self._waiting_inbox.append(item)

    def check_fits(self, message: bytes) -> None:
        """MessageTooLongError unless a batch can hold the message."""
        length_max = self._limits.batch_bytes_max - posted_size_bytes(1, 0)
        if len(message) > length_max:
            raise MessageTooLongError(
                f"message: expected at most {length_max} bytes, got {len(message)}"
            )

    def submit(self, message: bytes) -> Outcome:
        """Sequence one posted message, then whatever it leaves to be continued."""
        self.check_fits(message)
        batch = self._batch_for(message)
        stamp_ms = self._stamp(batch)
        if message and message[0] in recovery.STAMPED_KINDS and len(message) >= 9:
            message = message[:1] + stamp_ms.to_bytes(8, "big") + message[9:]
        outcome = self._run(batch, message, from_inbox=False, stamp_ms=stamp_ms)
        self._continue_pending()
        return outcome

    def submit_all(self, message: bytes) -> list[Outcome]:
        """The same; the message's outcome, then those of what was continued."""
        outcome = self.submit(message)
        start = len(self._outcomes) - 1
        while self._outcomes[start] is not outcome:
            start -= 1
        return self._outcomes[start:]

    def turn_batches(self) -> None:
        """Close a batch that is old, and open one when inbox items wait. Call it regularly."""
        # After a crash between a message and its CONTINUE, that comes before anything else (P6).
        self._continue_pending()
        batch = self._batch
        if batch is not None:
            age_ms = self._clock() - self._batch_opened_ms
            limits = self._limits
            if age_ms >= (limits.inbox_age_ms if self._waiting_inbox else limits.batch_age_ms_max):
                if batch.message_count == 0:
                    # Opened by a process that died before the first message. The chain takes no
                    # empty batch; a CONTINUE with nothing to continue is a reject without a stamp.
                    self._run(batch, _CONTINUE, from_inbox=False, stamp_ms=batch.stamp_max_ms)
                self._close_batch()
        if self._batch is None and self._waiting_inbox:
            self._open_batch()

    def close_batch(self) -> None:
        """Close the open batch now, if it has a message (shutdown, tests)."""
        if self._batch is not None and self._batch.message_count > 0:
            self._close_batch()

    # --- batches ---------------------------------------------------------------------------------

    def _batch_for(self, message: bytes) -> OpenBatch:
        while True:
            batch = self._batch
            if batch is None:
                self._open_batch()
            elif (
                batch.bytes_with(message) > self._limits.batch_bytes_max
                or batch.message_count + 1 > self._limits.batch_messages_max
            ):
                self._close_batch()
            else:
                # Looked at again after opening: continuing a sweep may have filled the new batch.
                return batch

    def _open_batch(self) -> None:
        position = self._position
        items = self._waiting_inbox[: constants.BATCH_INBOX_MAX]
        del self._waiting_inbox[: len(items)]
        head = BatchOpen(
            number=position.next_batch,
            first_sequence=position.next_sequence,
            stamp_min_ms=max(self._clock(), position.stamp_ms),
            inbox_first=position.next_inbox,
            inbox_count=len(items),
            inbox_accumulator=items[-1].accumulator if items else position.inbox_accumulator,
        )
        self.journal.append(RecordType.BATCH_OPEN, head.encode())
        batch = OpenBatch(head, stamp_max_ms=head.stamp_min_ms)
        self._batch = batch
        self._batch_opened_ms = self._clock()
        for item in items:
            self._run(batch, item.message, from_inbox=True, stamp_ms=head.stamp_min_ms)
        # An inbox item is never stopped by what is pending, but it may leave a sweep as it was, or
        # start one (a forced close where no price will, 12.1).
        self._continue_pending()

    def _close_batch(self) -> None:
        batch = self._batch
        assert batch is not None
        assert batch.message_count > 0
        # The contract allows stamp_max only near the L1 clock: it is the last stamp, not "now".
        self.journal.append(
            RecordType.BATCH_CLOSE,
            encode_close(batch.head.number, batch.stamp_max_ms, batch.message_count),
        )
        self._batch = None
        self._position = self._position.behind(batch)
        if batch.head.number + 1 - self._last_snapshot_batch >= self._limits.snapshot_batches:
            self.snapshot()

    def snapshot(self) -> None:
        """Write a snapshot at a batch boundary; the journal starts a new segment there."""
        assert self._batch is None
        root = self.engine.root()
        self.journal.append(RecordType.STATE_ROOT, root)
        self.journal.rotate()
        recovery.save_snapshot(
            self._folder, self.engine, self._position, journal_index=self.journal.next_index
        )
        self._last_snapshot_batch = self._position.next_batch

    # --- one message -----------------------------------------------------------------------------

    def _stamp(self, batch: OpenBatch) -> int:
        # The image takes max(now, stamp) itself; the journal keeps stamps rising so that the
        # header's stamp_max is simply the last one.
        return max(self._clock(), batch.stamp_max_ms)

    def _run(self, batch: OpenBatch, message: bytes, *, from_inbox: bool, stamp_ms: int) -> Outcome:
        sequence = batch.next_sequence
        kind = RecordType.INBOX_MESSAGE if from_inbox else RecordType.POSTED_MESSAGE
        self.journal.append(kind, message)
        if from_inbox:
            batch.add_inbox()
        else:
            batch.add_posted(message)
            batch.stamp_max_ms = stamp_ms
        stamp_min_ms = batch.head.stamp_min_ms
        try:
            code, events = self.engine.apply(
                message,
                from_inbox=from_inbox,
                stamp_min_ms=stamp_min_ms,
                stamp_max_ms=STAMP_MAX_LIVE,
            )
        except EngineFault as fault:
            code, events = self._after_fault(fault, message, sequence, from_inbox, stamp_min_ms)
        outcome = Outcome(sequence, batch.head.number, message, from_inbox, code, events, stamp_ms)
        self._outcomes.append(outcome)
        return outcome

    def _after_fault(
        self, fault: EngineFault, message: bytes, sequence: int, from_inbox: bool, stamp_min: int
    ) -> tuple[int, bytes]:
        """A native assertion failed and was undone: the guest decides (design, settled details).

        If it traps too, the message has no effect by rule and a SKIP says so durably; if not, the
        two builds differ (P1) and nothing may be published from here on.
        """
        traps = self._guest_traps(
            self.engine.image, message, from_inbox=from_inbox, stamp_min_ms=stamp_min
        )
        if not traps:
            raise SequencerError(
                f"message {sequence}: the native engine failed ({fault}) and the guest does not; "
                "the two builds differ: keep the journal and report it"
            ) from fault
        self.journal.append(RecordType.SKIP, encode_skip(sequence))
        return recovery.SKIPPED_CODE, b""

    def _settle_faulted_tail(self, record: journal.Record) -> None:
        batch = self._batch
        assert batch is not None
        traps = self._guest_traps(
            self.engine.image,
            record.payload,
            from_inbox=record.type is RecordType.INBOX_MESSAGE,
            stamp_min_ms=batch.head.stamp_min_ms,
        )
        if not traps:
            raise SequencerError(
                f"journal record {record.index}: the native engine fails on it, the guest does not"
            )
        self.journal.append(RecordType.SKIP, encode_skip(batch.next_sequence - 1))
        self.journal.commit()

    def _continue_pending(self) -> None:
        # P6: whoever is below maintenance is liquidated before anyone else's order is served.
        while self.engine.pending():
            self._run_continue()

    def _run_continue(self) -> None:
        batch = self._batch_for(_CONTINUE)
        if not self.engine.pending():  # opening a batch may have continued it already
            return
        stamp_ms = batch.stamp_max_ms
        outcome = self._run(batch, _CONTINUE, from_inbox=False, stamp_ms=stamp_ms)
        if outcome.code == recovery.SKIPPED_CODE:
            # By rule it was an empty message, so the same is pending: the next would trap as well.
            raise SequencerError(
                f"message {outcome.sequence}: a CONTINUE trapped, so what it should continue stays "
                "pending for ever: keep the journal and report it"
            )
