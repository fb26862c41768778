#include "machine/machine.hpp"

#include "machine/merkle.hpp"

#include <algorithm>
#include <cstring>
#include <stdexcept>
#include <string>

namespace provenue::machine {

// The step's view of a running machine. All of it fits in host registers; pc is written back when
// the loop ends, and before anything that can throw.
struct RunState {
  Machine* machine;
  const Instruction* text;
  const Instruction* text_end;
  const Instruction* at;  // the next instruction, or text_end when pc is outside text
  uint64_t pc_outside;    // pc when it is
  uint8_t* bytes;
  const uint64_t* marks;
  uint64_t* registers;

  explicit RunState(Machine& m)
      : machine(&m), text(m.text_.data()), text_end(text + m.text_.size()),
        pc_outside(m.end_of_text_), bytes(m.memory_.bytes()), marks(m.memory_.leaf_marks()),
        registers(m.x_) {
    set_pc(m.pc_);
  }

  const Instruction* fetch() const { return at == text_end ? nullptr : at; }
  uint64_t pc() const { return kTextBase + static_cast<uint64_t>(at - text) * 4; }
  uint64_t pc_now() const { return at == text_end ? pc_outside : pc(); }
  void advance() { ++at; }
  void set_pc(uint64_t value) {
    const uint64_t index = (value - kTextBase) / 4;  // below the base it wraps to a large number
    if (index < static_cast<uint64_t>(text_end - text)) [[likely]] {
      at = text + index;
    } else {
      at = text_end;
      pc_outside = value;
    }
  }

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

  bool read_block(uint64_t address, uint64_t size, uint8_t* out) const {
    if (address >= kMemorySize || size > kMemorySize - address) return false;
    std::memcpy(out, bytes + address, size);
    return true;
  }

  bool recover(const uint8_t in[128], uint8_t out[32]) const {
    static constexpr uint8_t kZero[12] = {};
    machine->pc_ = pc();
    if (machine->recover_ == nullptr)
      throw std::logic_error("machine.run: the guest asked for ecrecover: expected set_recover "
                             "to have been called");
    if (!machine->recover_(machine->recover_context_, in, out)) return false;
    if (std::memcmp(out, kZero, sizeof kZero) != 0)
      throw std::logic_error("machine.recover: expected an address left-padded to 32 bytes");
    return true;
  }
};

void Machine::load_elf(std::span<const uint8_t> file) {
  const Program program = parse_elf(file);
  loaded_ = begun_ = false;
  status_ = Status::halted;
  memory_.load_program(program);
  text_.clear();
  text_.reserve((program.end_of_text - kTextBase) / 4);
  for (uint64_t address = kTextBase; address < program.end_of_text; address += 4) {
    uint32_t word;
    std::memcpy(&word, memory_.bytes() + address, 4);
    text_.push_back(decode(word));
  }
  entry_ = program.entry;
  end_of_text_ = program.end_of_text;
  loaded_ = true;
}

void Machine::set_recover(RecoverFunction function, void* context) {
  recover_ = function;
  recover_context_ = context;
}

void Machine::set_image(uint64_t offset, std::span<const uint8_t> data) {
  memory_.write_image(offset, data);
}

void Machine::clear_image() { memory_.clear_image(); }

Digest Machine::image_root(uint64_t extent) const {
  if (extent > kQuarterSize)
    throw std::invalid_argument("machine.image_root: extent: expected at most 2^34, was " +
                            std::to_string(extent));
  return merkle_root({image(), extent}, kQuarterDepth);
}

void Machine::set_input(uint64_t offset, std::span<const uint8_t> data) {
  memory_.write_input(offset, data);
}

void Machine::clear_input() { memory_.clear_input(); }

void Machine::begin_message(uint64_t a0, uint64_t a1) {
  if (!loaded_)
    throw std::logic_error("machine.begin_message: expected a program: call load_elf first");
  memory_.begin_message();
  std::fill(std::begin(x_), std::end(x_), uint64_t{0});
  x_[detail::kA0] = a0;
  x_[detail::kA1] = a1;
  pc_ = entry_;
  status_ = Status::running;
  event_ = Event::none;
  begun_ = true;
}

RunResult Machine::run(uint64_t budget) {
  if (!begun_) throw std::logic_error("machine.run: expected a message: call begin_message first");
  uint64_t steps = 0;
  if (status_ == Status::running) {
    RunState state(*this);
    const Event event = run_steps(state, budget, steps);
    pc_ = state.pc_now();
    event_ = event;
    if (event != Event::none) status_ = event == Event::halt ? Status::halted : Status::trapped;
  }
  const uint64_t exit_code = status_ == Status::halted ? x_[detail::kA0] : 0;
  return {status_, event_, steps, pc_, exit_code};
}

void Machine::rollback_image() { memory_.rollback_image(); }

}  // namespace provenue::machine
