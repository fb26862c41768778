"""The RV64IM machine that referees the program: runs a guest ELF message by message.

    machine = Machine()
    machine.load_elf(path.read_bytes())
    machine.set_recover(recover)  # what the guest's ecrecover call asks
    machine.set_input(0, batch)
    machine.begin_message(a0=index, a1=first_sequence)
    result = machine.run(MESSAGE_BUDGET)
    if result.status is not Status.HALTED:
        machine.rollback_image()  # the message never happened (P4)

The machine knows nothing of the program; `machine/README.md` defines its semantics.
"""

from __future__ import annotations

from collections.abc import Callable
from enum import IntEnum
from typing import NamedTuple, TypeAlias

from provenue import _native

__all__ = [
    "CONSTANTS",
    "IMAGE_BASE",
    "INPUT_BASE",
    "MESSAGE_BUDGET",
    "OUTPUT_BASE",
    "QUARTER_BYTES",
    "TEXT_BASE",
    "ElfError",
    "Event",
    "Machine",
    "RunResult",
    "Status",
    "decode",
]

BytesLike: TypeAlias = bytes | bytearray | memoryview

ElfError = _native.ElfError

CONSTANTS: dict[str, int] = dict(_native.machine_constants)
"""What the machine was built with, by the names of protocol/constants.toml."""
TEXT_BASE = CONSTANTS["TEXT_BASE"]
QUARTER_BYTES = CONSTANTS["QUARTER_BYTES"]
IMAGE_BASE = CONSTANTS["IMAGE_BASE"]
INPUT_BASE = CONSTANTS["INPUT_BASE"]
OUTPUT_BASE = CONSTANTS["OUTPUT_BASE"]
MESSAGE_BUDGET = 1 << 24
"""Instructions a message may take (P3); one that has not halted by then is undone."""


class Status(IntEnum):
    """Where a run stopped. RUNNING: the budget is exhausted."""

    RUNNING = 0
    HALTED = 1
    TRAPPED = 2


class Event(IntEnum):
    """Why a run stopped: NONE while running, HALT, or the trap."""

    NONE = 0
    HALT = 1
    ILLEGAL_INSTRUCTION = 2
    FETCH_OUTSIDE_TEXT = 3
    MISALIGNED_JUMP = 4
    MISALIGNED_LOAD = 5
    MISALIGNED_STORE = 6
    LOAD_OUTSIDE_MEMORY = 7
    STORE_NOT_WRITABLE = 8
    EBREAK = 9
    UNKNOWN_CALL = 10
    BAD_CALL_ARGUMENT = 11


class RunResult(NamedTuple):
    """What a run did. `steps` includes the step that halted or trapped."""

    status: Status
    event: Event
    steps: int
    pc: int
    exit_code: int


class Machine:
    """One machine with its own sparse memory. For one thread at a time."""

    __slots__ = ("_native",)

    def __init__(self) -> None:
        self._native = _native.Machine()

    def load_elf(self, elf: BytesLike) -> None:
        """Replace the program; raises ElfError, which names the field, and then changes nothing."""
        self._native.load_elf(elf)

    def set_recover(
        self, function: Callable[[bytes], BytesLike | None] | int | object, context: int = 0
    ) -> None:
        """Say how ecrecover is answered.

        `function` is the address (int or capsule) of a C function
        `bool (*)(void *context, const uint8_t in[128], uint8_t out[32])`, or a slow Python callable
        from the 128 bytes to 32 bytes, or to None when no key recovers. It is asked only with v of
        27 or 28 and r, s in [1, n).
        """
        self._native.set_recover(function, context)

    def set_image(self, offset: int, data: BytesLike) -> None:
        """Write image bytes as the host; a rollback does not undo it."""
        self._native.set_image(offset, data)

    def clear_image(self) -> None:
        """Make the whole image zero."""
        self._native.clear_image()

    def image(self, offset: int, length: int) -> bytes:
        """Copy bytes of the image."""
        return self._native.image(offset, length)

    def image_view(self, length: int) -> memoryview:
        """Look at the first `length` bytes of the image without copying; it follows the machine."""
        return self._native.image_view(length)

    def image_root(self, extent: int) -> bytes:
        """Hash the image quarter, of which everything from `extent` on is taken to be zero."""
        return self._native.image_root(extent)

    def image_difference(self, other: BytesLike) -> int | None:
        """Compare the image with `other`; the offset of the first byte that differs, or None."""
        return self._native.image_difference(other)

    def set_input(self, offset: int, data: BytesLike) -> None:
        """Write to the input quarter."""
        self._native.set_input(offset, data)

    def clear_input(self) -> None:
        """Make the whole input quarter zero."""
        self._native.clear_input()

    def output(self, offset: int, length: int) -> bytes:
        """Copy bytes of the output quarter."""
        return self._native.output(offset, length)

    def output_view(self, length: int) -> memoryview:
        """Look at the first `length` bytes of the output without copying."""
        return self._native.output_view(length)

    def read(self, address: int, length: int) -> bytes:
        """Copy bytes from anywhere in memory."""
        return self._native.read(address, length)

    def begin_message(self, a0: int, a1: int) -> None:
        """Reset registers, scratch and output to the start state; keep the image as it is."""
        self._native.begin_message(a0, a1)

    def run(self, budget: int) -> RunResult:
        """Make at most `budget` steps. Halted and trapped machines make none."""
        status, event, steps, pc, exit_code = self._native.run(budget)
        return RunResult(Status(status), Event(event), steps, pc, exit_code)

    def rollback_image(self) -> None:
        """Put the image back to what it was at `begin_message`."""
        self._native.rollback_image()

    def dirty_image_pages(self) -> list[int]:
        """Offsets of the 4 KiB image pages stored to since `begin_message`, in order of touch."""
        return self._native.dirty_image_pages()

    def dirty_image_leaves(self) -> list[int]:
        """Offsets of the 32-byte image leaves stored to since `begin_message`, ascending."""
        return self._native.dirty_image_leaves()

    def dirty_output_pages(self) -> list[int]:
        """Offsets of the 4 KiB output pages stored to since `begin_message`, in order of touch."""
        return self._native.dirty_output_pages()

    def dirty_output_leaves(self) -> list[int]:
        """Offsets of the 32-byte output leaves stored to since `begin_message`, ascending."""
        return self._native.dirty_output_leaves()

    @property
    def pc(self) -> int:
        """The next instruction, or the one that halted or trapped."""
        return self._native.pc

    @property
    def entry(self) -> int:
        """Where every message starts."""
        return self._native.entry

    @property
    def end_of_text(self) -> int:
        """Where scratch begins: the lowest address of the program quarter that may be written."""
        return self._native.end_of_text

    @property
    def registers(self) -> tuple[int, ...]:
        """x0 to x31, unsigned."""
        return self._native.registers


def decode(words: BytesLike) -> list[str]:
    """Name the operation of each little-endian 32-bit word; "illegal" for what traps."""
    names = _native.machine_op_names
    return [names[op] for op in _native.machine_decode(words)]
