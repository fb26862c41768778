"""A liar for disputes: right everywhere but in one message, whose trace was tampered with."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from provenue import wire
from provenue._generated.layout import PLACES
from provenue.machine import IMAGE_BASE, Trace
from provenue.watcher.archive import ArchivedBatch
from provenue.watcher.history import History
from provenue.watcher.traces import ComputedTrees, machine_at
from provenue.watcher.trees import MessageTree

__all__ = ["Lie", "LyingTrees"]


@dataclass(frozen=True)
class Lie:
    """At a step of a message, the machine writes a balance of its own."""

    batch: int
    message: int
    step: int
    salt: bytes = b"\x7f"

    def pokes(self, preset: str) -> list[tuple[int, int, bytes]]:
        """Into the table of balances, behind what the venue of a test uses."""
        offset = PLACES[preset]["balances"][0] + 8 * 30
        return [(self.step, IMAGE_BASE + offset, self.salt)]

    def trace(self, elf: bytes, history: History, batch: ArchivedBatch) -> Trace:
        """The tampered trace of the message."""
        engine = history.engine_at(batch.number, self.message)
        return Trace(machine_at(elf, engine, batch, self.message), self.pokes(history.preset))

    def roots(self, right: Sequence[bytes], after: bytes) -> list[bytes]:
        """The roots of a claim that tells it: made up behind the message."""
        filled = [*right, *([right[-1]] * (self.message - len(right)))]
        return [
            *filled[: self.message],
            after,
            *(wire.keccak256(self.salt + root) for root in right[self.message + 1 :]),
        ]


class LyingTrees(ComputedTrees):
    """See `provenue.watcher.trees.Trees`."""

    def __init__(self, history: History, elf: bytes, lie: Lie) -> None:
        super().__init__(history, elf)
        self.lie = lie
        self._elf_bytes = elf
        self._lied: Trace | None = None

    def batch(self, number: int) -> MessageTree | None:
        right = super().batch(number)
        if number != self.lie.batch or right is None:
            return right
        executed = self._history.executed[number]
        after = self.trace(number, self.lie.message).end().q1
        return MessageTree(executed.start_root, self.lie.roots(executed.roots, after))

    def trace(self, number: int, message: int) -> Trace:
        if (number, message) != (self.lie.batch, self.lie.message):
            return super().trace(number, message)
        if self._lied is None:
            batch = self._history.archive.load(number)
            self._lied = self.lie.trace(self._elf_bytes, self._history, batch)
        return self._lied
