// The highest and the lowest set bit of a word. RV64IM counts no zeros: the guest looks them up by
// a de Bruijn sequence, a third of the instructions that the compiler would spend (P3).
#pragma once

#include <bit>
#include <cstdint>

namespace provenue {

namespace de_bruijn {

// Its 64 windows of six bits are all different, so that a shift by n is told by the top six bits.
constexpr uint64_t kSequence = 0x03F7'9D71'B4CB'0A89;

struct Places {
    uint8_t of_window[64];
};
constexpr Places kPlaces = [] {
    Places places{};
    for (uint32_t n = 0; n < 64; ++n)
        places.of_window[kSequence << n >> 58] = static_cast<uint8_t>(n);
    return places;
}();

// `bit` has exactly one bit set.
constexpr uint32_t place_of(uint64_t bit) { return kPlaces.of_window[bit * kSequence >> 58]; }

constexpr uint32_t lowest_bit(uint64_t word) { return place_of(word & (~word + 1)); }

constexpr uint32_t highest_bit(uint64_t word) {
    for (uint32_t shift = 1; shift < 64; shift *= 2) word |= word >> shift;
    return place_of(word ^ word >> 1);
}

}  // namespace de_bruijn

// The word is not 0.
constexpr uint32_t lowest_bit(uint64_t word) {
#if defined(PROVENUE_GUEST)
    return de_bruijn::lowest_bit(word);
#else
    return static_cast<uint32_t>(std::countr_zero(word));
#endif
}

constexpr uint32_t highest_bit(uint64_t word) {
#if defined(PROVENUE_GUEST)
    return de_bruijn::highest_bit(word);
#else
    return static_cast<uint32_t>(63 - std::countl_zero(word));
#endif
}

}  // namespace provenue
