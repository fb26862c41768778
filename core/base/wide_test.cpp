// The program's 128-bit arithmetic against the compiler's own.
#include "core/base/wide.hpp"

#include "core/base/test.hpp"

using namespace provenue;

namespace {

constexpr i128 kMaxI128 = static_cast<i128>(~u128{0} >> 1);

// Every width is as likely as every other, so that all branches of the division are met.
u128 random_magnitude(test::Random& random, unsigned bits_max) {
    const unsigned bits = static_cast<unsigned>(random.between(0, bits_max));
    const uint64_t upper = random.next();
    u128 x = u128{upper} << 64 | random.next();
    if (random.one_in(4)) x = ~u128{0};                                // all ones
    if (random.one_in(4)) x = u128{1} << 127 | (x & 0xF);              // a power of two and a bit
    return bits == 0 ? 0 : x >> (128 - bits);
}

i128 random_signed(test::Random& random, unsigned bits_max) {
    const i128 x = static_cast<i128>(random_magnitude(random, bits_max));
    return random.one_in(2) ? -x : x;
}

void check_division(u128 numerator, u128 denominator) {
    const Division result = divide(numerator, denominator);
    CHECK(result.quotient == numerator / denominator);
    CHECK(result.remainder == numerator % denominator);
}

void check_rounding(i128 numerator, i128 denominator) {
    const i128 quotient = numerator / denominator;
    const i128 remainder = numerator % denominator;
    const bool negative = (numerator < 0) != (denominator < 0);
    CHECK(div_trunc(numerator, denominator) == quotient);
    CHECK(div_floor(numerator, denominator) == quotient - (remainder != 0 && negative));
    CHECK(div_ceil(numerator, denominator) == quotient + (remainder != 0 && !negative));
}

void test_division_agrees_with_the_compiler(test::Random& random) {
    for (test::round = 0; test::round < 200'000; ++test::round) {
        const u128 denominator = random_magnitude(random, 128);
        if (denominator == 0) continue;
        const u128 numerator = random_magnitude(random, 128);
        check_division(numerator, denominator);
        check_division(denominator, denominator);
        check_division(denominator - 1, denominator);
        const i128 a = random_signed(random, 127);
        const i128 b = random_signed(random, 127);
        if (b != 0) check_rounding(a, b);
    }
}

void test_named_directions() {
    CHECK(div_floor(-7, 2) == -4 && div_ceil(-7, 2) == -3 && div_trunc(-7, 2) == -3);
    CHECK(div_floor(7, 2) == 3 && div_ceil(7, 2) == 4 && div_trunc(7, 2) == 3);
    CHECK(div_floor(-8, 2) == -4 && div_ceil(-8, 2) == -4);
    CHECK(div_floor(0, 5) == 0 && div_ceil(0, 5) == 0);
    CHECK(mul_div_floor(-3, 5, 4) == -4 && mul_div_ceil(-3, 5, 4) == -3);
}

void test_products_are_exact(test::Random& random) {
    for (test::round = 0; test::round < 200'000; ++test::round) {
        const unsigned bits = static_cast<unsigned>(random.between(0, 126));
        const i128 a = random_signed(random, bits);
        const i128 b = random_signed(random, 126 - bits);
        CHECK(multiply(a, b) == a * b);
    }
    CHECK(multiply(kMaxI128, 1) == kMaxI128);
    CHECK(multiply(-kMaxI128, 1) == -kMaxI128);
    CHECK(multiply(i128{1} << 100, 1 << 20, 64) == i128{1} << 126);
}

void test_narrowing_keeps_values() {
    CHECK(narrow<int64_t>(i128{INT64_MIN}) == INT64_MIN);
    CHECK(narrow<uint64_t>(i128{UINT64_MAX}) == UINT64_MAX);
    CHECK(narrow<uint16_t>(65'535) == 65'535);
    CHECK(magnitude(i128{INT64_MIN}) == u128{1} << 63);
}

}  // namespace

int main(int argc, char** argv) {
    test::Random random(test::seed_of(argc, argv));
    test_division_agrees_with_the_compiler(random);
    test_named_directions();
    test_products_are_exact(random);
    test_narrowing_keeps_values();
    return test::finish();
}
