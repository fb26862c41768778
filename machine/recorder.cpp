#include "machine/recorder.hpp"

#include "keccak/wide.hpp"
#include "machine/run.hpp"

#include <cstring>

namespace provenue::machine {

// What the views below tell the recorder.
struct Tracing {
  Recorder* r;

  void set_x(unsigned index, uint64_t value) const { r->set_x(index, value); }
  void store(uint64_t address) const { r->note_store(address); }
  void emit(uint64_t pc) const { r->emit(Status::running, pc); }
};

namespace {

// A view that also says what it does. A step that retires ends in advance() or set_pc(), behind
// everything else that it changes.
template <class View>
struct Traced : View {
  Tracing tracing;

  Traced(View view, Tracing t) : View(view), tracing(t) {}

  void set_x(unsigned index, uint64_t value) {
    View::set_x(index, value);
    tracing.set_x(index, value);
  }
  template <class T>
  bool store(uint64_t address, T value) {
    T old{};
    if (!View::load(address, old) || !View::store(address, value)) return false;
    if (old != value) tracing.store(address);
    return true;
  }
  void advance() {
    View::advance();
    tracing.emit(View::pc_now());
  }
  void set_pc(uint64_t value) {
    View::set_pc(value);
    tracing.emit(value);
  }
  void jump_by(int32_t offset) {
    View::jump_by(offset);
    tracing.emit(View::pc_now());
  }
};

}  // namespace

void Recorder::begin(uint64_t count, std::vector<uint8_t>& states) {
  if (machine_.version() != version_) root_ = machine_.memory_root();
  for (unsigned i = 0; i < 32; ++i) set_x(i, machine_.registers()[i]);
  states_ = &states;
  states.clear();
  states.reserve(count * kStateBytes);
  stores_before_.clear();
  pairs_.clear();
  nodes_.clear();
}

void Recorder::note_store(uint64_t address) {
  constexpr uint64_t kPair = 2 * kLeafSize;
  const uint8_t* leaves = machine_.memory() + (address & ~(kPair - 1));
  pairs_.insert(pairs_.end(), leaves, leaves + kPair);
  nodes_.push_back(address / kPair);
}

void Recorder::emit(Status status, uint64_t pc) {
  const size_t at = states_->size();
  states_->resize(at + kStateBytes);
  uint8_t* state = states_->data() + at;
  std::memcpy(state + kStateRegisters, registers_.data(), 32 * 8);
  put_status_word(state + kStateWord9, status, machine_.end_of_text(), pc);
  stores_before_.push_back(static_cast<uint32_t>(nodes_.size()));
}

// All versions of one tree level before those of the next: a node's sibling is what the tree holds
// when the versions are written into it in order of time.
void Recorder::make_roots(MemoryTree& tree) {
  const size_t count = nodes_.size();
  roots_.resize(count * kLeafSize);
  if (count == 0) return;
  for (unsigned height = 1;; ++height) {
    keccak::hash_pairs(pairs_.data(), roots_.data(), count);
    if (height == kMemoryDepth) break;
    const Digest& zero = zero_root(height);
    for (size_t k = 0; k < count; ++k) {
      const uint64_t node = nodes_[k];
      const uint8_t* digest = roots_.data() + k * kLeafSize;
      uint8_t* pair = pairs_.data() + k * 2 * kLeafSize;
      std::memcpy(tree.place(height, node), digest, kLeafSize);
      const uint8_t* sibling = tree.place(height, node ^ 1);
      const bool right = (node & 1) != 0;
      std::memcpy(pair + (right ? kLeafSize : 0), digest, kLeafSize);
      std::memcpy(pair + (right ? 0 : kLeafSize),
                  is_zero_node(sibling) ? zero.data() : sibling, kLeafSize);
      nodes_[k] = node / 2;
    }
  }
  std::memcpy(root_.data(), roots_.data() + (count - 1) * kLeafSize, kLeafSize);
  std::memcpy(tree.place(kMemoryDepth, 0), root_.data(), kLeafSize);
}

RunResult Recorder::run(uint64_t count, std::vector<uint8_t>& states) {
  begin(count, states);
  const Digest before = root_;
  const Tracing tracing{this};
  const RunResult result = machine_.run_with(
      count, [&](TextView view) { return Traced<TextView>(view, tracing); },
      [&](WordView view) { return Traced<WordView>(view, tracing); });
  if (result.event != Event::none && result.steps != 0) emit(result.status, result.pc);
  make_roots(machine_.tree_as_it_is());
  for (size_t i = 0; i < stores_before_.size(); ++i) {
    const uint32_t stores = stores_before_[i];
    std::memcpy(states.data() + i * kStateBytes,
                stores == 0 ? before.data() : roots_.data() + (stores - 1) * kLeafSize, kLeafSize);
  }
  version_ = machine_.version();
  return result;
}

std::vector<Digest> hash_states(const std::vector<uint8_t>& states) {
  std::vector<Digest> hashes(states.size() / kStateBytes);
  if (!hashes.empty())
    keccak::hash_each(states.data(), kStateBytes, hashes.data()->data(), hashes.size());
  return hashes;
}

}  // namespace provenue::machine
