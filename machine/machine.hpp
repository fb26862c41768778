// A strict RV64IM machine: the referee's view of the program (protocol chapter 10). It runs any ELF
// that elf.hpp accepts, one message at a time, and can undo a message's effect on the image exactly
// (P4). It hashes its state, and makes the witness of its next step.
#pragma once

#include "machine/decode.hpp"
#include "machine/elf.hpp"
#include "machine/event.hpp"
#include "machine/keccak.hpp"
#include "machine/memory.hpp"
#include "machine/state.hpp"
#include "machine/witness.hpp"

#include <array>
#include <cstdint>
#include <span>
#include <vector>

namespace provenue::machine {

struct RunResult {
  Status status;
  Event event;         // why: none while running, halt, or the trap
  uint64_t steps;      // made by this call, the one that halted or trapped included
  uint64_t pc;
  uint64_t exit_code;  // a0 when halted, else 0
};

// A machine in the middle of a message; good for that message of that machine alone.
struct Snapshot {
  uint64_t epoch;
  Core core;
  Event event;
  uint64_t steps;
  std::vector<PageCopy> pages;
};

class Machine {
 public:
  Machine() = default;

  // On error (ElfError) nothing has changed. Replaces the program; image and input stay.
  void load_elf(std::span<const uint8_t> file);
  void set_recover(RecoverFunction function, void* context);

  void set_image(uint64_t offset, std::span<const uint8_t> data);
  void clear_image();
  const uint8_t* image() const { return memory_.bytes() + kImageBase; }
  // Root of the image quarter, of which everything from `extent` on is taken to be zero: hashed
  // from the bytes alone, as a check on the tree.
  Digest image_root(uint64_t extent) const;

  void set_input(uint64_t offset, std::span<const uint8_t> data);
  void clear_input();
  const uint8_t* output() const { return memory_.bytes() + kOutputBase; }
  const uint8_t* memory() const { return memory_.bytes(); }
  // Writes in the name of a broken machine, wherever, also into text; see Memory::poke.
  void poke(uint64_t address, std::span<const uint8_t> data);

  // The start state of a message (10.4): pc at the entry, registers zero but a0 and a1, scratch and
  // output as loaded. Accepts the image as it is: what was written before can no longer be undone.
  void begin_message(uint64_t a0, uint64_t a1);
  // The start state of a program that is no guest (10.5): registers zero but sp.
  void begin_program();
  RunResult run(uint64_t budget);
  // The image as it was at the begin. To be called after a trap or an exhausted budget.
  void rollback_image();
  // Back to the start state of the message, the image included.
  void rewind();
  // The present state, to come back to as often as wanted while nobody but the guest writes. Throws
  // std::logic_error when somebody did: the host, a poke, another begin.
  Snapshot snapshot() const;
  void restore(const Snapshot& snapshot);
  // Takes over registers, pc and status of a state whose memory and end of text the machine has.
  // Throws WitnessError if it is not canonical, std::invalid_argument if it is another machine's.
  void set_state(std::span<const uint8_t, kStateBytes> state);

  // Offsets in the quarter that the guest stored to since the begin (even if with the value that
  // was there): leaves ascending, pages in the order of the first store.
  std::vector<uint64_t> dirty_image_pages() const { return memory_.touched_pages(kImageBase); }
  std::vector<uint64_t> dirty_image_leaves() const { return memory_.touched_leaves(kImageBase); }
  std::vector<uint64_t> dirty_output_pages() const { return memory_.touched_pages(kOutputBase); }
  std::vector<uint64_t> dirty_output_leaves() const { return memory_.touched_leaves(kOutputBase); }

  // Hashing brings the tree up to date: what it costs is what changed since the last time.
  Digest memory_root() { return memory_.tree().root(); }
  std::array<Digest, 4> quarter_roots();
  StateBytes state();
  // The next step: what it does, and its witness. The machine stays as it is.
  StepRecord record_step();

  Status status() const { return status_; }
  uint64_t steps() const { return steps_; }  // since the begin
  uint64_t pc() const { return pc_; }
  uint64_t entry() const { return entry_; }
  uint64_t end_of_text() const { return end_of_text_; }
  std::span<const uint64_t, 32> registers() const { return std::span<const uint64_t, 32>(x_, 32); }
  // Changes with everything that changes the machine.
  uint64_t version() const { return version_; }

 private:
  friend struct MemoryView;
  friend struct TextView;
  friend struct WordView;
  friend class Recorder;

  // run() over views (view.hpp) that may be wrapped.
  template <class Text, class Word>
  RunResult run_with(uint64_t budget, Text&& text, Word&& word);
  template <class Text, class Word>
  Event run_views(uint64_t budget, uint64_t& steps, Text&& text, Word&& word);
  void touch();
  void begin(const std::array<uint64_t, 32>& registers);
  void predecode(const Program& program);
  void decode_again(uint64_t address, uint64_t size);
  void undo_text();
  bool is_predecoded(uint64_t pc) const { return (pc - text_base_) / 4 < text_.size() - 1; }
  Core core() const;
  void expect_begun(const char* what) const;
  MemoryTree& tree_as_it_is() { return memory_.tree_as_it_is(); }

  Memory memory_;
  // Predecoded: it cannot change, since text is read-only (but for pokes). One more at the end.
  std::vector<Instruction> text_{Instruction{Op::illegal, kDiscard, 0, 0, 0}};
  uint64_t text_base_ = 0;
  std::vector<uint64_t> poked_text_;  // addresses of words to decode again when pokes are undone
  uint64_t entry_ = 0;
  uint64_t end_of_text_ = 0;
  bool loaded_ = false;
  bool begun_ = false;

  std::array<uint64_t, 32> start_{};  // registers at the begin
  uint64_t pc_ = 0;
  uint64_t x_[33] = {};  // the last one is where writes to x0 go
  Status status_ = Status::halted;
  Event event_ = Event::none;
  uint64_t steps_ = 0;
  uint64_t version_ = 0;
  uint64_t epoch_ = 0;  // another one with every write that is not the guest's

  Recover recover_;
};

}  // namespace provenue::machine
