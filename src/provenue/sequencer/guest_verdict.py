"""After a native fault: does the guest trap on the same message too? (design, settled details)"""

from __future__ import annotations

from provenue._generated import constants
from provenue.machine import Machine, Status
from provenue.wire import Header, encode_posted, encode_slot

__all__ = ["GuestVerdict"]


def _one_message_batch(message: bytes, *, from_inbox: bool, stamp_min_ms: int) -> dict[int, bytes]:
    """The input quarter (chapter 7.2) of a batch that holds just this message: offset -> bytes."""
    posted = encode_posted([] if from_inbox else [message])
    slot = encode_slot(message) if from_inbox else b""
    header = Header(
        stamp_min_ms=stamp_min_ms, inbox_count=int(from_inbox), posted_bytes=len(posted)
    )
    base = constants.INPUT_BASE
    return {
        0: posted,
        constants.HEADER_BASE - base: header.encode(),
        constants.INBOX_BASE - base: slot,
    }


class GuestVerdict:
    """Runs single messages in the guest. `recover_address` is a C function's (see Machine)."""

    def __init__(self, elf: bytes, recover_address: int, recover_context: int = 0) -> None:
        self._elf = elf
        self._recover = (recover_address, recover_context)

    def __call__(
        self, image: memoryview, message: bytes, *, from_inbox: bool, stamp_min_ms: int
    ) -> bool:
        """True when the guest traps or exhausts its budget on `message`, started from `image`."""
        machine = Machine()
        machine.load_elf(self._elf)
        machine.set_recover(*self._recover)
        machine.set_image(0, image)
        parts = _one_message_batch(message, from_inbox=from_inbox, stamp_min_ms=stamp_min_ms)
        for offset, data in parts.items():
            machine.set_input(offset, data)
        machine.begin_message(0, 0)
        result = machine.run(constants.MESSAGE_INSTRUCTIONS_MAX)
        return not (result.status is Status.HALTED and result.exit_code == 0)
