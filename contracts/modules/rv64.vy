# pragma version 0.4.3
"""
@title  rv64: what the instructions of RV64IM compute in registers
@notice RISC-V unprivileged specification with the rules of protocol chapter 10.2. Every function
        is total: it returns for any arguments in range, and says with a flag whether the word
        decodes. Decoding is a whitelist: what is not named here traps.

        Glossary
        word        the instruction, 32 bits
        rd, rs1     numbers of registers;  a, b  values of rs1 and rs2
        f3, f7      the fields funct3 (bits 12 to 14) and funct7 (bits 25 to 31)
        value       64 bits in a uint256, two's complement where it is signed
        sign        the weight of the sign bit: 2^11 for a number of 12 bits

        All of it is unchecked on purpose: registers wrap at 2^64, and a step never reverts for
        what it computes. Sums and products of values stay below 2^128 and shifts of one word drop
        their upper bits, so that masking by M64 or M32 gives the exact result.

        No conditional expression stands in a return: the second compiler (venom 0.4.3) loses the
        value of such a return when the function has another one.
"""

M32: constant(uint256) = 2**32 - 1
M64: constant(uint256) = 2**64 - 1
SIGN_32: constant(uint256) = 2**31
SIGN_64: constant(uint256) = 2**63

LOAD: constant(uint256) = 3  # 0x03
FENCE: constant(uint256) = 15  # 0x0F
OP_IMM: constant(uint256) = 19  # 0x13
AUIPC: constant(uint256) = 23  # 0x17
OP_IMM_32: constant(uint256) = 27  # 0x1B
STORE: constant(uint256) = 35  # 0x23
OP: constant(uint256) = 51  # 0x33
LUI: constant(uint256) = 55  # 0x37
OP_32: constant(uint256) = 59  # 0x3B
BRANCH: constant(uint256) = 99  # 0x63
JALR: constant(uint256) = 103  # 0x67
JAL: constant(uint256) = 111  # 0x6F
SYSTEM: constant(uint256) = 115  # 0x73

# The word that is all of ecall; ebreak, the other one that the specification has, traps.
ECALL_WORD: constant(uint256) = 115
# A fence with any predecessor and successor set: fm, rs1, f3 and rd are zero.
FENCE_MASK: constant(uint256) = 4027580415  # 0xF00FFFFF
UPPER_MASK: constant(uint256) = 4294963200  # 0xFFFFF000

F7_BASE: constant(uint256) = 0
F7_MULDIV: constant(uint256) = 1
F7_ALTERNATE: constant(uint256) = 32  # sub, sra


# --- fields ---------------------------------------------------------------------------------------


@internal
@pure
def _opcode(word: uint256) -> uint256:
    return word & 127


@internal
@pure
def _rd(word: uint256) -> uint256:
    return (word >> 7) & 31


@internal
@pure
def _f3(word: uint256) -> uint256:
    return (word >> 12) & 7


@internal
@pure
def _rs1(word: uint256) -> uint256:
    return (word >> 15) & 31


@internal
@pure
def _rs2(word: uint256) -> uint256:
    return (word >> 20) & 31


@internal
@pure
def _f7(word: uint256) -> uint256:
    return word >> 25


@internal
@pure
def _immediate_i(word: uint256) -> uint256:
    return self._extended(word >> 20, 2**11)


@internal
@pure
def _immediate_s(word: uint256) -> uint256:
    return self._extended(((word >> 25) << 5) | ((word >> 7) & 31), 2**11)


@internal
@pure
def _immediate_b(word: uint256) -> uint256:
    low: uint256 = ((word >> 7) & 30) | (((word >> 25) & 63) << 5)
    high: uint256 = (((word >> 7) & 1) << 11) | ((word >> 31) << 12)
    return self._extended(high | low, 2**12)


@internal
@pure
def _immediate_u(word: uint256) -> uint256:
    return self._extended(word & UPPER_MASK, SIGN_32)


@internal
@pure
def _immediate_j(word: uint256) -> uint256:
    low: uint256 = (((word >> 21) & 1023) << 1) | (((word >> 20) & 1) << 11)
    high: uint256 = (((word >> 12) & 255) << 12) | ((word >> 31) << 20)
    return self._extended(high | low, 2**20)


# --- numbers --------------------------------------------------------------------------------------


@internal
@pure
def _wide(number: uint256, sign: uint256) -> uint256:
    """
    @notice A number below `2 * sign`, sign-extended to 256 bits.
    """
    return unsafe_sub(number ^ sign, sign)


@internal
@pure
def _extended(number: uint256, sign: uint256) -> uint256:
    """
    @notice A number below `2 * sign`, sign-extended to 64 bits.
    """
    return self._wide(number, sign) & M64


@internal
@pure
def _sum(a: uint256, b: uint256) -> uint256:
    """
    @notice Addition that wraps at 2^64; addresses are made by it, too.
    """
    return unsafe_add(a, b) & M64


@internal
@pure
def _as_signed(number: uint256) -> int256:
    """
    @notice The same 256 bits; a plain conversion would check the range.
    """
    return convert(convert(number, bytes32), int256)


@internal
@pure
def _as_bits(number: int256) -> uint256:
    return convert(convert(number, bytes32), uint256)


@internal
@pure
def _shifted_right(wide: uint256, count: uint256) -> uint256:
    """
    @notice Arithmetic shift of a number that is already sign-extended to 256 bits.
    """
    return self._as_bits(self._as_signed(wide) >> count)


@internal
@pure
def _is_below(a: uint256, b: uint256) -> bool:
    """
    @notice Signed comparison of two values: unsigned, with the sign bits turned over.
    """
    return (a ^ SIGN_64) < (b ^ SIGN_64)


@internal
@pure
def _divided(f3: uint256, a: uint256, b: uint256, sign: uint256) -> uint256:
    """
    @notice f3 4 div, 5 divu, 6 rem, 7 remu; a and b are below `2 * sign`, bits above do not count.
            By zero: all ones, and the dividend. The signed overflow needs no case: in 256 bits
            -2^63 / -1 is 2^63, which cut to 64 bits is the dividend.
    """
    if b == 0:
        if f3 >= 6:
            return a
        return max_value(uint256)
    if f3 == 5:
        return unsafe_div(a, b)
    if f3 == 7:
        return a % b
    x: int256 = self._as_signed(self._wide(a, sign))
    y: int256 = self._as_signed(self._wide(b, sign))
    if f3 == 4:
        return self._as_bits(unsafe_div(x, y))
    return self._as_bits(x % y)


# --- instructions ---------------------------------------------------------------------------------


@internal
@pure
def _op(f3: uint256, f7: uint256, a: uint256, b: uint256) -> (bool, uint256):
    """
    @notice The instructions on two values: (whether there is one, the new value of rd).
    """
    if f7 == F7_BASE:
        if f3 == 0:  # add
            return True, self._sum(a, b)
        if f3 == 1:  # sll
            return True, (a << (b & 63)) & M64
        if f3 == 2:  # slt
            return True, convert(self._is_below(a, b), uint256)
        if f3 == 3:  # sltu
            return True, convert(a < b, uint256)
        if f3 == 4:  # xor
            return True, a ^ b
        if f3 == 5:  # srl
            return True, a >> (b & 63)
        if f3 == 6:  # or
            return True, a | b
        return True, a & b  # and
    if f7 == F7_ALTERNATE:
        if f3 == 0:  # sub
            return True, unsafe_sub(a, b) & M64
        if f3 == 5:  # sra
            return True, self._shifted_right(self._wide(a, SIGN_64), b & 63) & M64
        return False, 0
    if f7 == F7_MULDIV:
        if f3 == 0:  # mul
            return True, unsafe_mul(a, b) & M64
        if f3 >= 4:
            return True, self._divided(f3, a, b, SIGN_64) & M64
        x: uint256 = a
        y: uint256 = b
        if f3 <= 2:  # mulh, mulhsu: rs1 is signed; mulhu: it is not
            x = self._wide(a, SIGN_64)
        if f3 == 1:
            y = self._wide(b, SIGN_64)
        return True, (unsafe_mul(x, y) >> 64) & M64
    return False, 0


@internal
@pure
def _op_32(f3: uint256, f7: uint256, a: uint256, b: uint256) -> (bool, uint256):
    """
    @notice The W forms: the low 32 bits of both values, the result sign-extended.
    """
    x: uint256 = a & M32
    y: uint256 = b & M32
    result: uint256 = 0
    if f7 == F7_BASE and f3 == 0:  # addw
        result = unsafe_add(x, y)
    elif f7 == F7_BASE and f3 == 1:  # sllw
        result = x << (y & 31)
    elif f7 == F7_BASE and f3 == 5:  # srlw
        result = x >> (y & 31)
    elif f7 == F7_ALTERNATE and f3 == 0:  # subw
        result = unsafe_sub(x, y)
    elif f7 == F7_ALTERNATE and f3 == 5:  # sraw
        result = self._shifted_right(self._wide(x, SIGN_32), y & 31)
    elif f7 == F7_MULDIV and f3 == 0:  # mulw
        result = unsafe_mul(x, y)
    elif f7 == F7_MULDIV and f3 >= 4:  # divw, divuw, remw, remuw
        result = self._divided(f3, x, y, SIGN_32)
    else:
        return False, 0
    return True, self._extended(result & M32, SIGN_32)


@internal
@pure
def _op_imm(word: uint256, a: uint256) -> (bool, uint256):
    """
    @notice Shifts have six bits of amount and six fixed ones above: 000000, or 010000 for srai.
    """
    f3: uint256 = self._f3(word)
    if f3 == 1 or f3 == 5:
        # Never F7_MULDIV, since it is even; F7_ALTERNATE with f3 1 does not exist in _op.
        return self._op(f3, (word >> 26) << 1, a, (word >> 20) & 63)
    return self._op(f3, F7_BASE, a, self._immediate_i(word))


@internal
@pure
def _op_imm_32(word: uint256, a: uint256) -> (bool, uint256):
    """
    @notice Shifts have five bits of amount; bit 25 is zero like the rest above.
    """
    f3: uint256 = self._f3(word)
    if f3 == 0:
        return self._op_32(f3, F7_BASE, a, self._immediate_i(word))
    f7: uint256 = self._f7(word)
    if (f3 == 1 or f3 == 5) and f7 != F7_MULDIV:
        return self._op_32(f3, f7, a, self._rs2(word))
    return False, 0


@internal
@pure
def _branch(f3: uint256, a: uint256, b: uint256) -> (bool, bool):
    """
    @notice (Whether there is such a branch, whether it is taken.)
    """
    if f3 <= 1:  # beq, bne
        return True, (a == b) == (f3 == 0)
    if f3 <= 3:
        return False, False
    if f3 <= 5:  # blt, bge
        return True, self._is_below(a, b) == (f3 == 4)
    return True, (a < b) == (f3 == 6)  # bltu, bgeu


@internal
@pure
def _is_fence(word: uint256) -> bool:
    return word & FENCE_MASK == FENCE
