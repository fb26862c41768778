// 4 hashes per permutation, with the instructions of avx2. Only run-time dispatch calls this.
#include "keccak/vectors.hpp"

#if PROVENUE_WIDE_KECCAK

#if defined(__clang__)
#pragma clang attribute push(__attribute__((target("avx2"))), apply_to = function)
#else
#pragma GCC push_options
#pragma GCC target("avx2")
#endif

#include "keccak/lanes.hpp"

namespace provenue::keccak {

using Lanes = uint64_t __attribute__((vector_size(32)));

void hash_pairs_avx2(const uint8_t in[4 * 64], uint8_t out[4 * 32]) {
    hash_pairs_vector<Lanes, 4>(in, out);
}

void hash_each_avx2(const uint8_t* in, size_t bytes, uint8_t out[4 * 32]) {
    hash_each_vector<Lanes, 4>(in, bytes, out);
}

}  // namespace provenue::keccak

#if defined(__clang__)
#pragma clang attribute pop
#else
#pragma GCC pop_options
#endif

#endif
