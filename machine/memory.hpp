// The machine's sparse memory: one lazily populated mapping of 2^36 bytes, so that a guest address
// is an offset, and one bit per 32-byte leaf that says whether the guest stored to it in this
// message. A store to a marked leaf is a plain host store; the first store to a leaf takes the slow
// path, which checks the right to write, keeps the old page, and marks. Undo (P4) needs no more,
// and the Merkle tree learns from the same marks what to hash again.
#pragma once

#include "machine/elf.hpp"
#include "machine/layout.hpp"
#include "machine/mapping.hpp"
#include "machine/tree.hpp"

#include <array>
#include <cstddef>
#include <cstdint>
#include <span>
#include <vector>

namespace provenue::machine {

// A page that the guest stored to: its bytes and which of its leaves.
struct PageCopy {
  uint64_t address;
  uint64_t marks[2];
  std::vector<uint8_t> bytes;
};

class Memory {
 public:
  Memory();

  // --- the guest's side -------------------------------------------------------------------------
  uint8_t* bytes() { return bytes_.data(); }
  const uint8_t* bytes() const { return bytes_.data(); }
  const uint64_t* leaf_marks() const { return marks_; }

  // May the guest store at this address?
  bool writable(uint64_t address) const { return is_writable(address, end_of_text_); }
  // The slow path of a store: false if the address is not writable.
  bool first_store(uint64_t address);

  // --- the host's side --------------------------------------------------------------------------
  void load_program(const Program& program);
  // Scratch and output back to the start state; the image keeps what the guest wrote.
  void begin_message();
  // The image back to what it was at begin_message, and pokes with it.
  void rollback_image();
  // What the guest stored to since begin_message, and the same again after another begin.
  std::vector<PageCopy> copy_touched() const;
  void store_again(const std::vector<PageCopy>& pages);
  // Writes anywhere, in the name of a broken machine: undone by rollback_image, and outside the
  // image by begin_message. For liars and tests. [address, address + size) lies below 2^36.
  void poke(uint64_t address, std::span<const uint8_t> data);

  void write_image(uint64_t offset, std::span<const uint8_t> data);
  void clear_image();
  void write_input(uint64_t offset, std::span<const uint8_t> data);
  void clear_input();

  // The tree over all of it, up to date.
  MemoryTree& tree();
  MemoryTree& tree_as_it_is() { return tree_; }

  // What the guest stored to since begin_message, as offsets in the quarter at `base`: 4 KiB pages
  // in order of first touch, leaves ascending.
  std::vector<uint64_t> touched_pages(uint64_t base) const;
  std::vector<uint64_t> touched_leaves(uint64_t base) const;

 private:
  struct Range {
    uint64_t offset;
    uint64_t size;
  };
  // A leaf that the guest may not write, as it was before a poke.
  struct PokedLeaf {
    uint64_t address;
    std::array<uint8_t, kLeafSize> old;
  };

  std::vector<uint64_t>& pages_of(uint64_t address) { return pages_[address >> kQuarterBits]; }
  void unmark(std::vector<uint64_t>& pages);
  void restore_page(uint64_t page);
  bool is_marked(uint64_t address) const;
  void undo_pokes();

  Mapping bytes_;
  Mapping mark_bytes_;
  uint64_t* marks_;                 // bit i of the whole: leaf i
  uint64_t end_of_text_ = 0;
  std::vector<uint64_t> pages_[4];  // touched page numbers, by quarter
  std::vector<uint8_t> image_undo_; // the old bytes of each page in pages_[1], in the same order
  std::vector<Segment> segments_;   // of the program, with their initial bytes
  std::vector<PokedLeaf> poked_;    // in order of time
  std::vector<Range> input_;        // what the host wrote to the input quarter
  MemoryTree tree_;
};

}  // namespace provenue::machine
