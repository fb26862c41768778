"""Loads, stores and calls of the step contract: widths, places, faults, answers."""

import itertools
import random

import pytest
from eth_keys import keys
from tests.contracts import naive
from tests.contracts import step_cases as cases
from tests.contracts import step_reference as reference
from tests.contracts.step_cases import encode, encode_s
from tests.contracts.step_contract import CODEGENS, PyEvmStep, RefusedError, bytecode_of
from tests.contracts.step_machine import (
    HALTED,
    IMAGE,
    INPUT,
    MEMORY_BYTES,
    OUTPUT,
    RUNNING,
    TRAPPED,
    Effect,
    Machine,
    witness,
)

LOADS = {"lb": 1, "lbu": 1, "lh": 2, "lhu": 2, "lw": 4, "lwu": 4, "ld": 8}
STORES = {"sb": 1, "sh": 2, "sw": 4, "sd": 8}
END_OF_TEXT = 0x7801_0000
RETIRES, TRAPS = RUNNING, TRAPPED


def access(
    contracts: cases.Contracts,
    rng: random.Random,
    name: str,
    address: int,
    data: bytes | None = None,
    immediate: int = 0,
    **options: int,
) -> tuple[Machine, Effect]:
    """One load into x5, or store of x5, at an address over x6; the machine after it."""
    machine = Machine(registers=[0] + [rng.getrandbits(64) for _ in range(31)])
    machine.end_of_text = options.get("end_of_text", END_OF_TEXT)
    machine.pc = options.get("pc", machine.pc)
    machine.registers[6] = (address - immediate) % 2**64
    if name in LOADS:
        word = encode(name, rd=5, rs1=6, imm_i=immediate)
    else:
        word = encode_s(name, 6, 5, immediate)
    effect = cases.settle(machine, word, rng, data)
    cases.expect(contracts, machine, effect, f"{name} at {address:#x}")
    return machine, effect


@pytest.mark.parametrize("name", list(LOADS))
def test_loads_at_every_place_of_a_leaf(
    name: str, step_contracts: cases.Contracts, rng: random.Random
) -> None:
    """Bytes with and without the sign bit set, each told apart from its neighbours."""
    for place, flip in itertools.product(range(32), (0, 0x80)):
        data = bytes((7 * i + 1) % 128 ^ flip ^ (i == place) << 7 for i in range(32))
        machine, effect = access(step_contracts, rng, name, IMAGE + 4096 + place, data)
        if place % LOADS[name]:
            assert effect.status == TRAPPED
            continue
        raw = data[place : place + LOADS[name]]
        number = int.from_bytes(raw, "little", signed=not name.endswith("u"))
        assert machine.registers[5] == number % 2**64


@pytest.mark.parametrize("name", list(STORES))
def test_stores_at_every_place_of_a_leaf(
    name: str, step_contracts: cases.Contracts, rng: random.Random
) -> None:
    size = STORES[name]
    for place in range(32):
        data = rng.randbytes(32)
        machine, effect = access(step_contracts, rng, name, OUTPUT + place, data)
        if place % size:
            assert effect.status == TRAPPED
            continue
        raw = machine.registers[5].to_bytes(8, "little")[:size]
        assert machine.memory.read(OUTPUT, 32) == data[:place] + raw + data[place + size :]


@pytest.mark.parametrize("name", [*LOADS, *STORES])
def test_immediates_of_accesses_are_sign_extended_and_wrap(
    name: str, step_contracts: cases.Contracts, rng: random.Random
) -> None:
    for immediate in (-2048, -1, -31, 0, 1, 2047, 0x555, -0x556):
        for address in (IMAGE, IMAGE + 8, END_OF_TEXT, 0, MEMORY_BYTES - 8, 2**64 - 8):
            access(step_contracts, rng, name, address, immediate=immediate)


@pytest.mark.parametrize("name", list(LOADS))
def test_loads_read_everything_below_the_end_of_memory(
    name: str, step_contracts: cases.Contracts, rng: random.Random
) -> None:
    size = LOADS[name]
    legal = (0, 0x7800_0100, END_OF_TEXT, IMAGE, INPUT, OUTPUT, MEMORY_BYTES - size)
    for address in legal:
        assert access(step_contracts, rng, name, address)[1].status == RUNNING
    for address in (MEMORY_BYTES, MEMORY_BYTES + IMAGE, 2**63, 2**64 - size):
        assert access(step_contracts, rng, name, address)[1].status == TRAPPED


@pytest.mark.parametrize("name", list(STORES))
@pytest.mark.parametrize("end_of_text", [END_OF_TEXT, 4096, 2**34])
def test_stores_write_scratch_image_and_output_only(
    name: str, end_of_text: int, step_contracts: cases.Contracts, rng: random.Random
) -> None:
    size = STORES[name]
    places = {
        0: TRAPS, end_of_text - 2 * size: TRAPS, end_of_text - size: TRAPS, end_of_text: RETIRES,
        IMAGE - size: RETIRES if end_of_text < IMAGE else TRAPS,
        IMAGE: RETIRES, INPUT - size: RETIRES,
        INPUT: TRAPS, INPUT + IMAGE // 2: TRAPS, OUTPUT - size: TRAPS,
        OUTPUT: RETIRES, MEMORY_BYTES - size: RETIRES,
        MEMORY_BYTES: TRAPS, MEMORY_BYTES + end_of_text: TRAPS, 2**63 + IMAGE: TRAPS,
        2**64 - size: TRAPS,
    }  # fmt: skip
    for address, status in places.items():
        _, effect = access(
            step_contracts, rng, name, address, end_of_text=end_of_text, pc=end_of_text - 4096
        )
        assert effect.status == status, f"{address:#x}"


def test_store_that_follows_its_own_leaf_is_seen_by_the_next_step(
    step_contracts: cases.Contracts, rng: random.Random
) -> None:
    """Two stores into one leaf and a load of both, on one machine."""
    machine, _ = access(step_contracts, rng, "sd", IMAGE + 64)
    for word in (encode_s("sb", 6, 7, 3), encode("ld", rd=8, rs1=6)):
        effect = cases.settle(machine, word, rng, machine.memory.read(IMAGE + 64, 32))
        cases.expect(step_contracts, machine, effect)
    raw = machine.registers[5].to_bytes(8, "little")
    byte = machine.registers[7].to_bytes(8, "little")[:1]
    assert machine.registers[8].to_bytes(8, "little") == raw[:3] + byte + raw[4:]


def test_load_of_the_instruction_itself(
    step_contracts: cases.Contracts, rng: random.Random
) -> None:
    machine = Machine(pc=0x7800_0008)
    machine.registers[6] = machine.pc
    word = encode("lwu", rd=5, rs1=6)
    cases.expect(step_contracts, machine, cases.settle(machine, word, rng))
    assert machine.registers[5] == word


# --- calls ---------------------------------------------------------------------------------------

ECALL = encode("ecall")


def call(
    contracts: cases.Contracts,
    rng: random.Random,
    number: int,
    a0: int,
    a1: int = 0,
    data: bytes | None = None,
) -> Effect:
    """One ecall, checked."""
    machine = Machine(registers=[0] + [rng.getrandbits(64) for _ in range(31)])
    machine.registers[17], machine.registers[10], machine.registers[11] = number, a0, a1
    effect = cases.settle(machine, ECALL, rng, data)
    cases.expect(contracts, machine, effect, f"call {number:#x} a0 {a0:#x} a1 {a1}")
    return effect


def answer(effect: Effect) -> bytes:
    """a0 to a3 as 32 bytes."""
    return b"".join(value.to_bytes(8, "little") for value in effect.registers[10:14])


def test_exit_halts_and_changes_nothing_else(
    step_contracts: cases.Contracts, rng: random.Random
) -> None:
    for code in (0, 1, 2**64 - 1):
        assert call(step_contracts, rng, reference.EXIT, code).status == HALTED


@pytest.mark.parametrize(
    "number", [0, 1, 92, 94, 0x4B42, 0x4B44, 0x4542, 0x4544, 2**32 + 93, 2**63 + 0x4B43, 2**64 - 1]
)
def test_unknown_calls_trap(
    number: int, step_contracts: cases.Contracts, rng: random.Random
) -> None:
    assert call(step_contracts, rng, number, IMAGE, 32).status == TRAPPED


def test_keccak_of_every_kind_of_length(
    step_contracts: cases.Contracts, rng: random.Random
) -> None:
    lengths = range(1025) if cases.LONG else (0, 1, 31, 32, 33, 64, 135, 136, 137, 272, 1023, 1024)
    for length in lengths:
        data = rng.randbytes(1024)
        effect = call(step_contracts, rng, reference.KECCAK, IMAGE, length, data)
        assert answer(effect) == naive.keccak(data[:length])
        assert (effect.status, effect.pc) == (RUNNING, 0x7800_0004)


def test_keccak_anywhere_in_memory_and_nowhere_else(
    step_contracts: cases.Contracts, rng: random.Random
) -> None:
    for a0 in (0, 1024, END_OF_TEXT, IMAGE, INPUT, OUTPUT, MEMORY_BYTES - 1024):
        assert call(step_contracts, rng, reference.KECCAK, a0, 100).status == RUNNING
    wrong = [1 << bit for bit in range(10)] + [IMAGE + 512, MEMORY_BYTES, 2**63, 2**64 - 1024]
    for a0 in wrong:
        assert call(step_contracts, rng, reference.KECCAK, a0, 100).status == TRAPPED
    for a1 in (1025, 1056, 2**32, 2**63, 2**64 - 1):
        assert call(step_contracts, rng, reference.KECCAK, IMAGE, a1).status == TRAPPED


def test_keccak_over_the_text_that_calls_it(
    step_contracts: cases.Contracts, rng: random.Random
) -> None:
    machine = Machine(pc=0x7800_0400)
    machine.registers[17], machine.registers[10], machine.registers[11] = reference.KECCAK, 0, 8
    machine.registers[10] = 0x7800_0400
    effect = cases.settle(machine, ECALL, rng)
    cases.expect(step_contracts, machine, effect)
    assert answer(effect) == naive.keccak(ECALL.to_bytes(8, "little"))


def test_recover_anywhere_in_memory_and_nowhere_else(
    step_contracts: cases.Contracts, rng: random.Random
) -> None:
    for a0 in (0, 128, END_OF_TEXT, IMAGE + 128, INPUT, OUTPUT, MEMORY_BYTES - 128):
        assert call(step_contracts, rng, reference.RECOVER, a0).status == RUNNING
    for a0 in [1 << bit for bit in range(7)] + [MEMORY_BYTES, 2**63, 2**64 - 128]:
        assert call(step_contracts, rng, reference.RECOVER, a0).status == TRAPPED


def signed_words(rng: random.Random) -> tuple[list[int], bytes]:
    """hash, v, r, s by a library of others, and the signer."""
    key = keys.PrivateKey(rng.randbytes(32))
    digest = rng.randbytes(32)
    signature = key.sign_msg_hash(digest)
    words = [int.from_bytes(digest, "big"), 27 + signature.v, signature.r, signature.s]
    return words, key.public_key.to_canonical_address()


def test_recover_finds_the_signer(step_contracts: cases.Contracts, rng: random.Random) -> None:
    for _ in range(8):
        (digest, v, r, s), signer = signed_words(rng)
        effect = call(step_contracts, rng, reference.RECOVER, IMAGE, 0, pack(digest, v, r, s))
        assert answer(effect) == bytes(12) + signer
        # High s with the other v is the same signature, and is accepted.
        high = pack(digest, 55 - v, r, reference.N - s)
        assert answer(call(step_contracts, rng, reference.RECOVER, IMAGE, 0, high)) == answer(
            effect
        )


def pack(*words: int) -> bytes:
    return b"".join(word.to_bytes(32, "big") for word in words)


def test_what_is_no_signature_recovers_zero(
    step_contracts: cases.Contracts, rng: random.Random
) -> None:
    (digest, v, r, s), _ = signed_words(rng)
    n, p, largest = reference.N, reference.P, 2**256 - 1
    spoiled = [
        (digest, other, r, s) for other in (0, 1, 26, 29, 27 + 256, 28 << 8, 2**255, largest)
    ]
    spoiled += [(digest, v, other, s) for other in (0, n, n + 1, p, p + 1, largest)]
    spoiled += [(digest, v, r, other) for other in (0, n, n + 1, largest)]
    spoiled += [(0, 0, 0, 0), (largest, largest, largest, largest)]
    # 5 is no x of the curve; and with r the x of G and s the hash, the key is at infinity.
    spoiled += [(digest, v, 5, s), (12345, 27 + reference.G[1] % 2, reference.G[0], 12345)]
    for words in spoiled:
        effect = call(step_contracts, rng, reference.RECOVER, IMAGE, 0, pack(*words))
        assert answer(effect) == bytes(32), words
        assert effect.status == RUNNING


def test_edges_of_r_and_s_are_in_range(step_contracts: cases.Contracts, rng: random.Random) -> None:
    n = reference.N
    found = set()
    for r, s, v in itertools.product((1, 2, 3, 4, n - 1, n - 2), (1, n - 1), (27, 28)):
        digest = rng.choice((0, 1, n, 2**256 - 1, rng.getrandbits(256)))
        effect = call(step_contracts, rng, reference.RECOVER, IMAGE, 0, pack(digest, v, r, s))
        found.add(answer(effect) == bytes(32))
    assert found == {True, False}


def test_edges_of_signatures_are_those_of_another_evm(rng: random.Random) -> None:
    """py-evm recovers with libsecp256k1, revm with its own."""
    slow = {"legacy": PyEvmStep(bytecode_of("legacy"))}
    n, x, y = reference.N, *reference.G
    for words in (
        (5, 27, 1, 1), (5, 28, n - 1, n - 1), (0, 27, 2, 1), (7, 27 + y % 2, x, 7), (5, 29, 1, 1),
        (5, 27, n, 1), (5, 27, 1, n), (2**256 - 1, 28, 1, n - 1),
    ):  # fmt: skip
        call(slow, rng, reference.RECOVER, IMAGE, 0, pack(*words))


@pytest.mark.parametrize("codegen", CODEGENS)
def test_too_little_gas_is_never_an_answer(
    codegen: str, step_contracts: cases.Contracts, rng: random.Random
) -> None:
    """Out-of-gas poisoning: whatever gas a call gets, it reverts or gives the true next state."""
    contract = step_contracts[codegen]
    words, _ = signed_words(rng)
    machine = Machine()
    machine.registers[17], machine.registers[10] = reference.RECOVER, IMAGE
    proof = witness(machine, cases.settle(machine, ECALL, rng, pack(*words)))
    expected = contract.step(proof)
    answers = 0
    for gas in range(40_000, 200_000, 97 if cases.LONG else 997):
        try:
            assert contract.step(proof, gas) == expected
            answers += 1
        except RefusedError:
            assert answers == 0, "more gas never turns an answer into a revert"
    assert answers > 0
