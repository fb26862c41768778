#include "keccak/wide.hpp"

#include <atomic>
#include <bit>
#include <cstring>
#include <future>
#include <system_error>
#include <thread>

#include "keccak/lanes.hpp"
#include "keccak/vectors.hpp"

namespace provenue::keccak {

static_assert(std::endian::native == std::endian::little, "lanes are loaded as they lie in memory");

namespace {

constexpr size_t kRateBytes = 136;
constexpr size_t kPairBytes = 64;
// From here on a second thread gains more than it costs to start: 4096 pairs take 0.2 ms.
constexpr size_t kParallelPairs = 4096;

bool cpu_has([[maybe_unused]] Width width) {
#if PROVENUE_WIDE_KECCAK
    __builtin_cpu_init();
    if (width == Width::avx2) return __builtin_cpu_supports("avx2");
    if (width == Width::avx512)
        return __builtin_cpu_supports("avx512f") && __builtin_cpu_supports("avx512vl");
#endif
    return width == Width::scalar;
}

Width widest() {
    if (cpu_has(Width::avx512)) return Width::avx512;
    return cpu_has(Width::avx2) ? Width::avx2 : Width::scalar;
}

std::atomic<Width>& chosen() {
    static std::atomic<Width> width{widest()};
    return width;
}

void absorb(uint64_t (&state)[25], const uint8_t* data, size_t bytes) {
    uint64_t words[kRateBytes / 8];
    std::memcpy(words, data, bytes);
    for (size_t i = 0; i < bytes / 8; ++i) state[i] ^= words[i];
}

void hash_one(const uint8_t* in, size_t bytes, uint8_t* out) {
    uint64_t state[25] = {};
    for (; bytes >= kRateBytes; in += kRateBytes, bytes -= kRateBytes) {
        absorb(state, in, kRateBytes);
        keccak_permute(state);
    }
    absorb(state, in, bytes);
    state[bytes / 8] ^= 0x01;
    state[16] ^= 0x8000000000000000;
    keccak_permute(state);
    std::memcpy(out, state, 32);
}

#if PROVENUE_WIDE_KECCAK
void hash_four(const uint8_t* in, size_t bytes, uint8_t* out) {
    if (bytes == kPairBytes) hash_pairs_avx2(in, out);
    else hash_each_avx2(in, bytes, out);
}

void hash_eight(const uint8_t* in, size_t bytes, uint8_t* out) {
    if (bytes == kPairBytes) hash_pairs_avx512(in, out);
    else hash_each_avx512(in, bytes, out);
}
#endif

}  // namespace

bool has_width(Width width) { return cpu_has(width); }
Width width() { return chosen().load(std::memory_order_relaxed); }

bool set_width(Width width) {
    if (!cpu_has(width)) return false;
    chosen().store(width, std::memory_order_relaxed);
    return true;
}

void hash_each(const uint8_t* in, size_t bytes, uint8_t* out, size_t count) {
    size_t i = 0;
#if PROVENUE_WIDE_KECCAK
    const Width wide = width();
    if (wide == Width::avx512)
        for (; i + 8 <= count; i += 8) hash_eight(in + i * bytes, bytes, out + i * 32);
    // A CPU with the 8-way instructions has the 4-way ones.
    if (wide != Width::scalar) {
        for (; i + 4 <= count; i += 4) hash_four(in + i * bytes, bytes, out + i * 32);
        if (count - i >= 2 && bytes == kPairBytes) {
            // Two or three scalar hashes cost more than one wide one.
            uint8_t block[4 * kPairBytes] = {};
            uint8_t digests[4 * 32];
            std::memcpy(block, in + i * kPairBytes, (count - i) * kPairBytes);
            hash_pairs_avx2(block, digests);
            std::memcpy(out + i * 32, digests, (count - i) * 32);
            i = count;
        }
    }
#endif
    for (; i < count; ++i) hash_one(in + i * bytes, bytes, out + i * 32);
}

void hash_pairs(const uint8_t* in, uint8_t* out, size_t count) {
    hash_each(in, kPairBytes, out, count);
}

void hash_pairs_parallel(const uint8_t* in, uint8_t* out, size_t count) {
    const size_t first = count / 16 * 8;  // whole widths
    std::future<void> second;
    if (count >= kParallelPairs && std::thread::hardware_concurrency() > 1) {
        try {
            second = std::async(std::launch::async, [=] {
                hash_pairs(in + first * kPairBytes, out + first * 32, count - first);
            });
        } catch (const std::system_error&) {  // no thread to be had
        }
    }
    hash_pairs(in, out, second.valid() ? first : count);
    if (second.valid()) second.get();
}

}  // namespace provenue::keccak
