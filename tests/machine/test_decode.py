"""The decode whitelist against bit patterns in the manual's notation, over every class of words."""

import itertools
import random
import tomllib
from pathlib import Path

import numpy as np
import pytest
from tests.machine import asm, reference

from provenue import machine


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
