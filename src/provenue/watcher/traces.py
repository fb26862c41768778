"""The guest on the machine at any message of any archived batch."""

from __future__ import annotations

import numpy as np

from provenue._generated.constants import (
    HEADER_BASE,
    INBOX_BASE,
    INPUT_BASE,
    MESSAGE_INSTRUCTIONS_MAX,
)
from provenue._snapshot import PAGE_BYTES
from provenue.engine import Engine, recover_callback
from provenue.machine import Machine, Status
from provenue.watcher.archive import ArchivedBatch
from provenue.wire import encode_slot

__all__ = ["GuestTraps", "machine_at"]


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


class GuestTraps:
    """Whether the guest breaks off on a message: then it counts as empty (P4)."""

    def __init__(self, elf: bytes) -> None:
        self._elf = elf

    def __call__(self, engine: Engine, batch: ArchivedBatch, index: int) -> bool:
        machine = machine_at(self._elf, engine, batch, index)
        # With RUNNING the budget is exhausted; the exit code does not matter (10.4).
        return machine.run(MESSAGE_INSTRUCTIONS_MAX).status is not Status.HALTED
