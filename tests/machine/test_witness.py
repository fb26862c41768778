"""One step recorded and replayed: the same as running, of exact parts, any flipped bit noticed."""

import random

import pytest
from tests.machine import asm, reference
from tests.machine.asm import ins, li
from tests.machine.generate import Generator
from tests.machine.programs import U64, next_step, start
from tests.machine.reference import Reference, keccak256
from tests.machine.test_calls import Signed, call, recover_slowly

from provenue.machine import Event, Machine, Status, replay_step

STATE, LEAF, KECCAK, RECOVER = 320, 1024, 1856, 1056


def parts(machine: Machine) -> int:
    """The length of the next witness behind the state."""
    return len(machine.witness()) - STATE


@pytest.mark.parametrize(("length", "wild"), [(150, 0.0), (30, 0.3)])
def test_run_record_and_replay_agree_along_random_programs(
    rng: random.Random, length: int, wild: float
) -> None:
    for _ in range(1 if wild == 0 else 12):
        words, data = Generator(rng, length, wild).program()
        machine = start(words, data=data)
        for _ in range(1_000):
            if next_step(machine) is not Event.NONE:
                break
        assert machine.status is not Status.RUNNING
        next_step(machine)


def proven(part: bytes, address: int, height: int, root: bytes) -> bytes:
    """The leaves of a part, of which the reference folds the siblings up to the root."""
    size = 32 << height
    leaves = {i: part[32 * i : 32 * i + 32] for i in range(1 << height)}
    node = reference.sparse_root(leaves, height)
    for level, at in enumerate(range(size, len(part), 32)):
        sibling = part[at : at + 32]
        right = address >> (5 + height + level) & 1
        node = keccak256(sibling + node if right else node + sibling)
    assert node == root
    return part[:size]


def test_a_witness_holds_leaf_and_siblings_of_what_the_step_touches() -> None:
    words = [*li(5, asm.IMAGE + 64), ins("ld", 6, 5, 8), ins("sb", 5, 5, 31)]
    machine = start([*words, *asm.exit_with()])
    machine.set_image(64, bytes(range(32)))
    machine.run(len(words) - 2)
    for offset in (0, 4):
        witness, root = machine.witness(), machine.memory_root()
        assert len(witness) == STATE + 2 * LEAF
        fetch = proven(witness[STATE : STATE + LEAF], machine.pc, 0, root)
        assert fetch == machine.read(machine.pc & ~31, 32)
        assert proven(witness[STATE + LEAF :], asm.IMAGE + 64, 0, root) == bytes(range(32)), offset
        machine.run(1)


@pytest.mark.parametrize("length", [0, 1, 64, 1024])
def test_the_witness_of_keccak_holds_the_whole_block_whatever_its_length(length: int) -> None:
    words = call(0x4B43, asm.INPUT + 2048, length)
    machine = start(words)
    machine.set_input(2048, bytes(range(256)) * 4)
    machine.run(len(words) - 1)
    witness = machine.witness()
    assert len(witness) == STATE + LEAF + KECCAK
    block = proven(witness[STATE + LEAF :], asm.INPUT + 2048, 5, machine.memory_root())
    assert block == bytes(range(256)) * 4
    assert next_step(machine) is Event.NONE


@pytest.mark.parametrize("fields", [{}, {"v": 29}, {"s": 0}, {"r": 5}])
def test_the_witness_of_recover_holds_its_128_bytes(
    rng: random.Random, fields: dict[str, int]
) -> None:
    signed = Signed(rng)
    words = call(0x4543, asm.INPUT + 128)
    machine = start(words)
    machine.set_recover(recover_slowly)
    machine.set_input(128, signed.block(**fields))
    machine.run(len(words) - 1)
    witness = machine.witness()
    assert len(witness) == STATE + LEAF + RECOVER
    block = proven(witness[STATE + LEAF :], asm.INPUT + 128, 2, machine.memory_root())
    assert block == signed.block(**fields)
    record = machine.record_step()
    assert replay_step(witness) == replay_step(witness, recover_slowly) == record.post_hash
    result = record.post_state[32 + 80 : 32 + 112]
    words_of = [result[i : i + 8][::-1] for i in range(0, 32, 8)]
    assert b"".join(words_of) == (bytes(32) if fields else signed.word)


STOPS = [
    ("halt", [*li(17, 93), ins("ecall")], Event.HALT),
    ("illegal", [0xFFFF_FFFF], Event.ILLEGAL_INSTRUCTION),
    ("ebreak", [ins("ebreak")], Event.EBREAK),
    ("unknown call", [*li(17, 1), ins("ecall")], Event.UNKNOWN_CALL),
    ("misaligned jump", [ins("jal", 1, 6)], Event.MISALIGNED_JUMP),
    ("misaligned load", [*li(5, asm.IMAGE + 1), ins("lh", 1, 5, 0)], Event.MISALIGNED_LOAD),
    ("misaligned store", [*li(5, asm.IMAGE + 4), ins("sd", 1, 5, 0)], Event.MISALIGNED_STORE),
    ("load outside", [*li(5, 1 << 36), ins("lb", 1, 5, 0)], Event.LOAD_OUTSIDE_MEMORY),
    ("store to text", [*li(5, asm.TEXT), ins("sb", 1, 5, 0)], Event.STORE_NOT_WRITABLE),
    ("store to input", [*li(5, asm.INPUT), ins("sb", 1, 5, 0)], Event.STORE_NOT_WRITABLE),
    ("store outside", [*li(5, U64), ins("sb", 1, 5, 0)], Event.STORE_NOT_WRITABLE),
    ("keccak misaligned", call(0x4B43, asm.IMAGE + 32, 1), Event.BAD_CALL_ARGUMENT),
    ("keccak too long", call(0x4B43, asm.IMAGE, 1025), Event.BAD_CALL_ARGUMENT),
    ("keccak outside", call(0x4B43, 1 << 36, 1), Event.BAD_CALL_ARGUMENT),
    ("recover misaligned", call(0x4543, asm.IMAGE + 64), Event.BAD_CALL_ARGUMENT),
    ("recover outside", call(0x4543, 1 << 36), Event.BAD_CALL_ARGUMENT),
]


@pytest.mark.parametrize(
    ("what", "words", "event"), STOPS, ids=lambda v: v if type(v) is str else ""
)
def test_a_step_that_stops_needs_the_fetch_alone_and_afterwards_nothing(
    what: str, words: list[int], event: Event
) -> None:
    machine = start(words)
    machine.run(len(words) - 1)
    assert parts(machine) == LEAF
    assert next_step(machine) is event
    assert parts(machine) == 0
    fixed = machine.machine_hash()
    assert replay_step(machine.witness()) == fixed
    next_step(machine)
    assert machine.machine_hash() == fixed, what


def test_a_fetch_outside_text_needs_nothing() -> None:
    words = [*li(5, asm.IMAGE), ins("jalr", 0, 5, 0)]
    machine = start(words)
    machine.run(len(words))
    assert parts(machine) == 0
    assert next_step(machine) is Event.FETCH_OUTSIDE_TEXT


@pytest.fixture
def witness() -> bytes:
    """The longest witness of a load or store."""
    words = [*li(5, asm.IMAGE + 64), ins("sd", 5, 5, 8)]
    machine = start(words)
    machine.run(len(words) - 1)
    return machine.witness()


@pytest.mark.parametrize("length", [0, 1, 319, 320, 321, 1343, 1344, 1345, 2367])
def test_a_witness_that_ends_early_is_refused(witness: bytes, length: int) -> None:
    with pytest.raises(ValueError, match="expected"):
        replay_step(witness[:length])


def test_a_witness_with_anything_behind_its_parts_is_refused(witness: bytes) -> None:
    replay_step(witness)
    for more in (b"\0", bytes(32), bytes(LEAF), witness[-LEAF:]):
        with pytest.raises(ValueError, match="expected nothing behind the parts"):
            replay_step(witness + more)


def test_a_fixed_point_with_parts_is_refused() -> None:
    machine = start([ins("ebreak")])
    running = machine.witness()
    machine.run(1)
    with pytest.raises(ValueError, match="expected nothing behind the parts"):
        replay_step(machine.witness() + running[STATE:])


def test_any_flipped_bit_of_the_state_is_refused_or_another_step(rng: random.Random) -> None:
    """A flipped state is another state (its hash shows it), and so is the next one.

    But for bits of a register that the step overwrites: there the two become one.
    """
    overwritten = [(), (5,), (6,), (), (12, 13), (11, 12, 13)]
    for witness, registers in zip(witnesses(rng), overwritten, strict=True):
        honest, same = replay_step(witness), set()
        for bit in range(8 * STATE):
            try:
                if replay_step(flipped(witness, bit)) == honest:
                    same.add(bit)
            except ValueError:
                continue
        assert same == {bit for r in registers for bit in range(256 + 64 * r, 320 + 64 * r)}


def flipped(witness: bytes, bit: int) -> bytes:
    """Change one bit."""
    changed = bytearray(witness)
    changed[bit // 8] ^= 1 << bit % 8
    return bytes(changed)


def witnesses(rng: random.Random) -> list[bytes]:
    """One of each kind: with nothing, a fetch, a load, a store, both calls."""
    cases = [
        ([ins("ebreak")], 2),
        ([ins("addi", 5, 6, 7)], 0),
        ([*li(5, asm.IMAGE + 96), ins("ld", 6, 5, 8)], None),
        ([*li(5, asm.OUTPUT + 96), ins("sw", 5, 5, 8)], None),
        (call(0x4B43, asm.IMAGE + 1024, 100), None),
        (call(0x4543, asm.IMAGE + 128), None),
    ]
    found = []
    for words, steps in cases:
        machine = start(words)
        machine.set_image(0, rng.randbytes(4096))
        machine.set_image(128, Signed(rng).block())
        machine.set_recover(recover_slowly)
        machine.run(len(words) - 1 if steps is None else steps)
        found.append(machine.witness())
    return found


def test_any_flipped_bit_behind_the_state_is_refused(rng: random.Random) -> None:
    for witness in witnesses(rng):
        positions = range(8 * STATE, 8 * len(witness))
        for bit in rng.sample(positions, min(len(positions), 400)):
            with pytest.raises(ValueError, match="expected leaf and siblings"):
                replay_step(flipped(witness, bit))


def test_replay_equals_the_reference_on_arbitrary_registers(rng: random.Random) -> None:
    """States that no program reaches: any registers before one instruction."""
    generator = Generator(rng, 0, 1.0)
    for _ in range(60):
        word = generator.simple()[0]
        machine = start([word], data=rng.randbytes(64))
        oracle = Reference(
            {asm.TEXT: asm.word(word), asm.text_end(1): machine.read(asm.text_end(1), 64)},
            entry=asm.TEXT,
            text=range(0, asm.text_end(1), 4),
        )
        pool = [asm.IMAGE, asm.text_end(1) + 8, asm.OUTPUT, (1 << 36) - 8, generator.constant()]
        oracle.x = [0, *(rng.choice(pool) for _ in range(31))]
        if oracle.x[17] in {0x4B43, 0x4543}:
            oracle.x[17] = 0
        machine.set_state(oracle.state())
        witness = machine.witness()
        oracle.step()
        assert replay_step(witness) == keccak256(oracle.state())
        next_step(machine)


def test_a_failing_recover_is_heard(rng: random.Random) -> None:
    witness = witnesses(rng)[-1]

    def host(_block: bytes) -> bytes:
        raise OSError("host is gone")

    with pytest.raises(OSError, match="host is gone"):
        replay_step(witness, host)
    with pytest.raises(ValueError, match="expected None or 32 bytes, was 20"):
        replay_step(witness, lambda _block: bytes(20))
    with pytest.raises(RuntimeError, match="left-padded"):
        replay_step(witness, lambda _block: b"\1" * 32)


def test_the_text_may_begin_at_address_zero() -> None:
    words = [ins("addi", 5, 0, 3), *asm.exit_with(5)]
    file = bytearray(asm.elf(words))
    for at, value in ((24, 0), (64 + 16, 0), (64 + 24, 0), (120 + 16, 4096), (120 + 24, 4096)):
        file[at : at + 8] = value.to_bytes(8, "little")
    machine = Machine()
    machine.load_elf(bytes(file))
    machine.begin_message(0, 0)
    while next_step(machine) is Event.NONE:
        pass
    assert machine.registers[10] == 3
