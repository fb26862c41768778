"""Host calls: keccak256 and ecrecover against libraries, arguments at their edges."""

import ctypes
import random

import coincurve
import pytest
from Crypto.Hash import keccak
from tests.machine import asm
from tests.machine.asm import ins, li
from tests.machine.programs import U64, start

from provenue.machine import Event, Machine, Status

ORDER = 0xFFFFFFFF_FFFFFFFF_FFFFFFFF_FFFFFFFE_BAAEDCE6_AF48A03B_BFD25E8C_D0364141


def keccak256(data: bytes) -> bytes:
    """Hash with another implementation."""
    return keccak.new(digest_bits=256, data=data).digest()


def call(number: int, a0: int, a1: int = 0) -> list[int]:
    """Make one host call."""
    return [*li(10, a0), *li(11, a1), *li(17, number), ins("ecall")]


def result_bytes(machine: Machine) -> bytes:
    """Join a0 to a3 as the guest does."""
    return b"".join(value.to_bytes(8, "little") for value in machine.registers[10:14])


def returned(number: int, a0: int, a1: int, data: dict[int, bytes], **kwargs: object) -> bytes:
    """Run one call on input data and give the word it returned."""
    words = [*call(number, a0, a1), ins("addi", 17, 0, 93), ins("ecall")]
    machine = start(words)
    for offset, chunk in data.items():
        machine.set_input(offset, chunk)
    if "recover" in kwargs:
        machine.set_recover(kwargs["recover"])
    result = machine.run(100)
    assert result.status is Status.HALTED, result
    return result_bytes(machine)


# --- keccak256 -----------------------------------------------------------------------------------


@pytest.mark.parametrize("length", [0, 1, 31, 32, 33, 135, 136, 137, 271, 272, 273, 1023, 1024])
def test_keccak_of_a_block_equals_another_implementation(length: int, rng: random.Random) -> None:
    block = rng.randbytes(1024)
    assert returned(0x4B43, asm.INPUT, length, {0: block}) == keccak256(block[:length])


@pytest.mark.parametrize("address", [asm.TEXT, asm.IMAGE + 1024, asm.OUTPUT, (1 << 36) - 1024])
def test_keccak_reads_every_quarter(address: int) -> None:
    words = [*call(0x4B43, address, 1024), ins("addi", 17, 0, 93), ins("ecall")]
    machine = start(words)
    block = machine.read(address, 1024)
    machine.run(100)
    assert result_bytes(machine) == keccak256(block)


def test_keccak_changes_only_a0_to_a3() -> None:
    words = call(0x4B43, asm.IMAGE, 64)
    machine = start([*li(14, 77), *words])
    machine.run(len(words))
    before = machine.registers
    machine.run(1)
    assert machine.registers[:10] == before[:10]
    assert machine.registers[14:] == before[14:]
    assert machine.dirty_image_pages() == []


@pytest.mark.parametrize(
    ("address", "length"),
    [
        (asm.INPUT + 32, 32),
        (asm.INPUT + 512, 32),
        (asm.INPUT + 1, 0),
        (asm.INPUT, 1025),
        (asm.INPUT, U64),
        (asm.INPUT, 1 << 32),
        (1 << 36, 32),
        (1 << 36, 0),
        (1 << 63, 32),
        ((1 << 64) - 1024, 1024),
    ],
)
def test_keccak_traps_on_arguments_outside_its_rules(address: int, length: int) -> None:
    words = call(0x4B43, address, length)
    machine = start(words)
    machine.run(len(words) - 1)
    before = machine.registers
    result = machine.run(1)
    assert (result.status, result.event) == (Status.TRAPPED, Event.BAD_CALL_ARGUMENT)
    assert machine.registers == before
    assert result.pc == asm.TEXT + 4 * (len(words) - 1)


# --- ecrecover -----------------------------------------------------------------------------------


def recover_slowly(block: bytes) -> bytes | None:
    """Answer the call as a host does; the machine has checked v, r and s."""
    digest, v, signature = block[:32], block[63], block[64:]
    try:
        key = coincurve.PublicKey.from_signature_and_message(
            signature + bytes([v - 27]), digest, hasher=None
        )
    except Exception:  # coincurve raises a bare Exception when no key recovers
        return None
    return bytes(12) + keccak256(key.format(compressed=False)[1:])[12:]


class Signed:
    """A valid call: the block, and the address that must come back."""

    def __init__(self, rng: random.Random) -> None:
        key = coincurve.PrivateKey(rng.randrange(1, ORDER).to_bytes(32, "big"))
        self.digest = rng.randbytes(32)
        signature = key.sign_recoverable(self.digest, hasher=None)
        self.r, self.s = signature[:32], signature[32:64]
        self.v = 27 + signature[64]
        public = key.public_key.format(compressed=False)[1:]
        self.word = bytes(12) + keccak256(public)[12:]

    def block(self, *, v: int | None = None, r: int | None = None, s: int | None = None) -> bytes:
        """Lay out hash, v, r, s, with parts replaced."""
        parts = [
            self.digest,
            (self.v if v is None else v).to_bytes(32, "big"),
            self.r if r is None else r.to_bytes(32, "big"),
            self.s if s is None else s.to_bytes(32, "big"),
        ]
        return b"".join(parts)


@pytest.fixture
def signed(rng: random.Random) -> Signed:
    """A signature by a random key."""
    return Signed(rng)


def recovered(block: bytes) -> bytes:
    """Give what the guest gets."""
    return returned(0x4543, asm.INPUT + 128, 0, {128: block}, recover=recover_slowly)


def test_recover_gives_the_signers_address(rng: random.Random) -> None:
    for _ in range(20):
        signed = Signed(rng)
        assert recovered(signed.block()) == signed.word


def test_recover_accepts_the_high_s_twin(signed: Signed) -> None:
    high = ORDER - int.from_bytes(signed.s, "big")
    assert recovered(signed.block(v=55 - signed.v, s=high)) == signed.word


def test_recover_of_another_hash_is_another_address(signed: Signed) -> None:
    block = bytes([signed.digest[0] ^ 1]) + signed.block()[1:]
    assert recovered(block) not in {signed.word, bytes(32)}


@pytest.mark.parametrize(
    "replace",
    [
        {"v": 0},
        {"v": 1},
        {"v": 26},
        {"v": 29},
        {"v": 27 + 256},
        {"v": 27 + (1 << 255)},
        {"r": 0},
        {"r": ORDER},
        {"r": (1 << 256) - 1},
        {"s": 0},
        {"s": ORDER},
        {"s": ORDER + 1},
        {"r": 5},  # x = 5 is on no point of the curve
    ],
)
def test_recover_of_an_invalid_signature_is_zero(signed: Signed, replace: dict[str, int]) -> None:
    assert recovered(signed.block(**replace)) == bytes(32)


def test_only_plausible_signatures_reach_the_host(signed: Signed) -> None:
    asked: list[bytes] = []

    def host(block: bytes) -> bytes:
        asked.append(block)
        return bytes(32)

    low, high = signed.block(s=1), signed.block(r=ORDER - 1, s=ORDER - 1)
    for block in (low, high, signed.block(v=29), signed.block(s=0), signed.block(r=ORDER)):
        returned(0x4543, asm.INPUT, 0, {0: block}, recover=host)
    assert asked == [low, high]


def test_a_c_function_answers_with_its_context(signed: Signed) -> None:
    seen: list[tuple[int | None, bytes]] = []

    def host(context: int | None, block: int, out: int) -> bool:
        seen.append((context, ctypes.string_at(block, 128)))
        ctypes.memmove(out, signed.word, 32)
        return True

    pointer = ctypes.c_void_p
    function = ctypes.CFUNCTYPE(ctypes.c_bool, pointer, pointer, pointer)(host)
    words = [*call(0x4543, asm.INPUT), ins("addi", 17, 0, 93), ins("ecall")]
    machine = start(words)
    machine.set_input(0, signed.block())
    machine.set_recover(ctypes.cast(function, pointer).value, context=0x1234)
    machine.run(100)
    assert result_bytes(machine) == signed.word
    assert seen == [(0x1234, signed.block())]


@pytest.mark.parametrize("address", [asm.INPUT + 32, asm.INPUT + 64, 1 << 36, U64 - 127, 1 << 63])
def test_recover_traps_on_an_address_outside_its_rules(address: int) -> None:
    machine = start(call(0x4543, address))
    assert machine.run(100).event is Event.BAD_CALL_ARGUMENT


def test_recover_without_a_host_function_is_an_error_before_the_call(signed: Signed) -> None:
    words = call(0x4543, asm.INPUT)
    machine = start([*words, ins("addi", 17, 0, 93), ins("ecall")])
    machine.set_input(0, signed.block())
    with pytest.raises(RuntimeError, match="expected set_recover to have been called"):
        machine.run(100)
    assert machine.pc == asm.TEXT + 4 * (len(words) - 1)
    machine.set_recover(recover_slowly)
    assert machine.run(100).status is Status.HALTED
    assert result_bytes(machine) == signed.word


@pytest.mark.parametrize(
    ("answer", "message"),
    [
        (b"\x01" * 32, "left-padded"),
        (bytes(20), "expected None or 32 bytes, was 20"),
        (OSError("host is gone"), "host is gone"),
    ],
)
def test_a_failing_host_stops_the_run_and_is_heard(
    signed: Signed, answer: bytes | OSError, message: str
) -> None:
    def host(block: bytes) -> bytes:
        if isinstance(answer, OSError):
            raise answer
        return answer

    words = call(0x4543, asm.INPUT)
    machine = start(words)
    machine.set_input(0, signed.block())
    machine.set_recover(host)
    with pytest.raises((ValueError, RuntimeError, OSError), match=message):
        machine.run(100)
    assert machine.pc == asm.TEXT + 4 * (len(words) - 1)
    assert machine.registers[10] == asm.INPUT


@pytest.mark.parametrize("function", [0, "text", None])
def test_set_recover_refuses_what_cannot_be_called(function: object) -> None:
    with pytest.raises((TypeError, ValueError), match="function: expected"):
        Machine().set_recover(function)
