#include "core/native/recover.hpp"

#include <dlfcn.h>

#include <algorithm>
#include <array>
#include <atomic>
#include <cstring>
#include <exception>
#include <mutex>
#include <stdexcept>
#include <string>
#include <thread>
#include <vector>

#include "core/native/keccak.hpp"
#include "core/native/mapping.hpp"

namespace provenue::native {

namespace {

// The part of secp256k1.h and secp256k1_recovery.h in use; the structs are opaque there too.
struct RecoverableSignature {
    unsigned char data[65];
};
struct PublicKey {
    unsigned char data[64];
};
constexpr unsigned kContextNone = 1;
constexpr unsigned kUncompressed = 1 << 1;

struct Library {
    void* context = nullptr;
    int (*parse)(const void*, RecoverableSignature*, const unsigned char*, int) = nullptr;
    int (*recover)(const void*, PublicKey*, const RecoverableSignature*,
                   const unsigned char*) = nullptr;
    int (*serialize)(const void*, unsigned char*, size_t*, const PublicKey*, unsigned) = nullptr;
};

Library library;
std::atomic<bool> loaded{false};
std::mutex loading;

template <typename Function>
void resolve(void* handle, const char* name, Function& function) {
    void* symbol = dlsym(handle, name);
    if (!symbol) throw std::runtime_error(std::string("secp256k1: expected the symbol ") + name);
    std::memcpy(&function, &symbol, sizeof symbol);
}

// --- memory of results ---------------------------------------------------------------------------
// Sets of four, the oldest replaced. An entry counts only if all 128 bytes are equal, so a result
// never depends on what was looked up before.

constexpr size_t kSets = size_t{1} << 14;
constexpr size_t kWays = 4;
constexpr size_t kLocks = 64;

struct Entry {
    uint8_t in[128];
    uint8_t out[32];
    bool used;
};
struct Set {
    Entry entries[kWays];
    uint32_t next;
};

class Memory {
public:
    bool find(const uint8_t in[128], uint8_t out[32]) {
        const size_t index = index_of(in);
        const std::lock_guard<std::mutex> guard(locks_[index % kLocks]);
        for (const Entry& entry : set(index).entries)
            if (entry.used && std::memcmp(entry.in, in, sizeof entry.in) == 0) {
                std::memcpy(out, entry.out, sizeof entry.out);
                return true;
            }
        return false;
    }

    void keep(const uint8_t in[128], const uint8_t out[32]) {
        const size_t index = index_of(in);
        const std::lock_guard<std::mutex> guard(locks_[index % kLocks]);
        Set& place = set(index);
        Entry& entry = place.entries[place.next++ % kWays];
        std::memcpy(entry.in, in, sizeof entry.in);
        std::memcpy(entry.out, out, sizeof entry.out);
        entry.used = true;
    }

private:
    Set& set(size_t index) { return reinterpret_cast<Set*>(mapping_.data())[index]; }

    static size_t index_of(const uint8_t in[128]) {
        uint64_t hash = 0;
        for (size_t i = 0; i < 128; i += 8) {
            uint64_t word;
            std::memcpy(&word, in + i, 8);
            hash = (hash ^ word) * 0x9E37'79B9'7F4A'7C15;
            hash ^= hash >> 29;
        }
        return hash % kSets;
    }

    Mapping mapping_{kSets * sizeof(Set)};  // zero is an empty set
    std::array<std::mutex, kLocks> locks_;
};

Memory& memory() {
    static Memory results;
    return results;
}

std::atomic<uint64_t> computed{0};
std::atomic<uint64_t> remembered{0};

// v is a word; only 27 and 28 are valid. r and s of [1, n) are the library's to check.
bool compute(const uint8_t in[128], uint8_t out[32]) {
    std::memset(out, 0, 32);
    const uint8_t* v = in + 32;
    for (int i = 0; i < 31; ++i)
        if (v[i] != 0) return false;
    if (v[31] != 27 && v[31] != 28) return false;
    RecoverableSignature signature;
    PublicKey key;
    if (!library.parse(library.context, &signature, in + 64, v[31] - 27)) return false;
    if (!library.recover(library.context, &key, &signature, in)) return false;
    unsigned char point[65];
    size_t bytes = sizeof point;
    library.serialize(library.context, point, &bytes, &key, kUncompressed);
    const Digest digest = keccak256(point + 1, 64);
    std::memcpy(out + 12, digest.data() + 12, 20);
    return true;
}

bool is_valid(const uint8_t out[32]) {
    return std::any_of(out, out + 32, [](uint8_t byte) { return byte != 0; });
}

}  // namespace

void load_secp256k1(const char* path) {
    const std::lock_guard<std::mutex> guard(loading);
    if (loaded) return;
    void* handle = dlopen(path, RTLD_LAZY | RTLD_LOCAL);
    if (!handle) throw std::runtime_error(std::string("secp256k1: ") + dlerror());
    void* (*create)(unsigned) = nullptr;
    resolve(handle, "secp256k1_context_create", create);
    resolve(handle, "secp256k1_ecdsa_recoverable_signature_parse_compact", library.parse);
    resolve(handle, "secp256k1_ecdsa_recover", library.recover);
    resolve(handle, "secp256k1_ec_pubkey_serialize", library.serialize);
    library.context = create(kContextNone);
    if (!library.context) throw std::runtime_error("secp256k1: no context");
    memory();  // taken now, so that no message can fail for want of it
    loaded = true;
}

bool secp256k1_loaded() { return loaded; }

bool recover(const uint8_t in[128], uint8_t out[32]) {
    if (!loaded) throw std::logic_error("secp256k1: load_secp256k1 was not called");
    if (memory().find(in, out)) {
        remembered.fetch_add(1, std::memory_order_relaxed);
        return is_valid(out);
    }
    const bool valid = compute(in, out);
    computed.fetch_add(1, std::memory_order_relaxed);
    memory().keep(in, out);
    return valid;
}

bool recover_callback(void*, const uint8_t in[128], uint8_t out[32]) { return recover(in, out); }

void recover_many(const uint8_t* in, uint8_t* out, size_t count, unsigned threads) {
    if (!loaded) throw std::logic_error("secp256k1: load_secp256k1 was not called");
    const auto part = [=](size_t from, size_t to) {
        for (size_t i = from; i < to; ++i) recover(in + i * 128, out + i * 32);
    };
    // A thread that has less than a few signatures to do costs more than it brings.
    const size_t workers = std::clamp<size_t>(threads, 1, std::max<size_t>(1, count / 4));
    std::vector<std::thread> pool;
    for (size_t i = 1; i < workers; ++i)
        pool.emplace_back(part, count * i / workers, count * (i + 1) / workers);
    part(0, count / workers);
    for (std::thread& thread : pool) thread.join();
}

RecoverCounters recover_counters() { return {computed.load(), remembered.load()}; }

}  // namespace provenue::native
