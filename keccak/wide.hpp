// Many Keccak-256 hashes at once, for Merkle trees and traces: as many side by side as the CPU has
// lanes for. Part of neither the program nor the machine; both include it, and each has a scalar
// Keccak of its own that its tests compare with this one.
#pragma once

#include <cstddef>
#include <cstdint>

namespace provenue::keccak {

// How many hashes one permutation computes.
enum class Width : uint8_t { scalar = 1, avx2 = 4, avx512 = 8 };

// out[32 i ..] = keccak256(in[bytes * i .. bytes * (i + 1)]) for i below count. `bytes` is a
// multiple of 8; `in` and `out` must not overlap.
void hash_each(const uint8_t* in, size_t bytes, uint8_t* out, size_t count);
// The same for the 64 bytes of two nodes of a tree.
void hash_pairs(const uint8_t* in, uint8_t* out, size_t count);

// The same on two threads where that is worth it.
void hash_pairs_parallel(const uint8_t* in, uint8_t* out, size_t count);

// Whether this build and this CPU have the width; the scalar one is always there.
bool has_width(Width width);
Width width();
// For tests: the widest one is taken at start. False, and nothing changes, if it is not there.
bool set_width(Width width);

}  // namespace provenue::keccak
