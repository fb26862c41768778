// The guest's memory functions against byte loops, over every alignment and every length that
// reaches each of their loops. They are included under other names, so that the host's own stay.
#define memcpy guest_memcpy
#define memmove guest_memmove
#define memset guest_memset
#define memcmp guest_memcmp
#include "core/guest/mem.cpp"
#undef memcpy
#undef memmove
#undef memset
#undef memcmp

#include <array>
#include <cstdio>

namespace {

constexpr size_t kPhases = 8;
constexpr size_t kLengthMax = 40;
constexpr size_t kRoom = kLengthMax + 3 * kPhases;
using Buffer = std::array<unsigned char, kRoom>;

int failures = 0;

void expect(bool ok, const char* what, size_t to, size_t from, size_t bytes) {
    if (ok) return;
    ++failures;
    std::printf("%s: to +%zu, from +%zu, %zu bytes\n", what, to, from, bytes);
}

Buffer pattern(unsigned seed) {
    Buffer buffer;
    for (size_t i = 0; i < kRoom; ++i)
        buffer[i] = static_cast<unsigned char>((i + 1) * 37 + seed * 101);
    return buffer;
}

void check_copies(size_t to, size_t from, size_t bytes) {
    alignas(8) Buffer target = pattern(1);
    alignas(8) const Buffer source = pattern(2);
    Buffer expected = target;
    for (size_t i = 0; i < bytes; ++i) expected[to + i] = source[from + i];
    void* result = guest_memcpy(&target[to], &source[from], bytes);
    expect(result == &target[to] && target == expected, "memcpy", to, from, bytes);

    alignas(8) Buffer moved = pattern(3);
    const Buffer before = moved;
    expected = moved;
    for (size_t i = 0; i < bytes; ++i) expected[to + i] = before[from + i];
    result = guest_memmove(&moved[to], &moved[from], bytes);
    expect(result == &moved[to] && moved == expected, "memmove", to, from, bytes);
}

void check_set(size_t to, size_t bytes) {
    alignas(8) Buffer target = pattern(4);
    Buffer expected = target;
    for (size_t i = 0; i < bytes; ++i) expected[to + i] = 0xA5;
    void* result = guest_memset(&target[to], 0x1A5, bytes);
    expect(result == &target[to] && target == expected, "memset", to, 0, bytes);
}

void check_compare(size_t a, size_t b, size_t bytes) {
    alignas(8) Buffer left{};
    alignas(8) Buffer right{};
    for (size_t i = 0; i < bytes; ++i) left[a + i] = right[b + i] = static_cast<unsigned char>(i);
    left[a + bytes] = 1;  // one past the end must not count
    expect(guest_memcmp(&left[a], &right[b], bytes) == 0, "memcmp equal", a, b, bytes);
    for (size_t i = 0; i < bytes; ++i) {
        left[a + i] ^= 0x80;  // above 127, so that a signed comparison would be wrong
        expect(guest_memcmp(&left[a], &right[b], bytes) > 0, "memcmp greater", a, b, bytes);
        expect(guest_memcmp(&right[b], &left[a], bytes) < 0, "memcmp less", a, b, bytes);
        left[a + i] ^= 0x80;
    }
}

}  // namespace

int main() {
    for (size_t to = 0; to < 2 * kPhases; ++to)
        for (size_t bytes = 0; bytes <= kLengthMax; ++bytes) {
            check_set(to, bytes);
            for (size_t from = 0; from < 2 * kPhases; ++from) {
                check_copies(to, from, bytes);
                check_compare(to, from, bytes);
            }
        }
    return failures == 0 ? 0 : 1;
}
