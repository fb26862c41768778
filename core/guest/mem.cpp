// The four memory functions that a compiler may call in freestanding code. The guest links without
// any library, so they are ours. Word by word where both addresses allow it: the machine proves one
// instruction at a time, and RV64IM here has no misaligned access.
//
// -ffreestanding keeps the compiler from turning these loops back into calls of themselves.
#include <stddef.h>
#include <stdint.h>

namespace {

using Word = uint64_t;
constexpr size_t kWordBytes = sizeof(Word);

// Types that may alias anything: the memory of the caller has whatever type it has.
using AliasWord [[gnu::may_alias]] = Word;

bool aligned(const void* pointer) { return reinterpret_cast<uintptr_t>(pointer) % kWordBytes == 0; }

bool same_phase(const void* a, const void* b) {
    return (reinterpret_cast<uintptr_t>(a) ^ reinterpret_cast<uintptr_t>(b)) % kWordBytes == 0;
}

void copy_up(unsigned char* to, const unsigned char* from, size_t bytes) {
    if (same_phase(to, from)) {
        for (; bytes != 0 && !aligned(to); --bytes) *to++ = *from++;
        for (; bytes >= kWordBytes; bytes -= kWordBytes, to += kWordBytes, from += kWordBytes)
            *reinterpret_cast<AliasWord*>(to) = *reinterpret_cast<const AliasWord*>(from);
    }
    for (; bytes != 0; --bytes) *to++ = *from++;
}

void copy_down(unsigned char* to, const unsigned char* from, size_t bytes) {
    to += bytes;
    from += bytes;
    if (same_phase(to, from)) {
        for (; bytes != 0 && !aligned(to); --bytes) *--to = *--from;
        for (; bytes >= kWordBytes; bytes -= kWordBytes) {
            to -= kWordBytes;
            from -= kWordBytes;
            *reinterpret_cast<AliasWord*>(to) = *reinterpret_cast<const AliasWord*>(from);
        }
    }
    for (; bytes != 0; --bytes) *--to = *--from;
}

}  // namespace

extern "C" {

void* memcpy(void* to, const void* from, size_t bytes) {
    copy_up(static_cast<unsigned char*>(to), static_cast<const unsigned char*>(from), bytes);
    return to;
}

void* memmove(void* to, const void* from, size_t bytes) {
    auto* target = static_cast<unsigned char*>(to);
    const auto* source = static_cast<const unsigned char*>(from);
    // Unsigned distance: also true when the target lies below the source.
    if (reinterpret_cast<uintptr_t>(target) - reinterpret_cast<uintptr_t>(source) >= bytes)
        copy_up(target, source, bytes);
    else
        copy_down(target, source, bytes);
    return to;
}

void* memset(void* to, int value, size_t bytes) {
    auto* target = static_cast<unsigned char*>(to);
    const auto byte = static_cast<unsigned char>(value);
    const Word word = Word{0x0101010101010101} * byte;
    for (; bytes != 0 && !aligned(target); --bytes) *target++ = byte;
    for (; bytes >= kWordBytes; bytes -= kWordBytes, target += kWordBytes)
        *reinterpret_cast<AliasWord*>(target) = word;
    for (; bytes != 0; --bytes) *target++ = byte;
    return to;
}

int memcmp(const void* left, const void* right, size_t bytes) {
    const auto* a = static_cast<const unsigned char*>(left);
    const auto* b = static_cast<const unsigned char*>(right);
    if (same_phase(a, b)) {
        for (; bytes != 0 && !aligned(a); --bytes, ++a, ++b)
            if (*a != *b) return *a < *b ? -1 : 1;
        // Equal words are skipped; the byte loop below finds the place in the first unequal one.
        for (; bytes >= kWordBytes; bytes -= kWordBytes, a += kWordBytes, b += kWordBytes)
            if (*reinterpret_cast<const AliasWord*>(a) != *reinterpret_cast<const AliasWord*>(b))
                break;
    }
    for (; bytes != 0; --bytes, ++a, ++b)
        if (*a != *b) return *a < *b ? -1 : 1;
    return 0;
}

}  // extern "C"
