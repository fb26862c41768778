"""A naive step of the machine, from the RISC-V unprivileged specification and chapter 10.

Slow and plain on purpose: instructions are the bit patterns of the specification's listing, numbers
are Python's, signatures are recovered with school arithmetic. No code of the product in it.
"""

from collections.abc import Callable

from tests.contracts import naive
from tests.contracts.step_machine import (
    HALTED,
    IMAGE,
    INPUT,
    LEAF_BYTES,
    MEMORY_BYTES,
    OUTPUT,
    RUNNING,
    TRAPPED,
    Effect,
    Machine,
)

EXIT, KECCAK, RECOVER = 93, 0x4B43, 0x4543

LISTING = """
lui     .................... ..... 0110111
auipc   .................... ..... 0010111
jal     .................... ..... 1101111
jalr    ............ ..... 000 ..... 1100111
beq     ....... ..... ..... 000 ..... 1100011
bne     ....... ..... ..... 001 ..... 1100011
blt     ....... ..... ..... 100 ..... 1100011
bge     ....... ..... ..... 101 ..... 1100011
bltu    ....... ..... ..... 110 ..... 1100011
bgeu    ....... ..... ..... 111 ..... 1100011
lb      ............ ..... 000 ..... 0000011
lh      ............ ..... 001 ..... 0000011
lw      ............ ..... 010 ..... 0000011
ld      ............ ..... 011 ..... 0000011
lbu     ............ ..... 100 ..... 0000011
lhu     ............ ..... 101 ..... 0000011
lwu     ............ ..... 110 ..... 0000011
sb      ....... ..... ..... 000 ..... 0100011
sh      ....... ..... ..... 001 ..... 0100011
sw      ....... ..... ..... 010 ..... 0100011
sd      ....... ..... ..... 011 ..... 0100011
addi    ............ ..... 000 ..... 0010011
slti    ............ ..... 010 ..... 0010011
sltiu   ............ ..... 011 ..... 0010011
xori    ............ ..... 100 ..... 0010011
ori     ............ ..... 110 ..... 0010011
andi    ............ ..... 111 ..... 0010011
slli    000000 ...... ..... 001 ..... 0010011
srli    000000 ...... ..... 101 ..... 0010011
srai    010000 ...... ..... 101 ..... 0010011
add     0000000 ..... ..... 000 ..... 0110011
sub     0100000 ..... ..... 000 ..... 0110011
sll     0000000 ..... ..... 001 ..... 0110011
slt     0000000 ..... ..... 010 ..... 0110011
sltu    0000000 ..... ..... 011 ..... 0110011
xor     0000000 ..... ..... 100 ..... 0110011
srl     0000000 ..... ..... 101 ..... 0110011
sra     0100000 ..... ..... 101 ..... 0110011
or      0000000 ..... ..... 110 ..... 0110011
and     0000000 ..... ..... 111 ..... 0110011
mul     0000001 ..... ..... 000 ..... 0110011
mulh    0000001 ..... ..... 001 ..... 0110011
mulhsu  0000001 ..... ..... 010 ..... 0110011
mulhu   0000001 ..... ..... 011 ..... 0110011
div     0000001 ..... ..... 100 ..... 0110011
divu    0000001 ..... ..... 101 ..... 0110011
rem     0000001 ..... ..... 110 ..... 0110011
remu    0000001 ..... ..... 111 ..... 0110011
addiw   ............ ..... 000 ..... 0011011
slliw   0000000 ..... ..... 001 ..... 0011011
srliw   0000000 ..... ..... 101 ..... 0011011
sraiw   0100000 ..... ..... 101 ..... 0011011
addw    0000000 ..... ..... 000 ..... 0111011
subw    0100000 ..... ..... 000 ..... 0111011
sllw    0000000 ..... ..... 001 ..... 0111011
srlw    0000000 ..... ..... 101 ..... 0111011
sraw    0100000 ..... ..... 101 ..... 0111011
mulw    0000001 ..... ..... 000 ..... 0111011
divw    0000001 ..... ..... 100 ..... 0111011
divuw   0000001 ..... ..... 101 ..... 0111011
remw    0000001 ..... ..... 110 ..... 0111011
remuw   0000001 ..... ..... 111 ..... 0111011
fence   0000 .... .... 00000 000 00000 0001111
ecall   000000000000 00000 000 00000 1110011
"""


def _patterns() -> dict[str, tuple[int, int]]:
    """Name to (mask, match)."""
    found = {}
    for line in LISTING.split("\n"):
        if line:
            name, _, bits = line.partition(" ")
            bits = bits.replace(" ", "")
            assert len(bits) == 32, line
            mask = int("".join("0" if bit == "." else "1" for bit in bits), 2)
            found[name] = (mask, int(bits.replace(".", "0"), 2))
    return found


PATTERNS = _patterns()
WIDTHS = {"b": 1, "h": 2, "w": 4, "d": 8}


def decode(word: int) -> str | None:
    """The instruction's name, or None for what traps."""
    names = [name for name, (mask, match) in PATTERNS.items() if word & mask == match]
    assert len(names) <= 1
    return names[0] if names else None


def is_access(name: str) -> bool:
    """Whether it is a load or a store."""
    return name[0] in "ls" and name[1:].rstrip("u") in WIDTHS


def bits(word: int, high: int, low: int) -> int:
    """A field, both ends included, as the specification writes them."""
    return (word >> low) & ((1 << (high - low + 1)) - 1)


def signed(value: int, width: int = 64) -> int:
    """The low bits as a two's complement number."""
    value %= 1 << width
    return value - (1 << width) if value >= 1 << (width - 1) else value


def immediate(name: str, word: int) -> int:
    """The signed immediate of an instruction's format."""
    if name in ("lui", "auipc"):
        return signed(bits(word, 31, 12) << 12, 32)
    if name == "jal":
        low = bits(word, 30, 21) << 1 | bits(word, 20, 20) << 11
        return signed(low | bits(word, 19, 12) << 12 | bits(word, 31, 31) << 20, 21)
    if name in ("beq", "bne", "blt", "bge", "bltu", "bgeu"):
        low = bits(word, 11, 8) << 1 | bits(word, 30, 25) << 5
        return signed(low | bits(word, 7, 7) << 11 | bits(word, 31, 31) << 12, 13)
    if name in ("sb", "sh", "sw", "sd"):
        return signed(bits(word, 31, 25) << 5 | bits(word, 11, 7), 12)
    return signed(bits(word, 31, 20), 12)


def quotient(a: int, b: int) -> int:
    """Division towards zero; by zero all ones."""
    if b == 0:
        return -1
    return abs(a) // abs(b) * (1 if (a < 0) == (b < 0) else -1)


def remainder(a: int, b: int) -> int:
    """What is left of the dividend, with its sign; all of it when divided by zero."""
    return a if b == 0 else a - b * quotient(a, b)


# Operands as unsigned 64-bit numbers; results are cut to 64 bits by the caller.
BINARY: dict[str, Callable[[int, int], int]] = {
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
    "mul": lambda a, b: a * b,
    "mulh": lambda a, b: signed(a) * signed(b) >> 64,
    "mulhsu": lambda a, b: signed(a) * b >> 64,
    "mulhu": lambda a, b: a * b >> 64,
    "div": lambda a, b: quotient(signed(a), signed(b)),
    "divu": quotient,
    "rem": lambda a, b: remainder(signed(a), signed(b)),
    "remu": remainder,
}
# Operands as unsigned 32-bit numbers; results are cut to 32 bits and sign-extended.
BINARY_W: dict[str, Callable[[int, int], int]] = {
    "addw": lambda a, b: a + b,
    "subw": lambda a, b: a - b,
    "sllw": lambda a, b: a << (b % 32),
    "srlw": lambda a, b: a >> (b % 32),
    "sraw": lambda a, b: signed(a, 32) >> (b % 32),
    "mulw": lambda a, b: a * b,
    "divw": lambda a, b: quotient(signed(a, 32), signed(b, 32)),
    "divuw": quotient,
    "remw": lambda a, b: remainder(signed(a, 32), signed(b, 32)),
    "remuw": remainder,
}
# The immediate forms: the operation, and how many bits a shift amount has.
IMMEDIATE = {
    "addi": "add", "slti": "slt", "sltiu": "sltu", "xori": "xor", "ori": "or", "andi": "and",
    "slli": "sll", "srli": "srl", "srai": "sra",
    "addiw": "addw", "slliw": "sllw", "srliw": "srlw", "sraiw": "sraw",
}  # fmt: skip
TAKEN: dict[str, Callable[[int, int], bool]] = {
    "beq": lambda a, b: a == b,
    "bne": lambda a, b: a != b,
    "blt": lambda a, b: signed(a) < signed(b),
    "bge": lambda a, b: signed(a) >= signed(b),
    "bltu": lambda a, b: a < b,
    "bgeu": lambda a, b: a >= b,
}


def compute(name: str, a: int, b: int) -> int:
    """The 64 bits that an operation on two registers leaves."""
    if name in BINARY:
        return BINARY[name](a, b) % 2**64
    return signed(BINARY_W[name](a % 2**32, b % 2**32), 32) % 2**64


def step(machine: Machine) -> Effect:
    """What the next step does to a machine; the machine stays as it is."""
    registers = list(machine.registers)
    trap = Effect(TRAPPED, machine.pc, registers)
    if machine.status != RUNNING:
        return Effect(machine.status, machine.pc, registers)
    if machine.pc >= machine.end_of_text:
        return trap
    word = int.from_bytes(machine.memory.read(machine.pc, 4), "little")
    name = decode(word)
    if name is None:
        return trap
    if name == "ecall":
        return _call(machine, trap)
    rd, a = bits(word, 11, 7), registers[bits(word, 19, 15)]
    b = registers[bits(word, 24, 20)]
    near, following = immediate(name, word), (machine.pc + 4) % 2**64
    if is_access(name):
        return _access(machine, name, rd, (a + near) % 2**64, b, trap)
    target, result = following, None
    if name in TAKEN:
        target = (machine.pc + near) % 2**64 if TAKEN[name](a, b) else following
    elif name == "jal":
        target, result = (machine.pc + near) % 2**64, following
    elif name == "jalr":
        target, result = (a + near) % 2**64 // 2 * 2, following
    elif name == "lui":
        result = near
    elif name == "auipc":
        result = machine.pc + near
    elif name in IMMEDIATE:
        result = compute(IMMEDIATE[name], a, near % 2**64)
    elif name != "fence":
        result = compute(name, a, b)
    if target % 4:
        return trap
    if result is not None and rd != 0:
        registers[rd] = result % 2**64
    return Effect(RUNNING, target, registers)


def _access(machine: Machine, name: str, rd: int, address: int, value: int, trap: Effect) -> Effect:
    """A load or a store."""
    size = WIDTHS[name[1]]
    writable = [(machine.end_of_text, IMAGE), (IMAGE, INPUT), (OUTPUT, MEMORY_BYTES)]
    ranges = [(0, MEMORY_BYTES)] if name[0] == "l" else writable
    if address % size or not any(low <= address < high for low, high in ranges):
        return trap
    leaf = (address // LEAF_BYTES * LEAF_BYTES, LEAF_BYTES)
    registers, following = list(machine.registers), (machine.pc + 4) % 2**64
    if name[0] == "s":
        data = (value % 256**size).to_bytes(size, "little")
        return Effect(RUNNING, following, registers, (address, data), leaf)
    result = int.from_bytes(machine.memory.read(address, size), "little")
    if not name.endswith("u"):
        result = signed(result, 8 * size) % 2**64
    if rd != 0:
        registers[rd] = result
    return Effect(RUNNING, following, registers, None, leaf)


def _call(machine: Machine, trap: Effect) -> Effect:
    """An ecall: the number in a7, the arguments in a0 and a1."""
    registers, following = list(machine.registers), (machine.pc + 4) % 2**64
    number, (a0, a1) = registers[17], registers[10:12]
    if number == EXIT:
        return Effect(HALTED, machine.pc, registers)
    if number == KECCAK and a0 % 1024 == 0 and a0 < MEMORY_BYTES and a1 <= 1024:
        size, answer = 1024, naive.keccak(machine.memory.read(a0, 1024)[:a1])
    elif number == RECOVER and a0 % 128 == 0 and a0 < MEMORY_BYTES:
        size, answer = 128, recover(machine.memory.read(a0, 128))
    else:
        return trap
    for i in range(4):
        registers[10 + i] = int.from_bytes(answer[8 * i : 8 * i + 8], "little")
    return Effect(RUNNING, following, registers, None, (a0, size))


# --- secp256k1 -----------------------------------------------------------------------------------

P = 2**256 - 2**32 - 977
N = 0xFFFFFFFFFFFFFFFFFFFFFFFFFFFFFFFEBAAEDCE6AF48A03BBFD25E8CD0364141
G = (
    0x79BE667EF9DCBBAC55A06295CE870B07029BFCDB2DCE28D959F2815B16F81798,
    0x483ADA7726A3C4655DA4FBFC0E1108A8FD17B448A68554199C47D08FFB10D4B8,
)
Point = tuple[int, int] | None


def _add(p: Point, q: Point) -> Point:
    if p is None or q is None:
        return q if p is None else p
    if p[0] == q[0]:
        if (p[1] + q[1]) % P == 0:
            return None
        slope = 3 * p[0] * p[0] * pow(2 * p[1], -1, P) % P
    else:
        slope = (q[1] - p[1]) * pow(q[0] - p[0], -1, P) % P
    x = (slope * slope - p[0] - q[0]) % P
    return x, (slope * (p[0] - x) - p[1]) % P


def multiply(p: Point, k: int) -> Point:
    """k times a point."""
    total: Point = None
    while k:
        total = _add(total, p) if k % 2 else total
        p, k = _add(p, p), k // 2
    return total


def recover(data: bytes) -> bytes:
    """32 bytes as precompile 1 returns them, zero where it returns nothing."""
    z, v, r, s = (int.from_bytes(data[i : i + 32], "big") for i in range(0, 128, 32))
    if v not in (27, 28) or not (1 <= r < N and 1 <= s < N):
        return bytes(32)
    square = (r**3 + 7) % P
    y = pow(square, (P + 1) // 4, P)
    if y * y % P != square:
        return bytes(32)
    if y % 2 != v - 27:
        y = P - y
    inverse = pow(r, -1, N)
    key = _add(multiply((r, y), s * inverse % N), multiply(G, -z * inverse % N))
    if key is None:
        return bytes(32)
    raw = key[0].to_bytes(32, "big") + key[1].to_bytes(32, "big")
    return naive.keccak(raw)[12:].rjust(32, b"\0")
