"""A naive RV64IM interpreter, written from the ISA manual alone, as an oracle for the machine.

Decoding compares a word with bit patterns in the notation of the manual's instruction listings;
memory is a dictionary of bytes; nothing is shared with the machine or the mini assembler. The state
and its hash are written from protocol chapter 10, with another keccak.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from enum import Enum

import coincurve
from Crypto.Hash import keccak

_LISTING = """
-------------------- ----- 0110111 lui
-------------------- ----- 0010111 auipc
-------------------- ----- 1101111 jal
------------ ----- 000 ----- 1100111 jalr
------- ----- ----- 000 ----- 1100011 beq
------- ----- ----- 001 ----- 1100011 bne
------- ----- ----- 100 ----- 1100011 blt
------- ----- ----- 101 ----- 1100011 bge
------- ----- ----- 110 ----- 1100011 bltu
------- ----- ----- 111 ----- 1100011 bgeu
------------ ----- 000 ----- 0000011 lb
------------ ----- 001 ----- 0000011 lh
------------ ----- 010 ----- 0000011 lw
------------ ----- 100 ----- 0000011 lbu
------------ ----- 101 ----- 0000011 lhu
------- ----- ----- 000 ----- 0100011 sb
------- ----- ----- 001 ----- 0100011 sh
------- ----- ----- 010 ----- 0100011 sw
------------ ----- 000 ----- 0010011 addi
------------ ----- 010 ----- 0010011 slti
------------ ----- 011 ----- 0010011 sltiu
------------ ----- 100 ----- 0010011 xori
------------ ----- 110 ----- 0010011 ori
------------ ----- 111 ----- 0010011 andi
0000000 ----- ----- 000 ----- 0110011 add
0100000 ----- ----- 000 ----- 0110011 sub
0000000 ----- ----- 001 ----- 0110011 sll
0000000 ----- ----- 010 ----- 0110011 slt
0000000 ----- ----- 011 ----- 0110011 sltu
0000000 ----- ----- 100 ----- 0110011 xor
0000000 ----- ----- 101 ----- 0110011 srl
0100000 ----- ----- 101 ----- 0110011 sra
0000000 ----- ----- 110 ----- 0110011 or
0000000 ----- ----- 111 ----- 0110011 and
0000 ---- ---- 00000 000 00000 0001111 fence
000000000000 00000 000 00000 1110011 ecall
000000000001 00000 000 00000 1110011 ebreak
------------ ----- 110 ----- 0000011 lwu
------------ ----- 011 ----- 0000011 ld
------- ----- ----- 011 ----- 0100011 sd
000000 ------ ----- 001 ----- 0010011 slli
000000 ------ ----- 101 ----- 0010011 srli
010000 ------ ----- 101 ----- 0010011 srai
------------ ----- 000 ----- 0011011 addiw
0000000 ----- ----- 001 ----- 0011011 slliw
0000000 ----- ----- 101 ----- 0011011 srliw
0100000 ----- ----- 101 ----- 0011011 sraiw
0000000 ----- ----- 000 ----- 0111011 addw
0100000 ----- ----- 000 ----- 0111011 subw
0000000 ----- ----- 001 ----- 0111011 sllw
0000000 ----- ----- 101 ----- 0111011 srlw
0100000 ----- ----- 101 ----- 0111011 sraw
0000001 ----- ----- 000 ----- 0110011 mul
0000001 ----- ----- 001 ----- 0110011 mulh
0000001 ----- ----- 010 ----- 0110011 mulhsu
0000001 ----- ----- 011 ----- 0110011 mulhu
0000001 ----- ----- 100 ----- 0110011 div
0000001 ----- ----- 101 ----- 0110011 divu
0000001 ----- ----- 110 ----- 0110011 rem
0000001 ----- ----- 111 ----- 0110011 remu
0000001 ----- ----- 000 ----- 0111011 mulw
0000001 ----- ----- 100 ----- 0111011 divw
0000001 ----- ----- 101 ----- 0111011 divuw
0000001 ----- ----- 110 ----- 0111011 remw
0000001 ----- ----- 111 ----- 0111011 remuw
"""


def _pattern(line: str) -> tuple[int, int, str]:
    *fields, name = line.split()
    bits = "".join(fields)
    assert len(bits) == 32, line
    mask = int("".join("0" if bit == "-" else "1" for bit in bits), 2)
    return mask, int(bits.replace("-", "0"), 2), name


_PATTERNS = [_pattern(line) for line in _LISTING.strip().splitlines()]
NAMES = tuple(name for _, _, name in _PATTERNS)
_BY_OPCODE = {opcode: [p for p in _PATTERNS if p[1] & 0x7F == opcode] for opcode in range(1 << 7)}


def decode(word: int) -> str:
    """Name the operation of a word; "illegal" if no pattern matches."""
    for mask, match, name in _BY_OPCODE[word & 0x7F]:
        if word & mask == match:
            return name
    return "illegal"


class Status(Enum):
    """Of the machine."""

    RUNNING = 0
    HALTED = 1
    TRAPPED = 2


def signed(value: int, bits: int = 64) -> int:
    """Read the low bits as two's complement."""
    value &= (1 << bits) - 1
    return value - (1 << bits) if value >> (bits - 1) else value


def _truncating_division(a: int, b: int) -> tuple[int, int]:
    quotient = abs(a) // abs(b)
    if (a < 0) != (b < 0):
        quotient = -quotient
    return quotient, a - quotient * b


def _divide(a: int, b: int) -> int:
    return -1 if b == 0 else _truncating_division(a, b)[0]


def _remainder(a: int, b: int) -> int:
    return a if b == 0 else _truncating_division(a, b)[1]


_UNSIGNED = (1 << 64) - 1

# Register-register results of two unsigned 64-bit operands, to be cut to 64 bits.
_ARITHMETIC: dict[str, Callable[[int, int], int]] = {
    "add": lambda a, b: a + b,
    "sub": lambda a, b: a - b,
    "sll": lambda a, b: a << (b % 64),
    "slt": lambda a, b: int(signed(a) < signed(b)),
    "sltu": lambda a, b: int(a < b),
    "xor": lambda a, b: a ^ b,
    "srl": lambda a, b: a >> (b % 64),
    "sra": lambda a, b: signed(a) >> (b % 64),
    "or": lambda a, b: a | b,
    "and": lambda a, b: a & b,
    "addw": lambda a, b: signed(a + b, 32),
    "subw": lambda a, b: signed(a - b, 32),
    "sllw": lambda a, b: signed(a << (b % 32), 32),
    "srlw": lambda a, b: signed((a & 0xFFFFFFFF) >> (b % 32), 32),
    "sraw": lambda a, b: signed(a, 32) >> (b % 32),
    "mul": lambda a, b: a * b,
    "mulh": lambda a, b: signed(a) * signed(b) >> 64,
    "mulhsu": lambda a, b: signed(a) * b >> 64,
    "mulhu": lambda a, b: a * b >> 64,
    "div": lambda a, b: _divide(signed(a), signed(b)),
    "divu": _divide,
    "rem": lambda a, b: _remainder(signed(a), signed(b)),
    "remu": _remainder,
    "mulw": lambda a, b: signed(a * b, 32),
    "divw": lambda a, b: _divide(signed(a, 32), signed(b, 32)),
    "divuw": lambda a, b: signed(_divide(a & 0xFFFFFFFF, b & 0xFFFFFFFF), 32),
    "remw": lambda a, b: _remainder(signed(a, 32), signed(b, 32)),
    "remuw": lambda a, b: signed(_remainder(a & 0xFFFFFFFF, b & 0xFFFFFFFF), 32),
}
_BRANCH: dict[str, Callable[[int, int], bool]] = {
    "beq": lambda a, b: a == b,
    "bne": lambda a, b: a != b,
    "blt": lambda a, b: signed(a) < signed(b),
    "bge": lambda a, b: signed(a) >= signed(b),
    "bltu": lambda a, b: a < b,
    "bgeu": lambda a, b: a >= b,
}
# Bytes, and whether the value is sign-extended.
_LOAD = {
    "lb": (1, True),
    "lh": (2, True),
    "lw": (4, True),
    "ld": (8, True),
    "lbu": (1, False),
    "lhu": (2, False),
    "lwu": (4, False),
}
_STORE = {"sb": 1, "sh": 2, "sw": 4, "sd": 8}


def keccak256(data: bytes) -> bytes:
    """Hash as the EVM does."""
    return keccak.new(digest_bits=256, data=data).digest()


def sparse_root(leaves: Mapping[int, bytes], height: int) -> bytes:
    """Hash a tree level by level, from a dictionary of its leaves; the others are zero."""
    row, zero = dict(leaves), bytes(32)
    for _ in range(height):
        parents = {i // 2 for i in row}
        row = {p: keccak256(row.get(2 * p, zero) + row.get(2 * p + 1, zero)) for p in parents}
        zero = keccak256(zero + zero)
    return row.get(0, zero)


_ORDER = 0xFFFFFFFF_FFFFFFFF_FFFFFFFF_FFFFFFFE_BAAEDCE6_AF48A03B_BFD25E8C_D0364141


def ecrecover(block: bytes) -> bytes:
    """Give what the EVM's precompile 1 returns for 128 bytes, as a word; zero for nothing."""
    digest, v, r, s = (block[i : i + 32] for i in range(0, 128, 32))
    number = int.from_bytes(v, "big")
    scalars = (int.from_bytes(r, "big"), int.from_bytes(s, "big"))
    if number not in {27, 28} or not all(0 < value < _ORDER for value in scalars):
        return bytes(32)
    try:
        key = coincurve.PublicKey.from_signature_and_message(
            r + s + bytes([number - 27]), digest, hasher=None
        )
    except Exception:  # coincurve raises a bare Exception when no key recovers
        return bytes(32)
    return bytes(12) + keccak256(key.format(compressed=False)[1:])[12:]


class Reference:
    """The machine's state and one method that makes a step."""

    def __init__(self, memory: Mapping[int, bytes], *, entry: int, text: range) -> None:
        self.memory: dict[int, int] = {}
        for address, data in memory.items():
            self.memory.update(enumerate(data, address))
        self.pc = entry
        self.x = [0] * 32
        self.text = text
        self.status = Status.RUNNING
        self.steps = 0
        self.stored: set[int] = set()

    def read(self, address: int, size: int) -> int:
        """Read little-endian; unwritten memory is zero."""
        return sum(self.memory.get(address + i, 0) << (8 * i) for i in range(size))

    def read_bytes(self, address: int, size: int) -> bytes:
        """Read some bytes as they lie."""
        return bytes(self.memory.get(address + i, 0) for i in range(size))

    def memory_root(self) -> bytes:
        """Hash all of the memory anew."""
        leaves: dict[int, bytearray] = {}
        for address, byte in self.memory.items():
            leaves.setdefault(address // 32, bytearray(32))[address % 32] = byte
        return sparse_root({index: bytes(leaf) for index, leaf in leaves.items()}, 31)

    def state(self) -> bytes:
        """The ten words of 32 bytes."""
        registers = b"".join(value.to_bytes(8, "big") for value in self.x)
        last = self.status.value << 128 | self.text.stop << 64 | self.pc
        return self.memory_root() + registers + last.to_bytes(32, "big")

    def run(self, budget: int) -> None:
        """Make steps until the machine stops, at most `budget`."""
        while self.status is Status.RUNNING and self.steps < budget:
            self.steps += 1
            self.step()

    def step(self) -> None:
        """Make one step; a step that traps changes only the status."""
        if self.pc % 4 or self.pc not in self.text:
            self.status = Status.TRAPPED
            return
        word = self.read(self.pc, 4)
        result = self._execute(decode(word), word)
        if isinstance(result, Status):
            self.status = result
            return
        rd, value, next_pc = result
        if next_pc % 4:
            self.status = Status.TRAPPED
            return
        if rd:
            self.x[rd] = value & _UNSIGNED
        self.pc = next_pc & _UNSIGNED

    def _execute(self, name: str, word: int) -> Status | tuple[int, int, int]:
        """Give the register to write (0: none), its value and the next pc, or how it stopped."""
        rd, rs1, rs2 = word >> 7 & 31, word >> 15 & 31, word >> 20 & 31
        a, b = self.x[rs1], self.x[rs2]
        immediate = signed(word >> 20, 12)
        following = self.pc + 4
        if name in _ARITHMETIC:
            return rd, _ARITHMETIC[name](a, b), following
        if name in _BRANCH:
            offset = signed(
                (word >> 31) << 12
                | (word >> 7 & 1) << 11
                | (word >> 25 & 0x3F) << 5
                | (word >> 8 & 0xF) << 1,
                13,
            )
            return 0, 0, self.pc + offset if _BRANCH[name](a, b) else following
        if name in _LOAD:
            return self._load(name, rd, (a + immediate) & _UNSIGNED)
        if name in _STORE:
            offset = signed((word >> 25) << 5 | word >> 7 & 31, 12)
            return self._store(_STORE[name], (a + offset) & _UNSIGNED, b)
        if name == "lui":
            return rd, signed(word & 0xFFFFF000, 32), following
        if name == "auipc":
            return rd, self.pc + signed(word & 0xFFFFF000, 32), following
        if name == "jal":
            offset = signed(
                (word >> 31) << 20
                | (word >> 12 & 0xFF) << 12
                | (word >> 20 & 1) << 11
                | (word >> 21 & 0x3FF) << 1,
                21,
            )
            return rd, following, (self.pc + offset) & _UNSIGNED
        if name == "jalr":
            return rd, following, (a + immediate) & _UNSIGNED & ~1
        if name in {"slli", "srli", "srai"}:
            return rd, _ARITHMETIC[name[:-1]](a, word >> 20 & 63), following
        if name in {"slliw", "srliw", "sraiw"}:
            return rd, _ARITHMETIC[name[:3] + "w"](a, word >> 20 & 31), following
        if name == "addiw":
            return rd, signed(a + immediate, 32), following
        if name.endswith("i") or name == "sltiu":
            base = {"sltiu": "sltu"}.get(name, name[:-1])
            return rd, _ARITHMETIC[base](a, immediate & _UNSIGNED), following
        if name == "fence":
            return 0, 0, following
        return self._call() if name == "ecall" else Status.TRAPPED

    def _call(self) -> Status | tuple[int, int, int]:
        """Make a host call."""
        number, address, length = self.x[17], self.x[10], self.x[11]
        if number == 93:
            return Status.HALTED
        if number == 0x4B43 and address % 1024 == 0 and address < 1 << 36 and length <= 1024:
            return self._answer(keccak256(self.read_bytes(address, length)))
        if number == 0x4543 and address % 128 == 0 and address < 1 << 36:
            return self._answer(ecrecover(self.read_bytes(address, 128)))
        return Status.TRAPPED

    def _answer(self, word: bytes) -> tuple[int, int, int]:
        """Put 32 bytes into a0 to a3, eight each."""
        for i in range(4):
            self.x[10 + i] = int.from_bytes(word[8 * i : 8 * i + 8], "little")
        return 0, 0, self.pc + 4

    def _load(self, name: str, rd: int, address: int) -> Status | tuple[int, int, int]:
        size, extend = _LOAD[name]
        if address % size or address >= 1 << 36:
            return Status.TRAPPED
        value = self.read(address, size)
        return rd, signed(value, 8 * size) if extend else value, self.pc + 4

    def _store(self, size: int, address: int, value: int) -> Status | tuple[int, int, int]:
        quarter = address >> 34
        writable = quarter in {1, 3} or (quarter == 0 and address >= self.text.stop)
        if address % size or not writable:
            return Status.TRAPPED
        for i in range(size):
            self.memory[address + i] = value >> (8 * i) & 0xFF
        self.stored.add(address // 32 * 32)
        return 0, 0, self.pc + 4
