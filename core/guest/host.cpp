// The guest's host services: machine calls that the contract answers with its own keccak256 and the
// EVM's ecrecover precompile.
#include "core/base/host.hpp"

#include <cstring>

#include "core/base/generated/protocol.hpp"

namespace provenue {

namespace {

// Four little-endian words are the 32 bytes of the answer.
void call(uint64_t number, const uint8_t* block, uint64_t length, uint8_t out[32]) {
    register uint64_t a0 asm("a0") = reinterpret_cast<uint64_t>(block);
    register uint64_t a1 asm("a1") = length;
    register uint64_t a2 asm("a2");
    register uint64_t a3 asm("a3");
    register uint64_t a7 asm("a7") = number;
    asm volatile("ecall" : "+r"(a0), "+r"(a1), "=r"(a2), "=r"(a3) : "r"(a7) : "memory");
    const uint64_t words[4] = {a0, a1, a2, a3};
    std::memcpy(out, words, sizeof(words));
}

}  // namespace

void host_keccak(const uint8_t* block, uint32_t length, uint8_t out[32]) {
    call(kEcallKeccak, block, length, out);
}

void host_recover(const uint8_t* block, uint8_t out[32]) { call(kEcallRecover, block, 0, out); }

}  // namespace provenue
