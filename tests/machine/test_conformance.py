"""Random states against the naive reference, and, the long way, a million of them natively.

PROVENUE_STEPS=N    random states here; from 10,000 on (`make conformance`) also the native run
PROVENUE_STATES=N   of the native run, 1,000,000 if left out; the C++ tests always make 2,000
"""

import os
import random
import subprocess
import sys
from pathlib import Path

import pytest
from tests.machine import asm, reference
from tests.machine.asm import ins
from tests.machine.generate import CORNERS, Generator
from tests.machine.programs import LONG, STEPS, next_step
from tests.machine.reference import Reference
from tests.machine.test_calls import Signed

from provenue.engine import recover_callback
from provenue.machine import Event, Machine
from tools.bootstrap import compiler_settings

ROOT = Path(__file__).resolve().parents[2]
_STATES = 1_000_000
_TEXT_PAGES = 2
_EDGE = 1 << 36


class World:
    """A program of random words with some memory, on the machine and on the reference."""

    def __init__(self, rng: random.Random) -> None:
        self.rng = rng
        self.base = rng.choice([0, 0x1000, 0x10000, asm.TEXT, (1 << 34) - 0x8000])
        self.words = [self.word() for _ in range(12)]
        self.end = self.base + asm.PAGE * _TEXT_PAGES
        block = Signed(rng).block(**rng.choice([{}, {}, {"v": 29}, {"r": 0}, {"s": 5}]))
        self.memory = {
            self.base + asm.PAGE: b"".join(map(asm.word, self.words)),
            self.end: rng.randbytes(64),
            asm.IMAGE: rng.randbytes(64),
            asm.IMAGE + 1024: rng.randbytes(96),
            asm.INPUT + 128: block,
            _EDGE - 32: bytes(32),
        }
        self.machine = Machine()
        self.machine.load_elf(self.elf())
        for address, data in self.memory.items():
            if address >> 34 == 1:
                self.machine.set_image(address - asm.IMAGE, data)
            elif address >> 34 == 2:
                self.machine.set_input(address - asm.INPUT, data)
        self.machine.set_recover(recover_callback())
        self.machine.begin_message(0, 0)

    def word(self) -> int:
        """Mostly an instruction, now and then a call or anything."""
        kind = self.rng.random()
        if kind < 0.2:
            return ins("ecall")
        if kind < 0.22:
            return ins("jal", self.rng.randrange(32), 2 * self.rng.randrange(-20, 20))
        generator = Generator(self.rng, 0)
        return generator.anything() if kind < 0.6 else generator.simple()[0]

    def elf(self) -> bytes:
        """The file: the words stand on the last page of text."""
        file = bytearray(
            asm.elf([0] * 1024 * (_TEXT_PAGES - 1) + self.words, self.memory[self.end])
        )
        for at, value in (
            (24, self.base + asm.PAGE),
            *((place, self.base) for place in (80, 88)),
            *((place, self.end) for place in (136, 144)),
        ):
            file[at : at + 8] = value.to_bytes(8, "little")
        file[160:168] = (4096).to_bytes(8, "little")
        return bytes(file)

    def value(self) -> int:
        """A corner, an address near something, or any number."""
        kind = self.rng.random()
        if kind < 0.3:
            return self.rng.choice(CORNERS)
        if kind < 0.4:
            return self.rng.getrandbits(64)
        place = self.rng.choice([*self.memory, asm.OUTPUT, _EDGE, self.base])
        return (place + self.rng.choice([0, 0, 0, 8, 32, -8, -32, 1])) & ((1 << 64) - 1)

    def random_state(self) -> Reference:
        """The reference in a state of this memory."""
        oracle = Reference(self.memory, entry=0, text=range(0, self.end, 4))
        oracle.x = [0, *(self.value() for _ in range(31))]
        oracle.x[17] = self.rng.choice([93, 0x4B43, 0x4B43, 0x4543, 0x4543, self.value()])
        if oracle.x[17] == 0x4B43 and self.rng.random() < 0.7:
            oracle.x[10] = self.rng.choice([asm.IMAGE, asm.IMAGE + 1024, asm.INPUT])
            oracle.x[11] = self.rng.randrange(1026)
        if oracle.x[17] == 0x4543 and self.rng.random() < 0.7:
            oracle.x[10] = asm.INPUT + self.rng.choice([128, 128, 128, 0])
        start = self.base + asm.PAGE
        oracle.pc = start + 4 * self.rng.randrange(len(self.words))
        if self.rng.random() < 0.05:
            oracle.pc = self.rng.choice([0, self.end - 4, self.end, asm.IMAGE, (1 << 64) - 4])
        if self.rng.random() < 0.02:
            oracle.status = self.rng.choice([reference.Status.HALTED, reference.Status.TRAPPED])
        return oracle


def test_steps_of_random_states_are_the_references(rng: random.Random) -> None:
    seen: set[Event] = set()
    retired: set[str] = set()
    for number in range(STEPS if LONG else 300):
        if number % 20 == 0:
            world = World(rng)
        oracle, machine = world.random_state(), world.machine
        machine.rewind()
        machine.set_state(oracle.state())
        word = oracle.read(oracle.pc, 4) if oracle.pc < world.end else 0
        running = oracle.status is reference.Status.RUNNING
        if running:
            oracle.step()
        event = next_step(machine)
        assert machine.state() == oracle.state(), (number, hex(word), event)
        seen.add(event)
        if running and event is Event.NONE:
            retired.add(reference.decode(word))
    assert len(seen) >= 8, seen
    assert len(retired) >= 30, retired
    if LONG:
        assert seen == set(Event)
        assert retired == set(reference.NAMES) - {"ebreak"}


def _run(*command: str, **settings: str) -> str:
    done = subprocess.run(
        command, cwd=ROOT, env=os.environ | settings, capture_output=True, text=True, check=False
    )
    assert done.returncode == 0, done.stdout + done.stderr
    return done.stdout


@pytest.mark.timeout(3_600)
@pytest.mark.skipif(not LONG, reason="the long way: make conformance")
def test_a_million_random_states_step_alike_in_all_ways_natively(seed: int) -> None:
    folder = ROOT / "build" / "conformance"
    tools = Path(sys.executable).parent
    settings = compiler_settings()
    _run(
        str(tools / "cmake"), "-S", ".", "-B", str(folder), "-G", "Ninja",
        f"-DCMAKE_MAKE_PROGRAM={tools / 'ninja'}", "-DPROVENUE_CPP_TESTS=ON",
        "-DCMAKE_BUILD_TYPE=Release", *settings.get("CMAKE_ARGS", "").split(), **settings,
    )  # fmt: skip
    _run(str(tools / "ninja"), "-C", str(folder), "machine_conformance_test", **settings)
    states = os.environ.get("PROVENUE_STATES", str(_STATES))
    print(
        _run(
            str(folder / "tests" / "machine_conformance_test"),
            PROVENUE_STATES=states,
            PROVENUE_SEED=str(seed),
        )
    )
