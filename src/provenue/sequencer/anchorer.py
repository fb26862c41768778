"""The anchoring worker: proves each closed batch, posts it with its claim, makes batches final.

A process of its own beside the operator (`python -m provenue.sequencer.anchorer`): it follows the
journal, runs every batch through the native engine and the guest side by side (P1), and posts only
what both agree on, with the tree of image roots as its claim. The matching thread never waits for
it. It keeps nothing that the journal and the chain do not say: started again, it continues with the
first batch that the chain does not have.

A difference stops it before it posts, with a report that names the first differing field. A full
pipeline does not stop it: the backlog stays in the journal and waits for finality; nor does a
dispute about a batch before, whose end it waits for.
"""

from __future__ import annotations

import json
import time
from collections import deque
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Protocol

import structlog

from provenue import wire
from provenue._generated.constants import PIPELINE_MAX
from provenue._image import ImageReader
from provenue.p1 import BatchCheck, Twin
from provenue.sequencer import recovery
from provenue.sequencer.anchor_log import AnchorLog, BatchRecord
from provenue.sequencer.batches import BatchReader, ClosedBatch
from provenue.sequencer.journal import Follower
from provenue.settlement.anchor import PostedBatch
from provenue.settlement.tx import RevertedError

__all__ = ["Anchorer", "Chain", "ProofFailedError"]

_log = structlog.get_logger(__name__)
POLL_S = 0.1
DISPUTE_POLL_S = 1.0


class ProofFailedError(Exception):
    """Engine and guest differ, or the chain is not this journal's: nothing goes out."""


class Chain(Protocol):
    """What the worker needs of the Anchor contract."""

    def batch_count(self) -> int:
        """Batches posted so far."""
        ...

    def final_count(self) -> int:
        """Batches that are final."""
        ...

    def start_root(self, batch: int) -> bytes:
        """Image root that a claim about a batch has to start from; RevertedError without one."""
        ...

    def post(
        self,
        header: wire.Header,
        inbox: Sequence[bytes],
        posted: bytes,
        start_root: bytes,
        claim: wire.ClaimTree,
    ) -> PostedBatch:
        """Post the next batch with its claim."""
        ...

    def finalize(self) -> int:
        """Make final what can be; the number of final batches then."""
        ...


@dataclass(frozen=True, slots=True)
class _Proven:
    """A batch that engine and guest agree on, and its claim."""

    batch: ClosedBatch
    header: wire.Header
    posted: bytes
    check: BatchCheck
    claim: wire.ClaimTree


class Anchorer:
    """Follows one journal folder and anchors its batches on one chain."""

    def __init__(
        self, folder: Path, *, preset: str, chain: Chain, log: AnchorLog, finalize_every_s: float
    ) -> None:
        self._folder = folder
        self._chain = chain
        self._log = log
        self._finalize_every_s = finalize_every_s
        self._next_finalize_s = 0.0
        self._next_batch = chain.batch_count()
        state = recovery.recover(folder, preset=preset, batch_max=self._next_batch)
        if state.position.next_batch != self._next_batch:
            raise ProofFailedError(
                f"the chain has {self._next_batch} batches, the journal in {folder} only "
                f"{state.position.next_batch}: it is not the journal that was anchored there"
            )
        self._twin = Twin(preset)
        self._twin.load(state.engine)
        self._reader = ImageReader(preset, self._twin.image())
        self._root = self._twin.root()
        self._follower = Follower(folder, start=state.next_index)
        self._batches = BatchReader()
        self._closed: deque[ClosedBatch] = deque()
        self._proven: _Proven | None = None
        self._final = chain.final_count()
        self._waiting = False
        self._disputed = False
        self._next_look_s = 0.0

    def run(self, stopping: Callable[[], bool]) -> None:
        """Anchor until told to stop; what is closed then is still posted, if there is room."""
        while True:
            ending = stopping()
            worked = self.step()
            if ending and not worked:
                return
            if not worked:
                time.sleep(POLL_S)

    def step(self) -> bool:
        """Anchor what has closed since the last call; whether there was anything."""
        worked = False
        while (proven := self._next_proven()) is not None and self._has_room():
            if not self._post(proven):
                break
            self._proven = None
            worked = True
            self._finalize()
        self._finalize()
        return worked

    def _next_proven(self) -> _Proven | None:
        """The next batch that has closed; proven once, however long it then waits."""
        if self._proven is not None:
            return self._proven
        if not self._closed:
            records = self._follower.read_new()
            self._closed.extend(b for r in records if (b := self._batches.take(r)) is not None)
            if not self._closed:
                return None
            # A claim must never outlive the record of what it claims.
            self._follower.sync()
        batch = self._closed.popleft()
        if batch.head.number != self._next_batch:
            raise ProofFailedError(
                f"batch: expected {self._next_batch}, the journal has {batch.head.number}"
            )
        posted = wire.encode_posted(batch.posted)
        header = wire.Header(
            batch=batch.head.number,
            stamp_min_ms=batch.head.stamp_min_ms,
            stamp_max_ms=batch.stamp_max_ms,
            inbox_count=len(batch.inbox),
            posted_bytes=len(posted),
            inbox_first=batch.head.inbox_first,
            sequence_first=batch.head.first_sequence,
            inbox_accumulator=batch.head.inbox_accumulator,
        )
        check = self._prove(batch, header, posted)
        self._proven = _Proven(batch, header, posted, check, wire.ClaimTree(check.roots))
        return self._proven

    def _has_room(self) -> bool:
        """Whether the chain takes one more batch, as far as the last look at finality tells."""
        room = self._next_batch - self._final < PIPELINE_MAX
        if not room and not self._waiting:
            _log.warning("pipeline is full, waiting", batch=self._next_batch, final=self._final)
        self._waiting = not room
        return room

    def _stands(self) -> bool:
        """Whether what the chain holds to be right before this batch is what was proven here.

        It is not while somebody else's wrong claim is active, or none is: then a watcher disputes
        (chapter 11), and a batch posted now would be refused, or fall with the wrong one.
        """
        if time.monotonic() < self._next_look_s:
            return False
        try:
            stands = self._chain.start_root(self._next_batch) == self._root
        except RevertedError:
            stands = False
        if not stands and not self._disputed:
            _log.warning("the claim before is disputed, waiting", batch=self._next_batch)
        self._disputed = not stands
        self._next_look_s = 0.0 if stands else time.monotonic() + DISPUTE_POLL_S
        return stands

    def _post(self, proven: _Proven) -> bool:
        """Post a batch; False when it has to wait for finality, or for the end of a dispute."""
        batch = proven.batch
        if not self._stands():
            return False
        try:
            done = self._chain.post(
                proven.header, batch.inbox, proven.posted, self._root, proven.claim
            )
        except RevertedError as refused:
            if "pipeline is full" not in refused.reason:
                raise
            self._final = self._next_batch - PIPELINE_MAX  # until finality is looked at again
            return False
        self._root = proven.check.roots[-1]
        self._next_batch += 1
        self._log.record(self._record(proven, done))
        _log.info(
            "batch anchored",
            batch=batch.head.number,
            messages=batch.message_count,
            gas=done.gas_used,
            steps_max=proven.check.steps_max,
        )
        return True

    def _prove(self, batch: ClosedBatch, header: wire.Header, posted: bytes) -> BatchCheck:
        """P1 before every post: the operator never claims a root the guest has not reproduced."""
        check = self._twin.check_batch(header, batch.inbox, posted)
        skipped = [batch.head.first_sequence + int(i) for i in check.skipped.nonzero()[0]]
        if check.ok and skipped == batch.skipped:
            return check
        difference = (
            str(check.mismatches[0])
            if check.mismatches
            else f"skipped messages: the journal has {batch.skipped}, the proof {skipped}"
        )
        report = {
            "batch": batch.head.number,
            "first_sequence": batch.head.first_sequence,
            "difference": difference,
            "header": header.encode().hex(),
            "inbox": [message.hex() for message in batch.inbox],
            "posted": posted.hex(),
            "start_root": self._root.hex(),
        }
        path = self._folder / f"mismatch-{batch.head.number}.json"
        path.write_text(json.dumps(report, indent=1))
        raise ProofFailedError(
            f"batch {batch.head.number} is not posted: {difference}; the whole case is in {path}"
        )

    def _record(self, proven: _Proven, done: PostedBatch) -> BatchRecord:
        """Right after posting, with the twin still at the end of the batch."""
        batch, check = proven.batch, proven.check
        return BatchRecord(
            number=batch.head.number,
            first_sequence=batch.head.first_sequence,
            message_count=batch.message_count,
            posted_bytes=len(proven.posted),
            inbox_count=len(batch.inbox),
            withdrawal_count=self._reader.get("withdrawal_count"),
            withdrawal_root=self._reader.withdrawal_root,
            withdrawal_proof=b"".join(self._twin.leaf_proof(0)),
            end_root=check.roots[-1],
            claim_root=proven.claim.root,
            root_mismatches=len(check.mismatches),
            steps_max=check.steps_max,
            tx_hash=done.tx_hash,
            gas_used=done.gas_used,
            posted_at_s=done.posted_at_s,
            final=0,
        )

    def _finalize(self) -> None:
        if time.monotonic() < self._next_finalize_s:
            return
        self._next_finalize_s = time.monotonic() + self._finalize_every_s
        self._final = self._chain.final_count()
        if self._final < self._next_batch:
            self._final = self._chain.finalize()
        self._log.mark_final(self._final)
