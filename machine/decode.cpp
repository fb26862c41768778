#include "machine/decode.hpp"

namespace provenue::machine {
namespace {

// Major opcodes, bits 6..0.
enum : uint32_t {
  kLoad = 0x03, kMiscMem = 0x0F, kOpImm = 0x13, kAuipc = 0x17, kOpImm32 = 0x1B, kStore = 0x23,
  kOp = 0x33, kLui = 0x37, kOp32 = 0x3B, kBranch = 0x63, kJalr = 0x67, kJal = 0x6F, kSystem = 0x73,
};

constexpr uint32_t kEcall = 0x0000'0073;
constexpr uint32_t kEbreak = 0x0010'0073;
// FENCE is accepted with fm = 0, rd = rs1 = x0 and any predecessor and successor set. FENCE.TSO
// (fm = 8), other fm, other registers and FENCE.I trap.
constexpr uint32_t kFenceMask = 0xF00F'FFFF;
constexpr uint32_t kFence = 0x0000'000F;

constexpr uint32_t bits(uint32_t word, unsigned low, unsigned count) {
  return (word >> low) & ((uint32_t{1} << count) - 1);
}

constexpr int32_t sign_extend(uint32_t value, unsigned width) {
  const unsigned shift = 32 - width;
  return static_cast<int32_t>(value << shift) >> shift;
}

constexpr int32_t imm_i(uint32_t w) { return sign_extend(bits(w, 20, 12), 12); }
constexpr int32_t imm_s(uint32_t w) {
  return sign_extend(bits(w, 25, 7) << 5 | bits(w, 7, 5), 12);
}
constexpr int32_t imm_b(uint32_t w) {
  return sign_extend(bits(w, 31, 1) << 12 | bits(w, 7, 1) << 11 | bits(w, 25, 6) << 5 |
                         bits(w, 8, 4) << 1, 13);
}
constexpr int32_t imm_u(uint32_t w) { return static_cast<int32_t>(w & 0xFFFF'F000); }
constexpr int32_t imm_j(uint32_t w) {
  return sign_extend(bits(w, 31, 1) << 20 | bits(w, 12, 8) << 12 | bits(w, 20, 1) << 11 |
                         bits(w, 21, 10) << 1, 21);
}

constexpr Op ill = Op::illegal;
constexpr Op kBranchOps[8] = {Op::beq, Op::bne, ill, ill, Op::blt, Op::bge, Op::bltu, Op::bgeu};
constexpr Op kLoadOps[8] = {Op::lb, Op::lh, Op::lw, Op::ld, Op::lbu, Op::lhu, Op::lwu, ill};
constexpr Op kStoreOps[8] = {Op::sb, Op::sh, Op::sw, Op::sd, ill, ill, ill, ill};
constexpr Op kImmOps[8] = {Op::addi, Op::slli, Op::slti, Op::sltiu,
                           Op::xori, Op::srli, Op::ori, Op::andi};
constexpr Op kRegOps[8] = {Op::add, Op::sll, Op::slt, Op::sltu,
                           Op::xor_, Op::srl, Op::or_, Op::and_};
constexpr Op kMulOps[8] = {Op::mul, Op::mulh, Op::mulhsu, Op::mulhu,
                           Op::div, Op::divu, Op::rem, Op::remu};
constexpr Op kReg32Ops[8] = {Op::addw, Op::sllw, ill, ill, ill, Op::srlw, ill, ill};
constexpr Op kMul32Ops[8] = {Op::mulw, ill, ill, ill, Op::divw, Op::divuw, Op::remw, Op::remuw};

struct Form {
  Op op;
  int32_t imm;
};

// Shift immediates: the amount has six bits in the 64-bit forms and five in the W forms; all the
// bits above it are fixed. (Bit 25 of a W shift is reserved, so the W forms test seven bits.)
Form decode_op_imm(uint32_t word, uint32_t funct3) {
  if (funct3 == 1) return {bits(word, 26, 6) == 0 ? Op::slli : ill,
                           static_cast<int32_t>(bits(word, 20, 6))};
  if (funct3 == 5) {
    const uint32_t top = bits(word, 26, 6);
    return {top == 0 ? Op::srli : top == 0x10 ? Op::srai : ill,
            static_cast<int32_t>(bits(word, 20, 6))};
  }
  return {kImmOps[funct3], imm_i(word)};
}

Form decode_op_imm32(uint32_t word, uint32_t funct3) {
  const uint32_t top = bits(word, 25, 7);
  const auto amount = static_cast<int32_t>(bits(word, 20, 5));
  if (funct3 == 0) return {Op::addiw, imm_i(word)};
  if (funct3 == 1) return {top == 0 ? Op::slliw : ill, amount};
  if (funct3 == 5) return {top == 0 ? Op::srliw : top == 0x20 ? Op::sraiw : ill, amount};
  return {ill, 0};
}

Op decode_op(uint32_t funct3, uint32_t funct7) {
  if (funct7 == 0x00) return kRegOps[funct3];
  if (funct7 == 0x01) return kMulOps[funct3];
  if (funct7 == 0x20) return funct3 == 0 ? Op::sub : funct3 == 5 ? Op::sra : ill;
  return ill;
}

Op decode_op32(uint32_t funct3, uint32_t funct7) {
  if (funct7 == 0x00) return kReg32Ops[funct3];
  if (funct7 == 0x01) return kMul32Ops[funct3];
  if (funct7 == 0x20) return funct3 == 0 ? Op::subw : funct3 == 5 ? Op::sraw : ill;
  return ill;
}

Form decode_form(uint32_t word) {
  const uint32_t funct3 = bits(word, 12, 3);
  switch (word & 0x7F) {
    case kLui: return {Op::lui, imm_u(word)};
    case kAuipc: return {Op::auipc, imm_u(word)};
    case kJal: return {Op::jal, imm_j(word)};
    case kJalr: return {funct3 == 0 ? Op::jalr : ill, imm_i(word)};
    case kBranch: return {kBranchOps[funct3], imm_b(word)};
    case kLoad: return {kLoadOps[funct3], imm_i(word)};
    case kStore: return {kStoreOps[funct3], imm_s(word)};
    case kOpImm: return decode_op_imm(word, funct3);
    case kOpImm32: return decode_op_imm32(word, funct3);
    case kOp: return {decode_op(funct3, bits(word, 25, 7)), 0};
    case kOp32: return {decode_op32(funct3, bits(word, 25, 7)), 0};
    case kMiscMem: return {(word & kFenceMask) == kFence ? Op::fence : ill, 0};
    case kSystem: return {word == kEcall ? Op::ecall : word == kEbreak ? Op::ebreak : ill, 0};
    default: return {ill, 0};
  }
}

}  // namespace

Instruction decode(uint32_t word) {
  const Form form = decode_form(word);
  if (form.op == ill) return {ill, kDiscard, 0, 0, static_cast<int32_t>(word)};
  const uint32_t rd = bits(word, 7, 5);
  return {form.op, rd == 0 ? kDiscard : static_cast<uint8_t>(rd),
          static_cast<uint8_t>(bits(word, 15, 5)), static_cast<uint8_t>(bits(word, 20, 5)),
          form.imm};
}

const char* op_name(Op op) {
  static constexpr const char* kNames[kOpCount] = {
#define PROVENUE_MACHINE_OP(id, name, kind, arithmetic) name,
      PROVENUE_MACHINE_OPS(PROVENUE_MACHINE_OP)
#undef PROVENUE_MACHINE_OP
  };
  return kNames[static_cast<size_t>(op)];
}

}  // namespace provenue::machine
