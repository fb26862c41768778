"""The loader takes one kind of ELF and names the field of every other."""

import random
import struct

import pytest
from tests.machine import asm
from tests.machine.asm import header, ins, li, segment

from provenue.machine import ElfError, Event, Machine, Status

GOOD = asm.elf(asm.exit_with(), data=b"data")
DATA = asm.text_end(3)


def load(file: bytes) -> Machine:
    """Load and begin."""
    machine = Machine()
    machine.load_elf(file)
    machine.begin_message(0, 0)
    return machine


def with_header(**fields: int | bytes) -> bytes:
    """Replace header fields of a good file."""
    return header(**fields) + GOOD[64:]


def with_segments(*segments: bytes, **fields: int) -> bytes:
    """Replace the program headers of a good file."""
    table = b"".join(segments)
    head = header(e_phnum=len(segments), **fields)
    return head + table + GOOD[64 + len(table) :]


def text(**fields: int) -> bytes:
    """Give the text segment of the good file, with changes."""
    base = {"p_flags": 5, "p_offset": 4096, "p_vaddr": asm.TEXT, "p_filesz": 12, "p_memsz": 12}
    base.update(fields)
    base.setdefault("p_paddr", base["p_vaddr"])
    return segment(**base)


def data(**fields: int) -> bytes:
    """Give the data segment of the good file, with changes."""
    base = {"p_flags": 6, "p_offset": 8192, "p_vaddr": DATA, "p_filesz": 4, "p_memsz": 4096}
    base.update(fields)
    base.setdefault("p_paddr", base["p_vaddr"])
    return segment(**base)


def test_a_good_file_loads() -> None:
    machine = load(GOOD)
    assert (machine.entry, machine.end_of_text) == (asm.TEXT, DATA)
    assert machine.read(DATA, 8) == b"data" + bytes(4)
    assert machine.run(3).status is Status.HALTED
    assert load(with_segments(text(), data())).end_of_text == DATA
    assert load(with_segments(text(p_memsz=4096), data())).end_of_text == DATA


@pytest.mark.parametrize(
    ("field", "value"),
    [
        ("e_type", 1),
        ("e_type", 3),
        ("e_machine", 62),
        ("e_version", 0),
        ("e_flags", 1),  # compressed
        ("e_flags", 4),  # double float
        ("e_flags", 8),  # RVE
        ("e_ehsize", 52),
        ("e_phentsize", 32),
        ("e_phnum", 0),
        ("e_phnum", 257),
        ("e_phnum", 0xFFFF),
        ("e_phoff", 1 << 40),
        ("e_phoff", (1 << 64) - 8),
        ("e_phoff", 65),
        ("e_entry", asm.TEXT + 2),
        ("e_entry", asm.TEXT + 12),
        ("e_entry", asm.TEXT - 4),
        ("e_entry", DATA),
        ("e_entry", 0),
        ("e_shoff", 64),
    ],
)
def test_a_wrong_header_field_is_refused_by_name(field: str, value: int) -> None:
    with pytest.raises(ElfError, match=rf"^elf\.{field}: expected .+, was {value:#x}$"):
        load(with_header(**{field: value}))


@pytest.mark.parametrize(
    ("position", "value", "field"),
    [
        (0, 0x7E, "magic"),
        (3, 0x47, "magic"),
        (4, 1, "class"),
        (5, 2, "data"),
        (6, 0, "version"),
        (7, 2, "osabi"),
        (8, 1, "abiversion"),
        (9, 1, "padding"),
        (15, 1, "padding"),
    ],
)
def test_a_wrong_identification_is_refused_by_name(position: int, value: int, field: str) -> None:
    file = bytearray(GOOD)
    file[position] = value
    with pytest.raises(ElfError, match=rf"^elf\.e_ident\.{field}: expected "):
        load(bytes(file))


@pytest.mark.parametrize(
    ("field", "value"), [("e_shentsize", 40), ("e_shoff", 1 << 40), ("e_shstrndx", 5)]
)
def test_a_damaged_section_table_is_refused_by_name(field: str, value: int) -> None:
    good = {"e_shnum": 2, "e_shentsize": 64, "e_shoff": 4096, "e_shstrndx": 1}
    load(with_header(**good))
    with pytest.raises(ElfError, match=rf"^elf\.{field}: expected "):
        load(with_header(**{**good, field: value}))


@pytest.mark.parametrize(
    ("bad", "message"),
    [
        (text(p_flags=7), r"phdr\[0\]\.p_flags: expected never both writable and executable"),
        (text(p_flags=0x15), r"phdr\[0\]\.p_flags: expected R, W and X only, was 0x15"),
        (text(p_memsz=8), r"phdr\[0\]\.p_filesz: expected at most p_memsz"),
        (text(p_memsz=0), r"phdr\[0\]\.p_filesz: expected at most p_memsz"),
        (text(p_offset=1 << 20), r"phdr\[0\]\.p_offset: expected p_filesz bytes inside"),
        (text(p_offset=(1 << 64) - 4096), r"phdr\[0\]\.p_offset: expected p_filesz bytes inside"),
        (text(p_vaddr=asm.IMAGE), r"phdr\[0\]\.p_vaddr: expected an address below 0x400000000"),
        (text(p_vaddr=(1 << 64) - 4096), r"phdr\[0\]\.p_vaddr: expected"),
        (text(p_memsz=1 << 34), r"phdr\[0\]\.p_memsz: expected an end at or below 0x400000000"),
        (text(p_memsz=(1 << 64) - 1), r"phdr\[0\]\.p_memsz: expected an end"),
        (text(p_align=3), r"phdr\[0\]\.p_align: expected a power of two"),
        (text(p_align=8192), r"phdr\[0\]\.p_offset: expected equal to p_vaddr modulo p_align"),
        (text(p_memsz=4097), r"segment\.p_vaddr: expected no overlap with the segment that ends"),
        (text(p_memsz=8192), r"segment\.p_vaddr: expected no overlap with the segment that ends"),
        (segment(p_type=2), r"phdr\[0\]\.p_type: expected a kind that a static executable has"),
        (segment(p_type=3), r"phdr\[0\]\.p_type: expected a kind that a static executable has"),
        (segment(p_type=5), r"phdr\[0\]\.p_type: expected a kind that a static executable has"),
        (segment(p_type=0), r"e_entry: expected an address in an executable segment"),
        (text(p_flags=4), r"e_entry: expected an address in an executable segment"),
    ],
    ids=lambda value: value if isinstance(value, str) else "",
)
def test_a_wrong_program_header_is_refused_by_name(bad: bytes, message: str) -> None:
    with pytest.raises(ElfError, match=rf"^elf\.{message}"):
        load(with_segments(bad, data()))


@pytest.mark.parametrize(
    ("segments", "message"),
    [
        ((text(), data(), data()), "no overlap"),
        ((data(p_vaddr=asm.TEXT - 4096), text()), "e_entry: expected an address below the lowest"),
        ((data(p_vaddr=asm.TEXT), text(p_vaddr=DATA)), "e_entry: expected an address in an exec"),
        ((segment(p_type=4), segment(p_type=4)), "at least one LOAD segment"),
        ((text(p_memsz=0, p_filesz=0), data()), "e_entry: expected an address in an executable"),
    ],
    ids=lambda value: value if isinstance(value, str) else "",
)
def test_segments_that_do_not_fit_together_are_refused(
    segments: tuple[bytes, ...], message: str
) -> None:
    with pytest.raises(ElfError, match=message):
        load(with_segments(*segments))


def test_segments_may_come_in_any_order_and_with_harmless_company() -> None:
    kinds = (0, 4, 6, 7, 0x6474E550, 0x6474E551, 0x6474E552, 0x6474E553, 0x70000003)
    company = [segment(p_type=kind, p_flags=7) for kind in kinds]
    machine = load(with_segments(data(), *company, data(p_memsz=0, p_filesz=0), text()))
    assert machine.end_of_text == DATA
    assert machine.run(3).status is Status.HALTED


@pytest.mark.parametrize("offset", [0, 16, 4092])
def test_text_ends_at_the_page_of_the_lowest_writable_byte(offset: int) -> None:
    machine = load(with_segments(text(), data(p_vaddr=DATA + offset, p_align=1)))
    assert machine.end_of_text == DATA
    assert machine.read(DATA + offset, 4) == b"data"


def test_code_and_constants_above_data_are_memory_like_any_other() -> None:
    high = DATA + (1 << 20)
    words = [*li(5, high), ins("lwu", 6, 5, 0), ins("sw", 0, 5, 0), ins("jalr", 0, 5, 0)]
    file = bytearray(asm.elf(words, b"data"))
    constants = segment(p_flags=5, p_offset=8192, p_vaddr=high, p_filesz=4, p_memsz=4096)
    file[64 + 112 : 64 + 168] = constants
    file[56:58] = (3).to_bytes(2, "little")
    machine = load(bytes(file))
    result = machine.run(100)
    assert (result.event, result.pc) == (Event.FETCH_OUTSIDE_TEXT, high)
    assert machine.registers[6] == int.from_bytes(b"data", "little")
    assert machine.read(high, 4) == bytes(4)
    machine.begin_message(0, 0)
    assert machine.read(high, 4) == b"data"


@pytest.mark.parametrize("base", [0, 0x1_0000, 0x40_0000, (1 << 34) - 8192])
def test_segments_are_loaded_at_their_own_addresses(base: int) -> None:
    file = with_segments(text(p_vaddr=base), data(p_vaddr=base + 4096), e_entry=base)
    machine = load(file)
    assert (machine.entry, machine.end_of_text) == (base, base + 4096)
    assert machine.read(base + 4096, 4) == b"data"
    assert machine.run(3).status is Status.HALTED


def test_text_too_far_apart_to_predecode_runs_all_the_same() -> None:
    # Two executable segments 2 GiB apart, each jumping to the other.
    there = 0x10000
    words = [*li(5, there), ins("jalr", 1, 5, 0), *asm.exit_with(10)]
    other = [ins("addi", 7, 0, 3), ins("addi", 10, 10, 1), ins("addi", 7, 7, -1)]
    other += [ins("bne", 7, 0, -8), ins("jal", 0, 8), ins("ebreak")]
    other += [ins("sd", 10, 6, 0), ins("jalr", 0, 1, 0)]
    words = [*li(6, asm.IMAGE), *words]
    file = bytearray(asm.elf(words, b"".join(map(asm.word, other))))
    far = segment(p_flags=5, p_offset=8192, p_vaddr=there, p_filesz=32, p_memsz=32)
    file[64 + 56 : 64 + 112] = far
    machine = load(bytes(file))
    for budget in (1,) * 5 + (100,):
        result = machine.run(budget)
    assert (result.status, result.exit_code) == (Status.HALTED, 3)
    assert machine.steps == len(words) + 13
    assert machine.dirty_image_leaves() == [0]


def test_a_file_cut_short_is_refused_at_every_length() -> None:
    for length in (*range(200), 4095, 4096, 4100, 4107, 8191, 8192, len(GOOD) - 1):
        with pytest.raises(ElfError, match=r"^elf\."):
            load(GOOD[:length])


def test_a_refused_file_leaves_the_loaded_program_running() -> None:
    machine = load(GOOD)
    with pytest.raises(ElfError):
        machine.load_elf(with_header(e_type=3))
    assert machine.run(3).status is Status.HALTED
    assert machine.read(DATA, 4) == b"data"


def test_a_second_program_replaces_the_first_wholly() -> None:
    machine = load(asm.elf([*li(5, DATA + 64), ins("sd", 5, 5, 0), *asm.exit_with()], b"x" * 64))
    assert machine.run(100).status is Status.HALTED
    machine.set_image(0, b"kept")
    machine.load_elf(GOOD)
    with pytest.raises(RuntimeError, match="begin_message"):
        machine.run(1)
    machine.begin_message(0, 0)
    assert machine.read(DATA, 128) == b"data" + bytes(124)
    assert machine.read(asm.TEXT + 12, 64) == bytes(64)
    assert machine.image(0, 4) == b"kept"


def test_damaged_headers_are_refused_or_load_but_never_crash(rng: random.Random) -> None:
    refused = 0
    for _ in range(3_000):
        file = bytearray(GOOD)
        for _ in range(rng.randint(1, 3)):
            at = rng.randrange(64 + 112)
            if rng.random() < 0.5:
                file[at] ^= 1 << rng.randrange(8)
            else:
                struct.pack_into("<Q", file, at & ~7, rng.getrandbits(rng.choice([8, 36, 64])))
        refused += not loads(bytes(file))
    assert refused > 2_000


def loads(file: bytes) -> bool:
    """Tell whether a file loads (and then run it); any other error than a refusal passes on."""
    try:
        machine = load(file)
    except ElfError:
        return False
    machine.run(10)
    return True
