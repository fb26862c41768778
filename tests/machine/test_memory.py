"""Dirty leaves, the undo of a message (P4), start state, host access and the root of the image."""

import random

import pytest
from tests.machine import asm
from tests.machine.asm import ins, li
from tests.machine.programs import start, u64
from tests.machine.reference import sparse_root

from provenue.machine import Event, Machine, Status


def stores(addresses: list[int], value: int = 0x55) -> list[int]:
    """Store a byte at each address."""
    words = [ins("addi", 6, 0, value)]
    for address in addresses:
        words += [*li(5, address), ins("sb", 6, 5, 0)]
    return words


def test_dirty_leaves_are_exactly_those_stored_to() -> None:
    offsets = [31, 32, 95, 4095, 4096, 1 << 20, (1 << 34) - 1]
    words = stores([asm.IMAGE + o for o in offsets] + [asm.OUTPUT + 64, asm.text_end(64)])
    machine = start([*words, *asm.exit_with()])
    assert machine.run(1_000).status is Status.HALTED
    assert machine.dirty_image_leaves() == [0, 32, 64, 4064, 4096, 1 << 20, (1 << 34) - 32]
    assert machine.dirty_image_pages() == [0, 4096, 1 << 20, (1 << 34) - 4096]
    assert machine.dirty_output_leaves() == [64]
    assert machine.dirty_output_pages() == [0]


def test_a_load_or_a_trapped_store_leaves_no_mark() -> None:
    words = [*li(5, asm.IMAGE), ins("ld", 6, 5, 0), ins("sw", 6, 5, 2)]
    machine = start(words)
    assert machine.run(100).event is Event.MISALIGNED_STORE
    assert machine.dirty_image_leaves() == []
    assert machine.dirty_image_pages() == []


def test_storing_the_value_that_was_there_counts_as_dirty() -> None:
    machine = start([*stores([asm.IMAGE + 40], value=0), *asm.exit_with()])
    machine.run(100)
    assert machine.dirty_image_leaves() == [32]


def test_rollback_restores_every_byte_and_clears_the_marks(rng: random.Random) -> None:
    before = rng.randbytes(16_384)
    addresses = [asm.IMAGE + rng.randrange(len(before)) for _ in range(100)] * 2
    machine = start([*stores(addresses), ins("ebreak")])
    machine.set_image(0, before)
    assert machine.run(10_000).status is Status.TRAPPED
    assert machine.image_difference(before) is not None
    machine.rollback_image()
    assert machine.image(0, len(before)) == before
    assert machine.image(len(before), 8192) == bytes(8192)
    assert machine.dirty_image_leaves() == []
    machine.rollback_image()
    assert machine.image(0, len(before)) == before


def test_rollback_after_an_exhausted_budget_restores_the_image() -> None:
    words = [*li(5, asm.IMAGE), ins("sd", 5, 5, 0), ins("addi", 5, 5, 8), ins("jal", 0, -8)]
    machine = start(words)
    assert machine.run(30_000).status is Status.RUNNING
    assert len(machine.dirty_image_pages()) > 10
    machine.rollback_image()
    assert machine.image(0, 1 << 20) == bytes(1 << 20)


def test_begin_message_accepts_the_image_so_that_only_the_last_message_is_undone() -> None:
    # Message a0 stores a0 at the image's start and traps if a0 is 2.
    words = [*li(5, asm.IMAGE), ins("sd", 10, 5, 0), ins("addi", 6, 0, 2)]
    words += [ins("bne", 6, 10, 8), ins("ebreak"), *asm.exit_with()]
    machine = start(words, a0=1)
    assert machine.run(100).status is Status.HALTED
    machine.begin_message(2, 0)
    assert machine.dirty_image_leaves() == []
    assert machine.run(100).status is Status.TRAPPED
    assert machine.image(0, 8) == u64(2)
    machine.rollback_image()
    assert machine.image(0, 8) == u64(1)


def test_a_message_starts_from_the_start_state_whatever_ran_before(rng: random.Random) -> None:
    data = rng.randbytes(6_000)
    probe = [*li(5, asm.IMAGE), ins("ld", 6, 5, 0), ins("bne", 6, 0, 8)]
    words = [*probe, *asm.exit_with()]
    scratch = asm.text_end(1024)
    dirty = [scratch + o for o in (0, 3_000, 5_999, 6_000, 9_000, 65_536, 1 << 30)]
    wreck = [*stores([*dirty, asm.OUTPUT, asm.OUTPUT + 9_999], value=0x5A), *asm.exit_with()]
    words[len(probe) - 1] = ins("bne", 6, 0, 4 * 4)
    program = [*words, *wreck]
    machine = Machine()
    machine.load_elf(asm.elf(program + [0] * (1024 - len(program)), data))
    assert machine.end_of_text == scratch
    machine.set_image(0, b"\1")
    machine.begin_message(3, 4)
    assert machine.run(1_000).status is Status.HALTED
    assert machine.read(scratch, 1) == machine.output(9_999, 1) == b"\x5a"
    assert machine.registers[31] == 0

    machine.begin_message(5, (1 << 64) - 1)
    assert machine.read(scratch, len(data)) == data
    assert machine.read(scratch + len(data), 1 << 17) == bytes(1 << 17)
    assert machine.read(scratch + (1 << 30), 1) == b"\0"
    assert machine.output(0, 1 << 16) == bytes(1 << 16)
    assert machine.dirty_output_leaves() == []
    assert machine.registers == (0,) * 10 + (5, (1 << 64) - 1) + (0,) * 20
    assert machine.pc == machine.entry


def test_what_the_host_writes_is_not_undone_with_the_message() -> None:
    machine = start([*stores([asm.IMAGE + 5]), ins("ebreak")])
    machine.run(100)
    machine.set_image(4_000, b"host" * 50)  # over the end of the page that the guest touched
    machine.set_image(5, b"")
    machine.rollback_image()
    assert machine.image(0, 4_000) == bytes(4_000)
    assert machine.image(4_000, 200) == b"host" * 50


def test_messages_in_turn_equal_a_model(rng: random.Random) -> None:
    """Random stores, accepted or rolled back, against a dictionary."""
    # Message a0 = number of stores; the input holds address and value of each; a1 = 1 traps.
    words = [*li(5, asm.INPUT), ins("beq", 10, 0, 28), ins("ld", 6, 5, 0), ins("ld", 7, 5, 8)]
    words += [
        ins("sd", 7, 6, 0),
        ins("addi", 5, 5, 16),
        ins("addi", 10, 10, -1),
        ins("jal", 0, -24),
    ]
    words += [ins("beq", 11, 0, 8), ins("ebreak"), *asm.exit_with()]
    machine = Machine()
    machine.load_elf(asm.elf(words))
    model: dict[int, int] = {}
    for _ in range(200):
        chosen = [(8 * rng.randrange(2_000), rng.getrandbits(64)) for _ in range(rng.randrange(60))]
        fails = rng.random() < 0.4
        machine.clear_input()
        machine.set_input(0, b"".join(u64(asm.IMAGE + o) + u64(v) for o, v in chosen))
        machine.begin_message(len(chosen), int(fails))
        result = machine.run(1_000)
        assert result.status is (Status.TRAPPED if fails else Status.HALTED)
        assert machine.dirty_image_leaves() == sorted({o // 32 * 32 for o, _ in chosen})
        if fails:
            machine.rollback_image()
        else:
            model.update(chosen)
        expected = b"".join(u64(model.get(o, 0)) for o in range(0, 16_384, 8))
        assert machine.image(0, 16_384) == expected


def test_input_is_cleared_wherever_it_was_written() -> None:
    machine = Machine()
    for chunks in ([(0, b"x"), (1 << 33, b"y" * 5_000)], [(1 << 33, b"z" * (2 << 20))]):
        for offset, chunk in chunks:
            machine.set_input(offset, chunk)
            assert machine.read(asm.INPUT + offset, len(chunk)) == chunk
        machine.clear_input()
        for offset, chunk in chunks:
            assert machine.read(asm.INPUT + offset, len(chunk)) == bytes(len(chunk))


def test_host_access_outside_a_quarter_is_refused() -> None:
    machine = Machine()
    quarter = 1 << 34
    for write in (machine.set_image, machine.set_input):
        write(quarter - 4, b"last")
        with pytest.raises(ValueError, match=r"at most 2\^34, was 17179869181 \+ 4"):
            write(quarter - 3, b"last")
    assert machine.image(quarter - 4, 4) == b"last"
    for read in (machine.image, machine.output):
        with pytest.raises(ValueError, match="expected offset"):
            read(quarter, 1)
    with pytest.raises(ValueError, match="expected offset"):
        machine.read((1 << 36) - 1, 2)
    with pytest.raises(TypeError):
        machine.set_image(-1, b"x")
    with pytest.raises((TypeError, BufferError)):
        machine.set_image(0, "text")  # type: ignore[arg-type]


def test_views_follow_the_machine_and_keep_it_alive() -> None:
    machine = start([*stores([asm.IMAGE, asm.OUTPUT]), *asm.exit_with()])
    image, output = machine.image_view(64), machine.output_view(64)
    machine.run(100)
    del machine
    assert (image[0], output[0], len(image)) == (0x55, 0x55, 64)
    with pytest.raises(TypeError):
        image[0] = 1


def test_image_difference_finds_the_first_byte() -> None:
    machine = Machine()
    other = bytearray(10_000)
    assert machine.image_difference(other) is None
    assert machine.image_difference(b"") is None
    for at in (9_999, 4_096, 4_095, 0):
        other[at] = 1
        assert machine.image_difference(other) == at
    machine.clear_image()
    machine.set_image(0, other)
    assert machine.image_difference(other) is None
    machine.clear_image()
    assert machine.image_difference(other) == 0


# --- root ----------------------------------------------------------------------------------------


def test_root_of_an_empty_image_is_the_zero_subtree() -> None:
    machine = Machine()
    assert machine.image_root(0) == machine.image_root(1 << 20) == sparse_root({}, 29)


@pytest.mark.parametrize("extent", [32, 64, 96, 4_096, 4_128, 12_288, 100_000 // 32 * 32])
def test_root_equals_a_naive_tree(extent: int, rng: random.Random) -> None:
    data = bytearray(extent)
    for _ in range(1 + extent // 64):
        data[rng.randrange(extent)] = rng.randrange(256)
    data[extent - 1] = 7
    machine = Machine()
    machine.set_image(0, data)
    leaves = {i // 32: bytes(data[i : i + 32]) for i in range(0, extent, 32)}
    assert machine.image_root(extent) == sparse_root(leaves, 29)
    padded = extent + 32 * rng.randrange(1, 300)
    assert machine.image_root(padded) == machine.image_root(extent)


def test_root_refuses_an_extent_that_is_not_whole_leaves_of_the_quarter() -> None:
    for extent in (1, 31, 33, (1 << 34) + 32):
        with pytest.raises(ValueError, match="extent: expected"):
            Machine().image_root(extent)
