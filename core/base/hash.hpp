// keccak-256 through the host, over words written into the one aligned hash block.
#pragma once

#include <array>
#include <cstdint>
#include <cstring>

#include "core/base/assert.hpp"
#include "core/base/bytes.hpp"
#include "core/base/generated/protocol.hpp"
#include "core/base/host.hpp"

namespace provenue {

using Hash = std::array<uint8_t, 32>;

// Collects at most HASH_BLOCK_BYTES and hashes them. One at a time: they share the block.
class Hasher {
public:
    explicit Hasher(uint8_t* block) : block_(block) {}

    Hasher& bytes(const uint8_t* data, uint32_t size) {
        ASSERT(size <= kHashBlockBytes - length_, "hash input exceeds its block");
        std::memcpy(block_ + length_, data, size);
        length_ += size;
        return *this;
    }
    Hasher& hash(const Hash& value) { return bytes(value.data(), kWordBytes); }
    // A big-endian field of the wire as a word, left-padded with zeros.
    Hasher& padded(const uint8_t* data, uint32_t size) {
        ASSERT(size <= kWordBytes && kWordBytes <= kHashBlockBytes - length_,
               "hash input exceeds its block");
        std::memset(block_ + length_, 0, kWordBytes - size);
        std::memcpy(block_ + length_ + kWordBytes - size, data, size);
        length_ += kWordBytes;
        return *this;
    }
    Hasher& word(uint64_t value) {
        uint8_t big[8];
        store_big(big, value);
        return padded(big, sizeof(big));
    }

    // The digest; the hasher is empty again.
    Hash digest() {
        Hash out;
        host_keccak(block_, length_, out.data());
        length_ = 0;
        return out;
    }

private:
    uint8_t* block_;
    uint32_t length_ = 0;
};

}  // namespace provenue
