"""Check a guest ELF: RV64I and M instructions only, two segments, W^X. Standard library only."""

import struct
from dataclasses import dataclass

__all__ = ["ElfError", "ElfFacts", "check_elf", "is_rv64im"]

_PAGE_BYTES = 4096
_EM_RISCV = 243
_PT_LOAD = 1
_SHF_EXECINSTR = 4
_SHT_NOBITS = 8
_PF_X, _PF_W, _PF_R = 1, 2, 4
_SEGMENTS = (_PF_R | _PF_X, _PF_R | _PF_W)

# What stops the machine on purpose: the all-zero word, ebreak, and `unimp` as compilers write it.
_TRAP_WORDS = {0x0000_0000, 0x0010_0073, 0xC000_1073}
_ECALL = 0x0000_0073
# Allowed funct3 by opcode, where nothing else selects.
_BY_FUNCT3 = {
    0x03: {0, 1, 2, 3, 4, 5, 6},  # loads
    0x23: {0, 1, 2, 3},  # stores
    0x63: {0, 1, 4, 5, 6, 7},  # branches
    0x67: {0},  # jalr
}
_ANY_OPERANDS = {0x37, 0x17, 0x6F}  # lui, auipc, jal
# Allowed (funct7, funct3): register operations, and the shifts of immediate operations, whose
# funct7 is one bit shorter on 64 bits.
_OP = {(0, f) for f in range(8)} | {(0x20, 0), (0x20, 5)} | {(1, f) for f in range(8)}
_OP_32 = {(0, 0), (0, 1), (0, 5), (0x20, 0), (0x20, 5), (1, 0), (1, 4), (1, 5), (1, 6), (1, 7)}
_SHIFTS = {(0, 1), (0, 5), (0x20, 5)}


class ElfError(Exception):
    """The file is not a guest that the machine may run."""


@dataclass(frozen=True)
class ElfFacts:
    """What was counted on the way."""

    entry: int
    text_bytes: int
    instructions: int


def is_rv64im(word: int) -> bool:
    """Whether a 32-bit word is an RV64I or M instruction, an ecall, or a deliberate trap."""
    if word in _TRAP_WORDS or word == _ECALL:
        return True
    opcode, funct3, funct7 = word & 0x7F, word >> 12 & 7, word >> 25
    if opcode in _ANY_OPERANDS:
        return True
    if opcode in _BY_FUNCT3:
        return funct3 in _BY_FUNCT3[opcode]
    if opcode == 0x33:
        return (funct7, funct3) in _OP
    if opcode == 0x3B:
        return (funct7, funct3) in _OP_32
    if opcode == 0x13:
        return funct3 not in (1, 5) or (funct7 & ~1, funct3) in _SHIFTS
    if opcode == 0x1B:
        return funct3 == 0 or (funct7, funct3) in _SHIFTS
    return False


def check_elf(data: bytes, *, text_base: int) -> ElfFacts:
    """Check a whole ELF file; raises ElfError with the first thing that is wrong."""
    if data[:6] != b"\x7fELF\x02\x01":
        raise ElfError("ELF header: expected a 64-bit little-endian ELF")
    (kind, machine, _, entry, segments_at, sections_at, _, _, segment_bytes, segments,
     section_bytes, sections, _) = struct.unpack_from("<HHIQQQIHHHHHH", data, 16)  # fmt: skip
    if (kind, machine) != (2, _EM_RISCV):
        raise ElfError(f"ELF header: expected a RISC-V executable, was {(kind, machine)}")
    loads = [
        struct.unpack_from("<IIQQQQQQ", data, segments_at + index * segment_bytes)
        for index in range(segments)
    ]
    loads = [load for load in loads if load[0] == _PT_LOAD]
    _check_segments([(load[1], load[3], load[5], load[6]) for load in loads], text_base)
    text_bytes = loads[0][6]
    if entry != text_base:
        raise ElfError(f"entry: expected {text_base:#x}, was {entry:#x}")
    instructions = 0
    for index in range(sections):
        header = struct.unpack_from("<IIQQQQIIQQ", data, sections_at + index * section_bytes)
        if header[2] & _SHF_EXECINSTR and header[1] != _SHT_NOBITS:
            instructions += _check_code(header[3], data[header[4] : header[4] + header[5]])
    if instructions == 0:
        raise ElfError("sections: expected an executable one, was none")
    return ElfFacts(entry, text_bytes, instructions)


def _check_segments(loads: list[tuple[int, int, int, int]], text_base: int) -> None:
    """(flags, address, file bytes, memory bytes) of each: text R-X first, then data RW-."""
    if tuple(flags for flags, *_ in loads) != _SEGMENTS:
        shown = [f"{flags:#x}@{address:#x}" for flags, address, _, _ in loads]
        raise ElfError(f"segments: expected R-X then RW-, was {shown}")
    (_, text, text_file, text_memory), (_, data, _, _) = loads
    if text != text_base or data % _PAGE_BYTES:
        raise ElfError(f"segments: expected text at {text_base:#x} and aligned data")
    if text_file != text_memory or text + text_memory > data:
        raise ElfError("segments: expected text that is all in the file and ends before data")


def _check_code(address: int, code: bytes) -> int:
    if len(code) % 4:
        raise ElfError(f"code at {address:#x}: expected whole words, was {len(code)} bytes")
    for index, (word,) in enumerate(struct.iter_unpack("<I", code)):
        if not is_rv64im(word):
            raise ElfError(f"code at {address + 4 * index:#x}: {word:#010x} is not RV64IM")
    return len(code) // 4
