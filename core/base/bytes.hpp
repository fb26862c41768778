// Big-endian words of the wire and of hash blocks, and 20-byte addresses.
#pragma once

#include <cstdint>
#include <cstring>

namespace provenue {

constexpr uint32_t kAddressBytes = 20;
constexpr uint32_t kWordBytes = 32;

// An unsigned integer of sizeof(T) bytes, big-endian, at any alignment.
template <typename T>
constexpr T load_big(const uint8_t* at) {
    uint64_t value = 0;
    for (uint32_t i = 0; i < sizeof(T); ++i) value = value << 8 | at[i];
    return static_cast<T>(value);
}

constexpr void store_big(uint8_t* at, uint64_t value) {
    for (uint32_t i = 0; i < 8; ++i) at[i] = static_cast<uint8_t>(value >> (56 - 8 * i));
}

// word(x) of chapter 1: 32 bytes big-endian, left-padded with zeros.
inline void store_word(uint8_t* at, uint64_t value) {
    std::memset(at, 0, kWordBytes - 8);
    store_big(at + kWordBytes - 8, value);
}
inline void store_address_word(uint8_t* at, const uint8_t* address) {
    std::memset(at, 0, kWordBytes - kAddressBytes);
    std::memcpy(at + kWordBytes - kAddressBytes, address, kAddressBytes);
}

inline bool same_bytes(const uint8_t* a, const uint8_t* b, uint32_t bytes) {
    return std::memcmp(a, b, bytes) == 0;
}
inline bool same_address(const uint8_t* a, const uint8_t* b) {
    return same_bytes(a, b, kAddressBytes);
}
inline bool is_zero_address(const uint8_t* address) {
    constexpr uint8_t kZero[kAddressBytes] = {};
    return same_address(address, kZero);
}

}  // namespace provenue
