// Instruction words to predecoded instructions. The decoder is a whitelist over the full 32-bit
// word: what is not listed here is illegal and traps, so no reserved encoding has a meaning that
// another implementation could read differently.
#pragma once

#include <cstddef>
#include <cstdint>

namespace provenue::machine {

// Every operation of RV64IM: X(identifier, mnemonic, kind, arithmetic).
// `kind` selects the operand form in step.hpp; `arithmetic` is what it computes (or itself).
// clang-format off
#define PROVENUE_MACHINE_OPS(X)                                                                   \
  X(illegal, "illegal", illegal, illegal)                                                         \
  X(lui, "lui", upper, lui)         X(auipc, "auipc", upper, auipc)                               \
  X(jal, "jal", jump, jal)          X(jalr, "jalr", jump, jalr)                                   \
  X(beq, "beq", branch, beq)        X(bne, "bne", branch, bne)                                    \
  X(blt, "blt", branch, blt)        X(bge, "bge", branch, bge)                                    \
  X(bltu, "bltu", branch, bltu)     X(bgeu, "bgeu", branch, bgeu)                                 \
  X(lb, "lb", load, lb)             X(lh, "lh", load, lh)                                         \
  X(lw, "lw", load, lw)             X(ld, "ld", load, ld)                                         \
  X(lbu, "lbu", load, lbu)          X(lhu, "lhu", load, lhu)         X(lwu, "lwu", load, lwu)     \
  X(sb, "sb", store, sb)            X(sh, "sh", store, sh)                                        \
  X(sw, "sw", store, sw)            X(sd, "sd", store, sd)                                        \
  X(addi, "addi", immediate, add)   X(slti, "slti", immediate, slt)                               \
  X(sltiu, "sltiu", immediate, sltu) X(xori, "xori", immediate, xor_)                             \
  X(ori, "ori", immediate, or_)     X(andi, "andi", immediate, and_)                              \
  X(slli, "slli", immediate, sll)   X(srli, "srli", immediate, srl)                               \
  X(srai, "srai", immediate, sra)   X(addiw, "addiw", immediate, addw)                            \
  X(slliw, "slliw", immediate, sllw) X(srliw, "srliw", immediate, srlw)                           \
  X(sraiw, "sraiw", immediate, sraw)                                                              \
  X(add, "add", reg, add)           X(sub, "sub", reg, sub)          X(sll, "sll", reg, sll)      \
  X(slt, "slt", reg, slt)           X(sltu, "sltu", reg, sltu)       X(xor_, "xor", reg, xor_)    \
  X(srl, "srl", reg, srl)           X(sra, "sra", reg, sra)          X(or_, "or", reg, or_)       \
  X(and_, "and", reg, and_)         X(addw, "addw", reg, addw)       X(subw, "subw", reg, subw)   \
  X(sllw, "sllw", reg, sllw)        X(srlw, "srlw", reg, srlw)       X(sraw, "sraw", reg, sraw)   \
  X(mul, "mul", reg, mul)           X(mulh, "mulh", reg, mulh)                                    \
  X(mulhsu, "mulhsu", reg, mulhsu)  X(mulhu, "mulhu", reg, mulhu)                                 \
  X(div, "div", reg, div)           X(divu, "divu", reg, divu)                                    \
  X(rem, "rem", reg, rem)           X(remu, "remu", reg, remu)                                    \
  X(mulw, "mulw", reg, mulw)        X(divw, "divw", reg, divw)       X(divuw, "divuw", reg, divuw)\
  X(remw, "remw", reg, remw)        X(remuw, "remuw", reg, remuw)                                 \
  X(fence, "fence", system, fence)  X(ecall, "ecall", system, ecall)                              \
  X(ebreak, "ebreak", system, ebreak)
// clang-format on

enum class Op : uint8_t {
#define PROVENUE_MACHINE_OP(id, name, kind, arithmetic) id,
  PROVENUE_MACHINE_OPS(PROVENUE_MACHINE_OP)
#undef PROVENUE_MACHINE_OP
};

inline constexpr size_t kOpCount = static_cast<size_t>(Op::ebreak) + 1;

enum class Kind : uint8_t { illegal, upper, jump, branch, load, store, immediate, reg, system };

// What the listing says of an operation.
struct OpInfo {
  Kind kind;
  Op computes;
};
inline constexpr OpInfo kOpInfo[kOpCount] = {
#define PROVENUE_MACHINE_OP(id, name, kind, arithmetic) {Kind::kind, Op::arithmetic},
    PROVENUE_MACHINE_OPS(PROVENUE_MACHINE_OP)
#undef PROVENUE_MACHINE_OP
};

// Writes to x0 are decoded as writes to this slot, which nothing reads: no test at run time.
inline constexpr uint8_t kDiscard = 32;

struct Instruction {
  Op op;
  uint8_t rd;   // 1..31, or kDiscard
  uint8_t rs1;
  uint8_t rs2;
  int32_t imm;  // sign-extended immediate, shift amount, or (illegal only) the word itself
};
static_assert(sizeof(Instruction) == 8);

Instruction decode(uint32_t word);
const char* op_name(Op op);

}  // namespace provenue::machine
