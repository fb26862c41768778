// Keccak-f[1600] over lanes of type T: uint64_t, or a vector of them (one hash per element).
//
// Included by one file per instruction set, after that file's target pragma. Everything has
// internal linkage and nothing of the standard library is used: a function that other files share
// must never be emitted with instructions the CPU may lack.
#pragma once

#include <stddef.h>
#include <stdint.h>

namespace provenue::keccak {
namespace {

// All indexes must be constants, else the state lives in memory and not in registers.
#define PROVENUE_UNROLL _Pragma("GCC unroll 25")
#define PROVENUE_LANE_INLINE static inline __attribute__((always_inline))

constexpr uint64_t kRoundConstants[24] = {
    0x0000000000000001, 0x0000000000008082, 0x800000000000808a, 0x8000000080008000,
    0x000000000000808b, 0x0000000080000001, 0x8000000080008081, 0x8000000000008009,
    0x000000000000008a, 0x0000000000000088, 0x0000000080008009, 0x000000008000000a,
    0x000000008000808b, 0x800000000000008b, 0x8000000000008089, 0x8000000000008003,
    0x8000000000008002, 0x8000000000000080, 0x000000000000800a, 0x800000008000000a,
    0x8000000080008081, 0x8000000000008080, 0x0000000080000001, 0x8000000080008008};

template <int Bits, typename T>
PROVENUE_LANE_INLINE void rotated(T& to, const T& from) {
    to = (from << Bits) | (from >> (64 - Bits));
}

// One row of the chi step, written back to the state.
template <typename T>
PROVENUE_LANE_INLINE void chi_row(T* a, const T& b0, const T& b1, const T& b2, const T& b3,
                                  const T& b4) {
    a[0] = b0 ^ (~b1 & b2);
    a[1] = b1 ^ (~b2 & b3);
    a[2] = b2 ^ (~b3 & b4);
    a[3] = b3 ^ (~b4 & b0);
    a[4] = b4 ^ (~b0 & b1);
}

// theta, rho, pi, chi and iota of one round. The state is read through b[], so that the permutation
// of pi costs nothing.
template <typename T>
PROVENUE_LANE_INLINE void keccak_round(T (&a)[25], uint64_t constant) {
    T c[5], d[5], b[25];
    PROVENUE_UNROLL
    for (int x = 0; x < 5; ++x) c[x] = a[x] ^ a[x + 5] ^ a[x + 10] ^ a[x + 15] ^ a[x + 20];
    PROVENUE_UNROLL
    for (int x = 0; x < 5; ++x) {
        rotated<1>(d[x], c[(x + 1) % 5]);
        d[x] ^= c[(x + 4) % 5];
    }
    PROVENUE_UNROLL
    for (int i = 0; i < 25; ++i) a[i] ^= d[i % 5];
    b[0] = a[0];
    rotated<44>(b[1], a[6]);
    rotated<43>(b[2], a[12]);
    rotated<21>(b[3], a[18]);
    rotated<14>(b[4], a[24]);
    rotated<28>(b[5], a[3]);
    rotated<20>(b[6], a[9]);
    rotated<3>(b[7], a[10]);
    rotated<45>(b[8], a[16]);
    rotated<61>(b[9], a[22]);
    rotated<1>(b[10], a[1]);
    rotated<6>(b[11], a[7]);
    rotated<25>(b[12], a[13]);
    rotated<8>(b[13], a[19]);
    rotated<18>(b[14], a[20]);
    rotated<27>(b[15], a[4]);
    rotated<36>(b[16], a[5]);
    rotated<10>(b[17], a[11]);
    rotated<15>(b[18], a[17]);
    rotated<56>(b[19], a[23]);
    rotated<62>(b[20], a[2]);
    rotated<55>(b[21], a[8]);
    rotated<39>(b[22], a[14]);
    rotated<41>(b[23], a[15]);
    rotated<2>(b[24], a[21]);
    PROVENUE_UNROLL
    for (int y = 0; y < 25; y += 5) chi_row(a + y, b[y], b[y + 1], b[y + 2], b[y + 3], b[y + 4]);
    a[0] ^= constant;
}

template <typename T>
PROVENUE_LANE_INLINE void keccak_permute(T (&a)[25]) {
    for (int round = 0; round < 24; ++round) keccak_round(a, kRoundConstants[round]);
}

// `Width` hashes of 64 bytes each at once: in[] holds Width * 64 bytes, out[] gets Width * 32.
template <typename T, int Width>
PROVENUE_LANE_INLINE void hash_pairs_vector(const uint8_t* in, uint8_t* out) {
    uint64_t words[Width][8];
    __builtin_memcpy(words, in, sizeof words);
    T a[25];
    for (int i = 0; i < 8; ++i)
        for (int lane = 0; lane < Width; ++lane) a[i][lane] = words[lane][i];
    for (int i = 8; i < 25; ++i) a[i] = T{};
    a[8] ^= uint64_t{0x01};                // padding of 64 bytes into the rate of 136
    a[16] ^= uint64_t{0x8000000000000000};
    keccak_permute(a);
    uint64_t digests[Width][4];
    for (int i = 0; i < 4; ++i)
        for (int lane = 0; lane < Width; ++lane) digests[lane][i] = a[i][lane];
    __builtin_memcpy(out, digests, sizeof digests);
}

// `Width` hashes of `bytes` (a multiple of 8) each at once, behind one another in in[].
template <typename T, int Width>
PROVENUE_LANE_INLINE void hash_each_vector(const uint8_t* in, size_t bytes, uint8_t* out) {
    constexpr size_t kRateWords = 17;
    T a[25];
    PROVENUE_UNROLL
    for (int i = 0; i < 25; ++i) a[i] = T{};
    for (size_t left = bytes / 8;; left -= kRateWords, in += kRateWords * 8) {
        const size_t words = left < kRateWords ? left : kRateWords;
        // A block of its own, since the state must be indexed by constants only.
        T block[kRateWords] = {};
        for (int lane = 0; lane < Width; ++lane) {
            uint64_t line[kRateWords];
            __builtin_memcpy(line, in + static_cast<size_t>(lane) * bytes, words * 8);
            for (size_t i = 0; i < words; ++i) block[i][lane] = line[i];
        }
        if (words < kRateWords) {
            block[words] ^= uint64_t{0x01};
            block[kRateWords - 1] ^= uint64_t{0x8000000000000000};
        }
        PROVENUE_UNROLL
        for (int i = 0; i < 17; ++i) a[i] ^= block[i];
        keccak_permute(a);
        if (words < kRateWords) break;
    }
    uint64_t digests[Width][4];
    for (int i = 0; i < 4; ++i)
        for (int lane = 0; lane < Width; ++lane) digests[lane][i] = a[i][lane];
    __builtin_memcpy(out, digests, sizeof digests);
}

}  // namespace
}  // namespace provenue::keccak
