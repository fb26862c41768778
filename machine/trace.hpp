// The instruction tree of a message (protocol 10.4): height 24 over the machine hashes of all
// states after the first. It takes 4 MiB at most: nodes below height 8 are dropped and made again
// by running to where they are.
#pragma once

#include "machine/machine.hpp"

#include <array>
#include <cstdint>
#include <span>
#include <vector>

namespace provenue::machine {

// What a broken machine writes into memory as step `step` begins: state[step] and its hash, leaf
// step - 1, are untouched, leaf `step` is the first wrong one. For liars and tests.
struct Poke {
  uint64_t step;
  uint64_t address;
  std::vector<uint8_t> bytes;
};

class Trace {
 public:
  // Nodes are kept from this height on: 2^16 of them at most, and those above.
  static constexpr unsigned kGroupHeight = 8;
  static constexpr uint64_t kGroup = uint64_t{1} << kGroupHeight;
  // So many states are made at a time: 2.6 MB of them.
  static constexpr uint64_t kStepsAtOnce = 8192;

  // Runs the message that has just begun to its end, over the pokes. The machine must stay alive
  // and belongs to the trace from now on: what it is asked later it finds by running it again, and
  // throws std::logic_error if anybody else changed it.
  Trace(Machine& machine, std::vector<Poke> pokes);

  // Steps until the message halted or trapped, that one included; 2^24 if it did neither.
  uint64_t steps() const { return steps_; }
  const Digest& root() const { return root_; }
  // Leaf `index` is the machine hash of state[index + 1].
  Digest node(unsigned height, uint64_t index);
  // The siblings of a leaf, leaf upwards.
  std::vector<Digest> proof(uint64_t leaf);
  // state[2^24] and the roots of its quarters.
  const StateBytes& end_state() const { return end_state_; }
  const std::array<Digest, 4>& end_quarters() const { return end_quarters_; }
  // The machine as it is in state[step].
  Machine& at(uint64_t step);

 private:
  // From leaf `from` on, all leaves are this hash, until the next run.
  struct Run {
    uint64_t from;
    Digest hash;
  };
  void check_pokes() const;
  void build();
  void make_nodes(std::vector<Digest> groups);
  void add_late_pokes();
  void apply_pokes();
  uint64_t steps_to(uint64_t step) const;
  void run_to(uint64_t step);
  template <class Take>
  void record_to(uint64_t step, Take&& take);
  void pad(std::vector<Digest>& leaves, uint64_t first) const;
  const Digest& fixed_leaf(uint64_t index) const;
  Digest fixed_node(unsigned height, uint64_t index) const;
  const Digest& group_node(unsigned height, uint64_t index);

  Machine& machine_;
  std::vector<Poke> pokes_;   // ascending by step
  size_t next_poke_ = 0;      // the first that the machine has not seen
  uint64_t position_ = 0;     // the machine is in state[position_]
  uint64_t seen_version_ = 0;

  uint64_t steps_ = 0;
  std::vector<Run> runs_;                   // ascending
  std::vector<std::vector<Digest>> nodes_;  // of whole groups, by height from kGroupHeight on
  uint64_t group_ = ~uint64_t{0};           // the one that `group_nodes_` are of
  std::vector<std::vector<Digest>> group_nodes_;  // by height, 0 to kGroupHeight
  Digest root_{};
  StateBytes end_state_{};
  std::array<Digest, 4> end_quarters_{};
};

}  // namespace provenue::machine
