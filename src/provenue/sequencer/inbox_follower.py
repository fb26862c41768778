"""Brings items of the L1 inbox to the sequencer, once they are deep enough to stay."""

from __future__ import annotations

import asyncio
from typing import Protocol

import structlog

from provenue.sequencer.sequencer import InboxItem
from provenue.sequencer.service import SequencerService
from provenue.settlement.rpc import ChainError

__all__ = ["InboxFollower", "InboxSource"]

_log = structlog.get_logger(__name__)


class InboxSource(Protocol):
    """The inbox as L1 tells it at a chosen depth."""

    def items(self, first: int) -> list[InboxItem]:
        """Items with index >= first, in order, with the accumulator after each."""
        ...


class InboxFollower:
    """Polls an inbox in a thread and offers what is new.

    A dead node delays deposits, and after `Limits.inbox_silence_ms_max` stops the sequencing.
    """

    def __init__(
        self, service: SequencerService, source: InboxSource, *, interval_s: float = 0.5
    ) -> None:
        self._service = service
        self._source = source
        self._interval_s = interval_s
        self._task: asyncio.Task[None] | None = None

    async def read(self) -> None:
        """One look; ChainError if the node does not answer. Once before the service starts: what
        came while the operator was away may be due, and has to be in the first batch.
        """
        items = await asyncio.to_thread(self._source.items, self._service.next_inbox_index)
        self._service.offer_inbox(items)

    def start(self) -> None:
        """Start polling."""
        self._task = asyncio.create_task(self._run(), name="inbox-follower")

    async def stop(self) -> None:
        """Stop polling."""
        if self._task is not None:
            self._task.cancel()
            await asyncio.gather(self._task, return_exceptions=True)

    async def _run(self) -> None:
        while True:
            try:
                await self.read()
            except ChainError as problem:
                _log.warning("inbox not readable", problem=str(problem))
            await asyncio.sleep(self._interval_s)
