"""What traps, and that a trap changes nothing: pc stays at its instruction."""

import random
from concurrent.futures import ThreadPoolExecutor

import pytest
from tests.machine import asm
from tests.machine.asm import ins, li
from tests.machine.programs import U64, execute, next_step, run, start, u64

from provenue.machine import Event, Machine, Status

# Words that must not decode, one class a line: (what, word).
RESERVED = [
    ("all zeros", 0x0000_0000),
    ("all ones", 0xFFFF_FFFF),
    ("compressed quadrant 0", 0x0000_4188),
    ("compressed quadrant 1 (c.nop)", 0x0001_0001),
    ("compressed quadrant 2", 0x0000_8082),
    ("48-bit or longer length prefix", 0x0000_001F),
    ("custom-0", 0x0000_000B),
    ("load funct3 7", ins("ld", 1, 2, 0) | 0x7000),
    ("float load", 0x0000_2007),
    ("float store", 0x0000_2027),
    ("fused multiply-add", 0x0000_0043),
    ("float arithmetic", 0x0000_0053),
    ("atomic add", 0x0000_202F),
    ("vector", 0x0000_0057),
    ("store funct3 4", ins("sb", 1, 2, 0) | 0x4000),
    ("branch funct3 2", ins("beq", 1, 2, 8) | 0x2000),
    ("branch funct3 3", ins("beq", 1, 2, 8) | 0x3000),
    ("jalr funct3 1", ins("jalr", 1, 2, 0) | 0x1000),
    ("slli bit 26", ins("slli", 1, 2, 3) | 1 << 26),
    ("slli bit 30", ins("slli", 1, 2, 3) | 1 << 30),
    ("slli bit 31", ins("slli", 1, 2, 3) | 1 << 31),
    ("srli bit 26", ins("srli", 1, 2, 3) | 1 << 26),
    ("srai bit 26", ins("srai", 1, 2, 3) | 1 << 26),
    ("srai bit 31", ins("srai", 1, 2, 3) | 1 << 31),
    ("slliw bit 25", ins("slliw", 1, 2, 3) | 1 << 25),
    ("slliw bit 26", ins("slliw", 1, 2, 3) | 1 << 26),
    ("slliw bit 30", ins("slliw", 1, 2, 3) | 1 << 30),
    ("srliw bit 25", ins("srliw", 1, 2, 3) | 1 << 25),
    ("srliw bit 26", ins("srliw", 1, 2, 3) | 1 << 26),
    ("sraiw bit 25", ins("sraiw", 1, 2, 3) | 1 << 25),
    ("sraiw bit 26", ins("sraiw", 1, 2, 3) | 1 << 26),
    ("word immediate funct3 2", ins("addiw", 1, 2, 3) | 0x2000),
    ("add funct7 2", ins("add", 1, 2, 3) | 2 << 25),
    ("add funct7 0x21", ins("add", 1, 2, 3) | 0x21 << 25),
    ("sll funct7 0x20", ins("sll", 1, 2, 3) | 0x20 << 25),
    ("xor funct7 0x20 (xnor)", ins("xor", 1, 2, 3) | 0x20 << 25),
    ("and funct7 0x20 (andn)", ins("and", 1, 2, 3) | 0x20 << 25),
    ("slt funct7 0x10 (sh1add)", ins("slt", 1, 2, 3) | 0x10 << 25),
    ("sllw funct7 0x20", ins("sllw", 1, 2, 3) | 0x20 << 25),
    ("word multiply funct3 1", ins("mulw", 1, 2, 3) | 0x1000),
    ("word multiply funct3 2", ins("mulw", 1, 2, 3) | 0x2000),
    ("word multiply funct3 3", ins("mulw", 1, 2, 3) | 0x3000),
    ("word add funct3 4", ins("addw", 1, 2, 3) | 0x4000),
    ("fence.i", 0x0000_100F),
    ("fence.tso", 0x8330_000F),
    ("fence with rd", 0x0FF0_008F),
    ("fence with rs1", 0x0FF0_800F),
    ("fence funct3 2 (cbo)", 0x0000_200F),
    ("ecall with rd", 0x0000_00F3),
    ("ecall with rs1", 0x0000_8073),
    ("ebreak with rd", 0x0010_00F3),
    ("uret", 0x0020_0073),
    ("sret", 0x1020_0073),
    ("mret", 0x3020_0073),
    ("wfi", 0x1050_0073),
    ("csrrw", 0x0000_1073),
    ("rdcycle", 0xC000_2073),
]


@pytest.mark.parametrize(("what", "word"), RESERVED)
def test_reserved_encoding_traps_where_it_stands(what: str, word: int) -> None:
    machine, result = run([ins("addi", 5, 0, 1), word, *asm.exit_with()])
    assert result == (Status.TRAPPED, Event.ILLEGAL_INSTRUCTION, 2, asm.TEXT + 4, 0), what
    assert machine.registers == (0,) * 5 + (1,) + (0,) * 26


def trap(words: list[int]) -> tuple[Machine, Event]:
    """Run words of which the last traps, and check that its step changed nothing."""
    machine = start([*words, *asm.exit_with()])
    assert execute(machine, len(words) - 1).status is Status.RUNNING
    registers, pages = machine.registers, machine.dirty_image_pages()
    next_step(machine, peek=True)
    result = machine.run(1)
    assert (result.status, result.steps) == (Status.TRAPPED, 1)
    assert result.pc == machine.pc == asm.TEXT + 4 * (len(words) - 1)
    assert machine.registers == registers
    assert machine.dirty_image_pages() == pages
    return machine, result.event


def test_ebreak_traps() -> None:
    assert trap([ins("ebreak")])[1] is Event.EBREAK


@pytest.mark.parametrize("name", asm.LOADS)
def test_load_at_any_misaligned_address_traps(name: str) -> None:
    width = asm.access_bytes(name)
    for offset in range(1, width):
        assert trap([*li(5, asm.IMAGE + offset), ins(name, 6, 5, 0)])[1] is Event.MISALIGNED_LOAD
    if width > 1:
        assert trap([*li(5, asm.IMAGE), ins(name, 0, 5, 1)])[1] is Event.MISALIGNED_LOAD


@pytest.mark.parametrize("name", asm.STORES)
def test_store_at_any_misaligned_address_traps(name: str) -> None:
    for offset in range(1, asm.access_bytes(name)):
        words = [*li(5, asm.IMAGE), ins(name, 5, 5, offset)]
        assert trap(words)[1] is Event.MISALIGNED_STORE


@pytest.mark.parametrize("name", asm.LOADS)
def test_loads_reach_the_last_address_and_no_further(name: str) -> None:
    width = asm.access_bytes(name)
    for address in (0, (1 << 36) - width, asm.TEXT - width, asm.INPUT, (1 << 34) - width):
        machine, result = run([*li(5, address), ins(name, 6, 5, 0), *asm.exit_with()])
        assert result.status is Status.HALTED
        assert machine.registers[6] == 0
    for address in (1 << 36, (1 << 36) + asm.IMAGE, 1 << 63, U64 + 1 - width):
        words = [*li(5, address), ins(name, 6, 5, 0)]
        assert trap(words)[1] is Event.LOAD_OUTSIDE_MEMORY
    words = [*li(5, (1 << 36) - width), ins(name, 6, 5, width)]
    assert trap(words)[1] is Event.LOAD_OUTSIDE_MEMORY


def test_text_can_be_read_as_data() -> None:
    machine, _ = run([*li(5, asm.TEXT), ins("lwu", 6, 5, 0), *asm.exit_with()])
    assert machine.registers[6] == li(5, asm.TEXT)[0]


WRITABLE = [
    asm.text_end(1),
    (1 << 34) - 8,
    asm.IMAGE,
    asm.INPUT - 8,
    asm.OUTPUT,
    (1 << 36) - 8,
]
NOT_WRITABLE = [
    0,
    asm.TEXT - 8,
    asm.TEXT,
    asm.text_end(1) - 8,
    asm.INPUT,
    asm.OUTPUT - 8,
    1 << 36,
    (1 << 36) + asm.IMAGE,
    1 << 63,
    U64 - 7,
]


@pytest.mark.parametrize("name", asm.STORES)
def test_stores_reach_scratch_image_and_output_to_their_edges(name: str) -> None:
    for address in WRITABLE:
        words = [*li(5, address), ins("addi", 6, 0, -1), ins(name, 6, 5, 0), *asm.exit_with()]
        machine, result = run(words)
        assert result.status is Status.HALTED, hex(address)
        width = asm.access_bytes(name)
        assert machine.read(address, 8) == b"\xff" * width + bytes(8 - width)
        last = [*li(5, address + 8 - width), ins(name, 6, 5, 0), *asm.exit_with()]
        assert run(last)[1].status is Status.HALTED


@pytest.mark.parametrize("name", asm.STORES)
def test_stores_elsewhere_trap_and_write_nothing(name: str) -> None:
    for address in NOT_WRITABLE:
        words = [*li(5, address), ins("addi", 6, 0, -1), ins(name, 6, 5, 0)]
        before = start(words)
        machine, event = trap(words)
        assert event is Event.STORE_NOT_WRITABLE, hex(address)
        if address < 1 << 36:
            assert machine.read(address, 8)[: asm.access_bytes(name)] != b"\xff" * 8
            if address != asm.TEXT:
                assert machine.read(address, 8) == before.read(address, 8)


def test_store_into_text_leaves_the_program_as_it_was() -> None:
    words = [*li(5, asm.TEXT), ins("sd", 5, 5, 0)]
    machine, _ = trap(words)
    assert machine.read(asm.TEXT, 4) == u64(words[0])[:4]


@pytest.mark.parametrize("offset", [2, 6, -2])
def test_jump_to_a_misaligned_target_traps_at_the_jump_without_linking(offset: int) -> None:
    assert trap([ins("jal", 5, offset)])[1] is Event.MISALIGNED_JUMP
    assert trap([ins("auipc", 5, 0), ins("jalr", 6, 5, offset)])[1] is Event.MISALIGNED_JUMP
    assert trap([ins("auipc", 5, 0), ins("jalr", 6, 5, offset + 1)])[1] is Event.MISALIGNED_JUMP


@pytest.mark.parametrize(
    ("name", "taken"),
    [("beq", True), ("bge", True), ("bgeu", True), ("bne", False), ("blt", False), ("bltu", False)],
)
def test_branch_to_a_misaligned_target_traps_only_if_taken(name: str, taken: bool) -> None:
    words = [ins(name, 0, 0, 6)]
    if taken:
        assert trap(words)[1] is Event.MISALIGNED_JUMP
    else:
        assert run([*words, *asm.exit_with()])[1].status is Status.HALTED


@pytest.mark.parametrize(
    ("target", "event"),
    [
        *((t, Event.ILLEGAL_INSTRUCTION) for t in (0, 4, asm.TEXT - 4, asm.TEXT + 0xFFC)),
        *((t, Event.FETCH_OUTSIDE_TEXT) for t in (asm.text_end(1), asm.IMAGE, 1 << 36, 1 << 63)),
        (U64 - 3, Event.FETCH_OUTSIDE_TEXT),
    ],
)
def test_jump_to_no_instruction_links_and_traps_at_the_target(target: int, event: Event) -> None:
    words = [*li(5, target), ins("jalr", 6, 5, 0)]
    machine, result = run(words)
    assert result.event is event
    assert result.pc == target
    assert result.steps == len(words) + 1
    assert machine.registers[6] == asm.TEXT + 4 * len(words)


def test_running_off_the_end_of_text_traps_at_its_end() -> None:
    words = [ins("nop")] * 1024  # exactly a page
    _, result = run(words)
    assert result == (Status.TRAPPED, Event.FETCH_OUTSIDE_TEXT, 1025, asm.TEXT + asm.PAGE, 0)


def test_what_the_guest_writes_to_scratch_is_not_executed() -> None:
    words = [*li(5, asm.text_end(8)), ins("sw", 0, 5, 0), ins("jalr", 0, 5, 0)]
    _, result = run(words)
    assert (result.event, result.pc) == (Event.FETCH_OUTSIDE_TEXT, asm.text_end(8))


@pytest.mark.parametrize("number", [0, 64, 92, 94, 0x4B42, 0x4B44, 0x4543 + (1 << 32), U64])
def test_unknown_call_traps(number: int) -> None:
    assert trap([*li(17, number), ins("ecall")])[1] is Event.UNKNOWN_CALL


# --- budget and fixed points ---------------------------------------------------------------------


def test_a_halt_on_the_last_step_of_the_budget_is_in_time_and_one_less_is_not() -> None:
    words = [ins("nop")] * 7 + asm.exit_with()
    assert run(words, budget=10)[1] == (Status.HALTED, Event.HALT, 10, asm.TEXT + 36, 0)
    assert run(words, budget=9)[1] == (Status.RUNNING, Event.NONE, 9, asm.TEXT + 36, 0)
    assert run(words, budget=0)[1] == (Status.RUNNING, Event.NONE, 0, asm.TEXT, 0)


def test_an_endless_loop_stops_exactly_at_the_budget() -> None:
    _, result = run([ins("addi", 5, 5, 1), ins("jal", 0, -4)], budget=(1 << 24) + 1)
    assert (result.status, result.steps) == (Status.RUNNING, (1 << 24) + 1)
    assert result.pc == asm.TEXT + 4


def test_running_in_pieces_is_running_at_once() -> None:
    words = [*li(5, asm.IMAGE), ins("addi", 6, 0, 100)]
    words += [
        ins("sd", 6, 5, 0),
        ins("addi", 5, 5, 8),
        ins("addi", 6, 6, -1),
        ins("bne", 6, 0, -12),
    ]
    words += asm.exit_with(5)
    whole, result = run(words)
    pieces, total = start(words), 0
    while (last := pieces.run(3)).status is Status.RUNNING:
        total += last.steps
    assert total + last.steps == result.steps
    assert last.exit_code == result.exit_code == asm.IMAGE + 800
    assert pieces.registers == whole.registers
    assert pieces.image(0, 1000) == whole.image(0, 1000)


@pytest.mark.parametrize("last", [ins("ecall"), ins("ebreak"), 0])
def test_halted_and_trapped_are_fixed_points(last: int) -> None:
    machine, first = run([ins("addi", 10, 0, 5), ins("addi", 17, 0, 93), last, ins("nop")])
    assert first.status is not Status.RUNNING
    registers = machine.registers
    assert machine.run(1_000) == first._replace(steps=0)
    assert machine.registers == registers
    assert machine.pc == asm.TEXT + 8


def test_exit_code_is_the_whole_register() -> None:
    _, result = run([*li(5, 0xFEDC_BA98_7654_3210), *asm.exit_with(5)])
    assert result.exit_code == 0xFEDC_BA98_7654_3210


def test_using_a_machine_out_of_order_says_what_to_call_first() -> None:
    machine = Machine()
    with pytest.raises(RuntimeError, match="call load_elf first"):
        machine.begin_message(0, 0)
    machine.load_elf(asm.elf(asm.exit_with()))
    with pytest.raises(RuntimeError, match="call begin_message first"):
        machine.run(1)


def test_a_running_machine_refuses_a_second_thread() -> None:
    machine = start([ins("jal", 0, 0)])
    with ThreadPoolExecutor(1) as pool:
        running = pool.submit(machine.run, 1 << 27)
        heard = ""
        while not running.done() and not heard:
            try:
                _ = machine.pc
            except RuntimeError as error:
                heard = str(error)
        assert "in use by another call" in heard
        assert running.result().steps == 1 << 27
    assert machine.pc == asm.TEXT


def test_any_budget_stops_exactly_there_whatever_the_code_looks_like(rng: random.Random) -> None:
    """Budgets around the length of the text, where the run loop changes its way of counting."""
    body = [ins("addi", 6, 6, 1), ins("slli", 7, 6, 3), ins("add", 7, 7, 5), ins("sd", 6, 7, 0)]
    body += [ins("ld", 8, 7, 0), ins("bne", 8, 9, 8), ins("jal", 0, 4), ins("addi", 8, 8, 1)]
    words = [*li(5, asm.IMAGE), ins("addi", 9, 0, 7), *body, ins("addi", 10, 10, -1)]
    words += [ins("bne", 10, 0, -4 * (len(body) + 1)), *asm.exit_with(8)]
    single, states = start(words, a0=20), []
    while single.status is Status.RUNNING:
        states.append((single.pc, single.registers))
        single.run(1)
    states.append((single.pc, single.registers))
    machine = start(words, a0=20)
    for count in range(len(states) + 2):
        machine.begin_message(20, 0)
        result = machine.run(count)
        assert result.steps == min(count, len(states) - 1)
        assert (machine.pc, machine.registers) == states[min(count, len(states) - 1)]
        more = rng.randrange(100)
        machine.run(more)
        assert machine.steps == min(count + more, len(states) - 1)
        assert (machine.pc, machine.registers) == states[machine.steps]
