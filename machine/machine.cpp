#include "machine/machine.hpp"

#include "machine/fuse.hpp"
#include "machine/merkle.hpp"
#include "machine/run.hpp"

#include <algorithm>
#include <atomic>
#include <cstring>
#include <stdexcept>
#include <string>

namespace provenue::machine {
namespace {

// 64 MiB of text are predecoded at most; the rest runs word by word.
constexpr uint64_t kPredecodedMax = uint64_t{1} << 26;

}  // namespace

void Machine::load_elf(std::span<const uint8_t> file) {
  const Program program = parse_elf(file);
  touch();
  loaded_ = begun_ = false;
  status_ = Status::halted;
  memory_.load_program(program);
  entry_ = program.entry;
  end_of_text_ = program.end_of_text;
  predecode(program);
  loaded_ = true;
}

// From the lowest to the highest executable segment, or only around the entry if that is too much.
void Machine::predecode(const Program& program) {
  uint64_t from = end_of_text_, to = 0;
  for (const Segment& s : program.segments) {
    if (!s.executable || s.address >= end_of_text_) continue;
    from = std::min(from, s.address & ~uint64_t{3});
    to = std::max(to, std::min(end_of_text_, (s.address + s.size_in_memory + 3) & ~uint64_t{3}));
  }
  if (to - from > kPredecodedMax) {
    from = entry_ - std::min(entry_ - from, kPredecodedMax / 2);
    to = std::min(to, from + kPredecodedMax);
  }
  text_base_ = from;
  text_.assign((to - from) / 4 + 1, Instruction{Op::illegal, kDiscard, 0, 0, 0});
  poked_text_.clear();
  decode_again(from, to - from);
}

void Machine::decode_again(uint64_t address, uint64_t size) {
  const auto plain = [&](uint64_t at) {
    if (!is_predecoded(at)) return text_.back();
    uint32_t word;
    std::memcpy(&word, memory_.bytes() + at, sizeof word);
    return decode(word);
  };
  // An instruction depends on the one before and the one behind (fuse.hpp).
  const uint64_t from = address & ~uint64_t{3}, end = address + size + 4;
  for (uint64_t at = from < 4 ? from : from - 4; at < end; at += 4) {
    if (!is_predecoded(at)) continue;
    Instruction instruction = turned(plain(at - 4), plain(at));
    const Instruction next = turned(instruction, plain(at + 4));
    instruction.op = static_cast<Op>(fused(instruction, next));
    text_[(at - text_base_) / 4] = instruction;
  }
}

// Somebody else than the guest writes. No two machines share an epoch.
void Machine::touch() {
  static std::atomic<uint64_t> last{0};
  ++version_;
  epoch_ = ++last;
}

void Machine::set_recover(RecoverFunction function, void* context) {
  recover_ = {function, context};
}

void Machine::set_image(uint64_t offset, std::span<const uint8_t> data) {
  touch();
  memory_.write_image(offset, data);
}

void Machine::clear_image() {
  touch();
  memory_.clear_image();
}

Digest Machine::image_root(uint64_t extent) const {
  if (extent > kQuarterSize)
    throw std::invalid_argument("machine.image_root: extent: expected at most 2^34, was " +
                            std::to_string(extent));
  return merkle_root({image(), extent}, kQuarterDepth);
}

void Machine::set_input(uint64_t offset, std::span<const uint8_t> data) {
  touch();
  memory_.write_input(offset, data);
  undo_text();
}

void Machine::clear_input() {
  touch();
  memory_.clear_input();
  undo_text();
}

void Machine::poke(uint64_t address, std::span<const uint8_t> data) {
  if (address > kMemorySize || data.size() > kMemorySize - address)
    throw std::invalid_argument("machine.poke: expected address + length of at most 2^36, was " +
                                std::to_string(address) + " + " + std::to_string(data.size()));
  touch();
  memory_.poke(address, data);
  if (address >= end_of_text_) return;
  for (uint64_t at = address & ~uint64_t{3}; at < address + data.size(); at += 4)
    poked_text_.push_back(at);
  decode_again(address, data.size());
}

// After memory has its old text again.
void Machine::undo_text() {
  for (const uint64_t at : poked_text_) decode_again(at, 4);
  poked_text_.clear();
}

void Machine::begin(const std::array<uint64_t, 32>& registers) {
  if (!loaded_)
    throw std::logic_error("machine.begin: expected a program: call load_elf first");
  ++version_;
  memory_.begin_message();
  undo_text();
  start_ = registers;
  std::copy(registers.begin(), registers.end(), x_);
  pc_ = entry_;
  status_ = Status::running;
  event_ = Event::none;
  steps_ = 0;
  begun_ = true;
}

void Machine::begin_message(uint64_t a0, uint64_t a1) {
  std::array<uint64_t, 32> registers{};
  registers[detail::kA0] = a0;
  registers[detail::kA1] = a1;
  touch();
  begin(registers);
}

void Machine::begin_program() {
  std::array<uint64_t, 32> registers{};
  registers[detail::kSp] = kProgramStack;
  touch();
  begin(registers);
}

void Machine::expect_begun(const char* what) const {
  if (!begun_)
    throw std::logic_error(std::string("machine.") + what +
                           ": expected a message: call begin_message first");
}

RunResult Machine::run(uint64_t budget) {
  return run_with(budget, [](TextView view) { return view; }, [](WordView view) { return view; });
}

void Machine::rollback_image() {
  ++version_;
  memory_.rollback_image();
  undo_text();
}

void Machine::rewind() {
  expect_begun("rewind");
  memory_.rollback_image();
  begin(start_);
}

Snapshot Machine::snapshot() const {
  expect_begun("snapshot");
  return {epoch_, core(), event_, steps_, memory_.copy_touched()};
}

void Machine::restore(const Snapshot& snapshot) {
  expect_begun("restore");
  if (snapshot.epoch != epoch_)
    throw std::logic_error("machine.restore: snapshot: expected one of this message, and nothing "
                           "written since but by the guest");
  memory_.rollback_image();
  begin(start_);
  memory_.store_again(snapshot.pages);
  std::copy(snapshot.core.x, snapshot.core.x + 32, x_);
  pc_ = snapshot.core.pc;
  status_ = snapshot.core.status;
  event_ = snapshot.event;
  steps_ = snapshot.steps;
}

Core Machine::core() const {
  Core core{};
  std::copy(x_, x_ + 32, core.x);
  core.pc = pc_;
  core.end_of_text = end_of_text_;
  core.status = status_;
  return core;
}

std::array<Digest, 4> Machine::quarter_roots() {
  const MemoryTree& tree = memory_.tree();
  std::array<Digest, 4> roots;
  for (unsigned q = 0; q < 4; ++q) roots[q] = tree.node(kQuarterDepth, q);
  return roots;
}

StateBytes Machine::state() {
  expect_begun("state");
  return pack_state(memory_root(), core());
}

void Machine::set_state(std::span<const uint8_t, kStateBytes> state) {
  expect_begun("set_state");
  const Core core = unpack_state(state);
  const Digest root = memory_root();
  if (std::memcmp(root.data(), state.data(), root.size()) != 0)
    throw std::invalid_argument("machine.set_state: memory root: expected this machine's");
  if (core.end_of_text != end_of_text_)
    throw std::invalid_argument("machine.set_state: end_of_text: expected " +
                                std::to_string(end_of_text_) + ", was " +
                                std::to_string(core.end_of_text));
  ++version_;
  std::copy(core.x, core.x + 32, x_);
  pc_ = core.pc;
  status_ = core.status;
  event_ = Event::none;
}

}  // namespace provenue::machine
