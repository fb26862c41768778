"""The RV64IM machine that referees the program: runs a guest ELF message by message.

    machine = Machine()
    machine.load_elf(path.read_bytes())
    machine.set_recover(recover)  # what the guest's ecrecover call asks
    machine.set_input(0, batch)
    machine.begin_message(a0=index, a1=first_sequence)
    result = machine.run(MESSAGE_BUDGET)
    if result.status is not Status.HALTED:
        machine.rollback_image()  # the message never happened (P4)

A dispute needs more: the hash of a state, the witness of one step, and the tree of all of them.

    machine.begin_message(a0=index, a1=first_sequence)
    trace = Trace(machine)
    trace.root, trace.children(24, 0), trace.proof(j), trace.witness(j)
    assert replay_step(trace.witness(j)) == trace.leaf(j)

The machine knows nothing of the program; protocol chapter 10 defines what it does.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from enum import IntEnum
from typing import NamedTuple, TypeAlias

from provenue import _native
from provenue._secp256k1 import library_path

__all__ = [
    "CONSTANTS",
    "IMAGE_BASE",
    "INPUT_BASE",
    "MESSAGE_BUDGET",
    "OPS",
    "OUTPUT_BASE",
    "QUARTER_BYTES",
    "STATE_BYTES",
    "TRACE_HEIGHT",
    "ElfError",
    "EndOpening",
    "Event",
    "Machine",
    "Poke",
    "Program",
    "RunResult",
    "Snapshot",
    "Status",
    "StepRecord",
    "Trace",
    "decode",
    "decode_fields",
    "program_root",
    "read_program",
    "replay_step",
]

BytesLike: TypeAlias = bytes | bytearray | memoryview

ElfError = _native.ElfError
Snapshot = _native.Snapshot

CONSTANTS: dict[str, int] = dict(_native.machine_constants)
"""What the machine was built with, by the names of protocol/constants.toml."""
QUARTER_BYTES = CONSTANTS["QUARTER_BYTES"]
IMAGE_BASE = CONSTANTS["IMAGE_BASE"]
INPUT_BASE = CONSTANTS["INPUT_BASE"]
OUTPUT_BASE = CONSTANTS["OUTPUT_BASE"]
STATE_BYTES = CONSTANTS["STATE_BYTES"]
TRACE_HEIGHT = CONSTANTS["TRACE_TREE_HEIGHT"]
OPS: tuple[str, ...] = _native.machine_op_names
"""Mnemonics; the first is "illegal"."""
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


class StepRecord(NamedTuple):
    """What the next step does: why it stops if it does, the state after it, its witness."""

    event: Event
    post_state: bytes
    witness: bytes

    @property
    def post_hash(self) -> bytes:
        """The machine hash after the step."""
        return _native.machine_keccak(self.post_state)


class Program(NamedTuple):
    """What of an ELF a contract is told: the root of quarter 0, and two addresses."""

    root: bytes
    entry: int
    end_of_text: int


class EndOpening(NamedTuple):
    """The last state of a trace, opened: ten words, and its memory root by quarters (10.4).

    `q23` is the node above input and output.
    """

    state: list[bytes]
    q0: bytes
    q1: bytes
    q23: bytes


Poke: TypeAlias = tuple[int, int, bytes]
"""(step, address, bytes): what a broken machine writes as that step begins."""


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
        """Hash the image quarter, of which everything from `extent` on is taken to be zero.

        From the bytes alone, without the tree that `quarter_roots` keeps: a check on it.
        """
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

    def begin_program(self) -> None:
        """Reset to the start state of a program that is no guest: registers 0 but sp (10.5)."""
        self._native.begin_program()

    def rollback_image(self) -> None:
        """Put the image back to what it was at `begin_message`."""
        self._native.rollback_image()

    def rewind(self) -> None:
        """Go back to the start state of the message, the image included."""
        self._native.rewind()

    def snapshot(self) -> Snapshot:
        """Keep the present state of the message, to come back to."""
        return self._native.snapshot()

    def restore(self, snapshot: Snapshot) -> None:
        """Go back (or forward) to a snapshot, as often as wanted.

        RuntimeError when since then anybody but the guest wrote: the host, a poke, another message.
        """
        self._native.restore(snapshot)

    def poke(self, address: int, data: BytesLike) -> None:
        """Write anywhere, even into text or input, in the name of a broken machine.

        `rollback_image` and `rewind` undo it, and outside of the image `begin_message` does.
        """
        self._native.poke(address, data)

    def state(self) -> bytes:
        """The 320 bytes of the state (10.1)."""
        return self._native.state()

    def machine_hash(self) -> bytes:
        """The keccak of the state."""
        return _native.machine_keccak(self._native.state())

    def set_state(self, state: BytesLike) -> None:
        """Take over registers, pc and status of a state with this memory and end of text.

        ValueError for a state that is not canonical or has another memory root.
        """
        self._native.set_state(state)

    def memory_root(self) -> bytes:
        """The root of the memory. It costs what changed since it was last asked for."""
        return self._native.memory_root()

    def quarter_roots(self) -> tuple[bytes, bytes, bytes, bytes]:
        """The roots of program and scratch, image, input, output."""
        return self._native.quarter_roots()

    def record_step(self) -> StepRecord:
        """Record the next step; the machine stays where it is."""
        event, post_state, witness = self._native.record_step()
        return StepRecord(Event(event), post_state, witness)

    def witness(self) -> bytes:
        """The witness of the next step (10.3)."""
        return self._native.record_step()[2]

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
    def status(self) -> Status:
        """HALTED too before the first message."""
        return Status(self._native.status)

    @property
    def steps(self) -> int:
        """Steps since the message began."""
        return self._native.steps

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


class Trace:
    """The instruction tree of a message (10.4).

    Runs `machine`, whose message has just begun, to the end of the message; what is asked later is
    found by running it again, so nobody else may use that machine meanwhile (RuntimeError).
    `pokes` make a liar's trace: each is (step, address, bytes), written as that step begins, so
    that leaf `step` is the first wrong one. Nodes are digests of 32 bytes; height 0 are the leaves,
    leaf j is the machine hash after step j.
    """

    __slots__ = ("_machine", "_native")

    def __init__(self, machine: Machine, pokes: Sequence[Poke] = ()) -> None:
        self._machine = machine
        self._native = _native.Trace(machine._native, pokes)

    @property
    def steps(self) -> int:
        """Steps until the message stopped, that one included; 2^24 if it did not."""
        return self._native.steps

    @property
    def root(self) -> bytes:
        """The root of the tree."""
        return self._native.root

    def leaf(self, step: int) -> bytes:
        """The machine hash of state[step + 1]."""
        return self._native.node(0, step)

    def node(self, height: int, index: int) -> bytes:
        """A node; `index` counts from the left at its height."""
        return self._native.node(height, index)

    def children(self, height: int, index: int) -> list[bytes]:
        """What a reveal makes known: the eight nodes three levels below a node."""
        return self._native.children(height, index)

    def proof(self, step: int) -> list[bytes]:
        """The 24 siblings of a leaf, leaf upwards."""
        return self._native.proof(step)

    def end(self) -> EndOpening:
        """Open the tree's last leaf."""
        return EndOpening(*self._native.end())

    def state(self, step: int) -> bytes:
        """state[step], before the pokes of that step."""
        return self._native.state(step)

    def witness(self, step: int) -> bytes:
        """The witness of the step from state[step]: of the honest one, whatever is poked then."""
        return self._native.witness(step)


def replay_step(
    witness: BytesLike, recover: Callable[[bytes], BytesLike | None] | None = None
) -> bytes:
    """Make one step with nothing but its witness; gives the machine hash after it.

    ValueError if the witness is refused. `recover` answers ecrecover, by default libsecp256k1.
    """
    how: Callable[[bytes], BytesLike | None] | int | None = recover
    if recover is None:
        _native.engine_load_secp256k1(library_path())
        how = _native.engine_recover_address()
    return _native.machine_keccak(_native.machine_replay_step(witness, how)[1])


def read_program(elf: BytesLike) -> Program:
    """Load an ELF into a machine of its own; ElfError if it is none that the machine runs."""
    machine = Machine()
    machine.load_elf(elf)
    return Program(machine.quarter_roots()[0], machine.entry, machine.end_of_text)


def program_root(elf: BytesLike) -> bytes:
    """The root of quarter 0 with the ELF loaded: `program_root` of the contracts (10.4)."""
    return read_program(elf).root


def decode_fields(words: BytesLike) -> bytes:
    """Decode little-endian 32-bit words: 8 bytes each, op, rd (32: none), rs1, rs2, imm (i32).

    `op` counts in `OPS`; a field that the operation does not have means nothing.
    """
    return _native.machine_decode(words)


def decode(words: BytesLike) -> list[str]:
    """Name the operation of each little-endian 32-bit word; "illegal" for what traps."""
    return [OPS[op] for op in decode_fields(words)[::8]]
