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

enum class Pair : uint8_t {
#define PROVENUE_MACHINE_PAIR(first, second) first##_##second,
  PROVENUE_MACHINE_PAIRS(PROVENUE_MACHINE_PAIR)
#undef PROVENUE_MACHINE_PAIR
  count,
};

inline constexpr size_t kPairCount = static_cast<size_t>(Pair::count);
static_assert(kOpCount + kPairCount <= 256);

// What `op` becomes when `next` stands behind it. Beyond the operations stand the pairs.
uint8_t fused(Op op, Op next);

}  // namespace provenue::machine
