// Native keccak-256: one hash at a time, and many 64-byte hashes at once for the Merkle trees.
#pragma once

#include <array>
#include <cstddef>
#include <cstdint>

namespace provenue::native {

using Digest = std::array<uint8_t, 32>;

// How many hashes one permutation computes.
enum class Width : uint8_t { scalar = 1, avx2 = 4, avx512 = 8 };

Digest keccak256(const uint8_t* data, size_t bytes);

// out[i] = keccak256(in[64 i .. 64 i + 64]), for i below count. `in` and `out` must not overlap.
void hash_pairs(const uint8_t* in, uint8_t* out, size_t count);

// Whether this build and this CPU have the width; the scalar one is always there.
bool has_width(Width width);
Width width();
// For tests: the widest one is taken at start. False, and nothing changes, if it is not there.
bool set_width(Width width);

}  // namespace provenue::native
