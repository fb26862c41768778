"""Every instruction that stays in registers, at every corner, against the naive reference; and the
corners themselves as literals, since one author can misread a specification twice.
"""

import itertools
import random

import pytest
from tests.contracts import step_cases as cases
from tests.contracts import step_reference as reference
from tests.contracts.step_cases import Probe, encode, encode_b, encode_j, run
from tests.contracts.step_machine import RUNNING, TRAPPED, Machine

TOP = 2**63
ONES = 2**64 - 1
CORNERS = (
    0, 1, 2, 3, 31, 32, 63, 64, 0x7FF, 2**31 - 1, 2**31, 2**31 + 1, 2**32 - 1, 2**32, 2**32 + 1,
    0x0123_4567_89AB_CDEF, 0xFEDC_BA98_7654_3210, TOP - 1, TOP, TOP + 1, 2**64 - 2**31,
    2**64 - 2**31 - 1, 2**64 - 2, ONES,
)  # fmt: skip
REGISTER_FORMS = (*reference.BINARY, *reference.BINARY_W)


@pytest.mark.parametrize("name", REGISTER_FORMS)
def test_register_forms_at_all_pairs_of_corners(
    name: str, step_contracts: cases.Contracts, rng: random.Random
) -> None:
    probe = Probe(step_contracts, encode(name, rd=5, rs1=6, rs2=7), rng)
    for a, b in itertools.product(CORNERS, CORNERS):
        effect = probe.check({6: a, 7: b})
        assert effect.status == RUNNING
    same = Probe(step_contracts, encode(name, rd=9, rs1=9, rs2=9), rng)
    for a in CORNERS:
        same.check({9: a})


@pytest.mark.parametrize("name", ["sll", "srl", "sra", "sllw", "srlw", "sraw"])
def test_register_shifts_use_the_low_bits_of_any_amount(
    name: str, step_contracts: cases.Contracts, rng: random.Random
) -> None:
    probe = Probe(step_contracts, encode(name, rd=5, rs1=6, rs2=7), rng)
    for amount in (*range(70), 2**32, 2**32 + 5, 2**63, 2**63 + 33, ONES):
        for a in (1, TOP, 2**31, ONES, 0x0123_4567_89AB_CDEF, rng.getrandbits(64)):
            probe.check({6: a, 7: amount})


@pytest.mark.parametrize("name", ["slli", "srli", "srai", "slliw", "srliw", "sraiw"])
def test_shifts_by_every_immediate(
    name: str, step_contracts: cases.Contracts, rng: random.Random
) -> None:
    for amount in range(32 if name.endswith("w") else 64):
        probe = Probe(step_contracts, encode(name, rd=5, rs1=6, shamt=amount), rng)
        for a in (1, TOP, 2**31, 2**31 - 1, ONES, 0x0123_4567_89AB_CDEF):
            assert probe.check({6: a}).status == RUNNING


@pytest.mark.parametrize("name", ["addi", "slti", "sltiu", "xori", "ori", "andi", "addiw"])
def test_immediates_are_sign_extended(
    name: str, step_contracts: cases.Contracts, rng: random.Random
) -> None:
    for immediate in (0, 1, 0x7FF, 0x800, 0x801, 0xFFF, 0x555, 0xAAA):
        probe = Probe(step_contracts, encode(name, rd=5, rs1=6, imm_i=immediate), rng)
        for a in CORNERS:
            probe.check({6: a})


@pytest.mark.parametrize(
    ("name", "a", "b", "result"),
    [
        ("div", 7, 0, ONES), ("divu", 7, 0, ONES), ("rem", 7, 0, 7), ("remu", 7, 0, 7),
        ("div", TOP, 0, ONES), ("rem", TOP, 0, TOP), ("remu", ONES, 0, ONES),
        ("div", TOP, ONES, TOP), ("rem", TOP, ONES, 0), ("divu", TOP, ONES, 0),
        ("div", ONES - 6, 2, ONES - 2), ("rem", ONES - 6, 2, ONES), ("rem", 7, ONES - 1, 1),
        ("divw", 7, 0, ONES), ("divuw", 7, 0, ONES), ("remw", 7, 2**32, 7),
        ("remw", 2**31, 0, 2**64 - 2**31), ("remuw", 2**31, 0, 2**64 - 2**31),
        ("divw", 2**31, 2**32 - 1, 2**64 - 2**31), ("remw", 2**31, 2**32 - 1, 0),
        ("divuw", 2**32 - 1, 1, ONES), ("divw", 2**33 + 9, 3, 3),
        ("divuw", 2**31, 1, 2**64 - 2**31),
        ("mulh", TOP, TOP, 2**62), ("mulh", ONES, ONES, 0), ("mulh", TOP, 2, ONES),
        ("mulhu", ONES, ONES, ONES - 1), ("mulhsu", ONES, ONES, ONES), ("mulhsu", TOP, 2, ONES),
        ("mulhsu", 2, TOP, 1), ("mul", 2**32, 2**32, 0), ("mulw", 2**16, 2**15, 2**64 - 2**31),
        ("mulw", 2**31, 2, 0), ("addw", 2**31 - 1, 1, 2**64 - 2**31), ("addw", 2**32 + 5, 1, 6),
        ("subw", 0, 1, ONES), ("subw", 2**31, 1, 2**31 - 1), ("sub", 0, 1, ONES),
        ("add", ONES, 1, 0),
        ("sraw", 2**31, 31, ONES), ("sraw", 2**63, 31, 0), ("sraw", 2**31, 32, 2**64 - 2**31),
        ("srlw", 2**64 - 1, 0, ONES), ("srlw", ONES, 1, 2**31 - 1), ("sllw", 1, 31, 2**64 - 2**31),
        ("sllw", 1, 32, 1), ("sra", TOP, 63, ONES), ("sra", TOP, 64, TOP), ("srl", TOP, 63, 1),
        ("sll", 1, 64, 1), ("slt", TOP, 0, 1), ("sltu", TOP, 0, 0), ("slt", 0, ONES, 0),
        ("sltu", 0, ONES, 1),
    ],
)  # fmt: skip
def test_known_results(
    name: str, a: int, b: int, result: int, step_contracts: cases.Contracts, rng: random.Random
) -> None:
    """By hand, from the tables of the specification."""
    word = encode(name, rd=5, rs1=6, rs2=7)
    effect = run(step_contracts, word, rng, {6: a, 7: b})
    assert effect.registers[5] == result


def test_upper_immediates_are_sign_extended(
    step_contracts: cases.Contracts, rng: random.Random
) -> None:
    for upper in (0, 1, 0x7FFFF, 0x80000, 0xFFFFF, 0x12345):
        lui = run(step_contracts, encode("lui", rd=5) | upper << 12, rng)
        extended = (upper << 12) - (2**32 if upper >= 0x80000 else 0)
        assert lui.registers[5] == extended % 2**64
        for pc, end in ((0, 4096), (0x7800_0004, 0x7801_0000), (2**34 - 4, 2**34)):
            word = encode("auipc", rd=5) | upper << 12
            auipc = run(step_contracts, word, rng, pc=pc, end_of_text=end)
            assert auipc.registers[5] == (pc + extended) % 2**64


@pytest.mark.parametrize("name", [name for name in reference.PATTERNS if name != "ecall"])
def test_x0_stays_zero_and_reads_as_zero(
    name: str, step_contracts: cases.Contracts, rng: random.Random
) -> None:
    mask, match = reference.PATTERNS[name]
    for _ in range(8):
        word = rng.getrandbits(32) & ~mask | match
        if not mask & 0xF80 and name not in reference.TAKEN and name[:2] not in ("sb", "sh", "sd"):
            word &= ~0xF80
        if rng.random() < 0.5 and not mask & 0xF8000:
            word &= ~0xF8000
        assert run(step_contracts, word, rng).registers[0] == 0


def test_every_register_is_read_and_written_in_its_place(
    step_contracts: cases.Contracts, rng: random.Random
) -> None:
    for number in range(32):
        other = rng.randrange(32)
        run(step_contracts, encode("add", rd=number, rs1=other, rs2=0), rng)
        run(step_contracts, encode("sub", rd=other, rs1=number, rs2=other), rng)
        run(step_contracts, encode("xor", rd=other, rs1=0, rs2=number), rng)


# --- branches and jumps --------------------------------------------------------------------------

BOUNDARIES = (0, 1, 2**31, 2**32, TOP - 1, TOP, TOP + 1, ONES)


@pytest.mark.parametrize("name", list(reference.TAKEN))
def test_branches_go_both_ways_at_all_pairs_of_boundaries(
    name: str, step_contracts: cases.Contracts, rng: random.Random
) -> None:
    probe = Probe(step_contracts, encode_b(name, 6, 7, 64), rng)
    targets = {probe.check({6: a, 7: b}).pc for a, b in itertools.product(BOUNDARIES, BOUNDARIES)}
    assert targets == {0x7800_0044, 0x7800_0080}
    # A branch writes nothing, whatever its immediate says where others have rd.
    assert run(step_contracts, encode_b(name, 0, 0, 0x1E), rng).registers[0] == 0


def test_branches_to_every_bit_of_the_offset(
    step_contracts: cases.Contracts, rng: random.Random
) -> None:
    offsets = [1 << bit for bit in range(1, 12)] + [-4096, -4, -2, 4094, 4092, 0, 6, -6]
    for offset in offsets:
        effect = run(step_contracts, encode_b("beq", 0, 0, offset), rng, pc=0x7800_2000)
        assert effect.pc == 0x7800_2000 + (0 if offset % 4 else offset)
        assert effect.status == (TRAPPED if offset % 4 else RUNNING)
        effect = run(step_contracts, encode_b("bne", 0, 0, offset), rng, pc=0x7800_2000)
        assert (effect.status, effect.pc) == (RUNNING, 0x7800_2004), "not taken, not checked"


def test_jal_to_every_bit_of_the_offset(
    step_contracts: cases.Contracts, rng: random.Random
) -> None:
    offsets = [1 << bit for bit in range(1, 20)] + [-(2**20), -4, -2, 2**20 - 2, 2**20 - 4, 0]
    for offset in offsets:
        effect = run(step_contracts, encode_j(1, offset), rng, {1: 77}, pc=0x7800_2000)
        if offset % 4:
            assert (effect.status, effect.pc, effect.registers[1]) == (TRAPPED, 0x7800_2000, 77)
        else:
            assert (effect.status, effect.registers[1]) == (RUNNING, 0x7800_2004)
            assert effect.pc == 0x7800_2000 + offset
    assert run(step_contracts, encode_j(0, 8), rng).registers[0] == 0


def test_jalr_clears_bit_0_and_traps_on_bit_1(
    step_contracts: cases.Contracts, rng: random.Random
) -> None:
    for base, immediate in itertools.product((0x7800_0100, 0x7800_0101, ONES, 0), range(-5, 6)):
        word = encode("jalr", rd=1, rs1=6, imm_i=immediate)
        effect = run(step_contracts, word, rng, {6: base, 1: 77}, pc=0x7800_0010)
        target = (base + immediate) % 2**64 & ~1
        if target & 2:
            assert (effect.status, effect.pc, effect.registers[1]) == (TRAPPED, 0x7800_0010, 77)
        else:
            assert (effect.status, effect.pc) == (RUNNING, target)
            assert effect.registers[1] == 0x7800_0014


def test_jalr_reads_its_base_before_it_writes_the_link(
    step_contracts: cases.Contracts, rng: random.Random
) -> None:
    effect = run(step_contracts, encode("jalr", rd=6, rs1=6), rng, {6: 0x7800_0200}, pc=0x7800_0010)
    assert (effect.pc, effect.registers[6]) == (0x7800_0200, 0x7800_0014)


@pytest.mark.parametrize(
    ("word", "base", "target"),
    [
        (encode_j(1, -8), 0, 2**64 - 8),  # round the end of the address space
        (encode_b("beq", 0, 0, -4), 0, 2**64 - 4),
        (encode("jalr", rd=1, rs1=6), 2**64 - 4, 2**64 - 4),
        (encode("jalr", rd=1, rs1=6, imm_i=8), 2**64 - 8, 0),
        (encode("jalr", rd=1, rs1=6), 2**63, 2**63),
        (encode("jalr", rd=1, rs1=6), 4096, 4096),  # the first address that is no text
        (encode("jalr", rd=1, rs1=6), 2**35, 2**35),
    ],
)
def test_jump_out_of_text_is_made_and_traps_there(
    word: int, base: int, target: int, step_contracts: cases.Contracts, rng: random.Random
) -> None:
    machine = Machine(pc=0, end_of_text=4096)
    machine.registers[6] = base
    effect = cases.settle(machine, word, rng)
    assert (effect.status, effect.pc) == (RUNNING, target)
    cases.expect(step_contracts, machine, effect)
    there = reference.step(machine)
    cases.expect(step_contracts, machine, there)
    if target >= 4096:
        assert (there.status, there.pc) == (TRAPPED, target)


def test_last_instruction_of_text_falls_off_its_end(
    step_contracts: cases.Contracts, rng: random.Random
) -> None:
    for end in (4096, 0x7801_0000, 2**34):
        machine = Machine(pc=end - 4, end_of_text=end)
        for status in (RUNNING, TRAPPED):
            effect = cases.settle(machine, encode("addi", rd=1, imm_i=1), rng)
            assert (effect.status, effect.pc) == (status, end)
            cases.expect(step_contracts, machine, effect)


def test_fence_of_any_sets_does_nothing(
    step_contracts: cases.Contracts, rng: random.Random
) -> None:
    for sets in range(256):
        effect = run(step_contracts, encode("fence") | sets << 20, rng, pc=0x7800_0000)
        assert (effect.status, effect.pc) == (RUNNING, 0x7800_0004)
