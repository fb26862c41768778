// Root of a sparse region: a binary keccak-256 tree over raw 32-byte leaves.
#pragma once

#include "machine/keccak.hpp"

#include <cstdint>
#include <span>

namespace provenue::machine {

// `data` is the start of a region of 2^depth leaves whose rest is zero. Its size must be a multiple
// of 32 and at most the region. Zero pages cost nothing but the reading.
Digest merkle_root(std::span<const uint8_t> data, unsigned depth);

}  // namespace provenue::machine
