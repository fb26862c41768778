"""The small real program of the contract tests: its trees, witnesses and ends are those of the
product's machine, and the step contract makes its steps.
"""

import pytest
from tests.contracts.step_contract import PyEvmStep, bytecode_of
from tests.disputes.guest import LOOPS, MESSAGES, PROGRAM, TRAPS, Guest, image_root
from tests.machine.asm import elf

from provenue.machine import Machine, Trace

FIRST_SEQUENCE = 7


def machine_of(counter: int, message: int) -> Machine:
    machine = Machine()
    machine.load_elf(elf(PROGRAM))
    machine.set_image(0, counter.to_bytes(8, "little"))
    machine.set_input(0, b"posted bytes of a batch")
    machine.begin_message(message, FIRST_SEQUENCE)
    return machine


@pytest.fixture
def guest() -> Guest:
    guest = Guest()
    guest.inputs[0] = (machine_of(0, 0).quarter_roots()[2], FIRST_SEQUENCE)
    guest.claim_tree(0, image_root(0))  # from now on it has the images of this batch
    return guest


def test_claim_is_what_the_messages_do(guest: Guest) -> None:
    tree = guest.claim_tree(0, image_root(0))
    counters = [1, 1, 1, 5, 10, 16, 16, 16]
    assert [tree.leaf(i) for i in range(8)] == [image_root(counter) for counter in counters]
    assert tree.last == image_root(16)


@pytest.mark.parametrize("message", [0, TRAPS, 3, MESSAGES])
def test_trace_is_that_of_the_products_machine(guest: Guest, message: int) -> None:
    machine = machine_of(1, message)
    assert machine.entry == guest.entry
    assert machine.end_of_text == guest.end_of_text
    assert machine.quarter_roots()[0] == guest.program_root
    pre_root = image_root(1)
    assert machine.machine_hash() == guest.start_hash(0, message, pre_root)
    trace, mine = Trace(machine), guest.trace(0, message, pre_root)
    assert trace.root == mine.tree.root
    assert tuple(trace.end()) == (list(mine.end.state), mine.end.q0, mine.end.q1, mine.end.q23)
    for step in range(trace.steps):
        assert trace.witness(step) == guest.witness(0, message, pre_root, step)
    assert trace.children(24, 0) == list(mine.tree.children(24, 0))
    assert trace.proof(5) == list(mine.tree.proof(5))


@pytest.mark.parametrize("message", range(MESSAGES + 1))
def test_step_contract_makes_every_step(guest: Guest, message: int) -> None:
    contract = PyEvmStep(bytecode_of("legacy"))
    mine = guest.trace(0, message, image_root(1))
    assert len(mine.witnesses) >= 5
    for witness in mine.witnesses:
        assert contract.step(witness) == guest.step(witness)[1]


@pytest.mark.parametrize("message", range(MESSAGES + 2))
def test_ends_give_the_leaves_of_the_claim(guest: Guest, message: int) -> None:
    """A message that loops for ever or traps leaves the image as it was."""
    tree = guest.claim_tree(0, image_root(0))
    before = tree.leaf(message - 1) if message else image_root(0)
    end = guest.end_opening(0, message, before)
    assert guest.end(end, before) == (guest.trace_tree(0, message, before).last, tree.leaf(message))
    assert (tree.leaf(message) == before) == (message in {LOOPS, TRAPS} or message >= MESSAGES)
