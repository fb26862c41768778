#include "machine/fuse.hpp"

#include <array>
#include <utility>

namespace provenue::machine {
namespace {

using Table = std::array<std::array<uint8_t, kOpCount>, kOpCount>;

struct Rule {
  Op first, second;
};
constexpr Rule kPairs[] = {
#define PROVENUE_MACHINE_RULE(first, second) {Op::first, Op::second},
    PROVENUE_MACHINE_PAIRS(PROVENUE_MACHINE_RULE)
};
constexpr Rule kChains[] = {PROVENUE_MACHINE_CHAINS(PROVENUE_MACHINE_RULE)
#undef PROVENUE_MACHINE_RULE
};

// The codes of one list, from `first_code` on; for all else the operation itself.
template <size_t n>
constexpr Table make_table(const Rule (&rules)[n], size_t first_code) {
  Table table{};
  for (size_t op = 0; op < kOpCount; ++op)
    for (uint8_t& code : table[op]) code = static_cast<uint8_t>(op);
  for (size_t i = 0; i < n; ++i)
    table[static_cast<size_t>(rules[i].first)][static_cast<size_t>(rules[i].second)] =
        static_cast<uint8_t>(first_code + i);
  return table;
}

constexpr Table kPairTable = make_table(kPairs, kFirstPair);
constexpr Table kChainTable = make_table(kChains, kFirstChain);

Kind kind_of(Op op) { return kOpInfo[static_cast<size_t>(op)].kind; }

bool writes(const Instruction& i) {
  return kind_of(i.op) != Kind::store && kind_of(i.op) != Kind::branch && i.rd != kDiscard;
}

bool reads_rs1(Op op) { return kind_of(op) != Kind::upper && op != Op::jal; }

bool commutes(Op op) {
  switch (op) {
    case Op::add: case Op::addw: case Op::and_: case Op::or_: case Op::xor_: case Op::mul:
    case Op::mulw: case Op::mulh: case Op::mulhu: case Op::beq: case Op::bne: return true;
    default: return false;
  }
}

}  // namespace

uint8_t fused(const Instruction& instruction, const Instruction& next) {
  const auto first = static_cast<size_t>(instruction.op), second = static_cast<size_t>(next.op);
  const bool chained = writes(instruction) && reads_rs1(next.op) && next.rs1 == instruction.rd;
  const uint8_t code = chained ? kChainTable[first][second] : static_cast<uint8_t>(first);
  return code != first ? code : kPairTable[first][second];
}

Instruction turned(const Instruction& before, Instruction instruction) {
  const bool wanted = writes(before) && commutes(instruction.op) &&
                      instruction.rs2 == before.rd && instruction.rs1 != before.rd;
  if (wanted) std::swap(instruction.rs1, instruction.rs2);
  return instruction;
}

}  // namespace provenue::machine
