// Keccak-256 (the EVM's, padding byte 0x01), small and scalar. Written apart from the program's own
// hash, so that each is a check on the other.
#pragma once

#include <array>
#include <cstdint>
#include <span>

namespace provenue::machine {

using Digest = std::array<uint8_t, 32>;

Digest keccak256(std::span<const uint8_t> data);

// The parent of two nodes of a Merkle tree: keccak256(left | right).
Digest hash_pair(const uint8_t left[32], const uint8_t right[32]);

}  // namespace provenue::machine
