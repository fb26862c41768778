// ecrecover natively: libsecp256k1 out of the `coincurve` wheel, loaded at run time, with a bounded
// memory of results, so that signatures can be verified ahead of the sequencer on other cores.
#pragma once

#include <cstddef>
#include <cstdint>

namespace provenue::native {

// Loads the shared library at `path` (once; later calls are ignored). Throws std::runtime_error.
void load_secp256k1(const char* path);
bool secp256k1_loaded();

// The EVM precompile: `in` is hash | v | r | s, `out` the address left-padded, zero when invalid.
// Returns whether it is valid. Looks the result up first and remembers it. Throws std::logic_error
// when no library is loaded: there is no answer that would be right.
bool recover(const uint8_t in[128], uint8_t out[32]);

// The same as a plain function for the machine; the context is not used.
bool recover_callback(void* context, const uint8_t in[128], uint8_t out[32]);

// `count` inputs of 128 bytes, `count` results of 32 bytes; on up to `threads` threads.
void recover_many(const uint8_t* in, uint8_t* out, size_t count, unsigned threads);

struct RecoverCounters {
    uint64_t computed;
    uint64_t remembered;  // answered from memory
};
RecoverCounters recover_counters();

}  // namespace provenue::native
