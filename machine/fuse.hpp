// Pairs of operations that the run loop makes in one go: half the dispatches, the same steps. Which
// ones is a matter of speed alone, chosen by how often they stand behind one another in the guest
// and in compiled loops; the first one of a pair never jumps.
#pragma once

#include "machine/decode.hpp"

#include <cstddef>
#include <cstdint>

namespace provenue::machine {

// X(first, second)
// clang-format off
#define PROVENUE_MACHINE_PAIRS(X)                                                                 \
  X(addi, addi) X(addi, bne)  X(addi, beq)  X(addi, bltu) X(addi, bgeu) X(addi, blt)              \
  X(addi, sd)   X(addi, sb)   X(addi, sw)   X(addi, ld)   X(addi, lbu)  X(addi, add)              \
  X(addi, slli) X(addi, srli) X(addi, jal)  X(addi, jalr) X(addi, auipc)                          \
  X(slli, add)  X(slli, or_)  X(slli, slli) X(slli, srli) X(slli, xor_) X(slli, lui)              \
  X(add, add)   X(add, ld)    X(add, lbu)   X(add, lw)    X(add, lhu)   X(add, addi)              \
  X(add, slli)  X(add, sltu)  X(add, mul)   X(add, sub)   X(add, sd)    X(add, srli)              \
  X(ld, ld)     X(ld, add)    X(ld, addi)   X(ld, beq)    X(ld, bne)    X(ld, slli)               \
  X(ld, sd)     X(ld, xor_)   X(ld, lui)                                                          \
  X(sd, sd)     X(sd, addi)   X(sd, ld)     X(sd, jal)                                            \
  X(lbu, addi)  X(lbu, lbu)   X(lbu, slli)  X(lbu, bne)   X(lbu, beq)   X(lbu, sb)                \
  X(sb, addi)   X(sb, sb)     X(sb, lbu)                                                          \
  X(lui, addi)  X(lui, add)   X(lui, ld)    X(auipc, jalr) X(auipc, addi) X(auipc, ld)            \
  X(mul, add)   X(mul, srli)  X(mul, mulhu) X(mul, xor_)                                          \
  X(srli, add)  X(srli, and_) X(srli, mul)  X(srli, or_)  X(srli, andi) X(srli, xor_)             \
  X(or_, or_)   X(or_, srli)  X(or_, slli)  X(xor_, xor_) X(xor_, andi) X(xor_, and_)             \
  X(xor_, add)  X(xor_, slli) X(xor_, srli) X(and_, slli) X(and_, add)  X(and_, xor_)             \
  X(andi, beq)  X(andi, bne)  X(andi, add)  X(andi, slli)                                         \
  X(lw, addiw)  X(lw, beq)    X(lw, addi)   X(lw, lw)     X(lw, addw)   X(lw, sw)                 \
  X(addiw, bne) X(addiw, sw)  X(addiw, addi) X(addw, addi) X(addw, sw)                            \
  X(sw, addi)   X(sw, sw)     X(sw, sd)     X(sub, addi)  X(sltu, add)  X(sub, sd)
// clang-format on

// Pairs whose second operation takes the result of the first as its rs1: it need not go through
// memory. Where it is rs2, predecoding turns the operands of what commutes.
// clang-format off
#define PROVENUE_MACHINE_CHAINS(X)                                                                \
  X(addi, bne)  X(addi, beq)  X(addi, ld)   X(addi, lw)   X(addi, sd)   X(addi, slli)             \
  X(addi, addi) X(addi, add)                                                                      \
  X(slli, add)  X(slli, or_)  X(slli, srli)                                                       \
  X(add, ld)    X(add, lw)    X(add, lbu)   X(add, lhu)   X(add, add)   X(add, srli)              \
  X(add, sltu)  X(add, and_)  X(add, sd)    X(add, addi)  X(add, sb)                              \
  X(ld, xor_)   X(ld, beq)    X(ld, bne)    X(ld, add)    X(ld, addi)   X(ld, ld)                 \
  X(lw, beq)    X(lw, bne)    X(lw, addiw)  X(lw, addi)   X(lw, srliw)  X(lbu, bne)               \
  X(lbu, beq)   X(lbu, slli)                                                                      \
  X(lui, addi)  X(lui, add)   X(lui, addiw) X(auipc, jalr) X(auipc, addi) X(auipc, ld)            \
  X(mul, add)   X(mul, srli)  X(srli, and_) X(srli, andi) X(srli, or_)  X(srli, add)              \
  X(srli, mul)  X(srli, bne)  X(srliw, bne) X(and_, slli) X(and_, xor_) X(and_, beq)              \
  X(andi, beq)  X(andi, bne)  X(or_, srli)  X(or_, or_)   X(xor_, andi) X(xor_, and_)             \
  X(xor_, add)  X(xor_, bltu) X(xor_, srli) X(sltu, add)  X(slt, bne)   X(sub, addi)
// clang-format on

// What an instruction becomes when `next` stands behind it: its operation, a pair, or a chain.
inline constexpr size_t kFirstPair = kOpCount;
#define PROVENUE_MACHINE_COUNT(first, second) +1
inline constexpr size_t kPairCount = 0 PROVENUE_MACHINE_PAIRS(PROVENUE_MACHINE_COUNT);
inline constexpr size_t kChainCount = 0 PROVENUE_MACHINE_CHAINS(PROVENUE_MACHINE_COUNT);
#undef PROVENUE_MACHINE_COUNT
inline constexpr size_t kFirstChain = kFirstPair + kPairCount;
inline constexpr size_t kCodeCount = kFirstChain + kChainCount;
static_assert(kCodeCount <= 256);

uint8_t fused(const Instruction& instruction, const Instruction& next);

// The same instruction, with the result of the one before as rs1 if it can have it there.
Instruction turned(const Instruction& before, Instruction instruction);

}  // namespace provenue::machine
