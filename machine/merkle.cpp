#include "machine/merkle.hpp"

#include "machine/layout.hpp"

#include <algorithm>
#include <cstring>
#include <stdexcept>
#include <string>
#include <vector>

namespace provenue::machine {
namespace {

constexpr unsigned kDepthMax = 59;

// Reduces a row of nodes by one level; an odd last node is paired with the zero subtree.
void reduce(std::vector<Digest>& row, const Digest& zero, const Digest& zero_parent) {
  const size_t parents = (row.size() + 1) / 2;
  for (size_t i = 0; i < parents; ++i) {
    const Digest left = row[2 * i];
    const Digest right = 2 * i + 1 < row.size() ? row[2 * i + 1] : zero;
    row[i] = left == zero && right == zero ? zero_parent : hash_pair(left.data(), right.data());
  }
  row.resize(parents);
}

Digest page_root(std::span<const uint8_t> page, const std::vector<Digest>& zero) {
  if (std::all_of(page.begin(), page.end(), [](uint8_t byte) { return byte == 0; }))
    return zero[kPageDepth];
  std::vector<Digest> row(page.size() / kLeafSize);
  std::memcpy(row.data(), page.data(), page.size());
  for (unsigned level = 0; level < kPageDepth; ++level) reduce(row, zero[level], zero[level + 1]);
  return row[0];
}

}  // namespace

Digest merkle_root(std::span<const uint8_t> data, unsigned depth) {
  if (data.size() % kLeafSize != 0)
    throw std::invalid_argument("merkle: extent: expected a multiple of 32 bytes, was " +
                                std::to_string(data.size()));
  if (depth < kPageDepth || depth > kDepthMax || data.size() > kLeafSize << depth)
    throw std::invalid_argument("merkle: extent: expected at most 2^(depth + 5) bytes with a depth "
                                "of 7 to 59, was " + std::to_string(data.size()) +
                                " bytes with a depth of " + std::to_string(depth));

  std::vector<Digest> zero(depth + 1);
  zero[0].fill(0);
  for (unsigned level = 0; level < depth; ++level)
    zero[level + 1] = hash_pair(zero[level].data(), zero[level].data());
  if (data.empty()) return zero[depth];

  std::vector<Digest> row;
  row.reserve(data.size() / kPageSize + 1);
  for (size_t at = 0; at < data.size(); at += kPageSize)
    row.push_back(page_root(data.subspan(at, std::min(kPageSize, data.size() - at)), zero));
  for (unsigned level = kPageDepth; level < depth; ++level)
    reduce(row, zero[level], zero[level + 1]);
  return row[0];
}

}  // namespace provenue::machine
