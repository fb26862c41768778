// The two services the program asks of its host. Bound at link time: the guest's are machine calls
// (core/guest/host.cpp), the native ones are in core/native/host_native.cpp, tests bring their own.
#pragma once

#include <cstdint>

namespace provenue {

// keccak-256 of the first `length` bytes of `block`. `block` is 1024-aligned; length <= 1024
// (HASH_BLOCK_BYTES): longer inputs do not occur. `out` may have any alignment, and may lie in
// `block`.
void host_keccak(const uint8_t* block, uint32_t length, uint8_t out[32]);

// The EVM's ecrecover precompile. `block` is 128-aligned: hash | v | r | s, four big-endian words.
// `out` is the word the precompile returns: the address left-padded, zero when invalid.
void host_recover(const uint8_t* block, uint8_t out[32]);

}  // namespace provenue
