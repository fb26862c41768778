"""What the step contract refuses: states that are not canonical, parts that prove nothing, other
lengths, any flipped bit. And what it never refuses.
"""

import dataclasses
import random
from collections.abc import Callable, Iterator, Sequence

import pytest
from tests.contracts import naive, step_machine
from tests.contracts import step_cases as cases
from tests.contracts import step_reference as reference
from tests.contracts.step_cases import encode, encode_s
from tests.contracts.step_contract import RefusedError, RevmStep, calldata
from tests.contracts.step_machine import (
    HALTED,
    IMAGE,
    RUNNING,
    STATE_BYTES,
    TRAPPED,
    Machine,
    Memory,
    Root,
    unpack,
    witness,
)

FETCH_END = STATE_BYTES + 1024
KINDS = (
    "halted", "trapped", "outside text", "alu", "branch", "reserved", "bad load", "load", "store",
    "keccak", "recover", "exit", "unknown call",
)  # fmt: skip
LENGTHS = {
    "halted": 320, "trapped": 320, "outside text": 320, "alu": 1344, "branch": 1344,
    "reserved": 1344, "bad load": 1344, "load": 2368, "store": 2368, "keccak": 3200,
    "recover": 2400, "exit": 1344, "unknown call": 1344,
}  # fmt: skip


def machine_of(kind: str, rng: random.Random) -> tuple[Machine, bytes]:
    """A machine whose step is of this kind, and its witness."""
    machine = Machine(registers=[0] + [rng.getrandbits(64) for _ in range(31)])
    machine.pc += 4 * rng.randrange(8)
    machine.registers[6] = IMAGE + 4096
    machine.registers[10], machine.registers[11] = IMAGE + 4096, 777
    words = {
        "alu": encode("mulh", rd=5, rs1=6, rs2=7), "branch": cases.encode_b("bltu", 6, 7, 16),
        "reserved": 0xFFFF_FFFF, "bad load": encode("lw", rd=5, rs1=6, imm_i=2),
        "load": encode("lhu", rd=5, rs1=6, imm_i=10), "store": encode_s("sw", 6, 7, 4),
    }  # fmt: skip
    calls = {"keccak": 0x4B43, "recover": 0x4543, "exit": 93, "unknown call": 94}
    word = words.get(kind, encode("ecall"))
    machine.registers[17] = calls.get(kind, 0)
    if kind in ("halted", "trapped"):
        machine.status = HALTED if kind == "halted" else TRAPPED
    elif kind == "outside text":
        machine.pc = machine.end_of_text + 4 * rng.randrange(2**40)
    effect = cases.settle(machine, word, rng) if machine.fetches() else reference.step(machine)
    return machine, witness(machine, effect)


def answered(contract: RevmStep, proof: bytes) -> tuple[bytes | None, str | None]:
    """The next state's hash, or the reason of the refusal."""
    try:
        return contract.step(proof), None
    except RefusedError as refused:
        return None, str(refused)


def refusals(contracts: cases.Contracts, proof: bytes) -> Iterator[str | None]:
    """The reason of each compiler's contract, None where it accepts."""
    return (answered(contract, proof)[1] for contract in contracts.values())


@pytest.mark.parametrize("kind", KINDS)
def test_witness_has_its_length_and_no_other(
    kind: str, step_contracts: cases.Contracts, rng: random.Random
) -> None:
    _, proof = machine_of(kind, rng)
    assert len(proof) == LENGTHS[kind]
    assert set(refusals(step_contracts, proof)) == {None}
    for length in {0, 31, 32, 319, 320, 321, 1343, 1344, 1345, 2368, 2400, 3200, len(proof) - 1,
                   len(proof) + 1, len(proof) - 32, len(proof) + 32}:  # fmt: skip
        other = (proof + rng.randbytes(3_200))[: max(0, min(length, 3_200))]
        if len(other) != len(proof):
            (reason,) = set(refusals(step_contracts, other))
            assert reason is not None
            assert reason.startswith("step: "), f"{len(other)} bytes: {reason}"
    for length in (3_201, 3_232, 10_000):
        assert None not in refusals(step_contracts, proof + bytes(length - len(proof)))


def accepted(state: bytes, parts: bytes, memory: Memory) -> bytes | None:
    """What a witness of this state over this memory must give; None if it must be refused."""
    machine = unpack(state, memory.copy())
    if machine is None:
        return None
    if state[:32] != memory.root:
        if machine.fetches():
            return None
        machine.memory = Root(state[:32])
    effect = reference.step(machine)
    if witness(machine, effect) != state + parts:
        return None
    step_machine.apply(machine, effect)
    return machine.hash()


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.timeout(600)
def test_any_flipped_bit_is_refused_or_another_state(
    kind: str, step_contracts: cases.Contracts, rng: random.Random
) -> None:
    """Beyond the state every bit is bound by the state's memory root: refused. A flip in the state
    is another state, whose hash is not the one in dispute; the parts then fit it or are refused.
    """
    machine, proof = machine_of(kind, rng)
    bits: Sequence[int] = range(8 * len(proof))
    if not cases.LONG:
        bits = [*rng.sample(bits, 250), *range(8 * 288, 8 * STATE_BYTES)]
    for bit in bits:
        changed = bytearray(proof)
        changed[bit // 8] ^= 0x80 >> bit % 8
        flipped = bytes(changed)
        state, parts = flipped[:STATE_BYTES], flipped[STATE_BYTES:]
        expected = accepted(state, parts, machine.memory)
        if bit < 8 * STATE_BYTES:
            assert naive.keccak(state) != machine.hash()
        else:
            assert expected is None
        for name, contract in step_contracts.items():
            found, reason = answered(contract, flipped)
            assert reason is None or reason.startswith("step: ")
            assert found == expected, f"{name}, bit {bit}: {flipped.hex()}"


@pytest.mark.parametrize("kind", ["alu", "load", "store", "keccak", "recover"])
def test_proof_of_another_place_is_refused(
    kind: str, step_contracts: cases.Contracts, rng: random.Random
) -> None:
    """Parts that are in memory, but not where the step reads."""
    machine, proof = machine_of(kind, rng)
    for bit in (5, 7, 10, 20, 35):
        if bit < 34:
            elsewhere = machine.memory.part(machine.pc ^ 1 << bit, 32)
            wrong = proof[:STATE_BYTES] + elsewhere + proof[FETCH_END:]
            assert None not in refusals(step_contracts, wrong)
        size = {2368: 32, 3200: 1024, 2400: 128}.get(len(proof))
        if size is not None and 1 << bit >= size:
            place = (IMAGE + 4096 + (10 if kind == "load" else 0)) ^ 1 << bit
            wrong = proof[:FETCH_END] + machine.memory.part(place, size)
            assert len(wrong) == len(proof)
            assert None not in refusals(step_contracts, wrong), f"bit {bit}"


def test_access_may_lie_in_the_leaf_of_the_instruction_only_once_proven(
    step_contracts: cases.Contracts, rng: random.Random
) -> None:
    """The access part is proven by itself, even where it repeats the fetch part."""
    machine = Machine(pc=0x7800_0008)
    machine.registers[6] = machine.pc
    proof = witness(machine, cases.settle(machine, encode("lw", rd=5, rs1=6), rng))
    assert set(refusals(step_contracts, proof)) == {None}
    assert None not in refusals(step_contracts, proof[:FETCH_END])
    assert None not in refusals(step_contracts, proof[:-1024] + bytes(1024))


# --- canonical states ----------------------------------------------------------------------------


def spoiled(offset: int, change: Callable[[int], int]) -> Callable[[bytes], bytes]:
    """Change the 8 bytes at an offset of the state."""

    def spoil(proof: bytes) -> bytes:
        value = change(int.from_bytes(proof[offset : offset + 8], "big")) % 2**64
        return proof[:offset] + value.to_bytes(8, "big") + proof[offset + 8 :]

    return spoil


X0, TOP, STATUS, END, PC = 32, 288, 296, 304, 312
NOT_CANONICAL = (
    *((f"x0 bit {bit}", X0, lambda _, bit=bit: 1 << bit) for bit in range(64)),
    *((f"word 9 bit {192 + bit}", TOP, lambda _, bit=bit: 1 << bit) for bit in range(64)),
    *((f"status bit {bit}", STATUS, lambda _, bit=bit: 1 << bit) for bit in range(2, 64)),
    *((f"status {number}", STATUS, lambda _, number=number: number) for number in (3, 2**64 - 1)),
    *((f"end of text bit {bit}", END, lambda e, bit=bit: e | 1 << bit) for bit in range(12)),
    *((f"end of text bit {bit}", END, lambda _, bit=bit: 1 << bit) for bit in range(35, 64)),
    ("end of text above its quarter", END, lambda _: 2**34 + 4096),
    *((f"pc + {odd}", PC, lambda pc, odd=odd: pc & ~3 | odd) for odd in (1, 2, 3)),
)


@pytest.mark.parametrize("kind", ["halted", "trapped", "outside text", "alu"])
def test_states_that_are_not_canonical_are_refused(
    kind: str, step_contracts: cases.Contracts, rng: random.Random
) -> None:
    expected = {X0: "x0 is not zero", TOP: "no such status", STATUS: "no such status",
                PC: "pc is not a multiple of 4"}  # fmt: skip
    _, proof = machine_of(kind, rng)
    for name, offset, change in NOT_CANONICAL:
        (reason,) = set(refusals(step_contracts, spoiled(offset, change)(proof)))
        assert reason is not None, name
        assert expected.get(offset, "end of text") in reason, f"{name}: {reason}"


def test_extreme_canonical_states_are_accepted(
    step_contracts: cases.Contracts, rng: random.Random
) -> None:
    for status in (RUNNING, HALTED, TRAPPED):
        for pc in (0, 4, 2**34, 2**64 - 4):
            for end in (0, 4096, 2**34):
                machine = Machine(pc=pc, end_of_text=end, status=status)
                machine.registers = [0] + [2**64 - 1] * 31
                if not machine.fetches():
                    cases.expect(step_contracts, machine, reference.step(machine))


@pytest.mark.parametrize("status", [HALTED, TRAPPED])
def test_terminal_states_are_fixed_points(
    status: int, step_contracts: cases.Contracts, rng: random.Random
) -> None:
    """Whatever else the state says, and without any memory."""
    for _ in range(50):
        machine = dataclasses.replace(cases.random_machine(rng)[0], status=status)
        state = machine.pack()
        for contract in step_contracts.values():
            assert contract.step(state) == naive.keccak(state)


def test_calldata_that_is_not_canonical_changes_nothing(
    step_contracts: cases.Contracts, rng: random.Random
) -> None:
    """Bytes behind the argument, another offset: the ABI's business; the witness is the same."""
    machine, proof = machine_of("alu", rng)
    plain = calldata(proof)
    padded = plain + rng.randbytes(77)
    moved = plain[:4] + (64).to_bytes(32, "big") + rng.randbytes(32) + plain[36:]
    for contract in step_contracts.values():
        expected = contract.step(proof)
        assert contract.call(padded) == expected
        assert contract.call(moved) == expected
        for cut in (3, 4, 35, 36, 68, len(plain) - 32):
            with pytest.raises(RefusedError):
                contract.call(plain[:cut])
    assert machine.status == RUNNING
