#include "machine/memory.hpp"

#include <algorithm>
#include <cstring>
#include <stdexcept>
#include <string>

namespace provenue::machine {
namespace {

constexpr uint64_t kMarkSize = kMemorySize / kLeafSize / 8;
constexpr uint64_t kMarkWordsPerPage = kPageSize / kLeafSize / 64;
constexpr uint64_t kImageQuarter = kImageBase >> kQuarterBits;
// Below this many bytes, writing zeros is cheaper than giving pages back.
constexpr uint64_t kZeroByHand = uint64_t{1} << 20;

void check_range(const char* what, uint64_t offset, uint64_t size) {
  if (offset > kQuarterSize || size > kQuarterSize - offset)
    throw std::invalid_argument(std::string("machine.") + what +
                            ": expected offset + length of at most 2^34, was " +
                            std::to_string(offset) + " + " + std::to_string(size));
}

}  // namespace

Memory::Memory()
    : bytes_(kMemorySize), mark_bytes_(kMarkSize),
      marks_(reinterpret_cast<uint64_t*>(mark_bytes_.data())), tree_(bytes_.data()) {}

bool Memory::is_marked(uint64_t address) const {
  const uint64_t leaf = address >> kLeafBits;
  return (marks_[leaf / 64] >> (leaf % 64) & 1) != 0;
}

bool Memory::first_store(uint64_t address) {
  if (!writable(address)) return false;
  const uint64_t page = address >> kPageBits;
  const uint64_t* page_marks = marks_ + page * kMarkWordsPerPage;
  if ((page_marks[0] | page_marks[1]) == 0) {
    if (address >> kQuarterBits == kImageQuarter) {
      const uint8_t* old = bytes_.data() + (page << kPageBits);
      image_undo_.insert(image_undo_.end(), old, old + kPageSize);
    }
    pages_of(address).push_back(page);
  }
  const uint64_t leaf = address >> kLeafBits;
  marks_[leaf / 64] |= uint64_t{1} << (leaf % 64);
  return true;
}
static_assert(kMarkWordsPerPage == 2);

// What was marked may change now or has changed: the tree has to look at it again.
void Memory::unmark(std::vector<uint64_t>& pages) {
  for (const uint64_t page : pages) {
    uint64_t* words = marks_ + page * kMarkWordsPerPage;
    tree_.mark_page(page, words[0], words[1]);
    words[0] = words[1] = 0;
  }
  pages.clear();
}

// Zero, or the initial bytes where the page is part of a segment.
void Memory::restore_page(uint64_t page) {
  const uint64_t start = page << kPageBits;
  std::memset(bytes_.data() + start, 0, kPageSize);
  for (const Segment& s : segments_) {
    const uint64_t from = std::max(start, s.address);
    const uint64_t to = std::min(start + kPageSize, s.address + s.bytes.size());
    if (from >= to) continue;
    std::memcpy(bytes_.data() + from, s.bytes.data() + (from - s.address), to - from);
  }
}

void Memory::load_program(const Program& program) {
  undo_pokes();
  unmark(pages_[kProgramBase >> kQuarterBits]);
  bytes_.zero(kProgramBase, kQuarterSize);
  tree_.clear_quarter(kProgramBase);
  segments_ = program.segments;
  for (const Segment& s : segments_) {
    if (!s.bytes.empty()) std::memcpy(bytes_.data() + s.address, s.bytes.data(), s.bytes.size());
    tree_.mark(s.address, s.bytes.size());
  }
  end_of_text_ = program.end_of_text;
}

void Memory::begin_message() {
  undo_pokes();
  for (const uint64_t base : {kProgramBase, kOutputBase}) {
    std::vector<uint64_t>& pages = pages_of(base);
    for (const uint64_t page : pages) restore_page(page);
    unmark(pages);
  }
  unmark(pages_of(kImageBase));
  image_undo_.clear();
}

void Memory::rollback_image() {
  undo_pokes();
  std::vector<uint64_t>& pages = pages_of(kImageBase);
  for (size_t i = 0; i < pages.size(); ++i)
    std::memcpy(bytes_.data() + (pages[i] << kPageBits), image_undo_.data() + i * kPageSize,
                kPageSize);
  unmark(pages);
  image_undo_.clear();
}

std::vector<PageCopy> Memory::copy_touched() const {
  std::vector<PageCopy> copies;
  for (const std::vector<uint64_t>& pages : pages_) {
    for (const uint64_t page : pages) {
      const uint64_t* words = marks_ + page * kMarkWordsPerPage;
      const uint8_t* from = bytes_.data() + (page << kPageBits);
      copies.push_back({page << kPageBits, {words[0], words[1]}, {from, from + kPageSize}});
    }
  }
  return copies;
}

void Memory::store_again(const std::vector<PageCopy>& pages) {
  for (const PageCopy& page : pages) {
    for (uint64_t leaf = 0; leaf < kPageSize / kLeafSize; ++leaf)
      if ((page.marks[leaf / 64] >> (leaf % 64) & 1) != 0)
        first_store(page.address + leaf * kLeafSize);
    std::memcpy(bytes_.data() + page.address, page.bytes.data(), kPageSize);
  }
}

void Memory::undo_pokes() {
  for (auto poke = poked_.rbegin(); poke != poked_.rend(); ++poke) {
    std::memcpy(bytes_.data() + poke->address, poke->old.data(), kLeafSize);
    tree_.mark(poke->address, kLeafSize);
  }
  poked_.clear();
}

void Memory::poke(uint64_t address, std::span<const uint8_t> data) {
  for (uint64_t at = address; at < address + data.size();) {
    const uint64_t leaf = at & ~(kLeafSize - 1);
    const uint64_t size = std::min(leaf + kLeafSize, address + data.size()) - at;
    if (!is_marked(leaf) && !first_store(leaf)) {
      PokedLeaf old{leaf, {}};
      std::memcpy(old.old.data(), bytes_.data() + leaf, kLeafSize);
      poked_.push_back(old);
      tree_.mark(leaf, kLeafSize);
    }
    std::memcpy(bytes_.data() + at, data.data() + (at - address), size);
    at += size;
  }
}

MemoryTree& Memory::tree() {
  for (const std::vector<uint64_t>& pages : pages_) {
    for (const uint64_t page : pages) {
      const uint64_t* words = marks_ + page * kMarkWordsPerPage;
      tree_.mark_page(page, words[0], words[1]);
    }
  }
  tree_.bring_up_to_date();
  return tree_;
}

void Memory::write_image(uint64_t offset, std::span<const uint8_t> data) {
  check_range("set_image", offset, data.size());
  if (data.empty()) return;
  std::memcpy(bytes_.data() + kImageBase + offset, data.data(), data.size());
  tree_.mark(kImageBase + offset, data.size());
  // What the host writes is not the guest's to undo, so it goes into the kept pages as well.
  const std::vector<uint64_t>& pages = pages_of(kImageBase);
  for (size_t i = 0; i < pages.size(); ++i) {
    const uint64_t start = (pages[i] << kPageBits) - kImageBase;
    const uint64_t from = std::max(start, offset);
    const uint64_t to = std::min(start + kPageSize, offset + data.size());
    if (from >= to) continue;
    uint8_t* kept = image_undo_.data() + i * kPageSize;
    std::memcpy(kept + (from - start), data.data() + (from - offset), to - from);
  }
}

void Memory::clear_image() {
  unmark(pages_of(kImageBase));
  image_undo_.clear();
  bytes_.zero(kImageBase, kQuarterSize);
  tree_.clear_quarter(kImageBase);
}

void Memory::write_input(uint64_t offset, std::span<const uint8_t> data) {
  check_range("set_input", offset, data.size());
  if (data.empty()) return;
  undo_pokes();
  std::memcpy(bytes_.data() + kInputBase + offset, data.data(), data.size());
  tree_.mark(kInputBase + offset, data.size());
  input_.push_back({offset, data.size()});
}

void Memory::clear_input() {
  undo_pokes();
  uint64_t total = 0;
  for (const Range& r : input_) total += r.size;
  if (total > kZeroByHand) {
    bytes_.zero(kInputBase, kQuarterSize);
    tree_.clear_quarter(kInputBase);
  } else {
    for (const Range& r : input_) {
      std::memset(bytes_.data() + kInputBase + r.offset, 0, r.size);
      tree_.mark(kInputBase + r.offset, r.size);
    }
  }
  input_.clear();
}

std::vector<uint64_t> Memory::touched_pages(uint64_t base) const {
  std::vector<uint64_t> offsets;
  for (const uint64_t page : pages_[base >> kQuarterBits])
    offsets.push_back((page << kPageBits) - base);
  return offsets;
}

std::vector<uint64_t> Memory::touched_leaves(uint64_t base) const {
  std::vector<uint64_t> pages = touched_pages(base);
  std::sort(pages.begin(), pages.end());
  std::vector<uint64_t> offsets;
  for (const uint64_t page : pages) {
    const uint64_t first_leaf = (base + page) >> kLeafBits;
    for (uint64_t i = 0; i < kPageSize / kLeafSize; ++i) {
      const uint64_t leaf = first_leaf + i;
      const bool marked = (marks_[leaf / 64] >> (leaf % 64) & 1) != 0;
      if (marked) offsets.push_back((leaf << kLeafBits) - base);
    }
  }
  return offsets;
}

}  // namespace provenue::machine
