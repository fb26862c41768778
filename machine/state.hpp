// The 320 bytes whose keccak is the machine hash (protocol 10.1).
#pragma once

#include "machine/keccak.hpp"
#include "machine/layout.hpp"

#include <array>
#include <cstdint>
#include <cstring>
#include <span>

namespace provenue::machine {

// The numbers are the protocol's.
enum class Status : uint8_t {
  running,  // after run(): the budget is exhausted
  halted,
  trapped,
};

using StateBytes = std::array<uint8_t, kStateBytes>;

inline void put_big(uint8_t* out, uint64_t value) {
  const uint64_t big = __builtin_bswap64(value);
  std::memcpy(out, &big, sizeof big);
}

inline uint64_t get_big(const uint8_t* in) {
  uint64_t big;
  std::memcpy(&big, in, sizeof big);
  return __builtin_bswap64(big);
}

// What of the state is no memory.
struct Core {
  uint64_t x[32];
  uint64_t pc;
  uint64_t end_of_text;
  Status status;
};

// Word 9: status << 128 | end_of_text << 64 | pc.
inline void put_status_word(uint8_t out[32], Status status, uint64_t end_of_text, uint64_t pc) {
  put_big(out, 0);
  put_big(out + 8, static_cast<uint64_t>(status));
  put_big(out + 16, end_of_text);
  put_big(out + 24, pc);
}

inline StateBytes pack_state(const Digest& memory_root, const Core& core) {
  StateBytes state;
  std::memcpy(state.data(), memory_root.data(), 32);
  for (size_t i = 0; i < 32; ++i) put_big(state.data() + kStateRegisters + 8 * i, core.x[i]);
  put_status_word(state.data() + kStateWord9, core.status, core.end_of_text, core.pc);
  return state;
}

// Throws WitnessError (witness.hpp) if the state is not canonical.
Core unpack_state(std::span<const uint8_t, kStateBytes> state);

}  // namespace provenue::machine
