// Every width gives the same hashes, and the scalar one gives the published ones.
#include "core/native/keccak.hpp"

#include <cstdio>
#include <cstring>
#include <string>
#include <vector>

using namespace provenue::native;

namespace {

int failures = 0;

void expect(bool ok, const char* what, size_t detail) {
    if (ok) return;
    std::printf("%s (%zu)\n", what, detail);
    ++failures;
}

std::string hex(const Digest& digest) {
    std::string text;
    char two[3];
    for (const uint8_t byte : digest) {
        std::snprintf(two, sizeof two, "%02x", byte);
        text += two;
    }
    return text;
}

void check_published() {
    const auto hash = [](const std::string& text) {
        return hex(keccak256(reinterpret_cast<const uint8_t*>(text.data()), text.size()));
    };
    // The EVM's hash of nothing, of "abc", and of the signature of ERC-20's transfer.
    expect(hash("") == "c5d2460186f7233c927e7db2dcc703c0e500b653ca82273b7bfad8045d85a470", "empty",
           0);
    expect(hash("abc") == "4e03657aea45a94fc7d47ba826c8d667c0d1e6e33a64a036ec44f58fa12d6c45", "abc",
           3);
    expect(hash("transfer(address,uint256)").starts_with("a9059cbb"), "transfer", 25);
    // One byte below, at and above the rate.
    expect(hash(std::string(135, 'a')) ==
               "34367dc248bbd832f4e3e69dfaac2f92638bd0bbd18f2912ba4ef454919cf446",
           "rate", 135);
    expect(hash(std::string(136, 'a')) ==
               "a6c4d403279fe3e0af03729caada8374b5ca54d8065329a3ebcaeb4b60aa386e",
           "rate", 136);
}

std::vector<uint8_t> pattern(size_t bytes) {
    std::vector<uint8_t> data(bytes);
    uint64_t x = 0x1234567;
    for (uint8_t& byte : data) {
        x = x * 6364136223846793005 + 1442695040888963407;
        byte = static_cast<uint8_t>(x >> 56);
    }
    return data;
}

void check_widths() {
    constexpr size_t kMax = 41;
    const std::vector<uint8_t> in = pattern(kMax * 64);
    for (const Width each : {Width::scalar, Width::avx2, Width::avx512}) {
        if (!set_width(each)) {
            std::printf("width %d: not on this CPU\n", static_cast<int>(each));
            continue;
        }
        expect(width() == each, "width is set", static_cast<size_t>(each));
        for (size_t count = 0; count <= kMax; ++count) {
            std::vector<uint8_t> out((count + 1) * 32, 0xEE);
            hash_pairs(in.data(), out.data(), count);
            for (size_t i = 0; i < count; ++i) {
                const Digest one = keccak256(in.data() + i * 64, 64);
                expect(std::memcmp(one.data(), out.data() + i * 32, 32) == 0, "pair", count);
            }
            for (size_t i = 0; i < 32; ++i)
                expect(out[count * 32 + i] == 0xEE, "writes beyond the end", count);
        }
    }
}

}  // namespace

int main() {
    check_published();
    check_widths();
    return failures == 0 ? 0 : 1;
}
