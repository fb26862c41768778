#include "machine/trace.hpp"

#include "keccak/wide.hpp"
#include "machine/recorder.hpp"

#include <algorithm>
#include <future>
#include <iterator>
#include <stdexcept>
#include <string>
#include <system_error>
#include <utility>

namespace provenue::machine {
namespace {

std::vector<Digest> parents_of(const std::vector<Digest>& nodes) {
  std::vector<Digest> parents(nodes.size() / 2);
  if (!parents.empty())
    keccak::hash_pairs(nodes.data()->data(), parents.data()->data(), parents.size());
  return parents;
}

// Moves the roots of whole groups of leaves to `groups`; what is left stays.
void move_groups(std::vector<Digest>& leaves, std::vector<Digest>& groups) {
  const size_t whole = leaves.size() / Trace::kGroup * Trace::kGroup;
  std::vector<Digest> row(leaves.begin(), leaves.begin() + static_cast<ptrdiff_t>(whole));
  leaves.erase(leaves.begin(), leaves.begin() + static_cast<ptrdiff_t>(whole));
  for (unsigned height = 0; height < Trace::kGroupHeight; ++height) row = parents_of(row);
  groups.insert(groups.end(), row.begin(), row.end());
}

// Hashes states on another thread if they are worth one. They must stay until the future is asked.
std::future<std::vector<Digest>> hash_beside(const std::vector<uint8_t>& states) {
  const auto work = [&states] { return hash_states(states); };
  if (states.size() >= 1024 * kStateBytes) {
    try {
      return std::async(std::launch::async, work);
    } catch (const std::system_error&) {  // no thread to be had
    }
  }
  return std::async(std::launch::deferred, work);
}

void check_node(unsigned height, uint64_t index) {
  if (height > kTraceDepth || index >= uint64_t{1} << (kTraceDepth - height))
    throw std::invalid_argument("trace.node: expected a height of at most 24 and an index below "
                                "2^(24 - height), was " + std::to_string(height) + ", " +
                                std::to_string(index));
}

}  // namespace

Trace::Trace(Machine& machine, std::vector<Poke> pokes)
    : machine_(machine), pokes_(std::move(pokes)) {
  check_pokes();
  std::stable_sort(pokes_.begin(), pokes_.end(),
                   [](const Poke& a, const Poke& b) { return a.step < b.step; });
  if (machine.status() != Status::running || machine.steps() != 0)
    throw std::logic_error("trace: machine: expected a message that has just begun: call "
                           "begin_message first");
  build();
}

void Trace::check_pokes() const {
  for (const Poke& poke : pokes_) {
    if (poke.step >= kMessageSteps)
      throw std::invalid_argument("trace: poke: step: expected below 2^24, was " +
                                  std::to_string(poke.step));
    if (poke.address > kMemorySize || poke.bytes.size() > kMemorySize - poke.address)
      throw std::invalid_argument("trace: poke: address: expected address + length of at most "
                                  "2^36, was " + std::to_string(poke.address) + " + " +
                                  std::to_string(poke.bytes.size()));
  }
}

// --- running ------------------------------------------------------------------------------------

// The pokes of the step that is next.
void Trace::apply_pokes() {
  for (; next_poke_ < pokes_.size() && pokes_[next_poke_].step == position_; ++next_poke_)
    machine_.poke(pokes_[next_poke_].address, pokes_[next_poke_].bytes);
}

// The steps that can be made before a poke is due, at most up to state `step`.
uint64_t Trace::steps_to(uint64_t step) const {
  const bool poked = next_poke_ < pokes_.size() && pokes_[next_poke_].step < step;
  return (poked ? pokes_[next_poke_].step : step) - position_;
}

void Trace::run_to(uint64_t step) {
  if (machine_.version() != seen_version_)
    throw std::logic_error("trace: machine: expected nobody to use it beside the trace");
  if (position_ > step) {
    machine_.rewind();
    position_ = next_poke_ = 0;
  }
  while (position_ < step) {
    apply_pokes();
    const uint64_t count = steps_to(step);
    machine_.run(count);
    position_ += count;
  }
  seen_version_ = machine_.version();
}

// --- building -----------------------------------------------------------------------------------

// Hashes of the states behind `position_` up to state `step`, or to where the machine stops. Some
// thousand states are hashed by a second thread while the next ones are made.
template <class Take>
void Trace::record_to(uint64_t step, Take&& take) {
  Recorder recorder(machine_);
  std::vector<uint8_t> states, finished;
  std::future<std::vector<Digest>> hashes;
  while (position_ < step && machine_.status() == Status::running) {
    apply_pokes();
    position_ += recorder.run(steps_to(std::min(step, position_ + kStepsAtOnce)), states).steps;
    if (hashes.valid()) take(hashes.get());
    std::swap(states, finished);
    hashes = hash_beside(finished);
  }
  if (hashes.valid()) take(hashes.get());
}

void Trace::build() {
  std::vector<Digest> leaves, groups;
  record_to(kMessageSteps, [&](const std::vector<Digest>& hashes) {
    leaves.insert(leaves.end(), hashes.begin(), hashes.end());
    move_groups(leaves, groups);
  });
  steps_ = position_;
  runs_.push_back({steps_, keccak256(machine_.state())});
  add_late_pokes();
  end_state_ = machine_.state();
  end_quarters_ = machine_.quarter_roots();
  seen_version_ = machine_.version();
  pad(leaves, groups.size() * kGroup);
  move_groups(leaves, groups);
  make_nodes(std::move(groups));
  root_ = node(kTraceDepth, 0);
}

// Pokes behind the end of the message: each changes the fixed point.
void Trace::add_late_pokes() {
  while (next_poke_ < pokes_.size()) {
    position_ = pokes_[next_poke_].step;
    apply_pokes();
    runs_.push_back({position_, keccak256(machine_.state())});
  }
  position_ = kMessageSteps;
}

void Trace::make_nodes(std::vector<Digest> groups) {
  nodes_.push_back(std::move(groups));
  while (!nodes_.back().empty()) nodes_.push_back(parents_of(nodes_.back()));
}

// Fills the last group, of which `leaves` are the first ones; leaf number `first` is the first.
void Trace::pad(std::vector<Digest>& leaves, uint64_t first) const {
  while (leaves.size() % kGroup != 0) leaves.push_back(fixed_leaf(first + leaves.size()));
}

// --- looking ------------------------------------------------------------------------------------

const Digest& Trace::fixed_leaf(uint64_t index) const {
  const auto after = std::upper_bound(runs_.begin(), runs_.end(), index,
                                      [](uint64_t i, const Run& run) { return i < run.from; });
  return std::prev(after)->hash;
}

// A node over leaves behind the last step: of one hash, but where a run begins inside.
Digest Trace::fixed_node(unsigned height, uint64_t index) const {
  const uint64_t first = index << height, last = ((index + 1) << height) - 1;
  const bool same = std::none_of(runs_.begin(), runs_.end(), [&](const Run& run) {
    return run.from > first && run.from <= last;
  });
  if (!same) {
    const Digest left = fixed_node(height - 1, 2 * index);
    const Digest right = fixed_node(height - 1, 2 * index + 1);
    return hash_pair(left.data(), right.data());
  }
  Digest node = fixed_leaf(first);
  for (unsigned h = 0; h < height; ++h) node = hash_pair(node.data(), node.data());
  return node;
}

const Digest& Trace::group_node(unsigned height, uint64_t index) {
  const unsigned above = kGroupHeight - height;
  const uint64_t group = index >> above;
  if (group != group_ || group_nodes_.empty()) {
    const uint64_t first = group * kGroup;
    run_to(first);
    std::vector<Digest> leaves;
    record_to(std::min(first + kGroup, steps_), [&](const std::vector<Digest>& hashes) {
      leaves.insert(leaves.end(), hashes.begin(), hashes.end());
    });
    seen_version_ = machine_.version();
    pad(leaves, first);
    group_nodes_.assign(1, std::move(leaves));
    for (unsigned h = 0; h < kGroupHeight; ++h) group_nodes_.push_back(parents_of(group_nodes_[h]));
    group_ = group;
  }
  return group_nodes_[height][index - (group << above)];
}

Digest Trace::node(unsigned height, uint64_t index) {
  check_node(height, index);
  if (index << height >= nodes_[0].size() * kGroup) return fixed_node(height, index);
  if (height < kGroupHeight) return group_node(height, index);
  const unsigned level = height - kGroupHeight;
  if (level < nodes_.size() && index < nodes_[level].size()) return nodes_[level][index];
  const Digest left = node(height - 1, 2 * index);
  const Digest right = node(height - 1, 2 * index + 1);
  return hash_pair(left.data(), right.data());
}

std::vector<Digest> Trace::proof(uint64_t leaf) {
  std::vector<Digest> siblings;
  for (unsigned height = 0; height < kTraceDepth; ++height)
    siblings.push_back(node(height, (leaf >> height) ^ 1));
  return siblings;
}

Machine& Trace::at(uint64_t step) {
  if (step >= kMessageSteps)
    throw std::invalid_argument("trace.witness: step: expected below 2^24, was " +
                                std::to_string(step));
  run_to(step);
  return machine_;
}

}  // namespace provenue::machine
