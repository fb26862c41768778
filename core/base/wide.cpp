#include "core/base/wide.hpp"

namespace provenue {

namespace {

constexpr uint64_t kDigit = uint64_t{1} << 32;  // base of the schoolbook division

// One base-2^32 digit of a quotient: of (top, next) by the normalised divisor (d1, d0). The first
// guess is at most two too large (Knuth, algorithm D).
[[gnu::always_inline]] inline uint64_t quotient_digit(uint64_t top, uint64_t next, uint64_t d1,
                                                      uint64_t d0) {
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

// (n1, n0) / d with n1 < d, so that the quotient fits 64 bits; d >= 2^32.
[[gnu::always_inline]] inline uint64_t divide_two_words(uint64_t n1, uint64_t n0,
                                                        const Divisor& d, uint64_t& remainder) {
    const uint64_t d1 = d.normalised >> 32;
    const uint64_t d0 = d.normalised & (kDigit - 1);
    const u128 n = ((u128{n1} << 64) | n0) << d.shift;
    const uint64_t n_top = high_word(n);
    const uint64_t n_middle = low_word(n) >> 32;
    const uint64_t n_bottom = low_word(n) & (kDigit - 1);

    const uint64_t q1 = quotient_digit(n_top, n_middle, d1, d0);
    // Exact modulo 2^64.
    const uint64_t rest = n_top * kDigit + n_middle - q1 * d.normalised;
    const uint64_t q0 = quotient_digit(rest, n_bottom, d1, d0);
    remainder = (rest * kDigit + n_bottom - q0 * d.normalised) >> d.shift;
    return q1 * kDigit + q0;
}

// (n1, n0) / d with n1 < d < 2^32: two digits, each within one instruction's reach.
[[gnu::always_inline]] inline uint64_t divide_two_digits(uint64_t n1, uint64_t n0, uint64_t d,
                                                         uint64_t& remainder) {
    const uint64_t upper = n1 << 32 | n0 >> 32;
    const uint64_t q1 = upper / d;
    const uint64_t lower = (upper - q1 * d) << 32 | (n0 & (kDigit - 1));
    const uint64_t q0 = lower / d;
    remainder = lower - q0 * d;
    return q1 << 32 | q0;
}

}  // namespace

Quotient divide_long(u128 numerator, const Divisor& divisor) {
    const uint64_t d = divisor.value;
    uint64_t n1 = high_word(numerator);
    uint64_t q1 = 0;
    if (n1 >= d) {
        q1 = n1 / d;
        n1 -= q1 * d;
    }
    uint64_t remainder = 0;
    const uint64_t q0 = d < kDigit
                            ? divide_two_digits(n1, low_word(numerator), d, remainder)
                            : divide_two_words(n1, low_word(numerator), divisor, remainder);
    return {(u128{q1} << 64) | q0, remainder};
}

Division divide(u128 numerator, u128 denominator) {
    if (high_word(denominator) == 0) {
        const Quotient result = divide(numerator, Divisor(low_word(denominator)));
        return {result.quotient, result.remainder};
    }
    // The divisor's top 64 bits give a quotient at most one off (Warren, Hacker's Delight 9-5).
    const int shift = 63 - static_cast<int>(highest_bit(high_word(denominator)));
    const Divisor top(high_word(denominator << shift));
    const u128 half = numerator >> 1;
    uint64_t remainder = 0;
    const uint64_t guess = divide_two_words(high_word(half), low_word(half), top, remainder);
    uint64_t quotient = low_word((u128{guess} << shift) >> 63);
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
    ASSERT(high_word(x) == 0 || high_word(y) == 0, "product exceeds 128 bits");
    const u128 cross = high_word(x) != 0 ? u128{high_word(x)} * low_word(y)
                                         : u128{high_word(y)} * low_word(x);
    ASSERT(high_word(cross) == 0, "product exceeds 128 bits");
    const u128 lower = u128{low_word(x)} * low_word(y);
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
