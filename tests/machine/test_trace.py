"""The instruction tree of a message: its leaves are the states one by one, lies included."""

import random

import pytest
from tests.machine import asm
from tests.machine.asm import ins, li
from tests.machine.generate import Generator
from tests.machine.programs import start
from tests.machine.reference import keccak256

from provenue.machine import Machine, Poke, Status, Trace, replay_step

LAST = (1 << 24) - 1


def fold(node: bytes, index: int, siblings: list[bytes]) -> bytes:
    """Hash a node up along its siblings."""
    for sibling in siblings:
        node = keccak256(sibling + node if index & 1 else node + sibling)
        index >>= 1
    return node


def states(machine: Machine, pokes: list[Poke], count: int) -> list[bytes]:
    """state[0] to state[count], made step by step."""
    found = [machine.state()]
    for step in range(count):
        for at, address, data in pokes:
            if at == step:
                machine.poke(address, data)
        machine.run(1)
        found.append(machine.state())
    return found


def assert_is_tree_of(trace: Trace, expected: list[bytes], rng: random.Random) -> None:
    """Every leaf, and proofs of some of them; expected[j + 1] belongs to leaf j."""
    assert [trace.leaf(j) for j in range(len(expected) - 1)] == [keccak256(s) for s in expected[1:]]
    fixed = keccak256(expected[-1])
    some = rng.sample(range(len(expected) - 1), min(8, len(expected) - 1))
    for step in (0, len(expected) - 2, len(expected) - 1, len(expected), LAST, *some):
        leaf = trace.leaf(step)
        assert leaf == (keccak256(expected[step + 1]) if step + 1 < len(expected) else fixed)
        assert fold(leaf, step, trace.proof(step)) == trace.root
    state, q0, q1, q23 = trace.end()
    assert b"".join(state) == expected[-1]
    assert keccak256(keccak256(q0 + q1) + q23) == state[0]


def program(rng: random.Random, length: int, wild: float = 0.0) -> Machine:
    """A random program with a message that has begun."""
    words, data = Generator(rng, length, wild).program()
    machine = start(words, data=data)
    machine.set_image(0, rng.randbytes(500))
    return machine


@pytest.mark.parametrize(("length", "wild"), [(20, 0.4), (60, 0.0), (400, 0.0)])
def test_leaves_are_the_states_after_each_step(
    rng: random.Random, length: int, wild: float
) -> None:
    machine = program(rng, length, wild)
    trace = Trace(machine)
    assert machine.status is Status.TRAPPED
    assert trace.steps == machine.steps
    count = trace.steps
    trace.state(0)  # the machine is at its start again
    assert_is_tree_of(trace, [trace.state(j) for j in range(count + 1)], rng)


def test_the_tree_of_a_program_that_is_run_step_by_step(rng: random.Random) -> None:
    words, data = Generator(rng, 100).program()
    one, other = start(words, data=data), start(words, data=data)
    trace = Trace(one)
    expected = states(other, [], trace.steps)
    assert other.status is Status.TRAPPED
    assert_is_tree_of(trace, expected, rng)
    for step in rng.sample(range(trace.steps), 20):
        witness = trace.witness(step)
        assert witness[:320] == expected[step] == trace.state(step)
        assert replay_step(witness) == trace.leaf(step)


@pytest.mark.parametrize("count", [1, 2, 254, 255, 256, 257, 511, 512, 8191, 8192, 8193])
def test_messages_that_end_at_the_edges_of_groups(count: int, rng: random.Random) -> None:
    # The last of `count` steps traps.
    words = [*li(5, count), ins("addi", 5, 5, -1), ins("bne", 5, 0, -4), ins("ebreak")]
    if count < 10:
        words = [ins("nop")] * (count - 1) + [ins("ebreak")]
    one, other = start(words), start(words)
    trace = Trace(one)
    assert count < 10 or trace.steps > count
    expected = states(other, [], trace.steps)
    steps = rng.sample(range(trace.steps), min(50, trace.steps))
    for step in (*steps, trace.steps - 1):
        assert trace.leaf(step) == keccak256(expected[step + 1])
        assert fold(trace.leaf(step), step, trace.proof(step)) == trace.root
    assert trace.leaf(trace.steps) == keccak256(expected[-1])


@pytest.mark.slow
def test_a_message_that_exhausts_its_budget_has_a_tree_of_running_states() -> None:
    machine = start([ins("addi", 5, 5, 1), ins("jal", 0, -4)])
    trace = Trace(machine)
    assert trace.steps == 1 << 24
    assert machine.status is Status.RUNNING
    state, *_ = trace.end()
    assert state[2][8:16] == (1 << 23).to_bytes(8, "big")
    assert state[9][15] == Status.RUNNING
    assert fold(trace.leaf(LAST), LAST, trace.proof(LAST)) == trace.root
    assert trace.leaf(LAST) == keccak256(b"".join(state))
    middle = 12_345_678
    assert replay_step(trace.witness(middle)) == trace.leaf(middle)
    assert fold(trace.leaf(middle), middle, trace.proof(middle)) == trace.root


def test_children_are_the_nodes_three_levels_down(rng: random.Random) -> None:
    trace = Trace(program(rng, 300))
    index = 0
    for height in range(24, 0, -3):
        children = trace.children(height, index)
        assert len(children) == 8
        row = children
        for _ in range(3):
            row = [keccak256(row[i] + row[i + 1]) for i in range(0, len(row), 2)]
        assert row == [trace.node(height, index)]
        index = 8 * index + (rng.randrange(8) if height <= 9 else 0)
        assert trace.node(height - 3, index) == children[index % 8]


POKES = {
    "at the first step": (0, asm.IMAGE + 5, b"lie"),
    "in the middle": (300, asm.IMAGE + 40, b"lie" * 20),
    "into text": (200, asm.TEXT + 4 * 150, asm.word(ins("nop"))),
    "into the input": (123, asm.INPUT + 7, b"lie"),
    "into scratch": (123, asm.text_end(0x4000), b"lie"),
    "into the output": (256, asm.OUTPUT, b"lie"),
    "into nowhere": (1, 64, b"lie"),
}


@pytest.mark.parametrize("name", POKES)
def test_a_poke_makes_its_own_leaf_the_first_wrong_one(name: str, rng: random.Random) -> None:
    words, data = Generator(rng, 300).program()
    poke = POKES[name]
    honest = Trace(start(words, data=data))
    lying, other = start(words, data=data), start(words, data=data)
    trace = Trace(lying, [poke])
    assert_is_tree_of(trace, states(other, [poke], trace.steps), rng)
    step = poke[0]
    assert all(trace.leaf(j) == honest.leaf(j) for j in range(max(0, step - 3), step))
    assert trace.leaf(step) != honest.leaf(step)
    assert trace.witness(step) == honest.witness(step)
    assert replay_step(trace.witness(step)) == honest.leaf(step) != trace.leaf(step)
    if step + 1 < trace.steps:
        assert replay_step(trace.witness(step + 1)) == trace.leaf(step + 1)


@pytest.mark.parametrize("extra", [0, 1, 255, 1 << 20, None])
def test_a_poke_behind_the_end_changes_what_is_fixed_from_there_on(extra: int | None) -> None:
    words = [*li(5, asm.IMAGE), *asm.exit_with()]
    honest = Trace(start(words))
    step = LAST if extra is None else honest.steps + extra
    again = (step, asm.IMAGE + 9, b"lie"), (min(step + 70, LAST), asm.IMAGE + 9, b"another lie")
    trace = Trace(start(words), again)
    assert trace.steps == honest.steps
    for j in (0, step - 1, step, min(step + 69, LAST), min(step + 70, LAST), LAST):
        assert (trace.leaf(j) == honest.leaf(j)) == (j < step), j
        assert fold(trace.leaf(j), j, trace.proof(j)) == trace.root
    assert trace.leaf(LAST) == keccak256(b"".join(trace.end().state))
    assert trace.end().q1 != honest.end().q1
    assert trace.witness(step) == honest.witness(step)


def test_many_pokes_are_made_in_order_of_their_steps(rng: random.Random) -> None:
    words, data = Generator(rng, 200).program()
    places = [asm.IMAGE, asm.INPUT, asm.OUTPUT, asm.text_end(0x4000) + 2048]
    pokes = [
        (
            rng.randrange(450),
            rng.choice(places) + rng.randrange(64),
            rng.randbytes(rng.randrange(9)),
        )
        for _ in range(40)
    ]
    trace = Trace(start(words, data=data), pokes)
    expected = states(start(words, data=data), sorted(pokes, key=lambda p: p[0]), trace.steps)
    assert_is_tree_of(trace, expected, rng)


def test_two_traces_of_one_machine_one_after_another(rng: random.Random) -> None:
    machine = program(rng, 50)
    first = Trace(machine)
    machine.begin_message(1, 2)
    second = Trace(machine)
    assert first.root != second.root
    with pytest.raises(RuntimeError, match="expected nobody to use it beside the trace"):
        first.leaf(0)
    assert second.leaf(0) is not None


def test_a_trace_takes_a_message_that_has_just_begun() -> None:
    machine = start([ins("nop")] * 5 + asm.exit_with())
    machine.run(1)
    with pytest.raises(RuntimeError, match="expected a message that has just begun"):
        Trace(machine)
    with pytest.raises(RuntimeError, match="expected a message that has just begun"):
        Trace(Machine())


def test_bad_arguments_are_refused_by_name() -> None:
    machine = start(asm.exit_with())
    for pokes, message in [
        ([(1 << 24, 0, b"x")], "poke: step: expected below"),
        ([(0, (1 << 36) - 1, b"xx")], "poke: address: expected"),
        ([(0, 1)], r"poke: expected \(step, address, bytes\)"),
    ]:
        with pytest.raises(ValueError, match=message):
            Trace(machine, pokes)  # type: ignore[arg-type]
    trace = Trace(machine)
    for height, index in [(25, 0), (24, 1), (0, 1 << 24)]:
        with pytest.raises(ValueError, match="expected a height of at most 24 and an index below"):
            trace.node(height, index)
    with pytest.raises(ValueError, match="height: expected at least 3, was 2"):
        trace.children(2, 0)
    with pytest.raises(ValueError, match="step: expected below"):
        trace.witness(1 << 24)
