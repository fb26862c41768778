// The wide hashes, one file for each instruction set; called only when the CPU has it.
#pragma once

#include <cstddef>
#include <cstdint>

// The vector files need x86-64 and a compiler that takes a target per file.
#if defined(__x86_64__) && defined(__GNUC__) && defined(__BYTE_ORDER__) && \
    __BYTE_ORDER__ == __ORDER_LITTLE_ENDIAN__
#define PROVENUE_WIDE_KECCAK 1
#else
#define PROVENUE_WIDE_KECCAK 0
#endif

namespace provenue::keccak {

#if PROVENUE_WIDE_KECCAK
// 4 and 8 hashes of `bytes` (a multiple of 8) each, behind one another in `in` and in `out`.
void hash_pairs_avx2(const uint8_t in[4 * 64], uint8_t out[4 * 32]);
void hash_each_avx2(const uint8_t* in, size_t bytes, uint8_t out[4 * 32]);
void hash_pairs_avx512(const uint8_t in[8 * 64], uint8_t out[8 * 32]);
void hash_each_avx512(const uint8_t* in, size_t bytes, uint8_t out[8 * 32]);
#endif

}  // namespace provenue::keccak
