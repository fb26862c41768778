// Native keccak-256: one hash at a time, and many 64-byte hashes at once for the Merkle trees.
#pragma once

#include <array>
#include <cstddef>
#include <cstdint>

#include "keccak/wide.hpp"

namespace provenue::native {

using keccak::has_width;
using keccak::hash_pairs;
using keccak::set_width;
using keccak::Width;
using keccak::width;

using Digest = std::array<uint8_t, 32>;

Digest keccak256(const uint8_t* data, size_t bytes);

}  // namespace provenue::native
