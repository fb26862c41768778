// A strict RV64IM machine: the referee's view of the program. It runs any ELF that elf.hpp accepts,
// one message at a time, and can undo a message's effect on the image exactly (P4).
//
// Semantics that another implementation must repeat (see README.md for the whole list):
//  * a step that halts or traps leaves pc at its instruction and changes nothing else;
//  * it counts as a step; a message that has not halted after `budget` steps is over budget;
//  * HALTED and TRAPPED are fixed points: running on makes no step.
#pragma once

#include "machine/decode.hpp"
#include "machine/elf.hpp"
#include "machine/keccak.hpp"
#include "machine/memory.hpp"
#include "machine/step.hpp"

#include <cstdint>
#include <span>
#include <vector>

namespace provenue::machine {

enum class Status : uint8_t {
  running,  // after run(): the budget is exhausted
  halted,
  trapped,
};

struct RunResult {
  Status status;
  Event event;         // why: none while running, halt, or the trap
  uint64_t steps;      // made by this call, the one that halted or trapped included
  uint64_t pc;
  uint64_t exit_code;  // a0 when halted, else 0
};

// The host's ecrecover: false if no key recovers. It is asked only with v 27 or 28 and r, s in
// [1, n), and writes the address left-padded to 32 bytes. High s is valid. It must be a pure
// function of its input. An exception leaves the machine before the call.
using RecoverFunction = bool (*)(void* context, const uint8_t in[128], uint8_t out[32]);

class Machine {
 public:
  Machine() = default;

  // On error (ElfError) nothing has changed. Replaces the program; image and input stay.
  void load_elf(std::span<const uint8_t> file);
  void set_recover(RecoverFunction function, void* context);

  void set_image(uint64_t offset, std::span<const uint8_t> data);
  void clear_image();
  const uint8_t* image() const { return memory_.bytes() + kImageBase; }
  // Root of the image quarter, of which everything from `extent` on is taken to be zero.
  Digest image_root(uint64_t extent) const;

  void set_input(uint64_t offset, std::span<const uint8_t> data);
  void clear_input();
  const uint8_t* output() const { return memory_.bytes() + kOutputBase; }
  const uint8_t* memory() const { return memory_.bytes(); }

  // The start state: pc at the entry, registers zero but a0 and a1, scratch and output as loaded.
  // Accepts the image as it is: what was written before can no longer be rolled back.
  void begin_message(uint64_t a0, uint64_t a1);
  RunResult run(uint64_t budget);
  // The image as it was at begin_message. To be called after a trap or an exhausted budget.
  void rollback_image();

  // Offsets in the quarter that the guest stored to since begin_message (even if with the value
  // that was there): leaves ascending, pages in the order of the first store.
  std::vector<uint64_t> dirty_image_pages() const { return memory_.touched_pages(kImageBase); }
  std::vector<uint64_t> dirty_image_leaves() const { return memory_.touched_leaves(kImageBase); }
  std::vector<uint64_t> dirty_output_pages() const { return memory_.touched_pages(kOutputBase); }
  std::vector<uint64_t> dirty_output_leaves() const { return memory_.touched_leaves(kOutputBase); }

  Status status() const { return status_; }
  uint64_t pc() const { return pc_; }
  uint64_t entry() const { return entry_; }
  uint64_t end_of_text() const { return end_of_text_; }
  std::span<const uint64_t, 32> registers() const { return std::span<const uint64_t, 32>(x_, 32); }

 private:
  friend struct RunState;

  Memory memory_;
  std::vector<Instruction> text_;  // predecoded; it cannot change, since text is read-only
  uint64_t entry_ = 0;
  uint64_t end_of_text_ = kTextBase;
  bool loaded_ = false;
  bool begun_ = false;

  uint64_t pc_ = 0;
  uint64_t x_[33] = {};  // the last one is where writes to x0 go
  Status status_ = Status::halted;
  Event event_ = Event::none;

  RecoverFunction recover_ = nullptr;
  void* recover_context_ = nullptr;
};

}  // namespace provenue::machine
