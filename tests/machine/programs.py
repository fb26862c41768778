"""Running small programs in tests."""

from __future__ import annotations

import struct

from tests.machine import asm

from provenue.machine import Machine, RunResult

U64 = (1 << 64) - 1


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
    return machine, machine.run(budget)


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
    result = machine.run(10_000)
    assert result.status == 1, result
    return machine
