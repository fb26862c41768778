"""Running small programs in tests."""

from __future__ import annotations

import os
import struct

from tests.machine import asm

from provenue.machine import Event, Machine, RunResult, Status, replay_step

U64 = (1 << 64) - 1
# How many random states and programs, as for the step contract; the long way from 10,000 on.
STEPS = int(os.environ.get("PROVENUE_STEPS", "1000"))
LONG = STEPS >= 10_000
_CHECKED_STEPS_MAX = 200


def u64(value: int) -> bytes:
    """Pack as the machine does."""
    return struct.pack("<Q", value & U64)


def start(words: list[int], *, data: bytes = b"", a0: int = 0, a1: int = 0) -> Machine:
    """Load a program and begin a message."""
    machine = Machine()
    machine.load_elf(asm.elf(words, data))
    machine.begin_message(a0, a1)
    return machine


def run(words: list[int], budget: int = 10_000, data: bytes = b"") -> tuple[Machine, RunResult]:
    """Run a program from its first word."""
    machine = start(words, data=data)
    return machine, execute(machine, budget)


def execute(machine: Machine, budget: int) -> RunResult:
    """Run a message that has just begun: at once, and again step by step in all ways, if short.

    So every test of an instruction or a trap that runs its program by this is one of recording and
    replaying as well.
    """
    result = machine.run(budget)
    if result.steps > _CHECKED_STEPS_MAX:
        return result
    state = machine.state()
    machine.rewind()
    for _ in range(result.steps):
        next_step(machine)
    assert machine.state() == state
    next_step(machine, result.steps == budget)
    return result


def next_step(machine: Machine, peek: bool = False) -> Event:
    """Make the next step in three ways and compare them; gives why it stopped, if it did.

    With `peek` the machine stays where it is.
    """
    running = machine.status is Status.RUNNING
    before, record = machine.state(), machine.record_step()
    assert record.witness[: len(before)] == before == machine.state()
    assert replay_step(record.witness) == record.post_hash
    if not peek:
        result = machine.run(1)
        assert record.event is (result.event if running else Event.NONE)
        assert machine.state() == record.post_state
        assert machine.machine_hash() == record.post_hash
    return record.event


def with_operands(words: list[int], operands: list[int]) -> Machine:
    """Run `words` with 64-bit operands in x10, x11 and so on, then halt; x5 is the input base."""
    loads = [asm.ins("ld", 10 + i, 5, 8 * i) for i in range(len(operands))]
    machine = Machine()
    machine.load_elf(
        asm.elf(
            [*asm.li(5, asm.INPUT), *loads, *words, asm.ins("addi", 17, 0, 93), asm.ins("ecall")]
        )
    )
    machine.set_input(0, b"".join(u64(value) for value in operands))
    machine.begin_message(0, 0)
    result = execute(machine, 10_000)
    assert result.status == 1, result
    return machine
