// What an account's margin is now, by the very functions that accept orders: for whoever watches an
// engine. The guest has no use for it, so its linker drops it.
#pragma once

#include <cstdint>

#include "core/base/wide.hpp"
#include "core/program/api.hpp"

namespace provenue {

// Quote units, at the marks in the image (5.2, 5.3). At the largest prices and positions sums of
// them need more than 64 bits.
struct Margins {
    i128 equity;
    i128 initial;
    i128 maintenance;
};

// Reads only. account < kAccountsMax; the house may be asked.
using MarginsFunction = void (*)(Context& context, uint32_t account, Margins& out);

namespace preset_minimal {
void margins(Context& context, uint32_t account, Margins& out);
}
namespace preset_dev {
void margins(Context& context, uint32_t account, Margins& out);
}
namespace preset_main {
void margins(Context& context, uint32_t account, Margins& out);
}

}  // namespace provenue
