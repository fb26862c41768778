"""State, machine hash and the tree of the memory, against the reference and naive trees."""

import random

import pytest
from tests.machine import asm, reference
from tests.machine.asm import ins, li
from tests.machine.generate import DATA, Generator
from tests.machine.programs import start
from tests.machine.reference import Reference, keccak256, sparse_root

from provenue.machine import Machine, Status, program_root, read_program

_INPUT = b"input" * 50


def pair(rng: random.Random, length: int, wild: float) -> tuple[Machine, Reference]:
    """The same program with the same image and input on both sides."""
    words, data = Generator(rng, length, wild).program()
    words = words[: words.index(ins("ebreak"))]  # not the filling: the reference hashes all bytes
    image = rng.randbytes(300)
    machine = Machine()
    machine.load_elf(asm.elf([*words, *[0] * (asm_words() - len(words))], data))
    machine.set_image(64, image)
    machine.set_input(0, _INPUT)
    machine.begin_message(0, 0)
    text = b"".join(map(asm.word, words))
    memory = {asm.TEXT: text, DATA: data, asm.IMAGE + 64: image, asm.INPUT: _INPUT}
    return machine, Reference(memory, entry=asm.TEXT, text=range(0, DATA, 4))


def asm_words() -> int:
    """Words up to where the data stands."""
    return (DATA - asm.TEXT) // 4


@pytest.mark.parametrize("wild", [0.0, 0.3])
def test_states_along_a_program_are_the_references(rng: random.Random, wild: float) -> None:
    machine, oracle = pair(rng, 60, wild)
    assert machine.state() == oracle.state()
    while oracle.status is reference.Status.RUNNING and oracle.steps < 400:
        count = rng.randrange(1, 60)
        oracle.run(oracle.steps + count)
        machine.run(count)
        assert machine.state() == oracle.state(), oracle.steps
        assert machine.machine_hash() == keccak256(oracle.state())
        assert machine.memory_root() == oracle.memory_root()


def naive_quarters(machine: Machine, places: dict[int, int]) -> list[bytes]:
    """Roots of the quarters from the bytes at some places (address to length); the rest is zero."""
    roots = []
    for quarter in range(4):
        leaves = {
            leaf % (1 << 29): machine.read(32 * leaf, 32)
            for address, length in places.items()
            if address >> 34 == quarter
            for leaf in range(address // 32, (address + length - 1) // 32 + 1)
        }
        roots.append(sparse_root(leaves, 29))
    return roots


def test_quarter_roots_follow_every_write_of_the_host_and_the_guest(rng: random.Random) -> None:
    # Message a0 = number of stores, whose addresses and values stand in the input; a1 = 1 traps.
    words = [*li(5, asm.INPUT), ins("beq", 10, 0, 28), ins("ld", 6, 5, 0), ins("ld", 7, 5, 8)]
    words += [ins("sd", 7, 6, 0), ins("addi", 5, 5, 16), ins("addi", 10, 10, -1)]
    words += [ins("jal", 0, -24), ins("beq", 11, 0, 8), ins("ebreak"), *asm.exit_with()]
    machine = Machine()
    machine.load_elf(asm.elf(words, b"start"))
    data = asm.text_end(len(words))
    places = {asm.TEXT: 4 * len(words), data: 4096}
    spots = [data + 8, data + 4096, asm.IMAGE, asm.IMAGE + 80_000, asm.OUTPUT + 4096, (1 << 36) - 8]
    for _ in range(60):
        kind = rng.randrange(6)
        if kind == 0:
            machine.clear_input()
        elif kind == 1:
            machine.clear_image()
        elif kind == 2:
            offset, size = rng.randrange(100_000), rng.choice([1, 32, 5_000])
            machine.set_image(offset, rng.randbytes(size))
            places[asm.IMAGE + offset] = max(size, places.get(asm.IMAGE + offset, 0))
        else:
            chosen = [(rng.choice(spots), rng.choice([0, rng.getrandbits(64)])) for _ in range(9)]
            stores = b"".join(a.to_bytes(8, "little") + v.to_bytes(8, "little") for a, v in chosen)
            machine.set_input(0, stores)
            places |= {address: 8 for address, _ in chosen if address != data + 8}
            places[asm.INPUT] = len(stores)
            machine.begin_message(len(chosen), int(kind == 3))
            assert machine.run(1_000).status is (Status.TRAPPED if kind == 3 else Status.HALTED)
            if kind == 3:
                machine.rollback_image()
        if rng.random() < 0.7:
            roots = machine.quarter_roots()
            assert list(roots) == naive_quarters(machine, places)
            top = keccak256(keccak256(roots[0] + roots[1]) + keccak256(roots[2] + roots[3]))
            assert machine.memory_root() == top
            assert roots[1] == machine.image_root(1 << 18)


def test_a_large_input_is_cleared_from_the_tree_too() -> None:
    machine = Machine()
    empty = machine.quarter_roots()[2]
    machine.set_input(1 << 33, b"x" * (2 << 20))
    assert machine.quarter_roots()[2] != empty
    machine.clear_input()
    assert machine.quarter_roots()[2] == empty == sparse_root({}, 29)


def test_program_root_is_the_tree_over_the_elfs_segments() -> None:
    words = asm.exit_with()
    elf = asm.elf(words, b"data" * 10)
    end = asm.text_end(len(words))
    chunks = {asm.TEXT: b"".join(map(asm.word, words)), end: b"data" * 10}
    oracle = Reference(chunks, entry=asm.TEXT, text=range(0, end, 4))
    leaves = {a // 32: oracle.read(a, 32).to_bytes(32, "little") for a in (asm.TEXT, end, end + 32)}
    program = read_program(elf)
    assert program == (sparse_root(leaves, 29), asm.TEXT, end)
    assert program_root(elf) == program.root


def test_a_new_message_starts_with_the_program_as_loaded() -> None:
    words = [*li(5, asm.text_end(64)), ins("sd", 5, 5, 8), *asm.exit_with()]
    elf = asm.elf(words, b"data")
    machine = Machine()
    machine.load_elf(elf)
    machine.begin_message(0, 0)
    first = machine.state()
    machine.run(100)
    assert machine.quarter_roots()[0] != program_root(elf)
    machine.begin_message(0, 0)
    assert machine.state() == first
    assert machine.quarter_roots()[0] == program_root(elf)


def test_rewind_gives_the_start_state_with_the_image() -> None:
    words = [*li(5, asm.IMAGE), ins("sd", 5, 5, 8), *asm.exit_with()]
    machine = start(words, a0=3, a1=4)
    first = machine.state()
    machine.run(100)
    assert machine.state() != first
    machine.rewind()
    assert machine.state() == first
    assert (machine.steps, machine.registers[10:12]) == (0, (3, 4))


def test_pokes_are_undone_wherever_they_are(rng: random.Random) -> None:
    words = [ins("addi", 5, 0, 1), *[ins("nop")] * 20, *asm.exit_with(5)]
    machine = start(words, data=b"data")
    machine.set_input(0, b"input")
    machine.set_image(0, b"image")
    machine.begin_message(0, 0)
    before = machine.quarter_roots()
    places = [asm.TEXT + 4, asm.text_end(64) + 30, asm.IMAGE + 1, asm.INPUT + 2, asm.OUTPUT, 0]
    for undo in (machine.rewind, lambda: (machine.rollback_image(), machine.begin_message(0, 0))):
        machine.begin_message(0, 0)
        for place in rng.sample(places * 2, 2 * len(places)):
            machine.poke(place, rng.randbytes(40))
        machine.poke(asm.TEXT + 4, asm.word(ins("addi", 5, 0, 7)) + asm.word(ins("nop")) * 12)
        assert all(a != b for a, b in zip(machine.quarter_roots(), before, strict=True))
        assert machine.run(100).exit_code == 7
        undo()
        assert machine.quarter_roots() == before
        assert machine.run(100).exit_code == 1


def test_a_snapshot_is_come_back_to_as_often_as_wanted(rng: random.Random) -> None:
    words, data = Generator(rng, 200).program()
    machine = start(words, data=data)
    machine.set_image(0, rng.randbytes(3_000))
    machine.begin_message(1, 2)
    kept = []
    while machine.status is Status.RUNNING:
        kept.append(
            (machine.snapshot(), machine.state(), machine.steps, machine.dirty_image_leaves())
        )
        machine.run(rng.randrange(1, 60))
    kept.append((machine.snapshot(), machine.state(), machine.steps, machine.dirty_image_leaves()))
    end = kept[-1][1]
    assert len(kept) > 5
    for snapshot, state, steps, leaves in rng.sample(kept * 2, 2 * len(kept)):
        machine.restore(snapshot)
        assert (machine.state(), machine.steps) == (state, steps)
        assert machine.dirty_image_leaves() == leaves
        machine.run(1_000_000)
        assert machine.state() == end
    machine.restore(kept[0][0])
    machine.rollback_image()
    machine.begin_message(1, 2)
    assert machine.state() == kept[0][1]


def test_a_snapshot_of_something_else_is_refused() -> None:
    words = [*li(5, asm.IMAGE), ins("sd", 5, 5, 0), *asm.exit_with()]
    machine = start(words)
    changes = [
        lambda: machine.begin_message(0, 0),
        lambda: machine.set_image(0, b"x"),
        machine.clear_input,
        lambda: machine.poke(asm.IMAGE, b"x"),
        lambda: machine.load_elf(asm.elf(words)) or machine.begin_message(0, 0),
    ]
    for change in changes:
        snapshot = machine.snapshot()
        machine.run(2)
        machine.restore(snapshot)
        change()
        with pytest.raises(RuntimeError, match="expected one of this message"):
            machine.restore(snapshot)
    with pytest.raises(RuntimeError, match="expected one of this message"):
        start(words).restore(snapshot)


def test_set_state_goes_on_from_any_state_of_this_memory() -> None:
    words = [ins("addi", 5, 5, 1)] * 10 + asm.exit_with(5)
    machine = start(words)
    machine.run(4)
    state = machine.state()
    machine.run(3)
    machine.set_state(state)
    assert machine.state() == state
    assert machine.run(100).exit_code == 10
    assert machine.status is Status.HALTED
    for bad, message in [
        (bytes([state[0] ^ 1]) + state[1:], "memory root: expected this machine's"),
        (state[:39] + b"\1" + state[40:], "expected x0 to be zero"),
        (state[:-1] + b"\2", "expected pc to be a multiple of 4"),
        (state[:303] + b"\3" + state[304:], "expected a status of 0, 1 or 2"),
        (state[:300] + b"\1" + state[301:], "expected a status of 0, 1 or 2"),
        (state[:311] + b"\1" + state[312:], "expected end_of_text to be a multiple"),
        (state[:310] + b"\0\0" + state[312:], "end_of_text: expected"),
        (state[:-1], "expected 320 bytes, were 319"),
    ]:
        with pytest.raises(ValueError, match=message):
            machine.set_state(bad)


def test_a_state_before_any_message_says_what_to_call_first() -> None:
    machine = Machine()
    for ask in (machine.state, machine.machine_hash, machine.witness):
        with pytest.raises(RuntimeError, match="call begin_message first"):
            ask()
