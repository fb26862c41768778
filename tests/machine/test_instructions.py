"""Every instruction at its corners, against results written out from the ISA manual."""

import pytest
from tests.machine import asm
from tests.machine.asm import ins, li
from tests.machine.programs import U64, run, start, u64, with_operands

from provenue.machine import Event, Status

MIN64 = 1 << 63
MAX64 = MIN64 - 1
MIN32 = 1 << 31  # as an unsigned word
MINUS_1 = U64


def sx32(word: int) -> int:
    """Sign-extend a word to 64 unsigned bits."""
    return word | 0xFFFF_FFFF_0000_0000 if word >> 31 else word


TWO_OPERANDS = [
    ("add", U64, 1, 0),
    ("add", MAX64, 1, MIN64),
    ("sub", 0, 1, U64),
    ("sub", MIN64, 1, MAX64),
    ("sll", 1, 63, MIN64),
    ("sll", 1, 64, 1),  # six bits of the amount
    ("sll", 1, U64, MIN64),
    ("srl", MIN64, 63, 1),
    ("srl", U64, 64 + 4, U64 >> 4),
    ("sra", MIN64, 63, U64),
    ("sra", MIN64, 64, MIN64),
    ("sra", MAX64, 62, 1),
    ("slt", U64, 0, 1),
    ("slt", 0, U64, 0),
    ("slt", MIN64, MAX64, 1),
    ("sltu", U64, 0, 0),
    ("sltu", 0, U64, 1),
    ("sltu", MIN64, MAX64, 0),
    ("xor", U64, 0x0F, U64 - 0x0F),
    ("or", MIN64, 1, MIN64 + 1),
    ("and", U64, 0xF0F0, 0xF0F0),
    ("addw", 0x7FFF_FFFF, 1, 0xFFFF_FFFF_8000_0000),
    ("addw", 0xDEAD_0000_FFFF_FFFF, 1, 0),  # the upper halves do not count
    ("addw", 0x1_0000_0000, 0x1_0000_0005, 5),
    ("subw", 0, 1, U64),
    ("subw", MIN32, 1, 0x7FFF_FFFF),
    ("sllw", 1, 31, 0xFFFF_FFFF_8000_0000),
    ("sllw", 1, 32, 1),  # five bits of the amount
    ("sllw", 0xFFFF_FFFF_0000_0001, 1, 2),
    ("srlw", 0xFFFF_FFFF_8000_0000, 31, 1),
    ("srlw", 0x8000_0000, 0, 0xFFFF_FFFF_8000_0000),
    ("srlw", 0xF_0000_0000, 4, 0),  # nothing comes down from above
    ("srlw", 0x8000_0000, 32, 0xFFFF_FFFF_8000_0000),
    ("sraw", 0x8000_0000, 31, U64),
    ("sraw", 0x8000_0000, 63, U64),
    ("sraw", 0x1_7FFF_FFFF, 30, 1),
    ("sraw", 0x4000_0000, 32, 0x4000_0000),
    ("mul", U64, U64, 1),
    ("mul", MIN64, U64, MIN64),
    ("mul", 1 << 32, 1 << 32, 0),
    ("mulh", U64, U64, 0),
    ("mulh", MIN64, MIN64, 1 << 62),
    ("mulh", MIN64, MAX64, 0xC000_0000_0000_0000),
    ("mulh", U64, 1, U64),
    ("mulhu", U64, U64, U64 - 1),
    ("mulhu", MIN64, 2, 1),
    ("mulhsu", U64, U64, U64),  # -1 times 2^64 - 1
    ("mulhsu", MIN64, U64, MIN64),
    ("mulhsu", 1, U64, 0),
    ("mulhsu", MAX64, U64, MAX64 - 1),
    ("mulw", 0xFFFF_FFFF, 0xFFFF_FFFF, 1),
    ("mulw", 0x1_0000_0003, 5, 15),
    ("mulw", 0x4000_0000, 2, 0xFFFF_FFFF_8000_0000),
    ("div", 7, 0, MINUS_1),
    ("div", MIN64, MINUS_1, MIN64),
    ("div", U64 - 6, 2, U64 - 2),  # -7 / 2 = -3, towards zero
    ("div", 7, U64 - 1, U64 - 2),
    ("div", U64 - 6, U64 - 1, 3),
    ("divu", 7, 0, U64),
    ("divu", MIN64, U64, 0),
    ("divu", U64, 2, MAX64),
    ("rem", 7, 0, 7),
    ("rem", MIN64, 0, MIN64),
    ("rem", MIN64, MINUS_1, 0),
    ("rem", U64 - 6, 2, U64),  # -7 % 2 = -1, the sign of the dividend
    ("rem", 7, U64 - 1, 1),
    ("remu", U64, 0, U64),
    ("remu", U64, 10, 5),
    ("divw", 7, 0, MINUS_1),
    ("divw", MIN32, 0xFFFF_FFFF, sx32(MIN32)),
    ("divw", 0xFFFF_FFF9, 2, U64 - 2),
    ("divw", 0x1_0000_0006, 0x5_0000_0003, 2),  # 32 bits of both
    ("divw", 0xFFFF_FFFF_0000_0009, 3, 3),
    ("divuw", 7, 0, U64),
    ("divuw", 0xFFFF_FFFF, 1, U64),  # sign-extended, though unsigned
    ("divuw", MIN32, 0xFFFF_FFFF, 0),
    ("divuw", 7, 0xFFFF_FFFF_0000_0000, U64),  # the divisor's low half is zero
    ("remw", 7, 0, 7),
    ("remw", 0x8000_0000, 0, sx32(MIN32)),
    ("remw", MIN32, 0xFFFF_FFFF, 0),
    ("remw", 0xFFFF_FFF9, 2, U64),
    ("remuw", 0xFFFF_FFFF, 0, U64),
    ("remuw", 0xFFFF_FFFE, 0xFFFF_FFFF, sx32(0xFFFF_FFFE)),
    ("remuw", 0x1_0000_000B, 10, 1),
]


@pytest.mark.parametrize(("name", "a", "b", "expected"), TWO_OPERANDS)
def test_register_operation_gives_the_manuals_result(
    name: str, a: int, b: int, expected: int
) -> None:
    machine = with_operands([ins(name, 12, 10, 11)], [a, b])
    assert machine.registers[12] == expected
    assert machine.registers[10:12] == (a, b)


def test_every_register_operation_has_a_corner_case() -> None:
    assert {name for name, *_ in TWO_OPERANDS} == set(asm.REG_OPS)


IMMEDIATES = [
    ("addi", U64, 1, 0),
    ("addi", 0, -2048, U64 - 2047),
    ("addi", 1, 2047, 2048),
    ("slti", U64, 0, 1),
    ("slti", 0, -1, 0),
    ("sltiu", 0, -1, 1),  # the immediate is sign-extended, then unsigned
    ("sltiu", U64, -1, 0),
    ("sltiu", 0, 1, 1),
    ("xori", 0x5555, -1, U64 - 0x5555),
    ("ori", 0, -2048, U64 - 2047),
    ("andi", U64, -2048, U64 - 2047),
    ("andi", U64, 2047, 2047),
    ("addiw", 0x7FFF_FFFF, 1, 0xFFFF_FFFF_8000_0000),
    ("addiw", 0xFFFF_FFFF, 0, U64),
    ("addiw", 0xDEAD_0000_0000_0001, -2, U64),
    ("slli", 1, 63, MIN64),
    ("slli", 3, 32, 3 << 32),
    ("slli", 5, 0, 5),
    ("srli", U64, 63, 1),
    ("srli", MIN64, 32, 1 << 31),
    ("srai", MIN64, 63, U64),
    ("srai", MIN64, 32, 0xFFFF_FFFF_8000_0000),
    ("srai", MAX64, 62, 1),
    ("slliw", 1, 31, 0xFFFF_FFFF_8000_0000),
    ("slliw", 0xFFFF_FFFF_0000_0001, 0, 1),
    ("srliw", 0xF_8000_0000, 31, 1),
    ("srliw", 0x8000_0000, 0, 0xFFFF_FFFF_8000_0000),
    ("sraiw", 0x8000_0000, 31, U64),
    ("sraiw", 0x1_7FFF_FFFF, 0, 0x7FFF_FFFF),
]


@pytest.mark.parametrize(("name", "a", "immediate", "expected"), IMMEDIATES)
def test_immediate_operation_gives_the_manuals_result(
    name: str, a: int, immediate: int, expected: int
) -> None:
    machine = with_operands([ins(name, 12, 10, immediate)], [a])
    assert machine.registers[12] == expected


def test_every_immediate_operation_has_a_corner_case() -> None:
    assert {name for name, *_ in IMMEDIATES} == set(asm.IMM_OPS) | set(asm.SHIFT_OPS)


def test_lui_and_auipc_sign_extend_their_immediate() -> None:
    words = [ins("lui", 10, 0x80000), ins("lui", 11, 0x7FFFF), ins("auipc", 12, 0x80000)]
    machine, _ = run([*words, ins("auipc", 13, 1), *asm.exit_with()])
    assert machine.registers[11] == 0x7FFF_F000
    assert machine.registers[12] == (asm.TEXT + 8 - (1 << 31)) & U64
    assert machine.registers[13] == asm.TEXT + 12 + 0x1000


def test_writes_to_x0_are_discarded_by_every_form() -> None:
    words = [
        ins("addi", 0, 0, 5),
        ins("add", 0, 10, 10),
        ins("lui", 0, 5),
        ins("auipc", 0, 0),
        *li(5, asm.INPUT),
        ins("ld", 0, 5, 0),
        ins("jal", 0, 4),
        ins("auipc", 6, 0),
        ins("jalr", 0, 6, 8),
        ins("add", 11, 0, 0),
        *asm.exit_with(),
    ]
    machine = start(words, a0=7)
    machine.set_input(0, u64(U64))
    machine.run(100)
    assert machine.registers[0] == 0
    assert machine.registers[11] == 0


BRANCHES = [
    ("beq", 5, 5, True),
    ("beq", 5, 5 + (1 << 32), False),
    ("bne", 5, 5, False),
    ("bne", 5, 5 + (1 << 32), True),
    ("blt", U64, 0, True),
    ("blt", 0, U64, False),
    ("blt", 3, 3, False),
    ("blt", MIN64, MAX64, True),
    ("bge", U64, 0, False),
    ("bge", 0, U64, True),
    ("bge", 3, 3, True),
    ("bltu", U64, 0, False),
    ("bltu", 0, U64, True),
    ("bltu", 3, 3, False),
    ("bltu", MIN64, MAX64, False),
    ("bgeu", U64, 0, True),
    ("bgeu", 0, U64, False),
    ("bgeu", 3, 3, True),
]


@pytest.mark.parametrize(("name", "a", "b", "taken"), BRANCHES)
def test_branch_is_taken_exactly_when_the_manual_says(
    name: str, a: int, b: int, taken: bool
) -> None:
    words = [ins("addi", 12, 0, 1), ins(name, 10, 11, 8), ins("addi", 12, 0, 2)]
    machine = with_operands(words, [a, b])
    assert machine.registers[12] == (1 if taken else 2)


def test_branch_reaches_forward_to_the_end_of_its_range() -> None:
    words = [ins("beq", 0, 0, 4092), *[ins("ebreak")] * 1022, *asm.exit_with()]
    assert run(words)[1].event is Event.HALT


def test_branch_reaches_backward_to_the_end_of_its_range() -> None:
    words = [ins("bne", 5, 0, 8), ins("jal", 0, 4 * 1022), *asm.exit_with()]
    words += [ins("ebreak")] * (1023 - len(words))
    words += [ins("addi", 5, 0, 1), ins("beq", 0, 0, -4096)]
    assert run(words)[1] == (Status.HALTED, Event.HALT, 8, asm.TEXT + 16, 0)


@pytest.mark.parametrize("offset", [(1 << 20) - 4, -(1 << 20)])
def test_jal_reaches_both_ends_of_its_range(offset: int) -> None:
    _, result = run([ins("jal", 5, offset)])
    below = Event.ILLEGAL_INSTRUCTION  # text begins at 0, with words that no segment filled
    assert result.event is (Event.FETCH_OUTSIDE_TEXT if offset > 0 else below)
    assert result.pc == asm.TEXT + offset


def test_jal_links_and_reaches_backwards() -> None:
    words = [
        ins("jal", 5, 16),
        ins("addi", 6, 0, 7),
        *asm.exit_with(6)[:1],
        ins("jal", 0, 8),
        ins("jal", 7, -12),
        *asm.exit_with(6),
    ]
    machine, result = run(words)
    assert result.exit_code == 7
    assert machine.registers[5] == asm.TEXT + 4
    assert machine.registers[7] == asm.TEXT + 20


def test_jalr_clears_bit_0_of_the_sum_and_reads_rs1_before_it_links() -> None:
    words = [ins("auipc", 5, 0), ins("jalr", 5, 5, 13), ins("ebreak"), *asm.exit_with()]
    machine, result = run(words)
    assert result.status is Status.HALTED
    assert machine.registers[5] == asm.TEXT + 8


LOADS = [
    ("lb", 0x80, 0xFFFF_FFFF_FFFF_FF80),
    ("lb", 0x17F, 0x7F),
    ("lbu", 0x180, 0x80),
    ("lh", 0x8000, 0xFFFF_FFFF_FFFF_8000),
    ("lh", 0x1_7FFF, 0x7FFF),
    ("lhu", 0x1_8000, 0x8000),
    ("lw", 0x8000_0000, 0xFFFF_FFFF_8000_0000),
    ("lw", 0x1_7FFF_FFFF, 0x7FFF_FFFF),
    ("lwu", 0x1_8000_0000, 0x8000_0000),
    ("ld", MIN64 + 1, MIN64 + 1),
]


@pytest.mark.parametrize(("name", "stored", "expected"), LOADS)
def test_load_takes_its_width_and_extends_by_its_sign(
    name: str, stored: int, expected: int
) -> None:
    machine = with_operands([ins(name, 12, 5, 0)], [stored])
    assert machine.registers[12] == expected


@pytest.mark.parametrize("name", asm.LOADS)
def test_load_reads_little_endian_at_every_aligned_offset(name: str) -> None:
    width = asm.access_bytes(name)
    data = bytes(range(0x70, 0x90))
    for offset in range(0, 32, width):
        machine = start([*li(5, asm.INPUT + 64), ins(name, 12, 5, offset - 64), *asm.exit_with()])
        machine.set_input(0, data)
        machine.run(100)
        chunk = data[offset : offset + width]
        value = int.from_bytes(chunk, "little", signed=not name.endswith("u"))
        assert machine.registers[12] == value & U64


@pytest.mark.parametrize("name", asm.STORES)
def test_store_writes_its_width_and_nothing_beside_it(name: str) -> None:
    width = asm.access_bytes(name)
    value = 0x1122_3344_5566_7788
    before = b"\xaa" * 32
    for offset in range(0, 32, width):
        store = [ins("ld", 10, 5, 0), *li(6, asm.IMAGE + 64), ins(name, 10, 6, offset - 64)]
        machine = start([*li(5, asm.INPUT), *store, *asm.exit_with()])
        machine.set_input(0, u64(value))
        machine.set_image(0, before)
        machine.run(100)
        expected = bytearray(before)
        expected[offset : offset + width] = u64(value)[:width]
        assert machine.image(0, 32) == expected


def test_fence_does_nothing() -> None:
    words = [0x0FF0_000F, 0x0330_000F, 0x0000_000F, *asm.exit_with()]
    _, result = run(words)
    assert (result.status, result.steps) == (Status.HALTED, 6)
