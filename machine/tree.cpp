#include "machine/tree.hpp"

#include "keccak/wide.hpp"

#include <algorithm>
#include <cstring>

namespace provenue::machine {

using namespace detail;

namespace {

constexpr unsigned kHeightMax = 59;
constexpr uint64_t kMarkWordsPerPage = kPageSize / kLeafSize / 64;
static_assert(kMarkWordsPerPage == 2);
// Pairs hashed in one call: a multiple of every width, and small enough for the first-level cache.
constexpr size_t kChunk = 64;

std::array<Digest, kHeightMax + 1> zero_roots() {
  std::array<Digest, kHeightMax + 1> roots{};
  for (unsigned h = 0; h < kHeightMax; ++h)
    roots[h + 1] = hash_pair(roots[h].data(), roots[h].data());
  return roots;
}

// Halves ascending node numbers to those of their parents, each once.
void to_parents(std::vector<uint64_t>& nodes) {
  for (uint64_t& node : nodes) node /= 2;
  nodes.erase(std::unique(nodes.begin(), nodes.end()), nodes.end());
}

}  // namespace

const Digest& zero_root(unsigned height) {
  static const std::array<Digest, kHeightMax + 1> roots = zero_roots();
  return roots.at(height);
}

MemoryTree::MemoryTree(const uint8_t* memory)
    : memory_(memory), nodes_(kBlockStarts[kBlockLevels] * kBlockSize),
      mark_bytes_(kMemorySize / kLeafSize / 8),
      marks_(reinterpret_cast<uint64_t*>(mark_bytes_.data())) {}

// In a block the node with number i of the level that has n nodes stands at n + i; the root at 1.
uint8_t* MemoryTree::place(unsigned height, uint64_t index) {
  const unsigned b = (height - 1) / kBlockDepth;
  const unsigned above = (b + 1) * kBlockDepth - height;  // levels to the root of the block
  const uint64_t count = uint64_t{1} << above;
  const uint64_t block = kBlockStarts[b] + (index >> above);
  return nodes_.data() + block * kBlockSize + (count + (index & (count - 1))) * kLeafSize;
}

const uint8_t* MemoryTree::stored(unsigned height, uint64_t index) const {
  if (height == 0) return memory_ + index * kLeafSize;
  return const_cast<MemoryTree*>(this)->place(height, index);
}

Digest MemoryTree::node(unsigned height, uint64_t index) const {
  const uint8_t* at = stored(height, index);
  if (is_zero_node(at)) return zero_root(height);
  Digest digest;
  std::memcpy(digest.data(), at, digest.size());
  return digest;
}

void MemoryTree::siblings(uint64_t address, unsigned from, uint8_t* out) const {
  for (unsigned height = from; height < kMemoryDepth; ++height, out += kLeafSize) {
    const Digest sibling = node(height, (address >> (kLeafBits + height)) ^ 1);
    std::memcpy(out, sibling.data(), kLeafSize);
  }
}

void MemoryTree::mark_page(uint64_t page, uint64_t low, uint64_t high) {
  uint64_t* words = marks_ + page * kMarkWordsPerPage;
  if ((words[0] | words[1]) == 0) pages_.push_back(page);
  words[0] |= low;
  words[1] |= high;
}

void MemoryTree::mark(uint64_t address, uint64_t size) {
  if (size == 0) return;
  const uint64_t end = (address + size - 1) >> kLeafBits;
  for (uint64_t leaf = address >> kLeafBits; leaf <= end;) {
    // The leaves of one half of a page are one word of marks.
    const unsigned from = leaf % 64;
    const uint64_t count = std::min<uint64_t>(64 - from, end - leaf + 1);
    const uint64_t bits = (count == 64 ? ~uint64_t{0} : (uint64_t{1} << count) - 1) << from;
    const bool upper = leaf / 64 % 2 == 1;
    mark_page(leaf / 128, upper ? 0 : bits, upper ? bits : 0);
    leaf += count;
  }
}

void MemoryTree::clear_quarter(uint64_t base) {
  const uint64_t quarter = base >> kQuarterBits;
  const auto inside = [&](uint64_t page) { return page >> (kQuarterBits - kPageBits) == quarter; };
  for (const uint64_t page : pages_)
    if (inside(page)) std::memset(marks_ + page * kMarkWordsPerPage, 0, 2 * sizeof(uint64_t));
  std::erase_if(pages_, inside);
  for (unsigned b = 0; b + 1 < kBlockLevels; ++b) {
    const uint64_t count = block_count(b) / 4;
    nodes_.zero((kBlockStarts[b] + quarter * count) * kBlockSize, count * kBlockSize);
  }
  // The nodes of the topmost block; then what is above the quarter.
  std::memset(place(kQuarterDepth, quarter), 0, kLeafSize);
  const uint64_t half = quarter / 2, root = 0;
  hash_level(kQuarterDepth + 1, {&half, 1});
  hash_level(kMemoryDepth, {&root, 1});
}
static_assert(kMemoryDepth == kQuarterDepth + 2);

// Ascending numbers of the nodes of height 1 that are above marked leaves; clears the marks.
std::vector<uint64_t> MemoryTree::take_marked_pairs() {
  std::sort(pages_.begin(), pages_.end());
  std::vector<uint64_t> pairs;
  for (const uint64_t page : pages_) {
    uint64_t* words = marks_ + page * kMarkWordsPerPage;
    for (uint64_t word = 0; word < kMarkWordsPerPage; ++word) {
      for (uint64_t bit = 0; bit < 64; bit += 2)
        if ((words[word] >> bit & 3) != 0) pairs.push_back((page * 128 + word * 64 + bit) / 2);
      words[word] = 0;
    }
  }
  pages_.clear();
  return pairs;
}

// Recomputes nodes of one height. Two zero subtrees are not hashed: their parent's place is zero.
void MemoryTree::hash_level(unsigned height, std::span<const uint64_t> nodes) {
  uint8_t pairs[kChunk * 64];
  uint8_t digests[kChunk * 32];
  uint8_t* places[kChunk];
  size_t count = 0;
  const auto flush = [&] {
    if (count == 0) return;
    keccak::hash_pairs(pairs, digests, count);
    for (size_t i = 0; i < count; ++i) std::memcpy(places[i], digests + i * 32, kLeafSize);
    count = 0;
  };
  for (const uint64_t index : nodes) {
    uint8_t* at = place(height, index);
    const uint8_t* left = stored(height - 1, 2 * index);
    const uint8_t* right = stored(height - 1, 2 * index + 1);
    const bool left_zero = is_zero_node(left), right_zero = is_zero_node(right);
    if (left_zero && right_zero) {
      if (!is_zero_node(at)) std::memset(at, 0, kLeafSize);
      continue;
    }
    const uint8_t* zero = zero_root(height - 1).data();
    std::memcpy(pairs + count * 64, left_zero ? zero : left, 32);
    std::memcpy(pairs + count * 64 + 32, right_zero ? zero : right, 32);
    places[count++] = at;
    if (count == kChunk) flush();
  }
  flush();
}

void MemoryTree::bring_up_to_date() {
  if (pages_.empty()) return;
  std::vector<uint64_t> nodes = take_marked_pairs();
  for (unsigned height = 1; height <= kMemoryDepth; ++height) {
    hash_level(height, nodes);
    to_parents(nodes);
  }
}

}  // namespace provenue::machine
