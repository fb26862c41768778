"""Random programs against an interpreter written from the manual, and against qemu."""

import random
import shutil
import subprocess
from pathlib import Path

import pytest
from tests.machine import asm, reference
from tests.machine.generate import DATA, REGISTERS_AT, WINDOW, Generator
from tests.machine.programs import STEPS

from provenue.machine import Event, Machine

_QEMU = shutil.which("qemu-riscv64")
# No extension beyond I and M: qemu then refuses what we refuse.
_QEMU_CPU = "rv64,c=off,a=off,f=off,d=off"
_BUDGET = 60_000


def load(words: list[int], data: bytes) -> Machine:
    """Load a generated program and begin."""
    machine = Machine()
    machine.load_elf(asm.elf(words, data))
    machine.begin_message(0, 0)
    return machine


def follow(words: list[int], data: bytes, budget: int, window: int = DATA) -> reference.Reference:
    """Run the same program on the reference."""
    text = b"".join(word.to_bytes(4, "little") for word in words)
    oracle = reference.Reference(
        {asm.TEXT: text, window: data}, entry=asm.TEXT, text=range(asm.TEXT, DATA, 4)
    )
    oracle.run(budget)
    return oracle


def assert_same_state(machine: Machine, oracle: reference.Reference) -> None:
    """Compare registers, pc, and every leaf that the reference stored to."""
    assert machine.pc == oracle.pc
    assert machine.registers == tuple(oracle.x)
    for leaf in oracle.stored:
        expected = bytes(oracle.memory.get(leaf + i, 0) for i in range(32))
        assert machine.read(leaf, 32) == expected, hex(leaf)
    in_image = sorted(leaf - asm.IMAGE for leaf in oracle.stored if leaf >> 34 == 1)
    in_output = sorted(leaf - asm.OUTPUT for leaf in oracle.stored if leaf >> 34 == 3)
    assert machine.dirty_image_leaves() == in_image
    assert machine.dirty_output_leaves() == in_output


def compare(rng: random.Random, length: int, wild: float) -> tuple[Event, int]:
    """Run one program on both; gives how it ended and after how many steps."""
    words, data = Generator(rng, length, wild).program()
    machine = load(words, data)
    result = machine.run(_BUDGET)
    oracle = follow(words, data, _BUDGET)
    assert result.status.value == oracle.status.value
    assert result.steps == oracle.steps
    assert_same_state(machine, oracle)
    return result.event, result.steps


def test_legal_programs_equal_the_reference(rng: random.Random) -> None:
    for number in range(25):
        event, steps = compare(rng, 300, wild=0.0)
        assert event is Event.UNKNOWN_CALL, number
        assert steps > 400


def test_wild_programs_equal_the_reference_however_they_end(rng: random.Random) -> None:
    ends = {compare(rng, 20, wild=0.3)[0] for _ in range(150)}
    assert len(ends) >= 5, ends


def test_single_steps_equal_the_reference_after_each_and_are_undone_together(
    rng: random.Random,
) -> None:
    words, data = Generator(rng, 150, window=asm.IMAGE).program()
    machine = load(words, b"")
    machine.set_image(0, data)
    oracle = follow(words, data, 0, window=asm.IMAGE)
    while oracle.status is reference.Status.RUNNING:
        oracle.run(oracle.steps + 1)
        machine.run(1)
        assert (machine.pc, machine.registers) == (oracle.pc, tuple(oracle.x)), oracle.steps
    assert_same_state(machine, oracle)
    assert machine.image(0, WINDOW) != data
    machine.rollback_image()
    assert machine.image(0, WINDOW) == data


@pytest.mark.skipif(_QEMU is None, reason="qemu-riscv64 is not on the path (Debian: qemu-user)")
def test_legal_programs_equal_qemu(rng: random.Random, tmp_path: Path) -> None:
    assert _QEMU is not None
    executable = tmp_path / "program"
    for _ in range(max(25, STEPS // 50)):
        words, data = Generator(rng, 2_000).program()
        machine = load(words, data)
        result = machine.run(10 * _BUDGET)
        assert result.event is Event.UNKNOWN_CALL, result
        executable.write_bytes(asm.elf(words, data))
        executable.chmod(0o755)
        done = subprocess.run(
            [_QEMU, "-cpu", _QEMU_CPU, executable], capture_output=True, check=True, timeout=60
        )
        assert len(done.stdout) == WINDOW
        registers = WINDOW // 2 + REGISTERS_AT
        ours = machine.read(DATA, WINDOW)
        for register in range(32):
            part = slice(registers + 8 * register, registers + 8 * register + 8)
            assert ours[part].hex() == done.stdout[part].hex(), f"x{register}"
        assert ours == done.stdout


def test_every_operation_occurs_in_the_legal_programs(rng: random.Random) -> None:
    """Otherwise the comparisons above say less than they seem to."""
    seen = set()
    for _ in range(5):
        words, _ = Generator(rng, 2_000).program()
        seen |= {reference.decode(word) for word in words}
    assert seen >= set(reference.NAMES)


def test_generated_programs_are_the_same_for_the_same_seed(seed: int) -> None:
    first, second = (Generator(random.Random(seed), 200).program() for _ in range(2))
    assert first == second
