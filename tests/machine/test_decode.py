"""The decode whitelist against bit patterns in the manual's notation, over every class of words.

With PROVENUE_STEPS of 10,000 or more (`make conformance`) over all 2^32 words.
"""

import itertools
import random
import tomllib
from pathlib import Path

import numpy as np
import numpy.typing as npt
import pytest
from tests.machine import asm, reference
from tests.machine.programs import LONG

from provenue import machine

Words = npt.NDArray[np.uint32]
_INSTRUCTION = np.dtype([("op", "u1"), ("rd", "u1"), ("rs1", "u1"), ("rs2", "u1"), ("imm", "<i4")])
_PER_OPCODE = 1 << 25
_CHUNK = 1 << 22


def assert_same(words: list[int]) -> None:
    """Compare both decoders on all words."""
    decoded = machine.decode(np.array(words, dtype="<u4").tobytes())
    for word, name in zip(words, decoded, strict=True):
        assert name == reference.decode(word), f"{word:#010x}: {name}"


def _spread(fields: int) -> int:
    """Put 15 bits where rd, rs1 and rs2 are."""
    return (fields >> 10) << 20 | (fields >> 5 & 31) << 15 | (fields & 31) << 7


def test_every_class_of_opcode_funct3_funct7_decodes_as_in_the_manual(rng: random.Random) -> None:
    # The fields between are all zero, all one, and random: what is reserved may hide in them.
    classes = itertools.product(range(1 << 7), range(1 << 3), range(1 << 7))
    words = []
    for opcode, funct3, funct7 in classes:
        base = funct7 << 25 | funct3 << 12 | opcode
        between = rng.getrandbits(15)
        words += [base | _spread(fields) for fields in (0, 0x7FFF, between)]
    assert len(words) == 3 << 17
    assert_same(words)


def test_every_upper_half_of_fence_and_system_words_decodes_as_in_the_manual() -> None:
    assert_same([top << 16 | low for top in range(1 << 16) for low in (0x0073, 0x000F)])
    assert_same([0x0FF0_000F | low << 7 for low in range(1 << 9)])
    assert_same([0x0000_0073 | low << 7 for low in range(1 << 9)])


def test_every_single_bit_flip_of_every_instruction_decodes_as_in_the_manual(
    rng: random.Random,
) -> None:
    words = []
    for mask, match, _ in reference._PATTERNS:
        word = match | rng.getrandbits(32) & ~mask
        words += [word, *(word ^ 1 << bit for bit in range(32))]
    assert_same(words)


def test_random_words_decode_as_in_the_manual(rng: random.Random) -> None:
    assert_same([rng.getrandbits(32) for _ in range(50_000)])
    assert_same([rng.getrandbits(30) << 2 | 3 for _ in range(50_000)])


def test_the_whole_listing_is_reached() -> None:
    words = [match for _, match, _ in reference._PATTERNS]
    decoded = machine.decode(np.array(words, dtype="<u4").tobytes())
    assert decoded == list(reference.NAMES)
    assert len(set(decoded)) == 65


def test_the_assembler_says_what_it_was_asked(rng: random.Random) -> None:
    for name in (*asm.REG_OPS, *asm.IMM_OPS, *asm.SHIFT_OPS, *asm.LOADS, *asm.STORES):
        assert reference.decode(asm.ins(name, 3, 4, 5)) == name
    for name in asm.BRANCHES:
        assert reference.decode(asm.ins(name, 3, 4, -8)) == name


def bits(words: Words, low: int, count: int) -> npt.NDArray[np.int64]:
    """A field, unsigned."""
    return (words.astype(np.int64) >> low) & ((1 << count) - 1)


def extended(value: npt.NDArray[np.int64], width: int) -> npt.NDArray[np.int64]:
    """Sign-extend."""
    return (value ^ (1 << (width - 1))) - (1 << (width - 1))


def immediate(name: str, w: Words) -> npt.NDArray[np.int64] | None:
    """The immediate by the formats of the manual; None where there is none."""
    if name in {"lui", "auipc"}:
        return extended(bits(w, 12, 20) << 12, 32)
    if name == "jal":
        parts = bits(w, 31, 1) << 20 | bits(w, 12, 8) << 12 | bits(w, 20, 1) << 11
        return extended(parts | bits(w, 21, 10) << 1, 21)
    if name in asm.BRANCHES:
        parts = bits(w, 31, 1) << 12 | bits(w, 7, 1) << 11 | bits(w, 25, 6) << 5
        return extended(parts | bits(w, 8, 4) << 1, 13)
    if name in asm.STORES:
        return extended(bits(w, 25, 7) << 5 | bits(w, 7, 5), 12)
    if name in asm.SHIFT_OPS:
        return bits(w, 20, 5 if name.endswith("w") else 6)
    if name in (*asm.IMM_OPS, *asm.LOADS, "jalr"):
        return extended(bits(w, 20, 12), 12)
    return None


def assert_same_fields(words: Words) -> None:
    """Compare operation and fields with the patterns, all words of one opcode."""
    decoded = np.frombuffer(machine.decode_fields(words.tobytes()), dtype=_INSTRUCTION)
    known = np.zeros(len(words), dtype=bool)
    for mask, match, name in reference._BY_OPCODE[int(words[0]) & 0x7F]:
        here = (words & np.uint32(mask)) == np.uint32(match)
        assert not (known & here).any(), name
        known |= here
        w, d = words[here], decoded[here]
        assert (d["op"] == machine.OPS.index(name)).all(), name
        if name not in (*asm.BRANCHES, *asm.STORES, "fence", "ecall", "ebreak"):
            rd = bits(w, 7, 5)
            assert (d["rd"] == np.where(rd == 0, 32, rd)).all(), name
        if name not in {"lui", "auipc", "jal", "fence", "ecall", "ebreak"}:
            assert (d["rs1"] == bits(w, 15, 5)).all(), name
        if name in (*asm.REG_OPS, *asm.BRANCHES, *asm.STORES):
            assert (d["rs2"] == bits(w, 20, 5)).all(), name
        expected = immediate(name, w)
        assert expected is None or (d["imm"] == expected).all(), name
    assert (decoded["op"][~known] == 0).all()


@pytest.mark.timeout(3_600)
@pytest.mark.parametrize("quadrant", range(8))
def test_every_word_decodes_as_in_the_manual_with_its_fields(
    quadrant: int, rng: random.Random
) -> None:
    """All 2^25 words of each opcode the long way, else one in a thousand of them."""
    for opcode in range(16 * quadrant, 16 * quadrant + 16):
        if LONG:
            for start in range(0, _PER_OPCODE, _CHUNK):
                rest = np.arange(start, start + _CHUNK, dtype=np.uint32)
                assert_same_fields(rest << np.uint32(7) | np.uint32(opcode))
            continue
        some = np.random.default_rng(rng.getrandbits(64)).integers(0, _PER_OPCODE, 1 << 15)
        assert_same_fields(some.astype(np.uint32) << np.uint32(7) | np.uint32(opcode))


def test_decode_refuses_part_of_a_word() -> None:
    with pytest.raises(ValueError, match="expected a multiple of 4 bytes, was 6"):
        machine.decode(bytes(6))


def test_the_layout_is_the_protocols() -> None:
    path = Path(__file__).resolve().parents[2] / "protocol" / "constants.toml"
    values = {
        name: entry["value"]
        for table in tomllib.loads(path.read_text()).values()
        if isinstance(table, dict)
        for name, entry in table.items()
        if isinstance(entry, dict) and "value" in entry
    }
    assert {name: values[name] for name in machine.CONSTANTS} == machine.CONSTANTS
    assert values["MESSAGE_INSTRUCTIONS_MAX"] == machine.MESSAGE_BUDGET
