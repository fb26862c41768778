// The guest's bit look-ups against the compiler's own, over every pair of highest and lowest bit.
#include "core/base/bits.hpp"

#include "core/base/test.hpp"

using namespace provenue;

int main(int argc, char** argv) {
    test::Random random(test::seed_of(argc, argv));
    for (uint32_t high = 0; high < 64; ++high)
        for (uint32_t low = 0; low <= high; ++low)
            for (test::round = 0; test::round < 20; ++test::round) {
                uint64_t word = uint64_t{1} << high | uint64_t{1} << low;
                if (high > low + 1)
                    word |= (random.next() << (low + 1)) & ((uint64_t{1} << high) - 1);
                CHECK(de_bruijn::highest_bit(word) == high && highest_bit(word) == high);
                CHECK(de_bruijn::lowest_bit(word) == low && lowest_bit(word) == low);
            }
    return test::finish();
}
