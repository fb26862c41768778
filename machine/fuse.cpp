#include "machine/fuse.hpp"

#include <array>

namespace provenue::machine {
namespace {

using Table = std::array<std::array<uint8_t, kOpCount>, kOpCount>;

constexpr Table make_table() {
  Table table{};
  for (size_t op = 0; op < kOpCount; ++op)
    for (uint8_t& code : table[op]) code = static_cast<uint8_t>(op);
#define PROVENUE_MACHINE_PAIR(first, second)                                  \
  table[static_cast<size_t>(Op::first)][static_cast<size_t>(Op::second)] =    \
      static_cast<uint8_t>(kOpCount + static_cast<size_t>(Pair::first##_##second));
  PROVENUE_MACHINE_PAIRS(PROVENUE_MACHINE_PAIR)
#undef PROVENUE_MACHINE_PAIR
  return table;
}

}  // namespace

uint8_t fused(Op op, Op next) {
  static constexpr Table kTable = make_table();
  return kTable[static_cast<size_t>(op)][static_cast<size_t>(next)];
}

}  // namespace provenue::machine
