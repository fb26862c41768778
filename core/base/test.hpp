// A harness for tests of the program: checks that say what failed and where, a seeded generator
// that names its seed, and the host (keccak-256, a pretended ecrecover, assertions that abort).
// Included once per test executable. Hosted C++, tests only.
#pragma once

#include <array>
#include <cstdint>
#include <cstdio>
#include <cstdlib>
#include <cstring>

#include "core/base/assert.hpp"
#include "core/base/host.hpp"

namespace provenue::test {

inline int failures = 0;
// Shown with every failure: what a random test was doing.
inline uint64_t seed = 0;
inline uint64_t round = 0;

inline void fail(const char* what, const char* file, int line) {
    if (++failures > 20) std::exit(1);
    std::printf("%s:%d: %s (seed %llu, round %llu)\n", file, line, what,
                static_cast<unsigned long long>(seed), static_cast<unsigned long long>(round));
}

#define CHECK(condition)                                                          \
    do {                                                                          \
        if (!(condition)) ::provenue::test::fail(#condition, __FILE__, __LINE__); \
    } while (false)

inline int finish() {
    if (failures != 0) std::printf("%d failures\n", failures);
    return failures == 0 ? 0 : 1;
}

// splitmix64. The seed comes from the command line, so that a failure can be replayed.
class Random {
public:
    explicit Random(uint64_t start) : state_(start) { seed = start; }
    uint64_t next() {
        uint64_t z = state_ += 0x9E3779B97F4A7C15;
        z = (z ^ z >> 30) * 0xBF58476D1CE4E5B9;
        z = (z ^ z >> 27) * 0x94D049BB133111EB;
        return z ^ z >> 31;
    }
    uint64_t below(uint64_t limit) { return next() % limit; }
    uint64_t between(uint64_t low, uint64_t high) { return low + below(high - low + 1); }
    bool one_in(uint64_t n) { return below(n) == 0; }

private:
    uint64_t state_;
};

inline uint64_t seed_of(int argc, char** argv) {
    return argc > 1 ? std::strtoull(argv[1], nullptr, 10) : 1;
}

// keccak-256, straight from the definition of Keccak-f[1600].
inline void keccak(const uint8_t* data, size_t size, uint8_t out[32]) {
    constexpr size_t kRate = 136;
    uint64_t a[25] = {};
    const auto rotate = [](uint64_t x, unsigned n) { return n == 0 ? x : x << n | x >> (64 - n); };
    const auto permute = [&] {
        uint8_t lfsr = 1;
        for (int step = 0; step < 24; ++step) {
            uint64_t c[5];
            for (int x = 0; x < 5; ++x)
                c[x] = a[x] ^ a[x + 5] ^ a[x + 10] ^ a[x + 15] ^ a[x + 20];
            for (int i = 0; i < 25; ++i) a[i] ^= c[(i + 4) % 5] ^ rotate(c[(i + 1) % 5], 1);
            uint64_t last = a[1];
            for (unsigned t = 0, x = 1, y = 0; t < 24; ++t) {
                const unsigned next_y = (2 * x + 3 * y) % 5;
                x = y;
                y = next_y;
                const uint64_t kept = a[x + 5 * y];
                a[x + 5 * y] = rotate(last, (t + 1) * (t + 2) / 2 % 64);
                last = kept;
            }
            for (int y = 0; y < 25; y += 5) {
                uint64_t row[5];
                for (int x = 0; x < 5; ++x) row[x] = a[y + x];
                for (int x = 0; x < 5; ++x)
                    a[y + x] = row[x] ^ (~row[(x + 1) % 5] & row[(x + 2) % 5]);
            }
            for (unsigned j = 0; j < 7; ++j) {
                if ((lfsr & 1) != 0) a[0] ^= uint64_t{1} << ((1u << j) - 1);
                lfsr = static_cast<uint8_t>(lfsr << 1 ^ (lfsr >> 7 != 0 ? 0x71 : 0));
            }
        }
    };
    const auto absorb = [&](size_t at, uint8_t byte) {
        a[at / 8] ^= uint64_t{byte} << (8 * (at % 8));
    };
    size_t at = 0;
    for (size_t i = 0; i < size; ++i) {
        absorb(at, data[i]);
        if (++at == kRate) {
            permute();
            at = 0;
        }
    }
    absorb(at, 0x01);
    absorb(kRate - 1, 0x80);
    permute();
    std::memcpy(out, a, 32);
}

// A pretended signature of `address` over a digest: r is the address word, s binds both.
inline void pretend_s(const uint8_t digest[32], const uint8_t r[32], uint8_t s[32]) {
    uint8_t both[64];
    std::memcpy(both, digest, 32);
    std::memcpy(both + 32, r, 32);
    keccak(both, sizeof(both), s);
    s[0] = static_cast<uint8_t>(s[0] & 0x3F);  // low, and not zero in practice
}

}  // namespace provenue::test

namespace provenue {

void assert_failed(const char* what, int line) {
    std::printf("assertion failed: %s (line %d; seed %llu, round %llu)\n", what, line,
                static_cast<unsigned long long>(test::seed),
                static_cast<unsigned long long>(test::round));
    std::abort();
}

void host_keccak(const uint8_t* block, uint32_t length, uint8_t out[32]) {
    if (length > 1024 || reinterpret_cast<uintptr_t>(block) % 1024 != 0)
        test::fail("host_keccak: block", __FILE__, __LINE__);
    test::keccak(block, length, out);
}

void host_recover(const uint8_t* block, uint8_t out[32]) {
    if (reinterpret_cast<uintptr_t>(block) % 128 != 0)
        test::fail("host_recover: block", __FILE__, __LINE__);
    uint8_t s[32];
    test::pretend_s(block, block + 64, s);
    // Like the real one it accepts the high twin of a signature: refusing it is the caller's work.
    uint8_t low[32];
    std::memcpy(low, block + 96, 32);
    low[0] = static_cast<uint8_t>(low[0] & 0x7F);
    if (std::memcmp(s, low, 32) == 0)
        std::memcpy(out, block + 64, 32);
    else
        std::memset(out, 0, 32);
}

}  // namespace provenue
