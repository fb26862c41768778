// Exact integers of 128 bits: checked products, and division with a named direction (P8). The guest
// links without a runtime library, so that 128-bit division is ours (P2).
#pragma once

#include <cstdint>
#include <type_traits>

#include "core/base/assert.hpp"
#include "core/base/bits.hpp"

namespace provenue {

using i128 = __int128;
using u128 = unsigned __int128;

constexpr uint64_t high_word(u128 x) { return static_cast<uint64_t>(x >> 64); }
constexpr uint64_t low_word(u128 x) { return static_cast<uint64_t>(x); }

// A denominator of 64 bits, with what the long division needs of it worked out once.
struct Divisor {
    constexpr Divisor() : Divisor(1) {}
    constexpr explicit Divisor(uint64_t denominator)
        : value(denominator), shift(0), normalised(denominator) {
        if (value >> 32 == 0) return;  // divided digit by digit
        shift = 63 - static_cast<int>(highest_bit(value));
        normalised = value << shift;
    }

    uint64_t value;  // not 0
    int shift;
    uint64_t normalised;  // value << shift: its top bit is set when value >= 2^32
};

struct Quotient {
    u128 quotient;
    uint64_t remainder;
};

// The numerator is at least 2^64.
Quotient divide_long(u128 numerator, const Divisor& divisor);

// Inline for the usual case, which is one instruction.
inline Quotient divide(u128 numerator, const Divisor& divisor) {
    ASSERT(divisor.value != 0, "division by zero");
    if (high_word(numerator) != 0) return divide_long(numerator, divisor);
    return {low_word(numerator) / divisor.value, low_word(numerator) % divisor.value};
}

struct Division {
    u128 quotient;
    u128 remainder;
};

// numerator / denominator; the denominator is not 0.
Division divide(u128 numerator, u128 denominator);

// The product of magnitudes with either factor at or above 2^64; an overflow is a bug.
i128 multiply_wide(i128 a, i128 b);

constexpr bool fits_i64(i128 x) { return x >= INT64_MIN && x <= INT64_MAX; }

// a * b, exact. Inline for the usual case, in which no overflow is possible.
inline i128 multiply(i128 a, i128 b) {
    if (fits_i64(a) && fits_i64(b)) [[likely]]
        return i128{static_cast<int64_t>(a)} * static_cast<int64_t>(b);
    return multiply_wide(a, b);
}

template <typename... Rest>
inline i128 multiply(i128 a, i128 b, Rest... rest) {
    return multiply(multiply(a, b), rest...);
}

inline i128 add(i128 a, i128 b) {
    i128 sum = 0;
    ASSERT(!__builtin_add_overflow(a, b, &sum), "sum exceeds 128 bits");
    return sum;
}

// The value in a narrower type; a value that does not fit is a bug.
template <typename T>
inline T narrow(i128 x) {
    static_assert(std::is_integral_v<T> && sizeof(T) <= 8);
    const T result = static_cast<T>(x);
    ASSERT(i128{result} == x, "value does not fit its field");
    return result;
}

constexpr u128 magnitude(i128 x) {
    return x < 0 ? u128{0} - static_cast<u128>(x) : static_cast<u128>(x);
}

constexpr int sign_of(i128 x) { return (x > 0) - (x < 0); }

constexpr i128 max(i128 a, i128 b) { return a < b ? b : a; }
constexpr i128 min(i128 a, i128 b) { return b < a ? b : a; }
constexpr i128 clamp(i128 x, i128 low, i128 high) { return min(max(x, low), high); }

// Division of chapter 1: floor toward minus infinity, ceil toward plus infinity, trunc toward zero.
i128 div_floor(i128 numerator, i128 denominator);
i128 div_ceil(i128 numerator, i128 denominator);
i128 div_trunc(i128 numerator, i128 denominator);

inline i128 div_floor(i128 numerator, const Divisor& divisor) {
    const Quotient result = divide(magnitude(numerator), divisor);
    const i128 quotient = static_cast<i128>(result.quotient);
    return numerator >= 0 ? quotient : -quotient - (result.remainder != 0);
}
inline i128 div_ceil(i128 numerator, const Divisor& divisor) {
    const Quotient result = divide(magnitude(numerator), divisor);
    const i128 quotient = static_cast<i128>(result.quotient);
    return numerator < 0 ? -quotient : quotient + (result.remainder != 0);
}

// One division per product: the numerator is multiplied out first.
inline i128 mul_div_floor(i128 a, i128 b, i128 denominator) {
    return div_floor(multiply(a, b), denominator);
}
inline i128 mul_div_ceil(i128 a, i128 b, i128 denominator) {
    return div_ceil(multiply(a, b), denominator);
}
inline i128 mul_div_trunc(i128 a, i128 b, i128 denominator) {
    return div_trunc(multiply(a, b), denominator);
}

}  // namespace provenue
