"""A mini assembler for tests: instruction words by mnemonic, constants, and static ELF files."""

from __future__ import annotations

import struct
from collections.abc import Iterable

TEXT = 0x7800_0000
IMAGE = 0x4_0000_0000
INPUT = 0x8_0000_0000
OUTPUT = 0xC_0000_0000
PAGE = 4096

A0, A1, A2, A3, A7 = 10, 11, 12, 13, 17

_BASE = ("add", "sll", "slt", "sltu", "xor", "srl", "or", "and")
_MULTIPLY = ("mul", "mulh", "mulhsu", "mulhu", "div", "divu", "rem", "remu")
# By name, the opcode, funct3 and funct7 of the register forms.
_R = {
    **{n: (0x33, f, 0) for f, n in enumerate(_BASE)},
    "sub": (0x33, 0, 0x20),
    "sra": (0x33, 5, 0x20),
    **{n: (0x33, f, 1) for f, n in enumerate(_MULTIPLY)},
    "addw": (0x3B, 0, 0x00),
    "subw": (0x3B, 0, 0x20),
    "sllw": (0x3B, 1, 0x00),
    "srlw": (0x3B, 5, 0x00),
    "sraw": (0x3B, 5, 0x20),
    "mulw": (0x3B, 0, 1),
    "divw": (0x3B, 4, 1),
    "divuw": (0x3B, 5, 1),
    "remw": (0x3B, 6, 1),
    "remuw": (0x3B, 7, 1),
}
# By name, the opcode and funct3 of the immediate forms.
_I = {
    "addi": (0x13, 0),
    "slti": (0x13, 2),
    "sltiu": (0x13, 3),
    "xori": (0x13, 4),
    "ori": (0x13, 6),
    "andi": (0x13, 7),
    "addiw": (0x1B, 0),
    "jalr": (0x67, 0),
    **{n: (0x03, f) for f, n in enumerate(["lb", "lh", "lw", "ld", "lbu", "lhu", "lwu"])},
}
# By name, opcode, funct3, the bits above the amount, and the width of the amount.
_SHIFT = {
    "slli": (0x13, 1, 0, 6),
    "srli": (0x13, 5, 0, 6),
    "srai": (0x13, 5, 0x400, 6),
    "slliw": (0x1B, 1, 0, 5),
    "srliw": (0x1B, 5, 0, 5),
    "sraiw": (0x1B, 5, 0x400, 5),
}
_S = {"sb": 0, "sh": 1, "sw": 2, "sd": 3}
_B = {"beq": 0, "bne": 1, "blt": 4, "bge": 5, "bltu": 6, "bgeu": 7}
_U = {"lui": 0x37, "auipc": 0x17}
_FIXED = {"ecall": 0x73, "ebreak": 0x0010_0073, "fence": 0x0FF0_000F, "nop": 0x13}

REG_OPS = tuple(_R)
IMM_OPS = tuple(n for n, (op, _) in _I.items() if op in {0x13, 0x1B})
SHIFT_OPS = tuple(_SHIFT)
LOADS = tuple(n for n, (op, _) in _I.items() if op == 0x03)
STORES = tuple(_S)
BRANCHES = tuple(_B)
ACCESS_BYTES = {"b": 1, "h": 2, "w": 4, "d": 8}


def access_bytes(name: str) -> int:
    """Give the width of a load or store."""
    return ACCESS_BYTES[name[1]]


def _signed_field(name: str, value: int, bits: int) -> int:
    if not -(1 << (bits - 1)) <= value < 1 << (bits - 1):
        raise ValueError(f"{name}: expected an immediate of {bits} bits, was {value}")
    return value & ((1 << bits) - 1)


def ins(name: str, *args: int) -> int:
    """Assemble one instruction.

    Operands: `op rd rs1 rs2`, `op rd rs1 imm` (loads and jalr too), `store rs2 rs1 imm`,
    `branch rs1 rs2 offset`, `jal rd offset`, `lui rd imm20`.
    """
    if name in _FIXED:
        return _FIXED[name]
    a = args[0]
    if name in _U:
        return (args[1] & 0xFFFFF) << 12 | a << 7 | _U[name]
    if name == "jal":
        v = _signed_field(name, args[1], 21)
        imm = (
            (v >> 20) << 31 | (v >> 1 & 0x3FF) << 21 | (v >> 11 & 1) << 20 | (v >> 12 & 0xFF) << 12
        )
        return imm | a << 7 | 0x6F
    b, c = args[1], args[2]
    if name in _R:
        opcode, f3, f7 = _R[name]
        return f7 << 25 | c << 20 | b << 15 | f3 << 12 | a << 7 | opcode
    if name in _I:
        opcode, f3 = _I[name]
        return _signed_field(name, c, 12) << 20 | b << 15 | f3 << 12 | a << 7 | opcode
    if name in _SHIFT:
        opcode, f3, top, width = _SHIFT[name]
        if not 0 <= c < 1 << width:
            raise ValueError(f"{name}: expected an amount of {width} bits, was {c}")
        return (top | c) << 20 | b << 15 | f3 << 12 | a << 7 | opcode
    if name in _S:
        v = _signed_field(name, c, 12)
        return (v >> 5) << 25 | a << 20 | b << 15 | _S[name] << 12 | (v & 31) << 7 | 0x23
    v = _signed_field(name, c, 13)
    imm = (v >> 12) << 31 | (v >> 5 & 0x3F) << 25 | (v >> 1 & 0xF) << 8 | (v >> 11 & 1) << 7
    return imm | b << 20 | a << 15 | _B[name] << 12 | 0x63


def word(value: int) -> bytes:
    """Pack an instruction word."""
    return struct.pack("<I", value)


def li(rd: int, value: int) -> list[int]:
    """Load any 64-bit constant."""
    value &= (1 << 64) - 1
    signed = value - (1 << 64) if value >> 63 else value
    if -2048 <= signed < 2048:
        return [ins("addi", rd, 0, signed)]
    low = (signed & 0xFFF) - (0x1000 if signed & 0x800 else 0)
    if -(1 << 31) <= signed < 1 << 31:
        words = [ins("lui", rd, (signed - low) >> 12)]
        return words + ([ins("addiw", rd, rd, low)] if low else [])
    rest = (signed - low) >> 12
    words = [*li(rd, rest), ins("slli", rd, rd, 12)]
    return words + ([ins("addi", rd, rd, low)] if low else [])


def exit_with(code_register: int = 0) -> list[int]:
    """Halt with the value of a register as the exit code."""
    return [ins("addi", A0, code_register, 0), ins("addi", A7, 0, 93), ins("ecall")]


def header(**overrides: int | bytes) -> bytes:
    """Build an ELF64 header; the fields have their names in the ELF specification."""
    fields: dict[str, int | bytes] = {
        "e_ident": b"\x7fELF\x02\x01\x01" + bytes(9),
        "e_type": 2,
        "e_machine": 243,
        "e_version": 1,
        "e_entry": TEXT,
        "e_phoff": 64,
        "e_shoff": 0,
        "e_flags": 0,
        "e_ehsize": 64,
        "e_phentsize": 56,
        "e_phnum": 2,
        "e_shentsize": 0,
        "e_shnum": 0,
        "e_shstrndx": 0,
    }
    assert set(overrides) <= set(fields), overrides
    fields.update(overrides)
    return struct.pack("<16sHHIQQQIHHHHHH", *fields.values())


def segment(**overrides: int) -> bytes:
    """Build a program header."""
    fields = dict.fromkeys(
        ("p_type", "p_flags", "p_offset", "p_vaddr", "p_paddr", "p_filesz", "p_memsz", "p_align"), 0
    )
    assert set(overrides) <= set(fields), overrides
    fields.update({"p_type": 1, "p_align": PAGE}, **overrides)
    return struct.pack("<IIQQQQQQ", *fields.values())


def text_end(word_count: int) -> int:
    """Give the end of text of an ELF of that many words: where its data starts."""
    return TEXT + -(-4 * word_count // PAGE) * PAGE


def elf(words: Iterable[int], data: bytes = b"", data_size: int = 0x10000) -> bytes:
    """Build a static ELF with a text segment and, on the next page, a writable one."""
    text = b"".join(map(word, words))
    text_offset = PAGE
    data_offset = text_offset + -(-len(text) // PAGE) * PAGE
    start = text_end(len(text) // 4)
    headers = segment(
        p_flags=5,
        p_offset=text_offset,
        p_vaddr=TEXT,
        p_paddr=TEXT,
        p_filesz=len(text),
        p_memsz=len(text),
    ) + segment(
        p_flags=6,
        p_offset=data_offset,
        p_vaddr=start,
        p_paddr=start,
        p_filesz=len(data),
        p_memsz=max(data_size, len(data)),
    )
    file = bytearray(data_offset + len(data))
    file[: 64 + len(headers)] = header() + headers
    file[text_offset : text_offset + len(text)] = text
    file[data_offset:] = data
    return bytes(file)
