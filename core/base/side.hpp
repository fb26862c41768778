// The two sides of a book, and of a position.
#pragma once

#include "core/base/generated/protocol.hpp"

namespace provenue {

constexpr Side opposite(Side side) { return side == Side::kBuy ? Side::kSell : Side::kBuy; }

}  // namespace provenue
