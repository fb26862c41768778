"""The guest on the machine at any message of any archived batch, and the watcher's own trees."""

from __future__ import annotations

from collections import OrderedDict

import numpy as np

from provenue._generated.constants import (
    HEADER_BASE,
    INBOX_BASE,
    INPUT_BASE,
    MESSAGE_INSTRUCTIONS_MAX,
)
from provenue._snapshot import PAGE_BYTES
from provenue.engine import Engine, recover_callback
from provenue.machine import Machine, Status, Trace
from provenue.p1 import Twin
from provenue.watcher.archive import ArchivedBatch
from provenue.watcher.history import History
from provenue.watcher.replay import BuildsDifferError
from provenue.watcher.trees import MessageTree
from provenue.wire import encode_slot

__all__ = ["ComputedTrees", "GuestTraps", "machine_at"]

# Of a message each: some MB, and a second to make again.
_TRACES_KEPT = 8
# Of a state (chapter 10.1).
_STATUS_WORD, _STATUS_SHIFT = 9, 128


def machine_at(elf: bytes, engine: Engine, batch: ArchivedBatch, index: int) -> Machine:
    """A machine in the start state of message `index` (chapter 10.4), the image the engine's."""
    machine = Machine()
    machine.load_elf(elf)
    machine.set_recover(recover_callback())
    image = np.frombuffer(engine.image, dtype=np.uint8).reshape(-1, PAGE_BYTES)
    for page in engine.pages():
        machine.set_image(int(page) * PAGE_BYTES, image[page].tobytes())
    machine.set_input(0, batch.data)
    machine.set_input(HEADER_BASE - INPUT_BASE, batch.header)
    machine.set_input(INBOX_BASE - INPUT_BASE, b"".join(map(encode_slot, batch.inbox)))
    machine.begin_message(index, batch.head.sequence_first)
    return machine


def _image_root_after(trace: Trace, before: bytes) -> bytes:
    """What the end of a trace says (chapter 10.4)."""
    end = trace.end()
    status = int.from_bytes(end.state[_STATUS_WORD], "big") >> _STATUS_SHIFT
    return end.q1 if status == Status.HALTED else before


class GuestTraps:
    """Whether the guest breaks off on a message: then it counts as empty (P4)."""

    def __init__(self, elf: bytes) -> None:
        self._elf = elf

    def __call__(self, engine: Engine, batch: ArchivedBatch, index: int) -> bool:
        machine = machine_at(self._elf, engine, batch, index)
        # With RUNNING the budget is exhausted; the exit code does not matter (10.4).
        return machine.run(MESSAGE_INSTRUCTIONS_MAX).status is not Status.HALTED


class ComputedTrees:
    """What is right, as computed here; see `provenue.watcher.trees.Trees`.

    Batches from `count` on are not known: the watcher sets it to what it has archived and checked.
    """

    def __init__(self, history: History, elf: bytes) -> None:
        self.count = 0
        self._history = history
        self._elf = elf
        self._batches: dict[int, tuple[bytes, MessageTree]] = {}
        self._traces: OrderedDict[tuple[int, int, bytes], Trace] = OrderedDict()
        self._confirmed: set[bytes] = set()

    def batch(self, number: int) -> MessageTree | None:
        executed = self._history.executed.get(number)
        if executed is None or number >= self.count:
            return None
        kept = self._batches.get(number)
        # After an L1 reorganisation the number can be that of another batch.
        if kept is None or kept[0] != executed.claim_root:
            self._batches = {n: kept for n, kept in self._batches.items() if n >= number - 128}
            kept = self._batches[number] = (executed.claim_root, MessageTree.of(executed))
        return kept[1]

    def trace(self, number: int, message: int) -> Trace:
        executed = self._history.executed[number]
        key = (number, message, executed.claim_root)
        if key not in self._traces:
            self._traces[key] = self._run(number, message)
            while len(self._traces) > _TRACES_KEPT:
                self._traces.popitem(last=False)
        self._traces.move_to_end(key)
        return self._traces[key]

    def _run(self, number: int, message: int) -> Trace:
        engine = self._history.engine_at(number, message)
        batch = self._history.archive.load(number)
        trace = Trace(machine_at(self._elf, engine, batch, message))
        after = _image_root_after(trace, engine.root())
        expected = self._history.executed[number].root_after(message)
        if after != expected:
            raise BuildsDifferError(
                f"batch {number}, message {message}: the guest ends with image root {after.hex()}, "
                f"the engine with {expected.hex()}"
            )
        return trace

    def confirm(self, number: int) -> None:
        """Run a batch in the guest as well: before money is put on it, both builds must agree.

        BuildsDifferError when they do not (P1): then nothing here can say who is right.
        """
        executed = self._history.executed[number]
        if executed.claim_root in self._confirmed:
            return
        batch = self._history.archive.load(number)
        twin = Twin(self._history.preset, self._elf)
        twin.load(self._history.engine_at(number))
        check = twin.check_batch(batch.head, batch.inbox, batch.data)
        if not check.ok or check.roots != executed.roots:
            found = str(check.mismatches[0]) if check.mismatches else "the roots are not the same"
            raise BuildsDifferError(f"batch {number}: engine and guest differ: {found}")
        self._confirmed.add(executed.claim_root)
