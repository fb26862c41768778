"""Machines to step: random ones with a taste for corners, and single instructions by hand.

PROVENUE_STEPS=N  how many random states; from 10,000 on sweeps are whole, not sampled: `LONG`
"""

import dataclasses
import os
import random
from collections import Counter
from collections.abc import Iterable, Mapping

from tests.contracts import step_reference as reference
from tests.contracts.step_contract import RefusedError, RevmStep
from tests.contracts.step_machine import (
    IMAGE,
    INPUT,
    LEAF_BYTES,
    MEMORY_BYTES,
    OUTPUT,
    QUARTER_BYTES,
    TRAPPED,
    Effect,
    Machine,
    apply,
    witness,
)

STEPS = int(os.environ.get("PROVENUE_STEPS", "1000"))
LONG = STEPS >= 10_000
# Lowest bit and width.
FIELDS = {
    "rd": (7, 5), "f3": (12, 3), "rs1": (15, 5), "rs2": (20, 5), "f7": (25, 7),
    "imm_i": (20, 12), "shamt": (20, 6),
}  # fmt: skip
# Contracts by the name of their compiler.
Contracts = Mapping[str, RevmStep]

EDGES = (
    0, 2**11, 2**31, 2**32, 2**34, 2**35, 3 * 2**34, MEMORY_BYTES, 2**63, 2**64,
    0x7800_0000, 0x7801_0000,
)  # fmt: skip
NUMBERS = (reference.EXIT, reference.KECCAK, reference.RECOVER)
ORDINARY = tuple(name for name in reference.PATTERNS if name != "ecall")
MEMORY = tuple(name for name in ORDINARY if reference.is_access(name))


def value(rng: random.Random) -> int:
    """64 bits: near an edge, of any width, or an aligned address of memory."""
    kind = rng.randrange(6)
    if kind < 2:
        return (rng.choice(EDGES) + rng.randrange(-9, 10)) % 2**64
    if kind == 2:
        return rng.getrandbits(rng.randrange(1, 65))
    if kind == 3:
        return rng.getrandbits(32) * (2**32 + 1) % 2**64
    address = rng.choice((0x7801_0000, IMAGE, INPUT, OUTPUT, rng.randrange(MEMORY_BYTES)))
    return (address + rng.randrange(2**20)) % MEMORY_BYTES & -rng.choice((1, 8, 1024))


def encode(name: str, **fields: int) -> int:
    """An instruction: the pattern of its name with the free bits of the named fields."""
    mask, match = reference.PATTERNS[name]
    word = 0
    for field, number in fields.items():
        place, width = FIELDS[field]
        word |= number % 2**width << place
    assert word & mask == 0, f"{name}: {fields} touch fixed bits"
    return word | match


def encode_b(name: str, rs1: int, rs2: int, offset: int) -> int:
    """A branch."""
    low = (offset >> 1 & 15) << 8 | (offset >> 11 & 1) << 7
    high = (offset >> 5 & 63) << 25 | (offset >> 12 & 1) << 31
    return encode(name, rs1=rs1, rs2=rs2) | low | high


def encode_j(rd: int, offset: int) -> int:
    """A jal."""
    low = (offset >> 12 & 255) << 12 | (offset >> 11 & 1) << 20
    high = (offset >> 1 & 1023) << 21 | (offset >> 20 & 1) << 31
    return encode("jal", rd=rd) | low | high


def encode_s(name: str, rs1: int, rs2: int, offset: int) -> int:
    """A store."""
    return encode(name, rs1=rs1, rs2=rs2) | (offset & 31) << 7 | (offset >> 5 & 127) << 25


def settle(
    machine: Machine,
    word: int,
    rng: random.Random,
    data: bytes | None = None,
    *,
    hide: bool = True,
) -> Effect:
    """Put an instruction, memory around it and under its access; what the step then does.

    `data` is what an access finds at its address; random bytes without. `hide` puts subtrees that
    nobody knows beside it, so that no part of a witness is zeros.
    """
    machine.put_word(word)
    effect = reference.step(machine)
    if effect.access is not None:
        address, size = effect.access
        found = rng.randbytes(size) if data is None else data
        if not address <= machine.pc < address + size:
            machine.memory.write(address, found)
        if hide:
            machine.memory.hide(address, rng)
    if hide:
        machine.memory.hide(machine.pc, rng)
    return reference.step(machine)


def expect(contracts: Contracts, machine: Machine, effect: Effect, label: str = "") -> bytes:
    """Step by every contract; each must give the hash of the effect. The witness."""
    proof = witness(machine, effect)
    before = machine.pack()
    apply(machine, effect)
    expected = machine.hash()
    for name, contract in contracts.items():
        try:
            found = contract.step(proof)
        except RefusedError as refused:
            raise AssertionError(
                f"{label} {name}: refused {refused}; state {before.hex()}"
            ) from None
        assert found == expected, f"{label} {name}: another state than {effect}; {before.hex()}"
    return proof


def run(
    contracts: Contracts,
    word: int,
    rng: random.Random,
    registers: Mapping[int, int] | None = None,
    **options: int,
) -> Effect:
    """One instruction on a machine whose other registers are random; checked, and its effect."""
    machine = Machine(registers=[0] + [rng.getrandbits(64) for _ in range(31)])
    for number, content in (registers or {}).items():
        machine.registers[number] = content % 2**64
    machine.pc = options.get("pc", machine.pc + 4 * rng.randrange(8))
    machine.end_of_text = options.get("end_of_text", machine.end_of_text)
    effect = settle(machine, word, rng)
    expect(contracts, machine, effect, f"{word:#010x} ({reference.decode(word)})")
    return effect


def random_machine(rng: random.Random, *, hide: bool = True) -> tuple[Machine, Effect]:
    """Any canonical state with its memory, and what its step does."""
    machine = Machine(registers=[0] + [value(rng) for _ in range(31)])
    machine.end_of_text = rng.choice((0x7801_0000, rng.randrange(2**22 + 1) * 4096, QUARTER_BYTES))
    machine.end_of_text = max(machine.end_of_text, 4096)
    machine.pc = (machine.end_of_text - 4 * rng.randrange(1, 500)) % machine.end_of_text
    if rng.random() < 0.03:
        machine.pc = value(rng) & -4
    if rng.random() < 0.02:
        machine.status = rng.randrange(3)
    if not machine.fetches():
        return machine, reference.step(machine)
    if rng.random() < 0.08:
        return machine, _call(machine, rng, hide)
    mask, match = reference.PATTERNS[rng.choice(MEMORY if rng.random() < 0.25 else ORDINARY)]
    word = rng.getrandbits(32) & ~mask | match
    if rng.random() < 0.1:
        word ^= 1 << rng.randrange(32)
    aim(machine, word, rng)
    return machine, settle(machine, word, rng, hide=hide)


def aim(machine: Machine, word: int, rng: random.Random) -> None:
    """Lead most jumps to words and most accesses to aligned addresses of memory; words that are
    almost accesses too, so that nothing but their encoding is at fault.
    """
    name = reference.decode(word) or {0x03: "ld", 0x23: "sd"}.get(word & 127)
    base = reference.bits(word, 19, 15)
    if name is None or base == 0 or rng.random() < 0.2:
        return
    near = reference.immediate(name, word)
    if name == "jalr":
        machine.registers[base] = (4 * rng.randrange(2**34) + rng.randrange(2) - near) % 2**64
    elif reference.is_access(name):
        size = reference.WIDTHS[name[1]]
        start = rng.choice((machine.end_of_text, 0, IMAGE, IMAGE, INPUT, OUTPUT, OUTPUT))
        address = start + size * rng.randrange(-2, 2**20)
        machine.registers[base] = (address - near) % 2**64
    elif name in reference.TAKEN and rng.random() < 0.3:
        machine.registers[base] = machine.registers[reference.bits(word, 24, 20)]


def _call(machine: Machine, rng: random.Random, hide: bool) -> Effect:
    """An ecall, mostly a good one."""
    machine.registers[17] = rng.choice((*NUMBERS, *NUMBERS, value(rng)))
    if rng.random() < 0.8:
        machine.registers[10] = rng.randrange(MEMORY_BYTES) & -rng.choice((128, 1024))
        machine.registers[11] = rng.choice((0, 32, 64, 136, 1024, rng.randrange(1_100)))
    data = None
    if machine.registers[17] == reference.RECOVER:
        # Small numbers are in range: half of all r are on the curve.
        v, r, s = rng.choice((27, 28)), rng.randrange(1, 2**250), rng.randrange(1, 2**250)
        data = rng.randbytes(32) + b"".join(n.to_bytes(32, "big") for n in (v, r, s))
    return settle(machine, reference.PATTERNS["ecall"][1], rng, data, hide=hide)


def tally(effects: Iterable[tuple[Machine, Effect]]) -> Counter[str]:
    """How often each kind of step came up: what a generator must not be blind to."""
    count: Counter[str] = Counter()
    for _, effect in effects:
        kind = "trap" if effect.status == TRAPPED else "retire"
        if effect.access is not None:
            kind = "store" if effect.write else {LEAF_BYTES: "load"}.get(effect.access[1], "call")
        count[kind] += 1
    return count


def dearest(rng: random.Random) -> dict[str, tuple[bytes, bytes]]:
    """By kind of step: a witness full of bytes that cost, and the hash after it."""
    address = IMAGE + rng.randrange(2**34) & -1024
    signature = rng.randbytes(32) + b"".join(n.to_bytes(32, "big") for n in (28, 1, 7))
    kinds = {
        "remw": (encode("remw", rd=5, rs1=6, rs2=7), {}, None),
        "srai": (encode("srai", rd=5, rs1=6, shamt=9), {}, None),
        "branch": (encode_b("bltu", 0, 7, -2048), {}, None),
        "jalr": (encode("jalr", rd=1, rs1=7, imm_i=8), {7: 0x7800_0100}, None),
        "trap": (0xFFFF_FFFF, {}, None),
        "load": (encode("lw", rd=5, rs1=6, imm_i=4), {6: address}, None),
        "store": (encode_s("sd", 6, 5, 8), {6: address}, None),
        "keccak": (encode("ecall"), {17: reference.KECCAK, 10: address, 11: 1024}, None),
        "recover": (encode("ecall"), {17: reference.RECOVER, 10: address}, signature),
    }
    found = {}
    for kind, (word, registers, data) in kinds.items():
        machine = Machine(registers=[0] + [rng.getrandbits(64) for _ in range(31)])
        for number, content in registers.items():
            machine.registers[number] = content
        effect = settle(machine, word, rng, data)
        proof = witness(machine, effect)
        apply(machine, effect)
        found[kind] = (proof, machine.hash())
    return found


class Probe:
    """One instruction at one place, stepped with many registers: no memory is hashed again."""

    def __init__(
        self, contracts: Contracts, word: int, rng: random.Random, pc: int = 0x7800_0040
    ) -> None:
        self._contracts = contracts
        self._machine = Machine(registers=[0] + [rng.getrandbits(64) for _ in range(31)], pc=pc)
        self._label = f"{word:#010x} ({reference.decode(word)})"
        settle(self._machine, word, rng)

    def check(self, registers: Mapping[int, int]) -> Effect:
        """Step with these registers, compare; what it did."""
        machine = dataclasses.replace(self._machine, registers=list(self._machine.registers))
        for number, content in registers.items():
            machine.registers[number] = content % 2**64
        effect = reference.step(machine)
        assert effect.access is None
        expect(self._contracts, machine, effect, f"{self._label} {registers}")
        return effect
