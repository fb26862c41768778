"""Archiving: from L1 into the folder, at a chosen depth, and back when L1 changed its mind."""

from __future__ import annotations

from pathlib import Path

import structlog

from provenue.settlement.chain_types import Block, BlockId
from provenue.watcher.archive import Archive, ArchiveError
from provenue.watcher.history import History
from provenue.watcher.l1 import L1
from provenue.watcher.replay import Executed

__all__ = ["Source", "open_archive"]

_log = structlog.get_logger(__name__)


def open_archive(folder: Path, l1: L1) -> Archive:
    """The archive of a venue in a folder; ArchiveError when it is of another one."""
    chain_id, anchor = l1.deployment.chain_id, l1.deployment.contracts["Anchor"]
    return Archive(folder, chain_id=chain_id, anchor=anchor)


class Source:
    """Keeps archive and history at the chain's state at `depth`.

    `checked`: of the archived batches, the first so many are those that the chain has.
    """

    def __init__(self, l1: L1, archive: Archive, history: History, *, depth: BlockId) -> None:
        self.checked = 0
        self._l1 = l1
        self._archive = archive
        self._history = history
        self._depth = depth
        self._block: Block | None = None

    def update(self) -> Block:
        """Archive what is deep enough and new; the block that was read at.

        MissingDataError when the node does not hand out a batch that the chain has.
        """
        block = self._l1.rpc.head(self._depth)
        if self._block is not None and not self._is_canonical(self._block):
            self.checked = 0
        count = self._l1.batch_count(block.number)
        self._check(block.number, count)
        first = self._archive.count
        if first < count:
            after = self._archive.load(first - 1) if first else None
            for batch in self._l1.read(first, count, after=after, to_block=block.number):
                self._archive.store(batch)
                self.checked = self._archive.count
                _log.info(
                    "batch archived",
                    batch=batch.number,
                    messages=batch.message_count,
                    bytes=len(batch.data),
                    block=batch.block_number,
                )
        self._block = block
        return block

    def run_next(self) -> Executed:
        """Execute the next archived batch; a damaged file is read from L1 again first."""
        try:
            return self._history.run_next()
        except ArchiveError as problem:
            if problem.number is None:
                raise
            _log.warning("archived batch not usable, read again", problem=str(problem))
            self.forget(problem.number)
            self.update()
            return self._history.run_next()

    def forget(self, number: int) -> None:
        """Drop batches from `number` on; they are read again."""
        self._archive.truncate(number)
        self._history.rewind(number)
        self.checked = min(self.checked, number)

    def _is_canonical(self, block: Block) -> bool:
        found = self._l1.rpc.block(block.number)
        return found is not None and found.hash == block.hash

    def _check(self, block: int, count: int) -> None:
        """Compare archived batches with the chain's, and drop those it has others for.

        What is final in the Anchor has been deep for a whole window: it is not asked about again.
        """
        known = min(self._archive.count, count)
        first = min(known, max(self.checked, self._l1.final_count(block)))
        there = self._l1.identities(first, known, block)
        for number, identity in zip(range(first, known), there, strict=True):
            if self._archived_identity(number) != identity:
                _log.warning("L1 was reorganised: batches are read again", first=number)
                self.forget(number)
                return
        # Of what a node that lags behind does not know, nothing is known either.
        self.checked = known

    def _archived_identity(self, number: int) -> bytes:
        try:
            batch = self._archive.load(number)
        except ArchiveError as problem:
            _log.warning("archived batch not usable, read again", problem=str(problem))
            return b""
        return batch.data_hash + batch.input_root
