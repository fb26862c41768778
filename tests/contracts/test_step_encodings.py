"""What does not decode traps: every class of (opcode, funct3, funct7), and the bits that look free.

The whole sweep has 2^17 classes; `make test` takes a sample of it and all neighbours of legal
words, `make conformance` all of it.
"""

import random

import pytest
from tests.contracts import step_cases as cases
from tests.contracts import step_reference as reference
from tests.contracts.step_cases import encode, run
from tests.contracts.step_machine import IMAGE, RUNNING, TRAPPED, Machine

CLASSES = 2**17
SAMPLED = 3_000


def step_word(contracts: cases.Contracts, word: int, rng: random.Random) -> int:
    """Step a word with random registers, accesses mostly aimed at memory; the status after."""
    machine = Machine(registers=[0] + [rng.getrandbits(64) for _ in range(31)])
    machine.registers[17] = rng.choice(cases.NUMBERS)
    cases.aim(machine, word, rng)
    effect = cases.settle(machine, word, rng)
    cases.expect(contracts, machine, effect, f"{word:#010x} ({reference.decode(word)})")
    return effect.status


@pytest.mark.timeout(1_200)
def test_every_class_of_opcode_funct3_funct7(
    step_contracts: cases.Contracts, rng: random.Random
) -> None:
    classes = range(CLASSES) if cases.LONG else rng.sample(range(CLASSES), SAMPLED)
    legal = 0
    for number in classes:
        f7, f3, opcode = number >> 10, number >> 7 & 7, number & 127
        fields = rng.getrandbits(5) << 7 | rng.getrandbits(10) << 15
        if rng.random() < 0.1:
            fields = 0
        word = f7 << 25 | f3 << 12 | opcode | fields
        legal += reference.decode(word) is not None
        step_word(step_contracts, word, rng)
    assert 0 < legal < len(classes) / 10, "most of the space is reserved"


@pytest.mark.parametrize("name", list(reference.PATTERNS))
def test_one_bit_beside_a_legal_word(
    name: str, step_contracts: cases.Contracts, rng: random.Random
) -> None:
    """Each of the 32 bits flipped: the fixed ones lead to another instruction or to a trap."""
    mask, match = reference.PATTERNS[name]
    for bit in range(32):
        for _ in range(8 if cases.LONG else 1):
            word = rng.getrandbits(32) & ~mask | match
            step_word(step_contracts, word ^ 1 << bit, rng)


def test_compressed_words_trap(step_contracts: cases.Contracts, rng: random.Random) -> None:
    """Low bits other than 11 are 16-bit instructions, which this machine does not have."""
    for word in (0, 0x0001, 0x4501_4501, 0x8082, 0xFFFF_FFFE, 0x0000_9002):
        assert run(step_contracts, word, rng).status == TRAPPED
    for _ in range(100):
        word = rng.getrandbits(32) & ~3 | rng.randrange(3)
        assert run(step_contracts, word, rng).status == TRAPPED


def test_longer_and_custom_opcodes_trap(
    step_contracts: cases.Contracts, rng: random.Random
) -> None:
    for opcode in (0x07, 0x0B, 0x1F, 0x27, 0x2B, 0x2F, 0x3F, 0x43, 0x53, 0x57, 0x5B, 0x6B, 0x77,
                   0x7B, 0x7F):  # fmt: skip
        for f3 in range(8):
            word = rng.getrandbits(17) << 15 | f3 << 12 | rng.getrandbits(5) << 7 | opcode
            assert run(step_contracts, word, rng).status == TRAPPED


def test_bits_above_shift_amounts_are_fixed(
    step_contracts: cases.Contracts, rng: random.Random
) -> None:
    """Bit 26 of slli is found by one random case in 40,000; bit 25 of the W forms likewise."""
    for name, first in (("slli", 26), ("srli", 26), ("slliw", 25), ("srliw", 25)):
        for bit in range(first, 32):
            word = encode(name, rd=5, rs1=6, shamt=3) | 1 << bit
            becomes = {"srli": "srai", "srliw": "sraiw"}.get(name) if bit == 30 else None
            assert reference.decode(word) == becomes
            status = run(step_contracts, word, rng).status
            assert status == (RUNNING if becomes else TRAPPED), f"{name} bit {bit}"
    for name, first in (("srai", 26), ("sraiw", 25)):
        for bit in (*range(first, 30), 31):
            word = encode(name, rd=5, rs1=6, shamt=3) | 1 << bit
            assert run(step_contracts, word, rng).status == TRAPPED, f"{name} bit {bit}"


def test_funct7_of_register_forms_is_whole(
    step_contracts: cases.Contracts, rng: random.Random
) -> None:
    for opcode, names in ((0x33, reference.BINARY), (0x3B, reference.BINARY_W)):
        known = {reference.PATTERNS[name][1] for name in names}
        for f7 in range(128):
            for f3 in range(8):
                word = f7 << 25 | f3 << 12 | opcode
                status = run(step_contracts, word | 5 << 7 | 6 << 15 | 7 << 20, rng).status
                assert (status == RUNNING) == (word in known), f"{word:#010x}"


def test_fence_variants(step_contracts: cases.Contracts, rng: random.Random) -> None:
    """fm, rd and rs1 must be zero; fence.tso, fence.i and the rest of the opcode trap."""
    fence = encode("fence")
    for bit in (*range(7, 20), *range(28, 32)):
        assert run(step_contracts, fence | 1 << bit, rng).status == TRAPPED, f"bit {bit}"
    for word in (0x8330_000F, 0x0000_100F, 0x0010_200F):  # fence.tso, fence.i, cbo
        assert run(step_contracts, word, rng).status == TRAPPED
    for word in (0x0FF0_000F, 0x0100_000F, 0x0330_000F):  # fence iorw,iorw; pause; fence rw,rw
        assert run(step_contracts, word, rng).status == RUNNING


def test_system_variants(step_contracts: cases.Contracts, rng: random.Random) -> None:
    """Only the exact word of ecall does something."""
    ebreak, wfi, mret, sret, uret = 0x0010_0073, 0x1050_0073, 0x3020_0073, 0x1020_0073, 0x0020_0073
    for word in (ebreak, wfi, mret, sret, uret):
        assert run(step_contracts, word, rng, {17: 93}).status == TRAPPED
    for bit in range(7, 32):
        assert run(step_contracts, 0x73 | 1 << bit, rng, {17: 93}).status == TRAPPED, f"bit {bit}"
    for f3 in range(1, 8):  # CSR
        word = rng.getrandbits(17) << 15 | f3 << 12 | rng.getrandbits(5) << 7 | 0x73
        assert run(step_contracts, word, rng, {17: 93}).status == TRAPPED


def test_other_funct3_of_jalr_branch_load_store_trap(
    step_contracts: cases.Contracts, rng: random.Random
) -> None:
    reserved = {0x67: range(1, 8), 0x63: (2, 3), 0x03: (7,), 0x23: range(4, 8)}
    for opcode, f3s in reserved.items():
        for f3 in f3s:
            for _ in range(4):
                # Over a base that would do for every width: only the encoding is at fault.
                word = f3 << 12 | opcode | rng.randrange(2**3) << 28 | rng.getrandbits(2) << 10
                effect = run(step_contracts, word | 6 << 15, rng, {6: IMAGE + 4096})
                assert effect.status == TRAPPED
