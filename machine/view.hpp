// The step's views of a running machine: over its predecoded text, and over single words for what
// lies outside of that. All of a view fits in host registers; pc is written back when the loop
// ends, and before anything that can throw.
#pragma once

#include "machine/machine.hpp"
#include "machine/step.hpp"

#include <cstdint>
#include <cstring>

namespace provenue::machine {

struct MemoryView {
  Machine* machine;
  uint8_t* bytes;
  const uint64_t* marks;
  uint64_t* registers;

  explicit MemoryView(Machine& m)
      : machine(&m), bytes(m.memory_.bytes()), marks(m.memory_.leaf_marks()), registers(m.x_) {}

  uint64_t x(unsigned index) const { return registers[index]; }
  void set_x(unsigned index, uint64_t value) { registers[index] = value; }

  template <class T>
  bool load(uint64_t address, T& value) const {
    if (address >= kMemorySize) [[unlikely]] return false;
    std::memcpy(&value, bytes + address, sizeof value);
    return true;
  }

  // A marked leaf is writable: only the slow path marks, and only what is writable.
  template <class T>
  bool store(uint64_t address, T value) const {
    if (address >= kMemorySize) [[unlikely]] return false;
    const uint64_t leaf = address >> kLeafBits;
    if ((marks[leaf / 64] >> (leaf % 64) & 1) == 0) [[unlikely]] {
      if (!mark(machine, address)) return false;
    }
    std::memcpy(bytes + address, &value, sizeof value);
    return true;
  }

  [[gnu::noinline]] static bool mark(Machine* machine, uint64_t address) {
    return machine->memory_.first_store(address);
  }

  template <uint64_t size>
  const uint8_t* block(uint64_t address) const {
    return address >= kMemorySize ? nullptr : bytes + address;
  }

  bool recover_at(uint64_t pc, const uint8_t in[128], uint8_t out[32]) const {
    machine->pc_ = pc;
    return machine->recover_(in, out);
  }
};

// Over the predecoded text. Behind it stands an illegal instruction, so that whoever runs or jumps
// out of it stops there.
struct TextView : MemoryView {
  const Instruction* text;
  const Instruction* text_end;
  const Instruction* at;  // the next instruction, or text_end when pc is elsewhere
  uint64_t base;
  uint64_t pc_elsewhere;  // pc when it is

  explicit TextView(Machine& m)
      : MemoryView(m), text(m.text_.data()), text_end(text + m.text_.size() - 1),
        base(m.text_base_), pc_elsewhere(base + (m.text_.size() - 1) * 4) {
    set_pc(m.pc_);
  }

  const Instruction* fetch() const { return at; }
  bool outside_text() const { return at == text_end; }
  uint64_t pc() const { return base + static_cast<uint64_t>(at - text) * 4; }
  uint64_t pc_now() const { return at == text_end ? pc_elsewhere : pc(); }
  void advance() { ++at; }
  void set_pc(uint64_t value) {
    const uint64_t index = (value - base) / 4;  // below the base it wraps to a large number
    if (index < static_cast<uint64_t>(text_end - text)) [[likely]] {
      at = text + index;
    } else {
      at = text_end;
      pc_elsewhere = value;
    }
  }
  void jump_by(int32_t offset) {
    // An instruction of four bytes takes eight here.
    const auto here = reinterpret_cast<uintptr_t>(at) - reinterpret_cast<uintptr_t>(text);
    const uintptr_t there = here + static_cast<uintptr_t>(intptr_t{offset} * 2);
    if (there < static_cast<uintptr_t>(text_end - text) * sizeof *at) [[likely]] {
      at = reinterpret_cast<const Instruction*>(reinterpret_cast<uintptr_t>(text) + there);
    } else {
      pc_elsewhere = pc() + static_cast<uint64_t>(int64_t{offset});
      at = text_end;
    }
  }
  bool recover(const uint8_t in[128], uint8_t out[32]) const { return recover_at(pc(), in, out); }
};

// Over the words of memory, one by one.
struct WordView : MemoryView {
  uint64_t at;
  Instruction* decoded;

  WordView(Machine& m, Instruction& place) : MemoryView(m), at(m.pc_), decoded(&place) {}

  const Instruction* fetch() {
    *decoded = outside_text() ? Instruction{Op::illegal, kDiscard, 0, 0, 0} : decode(word());
    return decoded;
  }
  uint32_t word() const {
    uint32_t word;
    std::memcpy(&word, bytes + at, sizeof word);
    return word;
  }
  bool outside_text() const { return at >= machine->end_of_text_; }
  uint64_t pc() const { return at; }
  uint64_t pc_now() const { return at; }
  void advance() { at += 4; }
  void set_pc(uint64_t value) { at = value; }
  void jump_by(int32_t offset) { at += static_cast<uint64_t>(int64_t{offset}); }
  bool recover(const uint8_t in[128], uint8_t out[32]) const { return recover_at(pc(), in, out); }
};

}  // namespace provenue::machine
