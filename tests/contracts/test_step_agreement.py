"""One step by everybody who can make one: the interpreter as it runs, as it records, its replay of
a witness, the contract by both compilers, and the naive reference. All agree bit for bit.

The two writings of chapter 10 and their references meet here and nowhere else.
"""

import random
import struct
from collections import Counter
from collections.abc import Iterator

import pytest
from tests.contracts import step_cases as cases
from tests.contracts import step_machine
from tests.contracts import step_reference as reference
from tests.contracts.step_contract import RefusedError, RevmStep
from tests.contracts.step_machine import STATE_BYTES, Memory, unpack, witness
from tests.p1.batches import Batch, batches

from provenue._generated.constants import (
    HEADER_BASE,
    INBOX_BASE,
    INPUT_BASE,
    MESSAGE_INSTRUCTIONS_MAX,
)
from provenue.engine import guest_elf, recover_callback
from provenue.machine import Machine, Status, decode, replay_step
from provenue.wire import encode_slot

# The interpreter hashes its memory for every state; a guest message is run a second time to step.
STATES = cases.STEPS
GUEST_STEPS = max(100, cases.STEPS // 5)


def agree(contracts: cases.Contracts, machine: Machine, expected: bytes | None = None) -> bytes:
    """Make one step in every way there is; the witness of it."""
    before = machine.state()
    record = machine.record_step()
    proof = record.witness
    assert machine.state() == before, "recording moves nothing"
    assert proof[:STATE_BYTES] == before
    assert expected is None or proof == expected, "another witness"
    assert replay_step(proof) == record.post_hash, "replay"
    assert reference_step(proof) == record.post_hash, "reference"
    for name, contract in contracts.items():
        assert contract.step(proof) == record.post_hash, name
    machine.run(1)
    assert machine.machine_hash() == record.post_hash, "run"
    assert machine.state() == record.post_state
    return proof


def reference_step(proof: bytes) -> bytes:
    """The naive step with nothing but a witness, which must be exactly what it needs."""
    memory = Memory()
    machine = unpack(proof[:STATE_BYTES], memory)
    assert machine is not None, "the state is not canonical"
    if not machine.fetches():
        # Nobody asks for the memory, so its root is taken as it is.
        machine.memory = step_machine.Root(proof[:32])
        effect = reference.step(machine)
    else:
        memory.learn(machine.pc, 32, proof[STATE_BYTES : STATE_BYTES + 1024])
        effect = reference.step(machine)
        if effect.access is not None:
            memory.learn(*effect.access, proof[STATE_BYTES + 1024 :])
            effect = reference.step(machine)
    assert witness(machine, effect) == proof, "another memory, or parts that nobody needs"
    step_machine.apply(machine, effect)
    return machine.hash()


# --- random states -------------------------------------------------------------------------------


def elf_with(end_of_text: int) -> bytes:
    """A static RV64 ELF of zeros whose text is the page below `end_of_text`."""
    start = end_of_text - 4096
    ident = b"\x7fELF\x02\x01\x01" + bytes(9)
    header = struct.pack("<HHIQQQIHHHHHH", 2, 243, 1, start, 64, 0, 0, 64, 56, 1, 0, 0, 0)
    text = struct.pack("<IIQQQQQQ", 1, 5, 4096, start, start, 4, 4096, 4096)
    return (ident + header + text).ljust(4096, b"\0") + bytes(4)


def interpreter_of(machine: step_machine.Machine) -> Machine:
    """The interpreter in the state of a naive machine that hides nothing."""
    real = Machine()
    real.load_elf(elf_with(machine.end_of_text))
    real.set_recover(recover_callback())
    real.begin_program()
    for address, leaf in machine.memory.leaves():
        real.poke(address, leaf)
    real.set_state(machine.pack())
    return real


@pytest.mark.timeout(60 + STATES)
def test_random_states_step_alike_everywhere(
    step_contracts: cases.Contracts, rng: random.Random
) -> None:
    for number in range(STATES):
        machine, effect = cases.random_machine(rng, hide=False)
        state = machine.pack()
        try:
            agree(step_contracts, interpreter_of(machine), witness(machine, effect))
        except AssertionError as error:
            raise AssertionError(f"state {number}, {state.hex()}: {error}") from error


def outcomes(contracts: cases.Contracts, proof: bytes) -> set[bytes | None]:
    """What replay and contracts make of a witness; None is a refusal."""
    try:
        found: set[bytes | None] = {replay_step(proof)}
    except ValueError:
        found = {None}
    for contract in contracts.values():
        found.add(_outcome(contract, proof))
    return found


def _outcome(contract: RevmStep, proof: bytes) -> bytes | None:
    try:
        return contract.step(proof)
    except RefusedError:
        return None


@pytest.mark.timeout(60 + STATES)
def test_spoiled_witnesses_are_refused_by_replay_and_contract_alike(
    step_contracts: cases.Contracts, rng: random.Random
) -> None:
    """A flipped bit, a byte more or less, parts left out or of other steps; whatever one accepts
    the other accepts with the same result.
    """
    accepted = 0
    other = b""
    for number in range(STATES):
        machine, effect = cases.random_machine(rng)
        proof = bytearray(witness(machine, effect))
        kind = rng.randrange(4)
        if kind == 0:
            proof[rng.randrange(len(proof))] ^= 1 << rng.randrange(8)
        elif kind == 1:  # in the registers and the last word
            proof[rng.randrange(32, STATE_BYTES)] ^= 1 << rng.randrange(8)
        elif kind == 2:
            size = rng.choice((-1_024, -32, -1, 1, 32))
            proof = proof[:size] if size < 0 else proof + rng.randbytes(size)
        else:
            proof = proof[:STATE_BYTES] + other[STATE_BYTES:]
        other = witness(machine, effect)
        found = outcomes(step_contracts, bytes(proof))
        assert len(found) == 1, f"state {number}, kind {kind}: {proof.hex()}"
        accepted += found != {None}
    assert 0 < accepted < STATES


@pytest.mark.timeout(600)
def test_both_decoders_know_the_same_words(rng: random.Random) -> None:
    """Every class of (opcode, funct3, funct7) with random fields, and neighbours of legal words."""
    words = []
    for number in range(0, 2**17, 1 if cases.LONG else 11):
        fields = rng.getrandbits(5) << 7 | rng.getrandbits(10) << 15
        words.append(number >> 10 << 25 | (number >> 7 & 7) << 12 | number & 127 | fields)
    for mask, match in reference.PATTERNS.values():
        words += [(rng.getrandbits(32) & ~mask | match) ^ 1 << bit for bit in range(32)]
    names = decode(b"".join(word.to_bytes(4, "little") for word in words))
    for word, name in zip(words, names, strict=True):
        known = None if name in ("illegal", "ebreak") else name
        assert known == reference.decode(word), f"{word:#010x}"


# --- the guest -----------------------------------------------------------------------------------

ECALL = bytes.fromhex("73000000")


def messages_of(batch: Batch, machine: Machine) -> Iterator[int]:
    """Begin each message of a batch; how many steps it takes, its start state again."""
    machine.clear_input()
    machine.set_input(0, batch.posted_bytes)
    machine.set_input(HEADER_BASE - INPUT_BASE, batch.header.encode())
    machine.set_input(INBOX_BASE - INPUT_BASE, b"".join(map(encode_slot, batch.inbox)))
    for index in range(len(batch.tags)):
        machine.begin_message(index, batch.first_sequence)
        steps = machine.run(MESSAGE_INSTRUCTIONS_MAX).steps
        assert machine.status is Status.HALTED
        machine.rewind()
        yield steps
        machine.run(MESSAGE_INSTRUCTIONS_MAX)


def calls_of(machine: Machine, steps: int) -> list[int]:
    """The steps of a message that are calls."""
    found = []
    for step in range(steps):
        if machine.read(machine.pc, 4) == ECALL:
            found.append(step)
        machine.run(1)
    machine.rewind()
    return found


@pytest.mark.timeout(60 + 2 * GUEST_STEPS)
def test_steps_of_real_messages_are_alike_everywhere(
    step_contracts: cases.Contracts, rng: random.Random, seed: int
) -> None:
    """The exchange's own ELF on a stream of messages: steps anywhere in them, all calls of the
    short ones, the last steps, and the step after the end.
    """
    machine = Machine()
    machine.load_elf(guest_elf("minimal"))
    machine.set_recover(recover_callback())
    lengths: Counter[int] = Counter()
    for batch in batches(seed, 10 * GUEST_STEPS, most=50, preset="minimal"):
        for steps in messages_of(batch, machine):
            if lengths.total() >= GUEST_STEPS or rng.random() < 0.5:
                continue
            places = {steps - 1, steps, *rng.sample(range(steps), min(4, steps))}
            if steps < 10_000:
                places.update(calls_of(machine, steps)[:8])
            for place in sorted(places):
                machine.run(place - machine.steps)
                lengths[len(agree(step_contracts, machine))] += 1
            assert machine.status is Status.HALTED
    assert lengths.total() >= GUEST_STEPS
    # Fixed point, plain, access, keccak, recover.
    assert set(lengths) == {320, 1_344, 2_368, 3_200, 2_400}, lengths
