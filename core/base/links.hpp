// Links between records are index + 1; 0 means none, so that an untouched image is all zero.
#pragma once

#include <cstdint>

#include "core/base/assert.hpp"

namespace provenue {

constexpr uint32_t kNoLink = 0;

constexpr uint32_t link_to(uint32_t index) { return index + 1; }

inline uint32_t linked_index(uint32_t link) {
    ASSERT(link != kNoLink, "link to nothing");
    return link - 1;
}

}  // namespace provenue
