// 8 hashes per permutation, with the instructions of avx512. Only run-time dispatch calls this.
#include "keccak/vectors.hpp"

#if PROVENUE_WIDE_KECCAK

#if defined(__clang__)
#pragma clang attribute push(__attribute__((target("avx512f,avx512vl"))), apply_to = function)
#else
#pragma GCC push_options
#pragma GCC target("avx512f,avx512vl")
#endif

#include "keccak/lanes.hpp"

namespace provenue::keccak {

using Lanes = uint64_t __attribute__((vector_size(64)));

void hash_pairs_avx512(const uint8_t in[8 * 64], uint8_t out[8 * 32]) {
    hash_pairs_vector<Lanes, 8>(in, out);
}

void hash_each_avx512(const uint8_t* in, size_t bytes, uint8_t out[8 * 32]) {
    hash_each_vector<Lanes, 8>(in, bytes, out);
}

}  // namespace provenue::keccak

#if defined(__clang__)
#pragma clang attribute pop
#else
#pragma GCC pop_options
#endif

#endif
