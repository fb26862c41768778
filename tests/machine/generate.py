"""Random RV64IM programs that terminate, for comparison with other machines.

Every program has the same frame: registers set to corner values, a body, and an epilogue that puts
all registers beside the data it worked on and writes all of it to standard output. The body works
on a window of writable memory around x3, counts its loops in x4, computes its jumps in x5, and
writes any other register. Nothing in it depends on the machine: Linux user space runs the same.
"""

from __future__ import annotations

import random
from dataclasses import dataclass

from tests.machine import asm
from tests.machine.asm import ins, li

TEXT_WORDS = 0x4000  # every text is filled up to this, so that data has a fixed address
DATA = asm.text_end(TEXT_WORDS)
WINDOW = 4096  # bytes of data, x3 in the middle
REGISTERS_AT = 1024  # where the epilogue puts x0 to x31, from x3
_REACH = 1024  # how far loads and stores go from x3
_BASE, _COUNTER, _LINK = 3, 4, 5
_FREE = [r for r in range(32) if r not in {_BASE, _COUNTER, _LINK}]
_LINUX_WRITE = 64

CORNERS = [
    *(0, 1, 2, 3, 7, 31, 32, 33, 63, 64, 0x7F, 0x80, 0xFF, 0x7FFF, 0x8000, 0xFFFF),
    *((1 << bit) + step for bit in (31, 32, 33, 62, 63) for step in (-1, 0, 1)),
    *((1 << 64) - step for step in (1, 2, 3, 7, 32, 64, 128, 1 << 15, 1 << 31, 1 << 32)),
]


@dataclass
class Generator:
    """Makes one program of about `length` instructions, of which a share `wild` may do anything."""

    rng: random.Random
    length: int
    wild: float = 0.0
    window: int = DATA

    def constant(self) -> int:
        """Pick a corner, a random value of random width, or a neighbour of a corner."""
        kind = self.rng.random()
        if kind < 0.5:
            return self.rng.choice(CORNERS)
        if kind < 0.8:
            return self.rng.getrandbits(self.rng.choice([8, 16, 32, 48, 64]))
        return self.rng.choice(CORNERS) ^ 1 << self.rng.randrange(64)

    def source(self) -> int:
        """Pick any register to read."""
        return self.rng.randrange(32)

    def target(self) -> int:
        """Pick a register that a body may write, x0 among them."""
        return self.rng.choice(_FREE)

    def alu(self) -> list[int]:
        """Compute."""
        kind = self.rng.random()
        if kind < 0.6:
            return [ins(self.rng.choice(asm.REG_OPS), self.target(), self.source(), self.source())]
        if kind < 0.75:
            name = self.rng.choice(asm.SHIFT_OPS)
            amount = self.rng.randrange(32 if name.endswith("w") else 64)
            return [ins(name, self.target(), self.source(), amount)]
        if kind < 0.9:
            immediate = self.rng.choice([-2048, -1, 0, 1, 2047, self.rng.randint(-2048, 2047)])
            return [ins(self.rng.choice(asm.IMM_OPS), self.target(), self.source(), immediate)]
        if kind < 0.97:
            return [ins(self.rng.choice(["lui", "auipc"]), self.target(), self.rng.getrandbits(20))]
        return [ins("fence")] if kind < 0.98 else li(self.target(), self.constant())

    def access(self) -> list[int]:
        """Load from or store to the window."""
        name = self.rng.choice(asm.LOADS + asm.STORES)
        width = asm.access_bytes(name)
        offset = self.rng.randrange(-_REACH, _REACH, width)
        register = self.source() if name in asm.STORES else self.target()
        return [ins(name, register, _BASE, offset)]

    def skip(self) -> list[int]:
        """Jump or branch forward over a few instructions."""
        over = [word for _ in range(self.rng.randint(1, 4)) for word in self.simple()]
        distance = 4 * (len(over) + 1)
        kind = self.rng.random()
        if kind < 0.7:
            a, b = self.source(), self.source()
            return [ins(self.rng.choice(asm.BRANCHES), a, b, distance), *over]
        if kind < 0.85:
            return [ins("jal", self.target(), distance), *over]
        low_bit = self.rng.getrandbits(1)  # cleared by jalr
        jump = ins("jalr", self.target(), _LINK, distance + 4 + low_bit)
        return [ins("auipc", _LINK, 0), jump, *over]

    def simple(self) -> list[int]:
        """Make something without control flow."""
        if self.rng.random() < self.wild:
            return [self.anything()]
        return self.alu() if self.rng.random() < 0.75 else self.access()

    def anything(self) -> int:
        """Make a word that may trap, jump anywhere or access anything."""
        kind = self.rng.random()
        offset = self.rng.choice([0, 1, 2, 4, 8, self.rng.randint(-2048, 2047)])
        if kind < 0.3:
            return ins(self.rng.choice(asm.LOADS), self.target(), self.source(), offset)
        if kind < 0.6:
            return ins(self.rng.choice(asm.STORES), self.source(), self.source(), offset)
        if kind < 0.7:
            return ins("jalr", self.target(), self.source(), offset)
        if kind < 0.8:
            a, b = self.source(), self.source()
            return ins(self.rng.choice(asm.BRANCHES), a, b, 2 * self.rng.randint(-40, 40))
        if kind < 0.85:
            return self.rng.choice([ins("ecall"), ins("ebreak"), ins("fence")])
        valid = self.rng.choice(self.alu() + self.access())
        return self.rng.choice([self.rng.getrandbits(32), valid ^ 1 << self.rng.randrange(32)])

    def loop(self) -> list[int]:
        """Repeat a body that does not contain another loop."""
        body: list[int] = []
        for _ in range(self.rng.randint(2, 12)):
            body += self.skip() if self.rng.random() < 0.2 else self.simple()
        count = ins("addi", _COUNTER, 0, self.rng.randint(2, 9))
        step = ins("addi", _COUNTER, _COUNTER, -1)
        return [count, *body, step, ins("bne", _COUNTER, 0, -4 * (len(body) + 1))]

    def body(self) -> list[int]:
        """Make the body."""
        words: list[int] = []
        while len(words) < self.length:
            kind = self.rng.random()
            words += self.loop() if kind < 0.1 else self.skip() if kind < 0.3 else self.simple()
        return words

    def program(self) -> tuple[list[int], bytes]:
        """Give the words and the initial data of a whole program."""
        setup = [word for r in range(1, 32) for word in li(r, self.constant())]
        setup += li(_BASE, self.window + WINDOW // 2)
        dump = [ins("sd", r, _BASE, REGISTERS_AT + 8 * r) for r in range(32)]
        words = [*setup, *self.body(), *dump, *_write_and_exit()]
        assert len(words) <= TEXT_WORDS
        words += [ins("ebreak")] * (TEXT_WORDS - len(words))
        return words, self.rng.randbytes(WINDOW)


def _write_and_exit() -> list[int]:
    """Write the window to standard output and exit, by Linux's calls.

    The machine does not know the first of them and stops there, with the same bytes in its memory.
    """
    write = [*li(10, 1), *li(11, DATA), *li(12, WINDOW), *li(17, _LINUX_WRITE), ins("ecall")]
    return [*write, *li(10, 0), *li(17, 93), ins("ecall")]
