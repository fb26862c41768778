"""Checking claims about batches, and the whole history, from L1 data alone."""

from __future__ import annotations

import time
from collections.abc import Iterator
from dataclasses import dataclass
from enum import IntEnum

import msgspec

from provenue.settlement.anchored import ClaimInfo
from provenue.settlement.rpc import ChainError
from provenue.watcher.archive import Archive, ArchiveError
from provenue.watcher.history import History
from provenue.watcher.l1 import L1, MissingDataError
from provenue.watcher.replay import BuildsDifferError, Executed
from provenue.watcher.source import Source

__all__ = ["BatchVerdict", "ClaimVerdict", "HistoryVerdict", "Verdict", "Verifier"]


class Verdict(IntEnum):
    """Also the exit status of `provenue verify`."""

    RIGHT = 0
    WRONG = 1
    UNKNOWN = 2


class ClaimVerdict(msgspec.Struct, frozen=True):
    """One claim, and whether it is what the batch does."""

    index: int
    claimant: str
    status: str
    """live, void or final."""
    right: bool


class BatchVerdict(msgspec.Struct, frozen=True):
    """What became of one batch. Hex strings without 0x; times in seconds."""

    batch: int
    verdict: str
    messages: int = 0
    start_root: str = ""
    claim_root: str = ""
    end_root: str = ""
    claims: list[ClaimVerdict] = []
    execution_seconds: float = 0.0
    reason: str = ""

    @property
    def status(self) -> Verdict:
        """As a number."""
        return Verdict[self.verdict.upper()]


class HistoryVerdict(msgspec.Struct, frozen=True):
    """What became of the whole history."""

    verdict: str
    batches: int
    final_batches: int
    messages: int
    wrong_batches: list[int]
    root: str
    """The image root after the last batch, as it was executed here."""
    chain_root: str
    """The end root of the chain's active (or final) claim about that batch."""
    same_root: bool
    seconds: float
    reason: str = ""

    @property
    def status(self) -> Verdict:
        """As a number."""
        return Verdict[self.verdict.upper()]


@dataclass(frozen=True, slots=True)
class Verifier:
    """Archive, execution and comparison, put together."""

    l1: L1
    archive: Archive
    history: History
    source: Source

    def batch(self, number: int) -> BatchVerdict:
        """Check one batch: archive and execute what leads to it, compare every claim about it."""
        try:
            count = self._update()
            if number >= count:
                return BatchVerdict(number, "unknown", reason=f"the chain has {count} batches")
            self.history.start(number)
            executed = self._execute_to(number)
            return self._compare(executed, self.archive.load(number).message_count)
        except (MissingDataError, ArchiveError, BuildsDifferError) as problem:
            return BatchVerdict(number, "unknown", reason=str(problem))

    def each(self) -> Iterator[BatchVerdict]:
        """Execute the history from genesis on and check every batch; ends behind the last, or at
        the first that cannot be judged."""
        count = self._update()
        self.history.start(0)
        for number in range(count):
            executed = self._execute_to(number)
            yield self._compare(executed, self.archive.load(number).message_count)
            self.history.executed.clear()

    def everything(self, report: Iterator[BatchVerdict]) -> HistoryVerdict:
        """Sum up what `each` finds."""
        began, messages, batches, last = time.monotonic(), 0, 0, ""
        wrong: list[int] = []
        reason, status = "", Verdict.RIGHT
        try:
            for verdict in report:
                batches, last = verdict.batch + 1, verdict.end_root
                messages += verdict.messages
                if verdict.status is Verdict.WRONG:
                    wrong.append(verdict.batch)
        except (MissingDataError, ArchiveError, BuildsDifferError) as problem:
            reason, status = str(problem), Verdict.UNKNOWN
        chain_root = self._chain_root(batches - 1) if batches else ""
        same = last == chain_root
        if wrong or (not same and status is Verdict.RIGHT):
            status = Verdict.WRONG
        return HistoryVerdict(
            verdict=status.name.lower(),
            batches=batches,
            final_batches=self.l1.final_count(),
            messages=messages,
            wrong_batches=wrong,
            root=last,
            chain_root=chain_root,
            same_root=same,
            seconds=round(time.monotonic() - began, 3),
            reason=reason,
        )

    def _update(self) -> int:
        block = self.source.update()
        return self.l1.batch_count(block.number)

    def _execute_to(self, number: int) -> Executed:
        while self.history.next_batch <= number:
            self.source.run_next()
        return self.history.executed[number]

    def _compare(self, executed: Executed, messages: int) -> BatchVerdict:
        claims = [
            ClaimVerdict(claim.index, claim.claimant, claim.status, _is_right(claim, executed))
            for claim in self.l1.anchor.claims(executed.number)
        ]
        standing = [claim for claim in claims if claim.status != "void"]
        reason = "" if standing else "no claim about it is live or final"
        status = Verdict.RIGHT if standing else Verdict.UNKNOWN
        if not all(claim.right for claim in standing):
            status = Verdict.WRONG
        return BatchVerdict(
            batch=executed.number,
            verdict=status.name.lower(),
            messages=messages,
            start_root=executed.start_root.hex(),
            claim_root=executed.claim_root.hex(),
            end_root=executed.end_root.hex(),
            claims=claims,
            execution_seconds=round(executed.seconds, 4),
            reason=reason,
        )

    def _chain_root(self, batch: int) -> str:
        """End root of the active claim about a batch; empty when it has none."""
        try:
            return self.l1.anchor.start_root(batch + 1).hex()
        except ChainError:
            return ""


def _is_right(claim: ClaimInfo, executed: Executed) -> bool:
    return (claim.start_root, claim.claim_root) == (executed.start_root, executed.claim_root)
