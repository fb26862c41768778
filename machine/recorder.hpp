// Runs a machine and writes down its state after every step. The states are written while it runs,
// with a place for the memory root; the roots follow from the stores afterwards, one tree level of
// all of them at a time, so that the lanes of the wide keccak stay full.
#pragma once

#include "machine/machine.hpp"

#include <array>
#include <cstdint>
#include <vector>

namespace provenue::machine {

class Recorder {
 public:
  explicit Recorder(Machine& machine) : machine_(machine) {}

  // Makes `count` steps, or fewer when the machine stops; `states` becomes the bytes of the states
  // after each, kStateBytes behind one another.
  RunResult run(uint64_t count, std::vector<uint8_t>& states);

 private:
  friend struct Tracing;

  void begin(uint64_t count, std::vector<uint8_t>& states);
  void set_x(unsigned index, uint64_t value) { put_big(registers_.data() + 8 * index, value); }
  void note_store(uint64_t address);
  void emit(Status status, uint64_t pc);
  void make_roots(MemoryTree& tree);

  Machine& machine_;
  uint64_t version_ = ~uint64_t{0};          // of the machine when its tree was last up to date
  Digest root_{};                            // of the memory before the steps
  std::array<uint8_t, 33 * 8> registers_{};  // as in a state; behind them what goes to x0
  std::vector<uint8_t>* states_ = nullptr;   // after each step
  std::vector<uint32_t> stores_before_;      // the number of stores up to each step, it included
  // Of each store: the two leaves that it left behind, and their number as a node of height 1.
  std::vector<uint8_t> pairs_;
  std::vector<uint64_t> nodes_;
  std::vector<uint8_t> roots_;               // of the memory, after each store
};

// The machine hashes of states that stand behind one another.
std::vector<Digest> hash_states(const std::vector<uint8_t>& states);

}  // namespace provenue::machine
