// The withdrawal tree (chapter 3.6): append-only, its root is the first leaf of the image.
#pragma once

#include <cstdint>

#include "core/base/hash.hpp"
#include "core/image/state.hpp"

namespace provenue::PROVENUE_PRESET_NAMESPACE {

// Appends a withdrawal and books it as issued. Returns its id.
uint64_t issue_withdrawal(State& state, Hasher& hasher, uint32_t asset, int64_t amount_units,
                          const uint8_t* recipient);

}  // namespace provenue::PROVENUE_PRESET_NAMESPACE
