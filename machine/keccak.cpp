#include "machine/keccak.hpp"

#include <bit>
#include <cstddef>
#include <cstring>

namespace provenue::machine {
namespace {

static_assert(std::endian::native == std::endian::little);

constexpr size_t kRate = 136;
constexpr unsigned kRounds = 24;

constexpr uint64_t kIota[kRounds] = {
    0x0000000000000001, 0x0000000000008082, 0x800000000000808a, 0x8000000080008000,
    0x000000000000808b, 0x0000000080000001, 0x8000000080008081, 0x8000000000008009,
    0x000000000000008a, 0x0000000000000088, 0x0000000080008009, 0x000000008000000a,
    0x000000008000808b, 0x800000000000008b, 0x8000000000008089, 0x8000000000008003,
    0x8000000000008002, 0x8000000000000080, 0x000000000000800a, 0x800000008000000a,
    0x8000000080008081, 0x8000000000008080, 0x0000000080000001, 0x8000000080008008};

// Rho and pi together: lane kPi[i] receives the lane before it in the cycle, turned by kRho[i].
constexpr int kRho[24] = {1,  3,  6,  10, 15, 21, 28, 36, 45, 55, 2,  14,
                          27, 41, 56, 8,  25, 43, 62, 18, 39, 61, 20, 44};
constexpr size_t kPi[24] = {10, 7,  11, 17, 18, 3, 5,  16, 8,  21, 24, 4,
                            15, 23, 19, 13, 12, 2, 20, 14, 22, 9,  6,  1};

void permute(uint64_t a[25]) {
  for (const uint64_t iota : kIota) {
    uint64_t c[5];
    for (size_t x = 0; x < 5; ++x) c[x] = a[x] ^ a[x + 5] ^ a[x + 10] ^ a[x + 15] ^ a[x + 20];
    for (size_t x = 0; x < 5; ++x) {
      const uint64_t d = c[(x + 4) % 5] ^ std::rotl(c[(x + 1) % 5], 1);
      for (size_t y = 0; y < 25; y += 5) a[x + y] ^= d;
    }
    uint64_t carried = a[1];
    for (size_t i = 0; i < 24; ++i) {
      const uint64_t old = a[kPi[i]];
      a[kPi[i]] = std::rotl(carried, kRho[i]);
      carried = old;
    }
    for (size_t y = 0; y < 25; y += 5) {
      uint64_t row[5];
      for (size_t x = 0; x < 5; ++x) row[x] = a[y + x];
      for (size_t x = 0; x < 5; ++x) a[y + x] = row[x] ^ (~row[(x + 1) % 5] & row[(x + 2) % 5]);
    }
    a[0] ^= iota;
  }
}

void absorb(uint64_t state[25], const uint8_t block[kRate]) {
  for (size_t lane = 0; lane < kRate / 8; ++lane) {
    uint64_t value;
    std::memcpy(&value, block + 8 * lane, 8);
    state[lane] ^= value;
  }
  permute(state);
}

}  // namespace

Digest keccak256(std::span<const uint8_t> data) {
  uint64_t state[25] = {};
  while (data.size() >= kRate) {
    absorb(state, data.data());
    data = data.subspan(kRate);
  }
  uint8_t last[kRate] = {};
  if (!data.empty()) std::memcpy(last, data.data(), data.size());
  last[data.size()] = 0x01;
  last[kRate - 1] |= 0x80;
  absorb(state, last);
  Digest digest;
  std::memcpy(digest.data(), state, digest.size());
  return digest;
}

Digest hash_pair(const uint8_t left[32], const uint8_t right[32]) {
  uint8_t both[64];
  std::memcpy(both, left, 32);
  std::memcpy(both + 32, right, 32);
  return keccak256(both);
}

}  // namespace provenue::machine
