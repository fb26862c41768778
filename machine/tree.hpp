// The Merkle tree of the memory (protocol 10.1): height 31 over leaves of 32 bytes, nearly all of
// it zero. Every node has a place; a place of zeros stands for the zero subtree of its height, so
// that an untouched mapping is the tree of an untouched memory. Nodes are kept over messages, and
// bring_up_to_date() hashes only what lies above leaves that were marked since.
//
// Seven levels of one subtree share a page, so that a path touches five pages.
#pragma once

#include "machine/keccak.hpp"
#include "machine/layout.hpp"
#include "machine/mapping.hpp"

#include <array>
#include <cstddef>
#include <cstdint>
#include <cstring>
#include <span>
#include <vector>

namespace provenue::machine {

// Root of a tree of this height, at most 59, whose leaves are zero.
const Digest& zero_root(unsigned height);

inline bool is_zero_node(const uint8_t node[32]) {
  uint64_t words[4];
  std::memcpy(words, node, sizeof words);
  return (words[0] | words[1] | words[2] | words[3]) == 0;
}

namespace detail {

// Blocks of seven levels; those of block level b stand behind those of the levels below.
inline constexpr unsigned kBlockDepth = 7;
inline constexpr uint64_t kBlockSize = kLeafSize << kBlockDepth;
inline constexpr unsigned kBlockLevels = (kMemoryDepth + kBlockDepth - 1) / kBlockDepth;

constexpr uint64_t block_count(unsigned b) {
  const unsigned below = (b + 1) * kBlockDepth;
  return below >= kMemoryDepth ? 1 : uint64_t{1} << (kMemoryDepth - below);
}

constexpr std::array<uint64_t, kBlockLevels + 1> block_starts() {
  std::array<uint64_t, kBlockLevels + 1> starts{};
  for (unsigned b = 0; b < kBlockLevels; ++b) starts[b + 1] = starts[b] + block_count(b);
  return starts;
}
inline constexpr std::array<uint64_t, kBlockLevels + 1> kBlockStarts = block_starts();

}  // namespace detail

class MemoryTree {
 public:
  explicit MemoryTree(const uint8_t* memory);

  // Says that leaves may have changed: those of [address, address + size), or those of a page whose
  // bits are set. Cheap.
  void mark(uint64_t address, uint64_t size);
  void mark_page(uint64_t page, uint64_t low, uint64_t high);
  // Says that a whole quarter became zero.
  void clear_quarter(uint64_t base);

  void bring_up_to_date();

  // The rest is of the tree as it was last brought up to date. A node of height 0 is a leaf.
  Digest node(unsigned height, uint64_t index) const;
  Digest root() const { return node(kMemoryDepth, 0); }
  // Siblings on the way up from a node of height `from`; 31 - `from` digests.
  void siblings(uint64_t address, unsigned from, uint8_t* out) const;

  // For whoever brings nodes up to date in another order (trace.cpp).
  uint8_t* place(unsigned height, uint64_t index);

 private:
  const uint8_t* stored(unsigned height, uint64_t index) const;
  void hash_level(unsigned height, std::span<const uint64_t> nodes);
  std::vector<uint64_t> take_marked_pairs();

  const uint8_t* memory_;
  Mapping nodes_;
  Mapping mark_bytes_;
  uint64_t* marks_;              // one bit for each leaf, set where the tree is out of date
  std::vector<uint64_t> pages_;  // that have such bits, each once
};

}  // namespace provenue::machine
