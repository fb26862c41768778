// Machine::record_step: the step on a copy of the registers, with a note of what it touches.
#include "machine/machine.hpp"
#include "machine/step.hpp"

#include <cstring>

namespace provenue::machine {
namespace {

struct RecordContext {
  const uint8_t* bytes;
  const Recover& recover;
  Core core;
  Instruction instruction;
  uint64_t scrap;  // where writes to x0 go

  bool fetched;
  bool accessed;
  unsigned height;   // of the subtree that was accessed
  uint64_t address;
  bool stored;
  uint8_t leaf[kLeafSize];  // what a store leaves behind

  void note(unsigned accessed_height, uint64_t at) {
    accessed = true;
    height = accessed_height;
    address = at;
  }
};

struct RecordState {
  RecordContext* c;

  const Instruction* fetch() {
    c->instruction = {Op::illegal, kDiscard, 0, 0, 0};
    if (!outside_text()) {
      uint32_t word;
      std::memcpy(&word, c->bytes + pc(), sizeof word);
      c->instruction = decode(word);
      c->fetched = true;
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
    std::memcpy(&value, c->bytes + address, sizeof value);
    c->note(0, address);
    return true;
  }

  template <class T>
  bool store(uint64_t address, T value) {
    if (!is_writable(address, c->core.end_of_text)) return false;
    std::memcpy(c->leaf, c->bytes + (address & ~(kLeafSize - 1)), kLeafSize);
    std::memcpy(c->leaf + address % kLeafSize, &value, sizeof value);
    c->stored = true;
    c->note(0, address);
    return true;
  }

  template <uint64_t size>
  const uint8_t* block(uint64_t address) {
    if (address >= kMemorySize) return nullptr;
    c->note(size == kKeccakAlign ? 5 : 2, address);
    return c->bytes + address;
  }

  bool recover(const uint8_t in[128], uint8_t out[32]) const { return c->recover(in, out); }
};

void append(std::vector<uint8_t>& out, const uint8_t* data, size_t size) {
  out.insert(out.end(), data, data + size);
}

// A subtree's leaves and the siblings above it.
void append_part(std::vector<uint8_t>& out, const MemoryTree& tree, const uint8_t* bytes,
                 unsigned height, uint64_t address) {
  const uint64_t size = kLeafSize << height;
  append(out, bytes + (address & ~(size - 1)), size);
  uint8_t siblings[kMemoryDepth * kLeafSize];
  tree.siblings(address, height, siblings);
  append(out, siblings, (kMemoryDepth - height) * kLeafSize);
}

Digest root_with_leaf(const MemoryTree& tree, uint64_t address, const uint8_t leaf[kLeafSize]) {
  Digest node;
  std::memcpy(node.data(), leaf, kLeafSize);
  for (unsigned height = 0; height < kMemoryDepth; ++height) {
    const uint64_t index = address >> (kLeafBits + height);
    const Digest sibling = tree.node(height, index ^ 1);
    node = (index & 1) != 0 ? hash_pair(sibling.data(), node.data())
                            : hash_pair(node.data(), sibling.data());
  }
  return node;
}

}  // namespace

StepRecord Machine::record_step() {
  expect_begun("record_step");
  const MemoryTree& tree = memory_.tree();
  RecordContext c{memory_.bytes(), recover_, core(), {}, 0, false, false, 0, 0, false, {}};
  Digest root = tree.root();
  const StateBytes before = pack_state(root, c.core);
  StepRecord record;
  if (status_ == Status::running) {
    RecordState state{&c};
    record.event = make_step(state);
    if (record.event != Event::none)
      c.core.status = record.event == Event::halt ? Status::halted : Status::trapped;
  }
  append(record.witness, before.data(), before.size());
  if (c.fetched) append_part(record.witness, tree, c.bytes, 0, core().pc);
  if (c.accessed && record.event == Event::none)
    append_part(record.witness, tree, c.bytes, c.height, c.address);
  if (c.stored && record.event == Event::none) root = root_with_leaf(tree, c.address, c.leaf);
  record.post = pack_state(root, c.core);
  return record;
}

}  // namespace provenue::machine
