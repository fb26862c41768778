#include "machine/witness.hpp"

#include "machine/step.hpp"

#include <cstring>
#include <string>

namespace provenue::machine {
namespace {

// Root above a node of height `from` on the way of `address`, from its siblings.
Digest root_above(Digest node, uint64_t address, unsigned from, const uint8_t* siblings) {
  for (unsigned height = from; height < kMemoryDepth; ++height, siblings += kLeafSize) {
    const bool right = (address >> (kLeafBits + height) & 1) != 0;
    node = right ? hash_pair(siblings, node.data()) : hash_pair(node.data(), siblings);
  }
  return node;
}

template <unsigned height>
Digest subtree_root(const uint8_t* leaves) {
  if constexpr (height == 0) {
    Digest leaf;
    std::memcpy(leaf.data(), leaves, kLeafSize);
    return leaf;
  } else {
    const Digest left = subtree_root<height - 1>(leaves);
    const Digest right = subtree_root<height - 1>(leaves + (kLeafSize << (height - 1)));
    return hash_pair(left.data(), right.data());
  }
}

// The parts behind the state, taken one after another as the step asks for them.
class Parts {
 public:
  Parts(std::span<const uint8_t> parts, const Digest& root) : left_(parts), root_(root) {}

  // The 2^height leaves at `address`, proven; `name` is for the message.
  template <unsigned height>
  const uint8_t* take(const char* name, uint64_t address) {
    constexpr size_t kData = kLeafSize << height;
    constexpr size_t kSize = kData + (kMemoryDepth - height) * kLeafSize;
    if (left_.size() < kSize)
      throw WitnessError("witness." + std::string(name) + ": expected " + std::to_string(kSize) +
                         " bytes, were " + std::to_string(left_.size()));
    const uint8_t* data = left_.data();
    if (root_above(subtree_root<height>(data), address, height, data + kData) != root_)
      throw WitnessError("witness." + std::string(name) +
                         ": expected leaf and siblings of the state's memory root");
    left_ = left_.subspan(kSize);
    return data;
  }

  void expect_end() const {
    if (!left_.empty())
      throw WitnessError("witness: expected nothing behind the parts that the step needs, were " +
                         std::to_string(left_.size()) + " bytes");
  }

  // What a store leaves behind.
  void replace_root(uint64_t address, const uint8_t leaf[32], const uint8_t* siblings) {
    Digest node;
    std::memcpy(node.data(), leaf, kLeafSize);
    root_ = root_above(node, address, 0, siblings);
  }
  const Digest& root() const { return root_; }

 private:
  std::span<const uint8_t> left_;
  Digest root_;
};

struct ReplayContext {
  Core core;
  Parts parts;
  const Recover& recover;
  Instruction instruction;
  uint64_t scrap;  // where writes to x0 go
};

// The step's view of a witness.
struct ReplayState {
  ReplayContext* c;

  const Instruction* fetch() {
    c->instruction = {Op::illegal, kDiscard, 0, 0, 0};
    if (!outside_text()) {
      uint32_t word;
      const uint8_t* leaf = c->parts.take<0>("fetch", pc());
      std::memcpy(&word, leaf + pc() % kLeafSize, sizeof word);
      c->instruction = decode(word);
    }
    return &c->instruction;
  }
  bool outside_text() const { return c->core.pc >= c->core.end_of_text; }
  uint64_t pc() const { return c->core.pc; }
  void advance() { c->core.pc += 4; }
  void set_pc(uint64_t value) { c->core.pc = value; }
  void jump_by(int32_t offset) { c->core.pc += static_cast<uint64_t>(int64_t{offset}); }
  uint64_t x(unsigned index) const { return c->core.x[index]; }
  void set_x(unsigned index, uint64_t value) {
    (index == kDiscard ? c->scrap : c->core.x[index]) = value;
  }

  template <class T>
  bool load(uint64_t address, T& value) {
    if (address >= kMemorySize) return false;
    const uint8_t* leaf = c->parts.take<0>("access", address);
    std::memcpy(&value, leaf + address % kLeafSize, sizeof value);
    return true;
  }

  template <class T>
  bool store(uint64_t address, T value) {
    if (!is_writable(address, c->core.end_of_text)) return false;
    const uint8_t* old = c->parts.take<0>("access", address);
    uint8_t leaf[kLeafSize];
    std::memcpy(leaf, old, kLeafSize);
    std::memcpy(leaf + address % kLeafSize, &value, sizeof value);
    c->parts.replace_root(address, leaf, old + kLeafSize);
    return true;
  }

  template <uint64_t size>
  const uint8_t* block(uint64_t address) {
    static_assert(size == kKeccakAlign || size == kRecoverLength);
    if (address >= kMemorySize) return nullptr;
    return c->parts.take<size == kKeccakAlign ? 5 : 2>("access", address);
  }

  bool recover(const uint8_t in[128], uint8_t out[32]) const { return c->recover(in, out); }
};

void require(bool good, const char* what) {
  if (!good) throw WitnessError("state: expected " + std::string(what));
}

}  // namespace

bool Recover::operator()(const uint8_t in[128], uint8_t out[32]) const {
  static constexpr uint8_t kZero[12] = {};
  if (function == nullptr)
    throw std::logic_error("machine.run: the guest asked for ecrecover: expected set_recover "
                           "to have been called");
  if (!function(context, in, out)) return false;
  if (std::memcmp(out, kZero, sizeof kZero) != 0)
    throw std::logic_error("machine.recover: expected an address left-padded to 32 bytes");
  return true;
}

Core unpack_state(std::span<const uint8_t, kStateBytes> state) {
  Core core;
  for (size_t i = 0; i < 32; ++i) core.x[i] = get_big(state.data() + kStateRegisters + 8 * i);
  const uint8_t* word9 = state.data() + kStateWord9;
  const uint64_t status = get_big(word9 + 8);
  core.end_of_text = get_big(word9 + 16);
  core.pc = get_big(word9 + 24);
  require(core.x[0] == 0, "x0 to be zero");
  require(get_big(word9) == 0 && status <= static_cast<uint64_t>(Status::trapped),
          "a status of 0, 1 or 2 and zeros above it");
  require(core.pc % 4 == 0, "pc to be a multiple of 4");
  require(core.end_of_text % kPageSize == 0 && core.end_of_text <= kQuarterSize,
          "end_of_text to be a multiple of 4096 and at most 2^34");
  core.status = static_cast<Status>(status);
  return core;
}

ReplayResult replay_step(std::span<const uint8_t> witness, const Recover& recover) {
  if (witness.size() < kStateBytes)
    throw WitnessError("witness: expected at least 320 bytes, were " +
                       std::to_string(witness.size()));
  Digest root;
  std::memcpy(root.data(), witness.data(), root.size());
  ReplayContext context{unpack_state(witness.first<kStateBytes>()),
                        Parts(witness.subspan(kStateBytes), root), recover, {}, 0};
  ReplayResult result;
  if (context.core.status == Status::running) {
    ReplayState state{&context};
    result.event = make_step(state);
    if (result.event != Event::none)
      context.core.status = result.event == Event::halt ? Status::halted : Status::trapped;
  }
  context.parts.expect_end();
  result.post = pack_state(context.parts.root(), context.core);
  return result;
}

}  // namespace provenue::machine
