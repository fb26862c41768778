#include "core/native/keccak.hpp"

#include <bit>
#include <cstring>

#include "keccak/lanes.hpp"

namespace provenue::native {

static_assert(std::endian::native == std::endian::little, "lanes are loaded as they lie in memory");

namespace {

constexpr size_t kRateBytes = 136;

void absorb(uint64_t (&state)[25], const uint8_t* block) {
    uint64_t words[kRateBytes / 8];
    std::memcpy(words, block, kRateBytes);
    for (size_t i = 0; i < kRateBytes / 8; ++i) state[i] ^= words[i];
    keccak::keccak_permute(state);
}

}  // namespace

Digest keccak256(const uint8_t* data, size_t bytes) {
    uint64_t state[25] = {};
    for (; bytes >= kRateBytes; data += kRateBytes, bytes -= kRateBytes) absorb(state, data);
    uint8_t last[kRateBytes] = {};
    if (bytes) std::memcpy(last, data, bytes);
    last[bytes] = 0x01;
    last[kRateBytes - 1] |= 0x80;
    absorb(state, last);
    Digest digest;
    std::memcpy(digest.data(), state, digest.size());
    return digest;
}

}  // namespace provenue::native
