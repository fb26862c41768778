#include "machine/memory.hpp"

#include <sys/mman.h>

#include <algorithm>
#include <cerrno>
#include <cstring>
#include <stdexcept>
#include <string>
#include <system_error>

namespace provenue::machine {
namespace {

constexpr uint64_t kMarkSize = kMemorySize / kLeafSize / 8;
constexpr uint64_t kMarkWordsPerPage = kPageSize / kLeafSize / 64;
constexpr uint64_t kImageQuarter = kImageBase >> kQuarterBits;
// Below this many bytes, writing zeros is cheaper than giving pages back.
constexpr uint64_t kZeroByHand = uint64_t{1} << 20;

#ifdef MAP_NORESERVE
constexpr int kMapFlags = MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE;
#else
constexpr int kMapFlags = MAP_PRIVATE | MAP_ANONYMOUS;
#endif

void check_range(const char* what, uint64_t offset, uint64_t size) {
  if (offset > kQuarterSize || size > kQuarterSize - offset)
    throw std::invalid_argument(std::string("machine.") + what +
                            ": expected offset + length of at most 2^34, was " +
                            std::to_string(offset) + " + " + std::to_string(size));
}

}  // namespace

Mapping::Mapping(uint64_t size) : size_(size) {
  void* at = ::mmap(nullptr, size, PROT_READ | PROT_WRITE, kMapFlags, -1, 0);
  if (at == MAP_FAILED)
    throw std::system_error(errno, std::generic_category(),
                            "machine: cannot reserve " + std::to_string(size >> 20) +
                                " MiB of address space (see ulimit -v, vm.overcommit_memory)");
#ifdef MADV_DONTDUMP
  ::madvise(at, size, MADV_DONTDUMP);
#endif
  data_ = static_cast<uint8_t*>(at);
}

Mapping::~Mapping() { ::munmap(data_, size_); }

void Mapping::zero(uint64_t offset, uint64_t size) {
  // A fresh mapping in place is zero on every system; MADV_DONTNEED is only on some.
  void* at = ::mmap(data_ + offset, size, PROT_READ | PROT_WRITE, kMapFlags | MAP_FIXED, -1, 0);
  if (at == MAP_FAILED)
    throw std::system_error(errno, std::generic_category(), "machine: cannot clear memory");
#ifdef MADV_DONTDUMP
  ::madvise(at, size, MADV_DONTDUMP);
#endif
}

Memory::Memory()
    : bytes_(kMemorySize), mark_bytes_(kMarkSize),
      marks_(reinterpret_cast<uint64_t*>(mark_bytes_.data())) {}

bool Memory::writable(uint64_t address) const {
  switch (address >> kQuarterBits) {
    case kProgramBase >> kQuarterBits: return address >= end_of_text_;
    case kImageBase >> kQuarterBits:
    case kOutputBase >> kQuarterBits: return true;
    default: return false;
  }
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

void Memory::unmark(std::vector<uint64_t>& pages) {
  for (const uint64_t page : pages)
    std::memset(marks_ + page * kMarkWordsPerPage, 0, kMarkWordsPerPage * sizeof(uint64_t));
  pages.clear();
}

// Zero, or the initial bytes where the page is part of .data.
void Memory::restore_page(uint64_t page) {
  const uint64_t start = page << kPageBits;
  std::memset(bytes_.data() + start, 0, kPageSize);
  for (const Segment& s : data_) {
    const uint64_t from = std::max(start, s.address);
    const uint64_t to = std::min(start + kPageSize, s.address + s.bytes.size());
    if (from >= to) continue;
    std::memcpy(bytes_.data() + from, s.bytes.data() + (from - s.address), to - from);
  }
}

void Memory::load_program(const Program& program) {
  unmark(pages_[kProgramBase >> kQuarterBits]);
  bytes_.zero(kProgramBase, kQuarterSize);
  data_.clear();
  for (const Segment& s : program.segments) {
    if (!s.bytes.empty()) std::memcpy(bytes_.data() + s.address, s.bytes.data(), s.bytes.size());
    if (s.writable) data_.push_back(s);
  }
  end_of_text_ = program.end_of_text;
}

void Memory::begin_message() {
  for (const uint64_t base : {kProgramBase, kOutputBase}) {
    std::vector<uint64_t>& pages = pages_of(base);
    for (const uint64_t page : pages) restore_page(page);
    unmark(pages);
  }
  unmark(pages_of(kImageBase));
  image_undo_.clear();
}

void Memory::rollback_image() {
  std::vector<uint64_t>& pages = pages_of(kImageBase);
  for (size_t i = 0; i < pages.size(); ++i)
    std::memcpy(bytes_.data() + (pages[i] << kPageBits), image_undo_.data() + i * kPageSize,
                kPageSize);
  unmark(pages);
  image_undo_.clear();
}

void Memory::write_image(uint64_t offset, std::span<const uint8_t> data) {
  check_range("set_image", offset, data.size());
  if (data.empty()) return;
  std::memcpy(bytes_.data() + kImageBase + offset, data.data(), data.size());
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
}

void Memory::write_input(uint64_t offset, std::span<const uint8_t> data) {
  check_range("set_input", offset, data.size());
  if (data.empty()) return;
  std::memcpy(bytes_.data() + kInputBase + offset, data.data(), data.size());
  input_.push_back({offset, data.size()});
}

void Memory::clear_input() {
  uint64_t total = 0;
  for (const Range& r : input_) total += r.size;
  if (total > kZeroByHand) {
    bytes_.zero(kInputBase, kQuarterSize);
  } else {
    for (const Range& r : input_) std::memset(bytes_.data() + kInputBase + r.offset, 0, r.size);
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
