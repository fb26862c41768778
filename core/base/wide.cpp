#include "core/base/wide.hpp"

namespace provenue {

namespace {

constexpr uint64_t kDigit = uint64_t{1} << 32;  // base of the schoolbook division

constexpr uint64_t high(u128 x) { return static_cast<uint64_t>(x >> 64); }
constexpr uint64_t low(u128 x) { return static_cast<uint64_t>(x); }

// One base-2^32 digit of a quotient: of (top, next) by the normalised divisor (d1, d0). The first
// guess is at most two too large (Knuth, algorithm D).
uint64_t quotient_digit(uint64_t top, uint64_t next, uint64_t d1, uint64_t d0) {
    uint64_t digit = top / d1;
    uint64_t rest = top - digit * d1;
    for (int corrections = 0; corrections < 2; ++corrections) {
        if (digit < kDigit && digit * d0 <= kDigit * rest + next) break;
        digit -= 1;
        rest += d1;
        if (rest >= kDigit) break;
    }
    return digit;
}

// (n1, n0) / d with n1 < d, so that the quotient fits 64 bits.
uint64_t divide_two_words(uint64_t n1, uint64_t n0, uint64_t d, uint64_t& remainder) {
    const int shift = std::countl_zero(d);
    const uint64_t divisor = d << shift;
    const uint64_t d1 = divisor >> 32;
    const uint64_t d0 = divisor & (kDigit - 1);
    const u128 n = ((u128{n1} << 64) | n0) << shift;
    const uint64_t n_top = high(n);
    const uint64_t n_middle = low(n) >> 32;
    const uint64_t n_bottom = low(n) & (kDigit - 1);

    const uint64_t q1 = quotient_digit(n_top, n_middle, d1, d0);
    const uint64_t rest = n_top * kDigit + n_middle - q1 * divisor;  // exact modulo 2^64
    const uint64_t q0 = quotient_digit(rest, n_bottom, d1, d0);
    remainder = (rest * kDigit + n_bottom - q0 * divisor) >> shift;
    return q1 * kDigit + q0;
}

}  // namespace

Division divide(u128 numerator, u128 denominator) {
    ASSERT(denominator != 0, "division by zero");
    uint64_t remainder = 0;
    if (high(denominator) == 0) {
        const uint64_t d = low(denominator);
        if (high(numerator) == 0) return {low(numerator) / d, low(numerator) % d};
        const uint64_t q1 = high(numerator) / d;
        const uint64_t q0 = divide_two_words(high(numerator) % d, low(numerator), d, remainder);
        return {(u128{q1} << 64) | q0, remainder};
    }
    // The divisor's top 64 bits give a quotient at most one off (Warren, Hacker's Delight 9-5).
    const int shift = std::countl_zero(high(denominator));
    const uint64_t top = high(denominator << shift);
    const u128 half = numerator >> 1;
    const uint64_t guess = divide_two_words(high(half), low(half), top, remainder);
    uint64_t quotient = low((u128{guess} << shift) >> 63);
    if (quotient != 0) quotient -= 1;
    u128 rest = numerator - quotient * denominator;
    if (rest >= denominator) {
        quotient += 1;
        rest -= denominator;
    }
    ASSERT(rest < denominator, "quotient too small");
    return {quotient, rest};
}

i128 multiply_wide(i128 a, i128 b) {
    const u128 x = magnitude(a);
    const u128 y = magnitude(b);
    ASSERT(high(x) == 0 || high(y) == 0, "product exceeds 128 bits");
    const u128 cross = high(x) != 0 ? u128{high(x)} * low(y) : u128{high(y)} * low(x);
    ASSERT(high(cross) == 0, "product exceeds 128 bits");
    const u128 lower = u128{low(x)} * low(y);
    const u128 product = lower + (cross << 64);
    ASSERT(product >= lower && (product >> 127) == 0, "product exceeds 128 bits");
    const i128 result = static_cast<i128>(product);
    return (a < 0) != (b < 0) ? -result : result;
}

i128 div_trunc(i128 numerator, i128 denominator) {
    const i128 quotient =
        static_cast<i128>(divide(magnitude(numerator), magnitude(denominator)).quotient);
    return (numerator < 0) != (denominator < 0) ? -quotient : quotient;
}

i128 div_floor(i128 numerator, i128 denominator) {
    const Division result = divide(magnitude(numerator), magnitude(denominator));
    const i128 quotient = static_cast<i128>(result.quotient);
    if ((numerator < 0) == (denominator < 0)) return quotient;
    return result.remainder == 0 ? -quotient : -quotient - 1;
}

i128 div_ceil(i128 numerator, i128 denominator) {
    const Division result = divide(magnitude(numerator), magnitude(denominator));
    const i128 quotient = static_cast<i128>(result.quotient);
    if ((numerator < 0) != (denominator < 0)) return -quotient;
    return result.remainder == 0 ? quotient : quotient + 1;
}

}  // namespace provenue
