// What an account's margin is now, by the very functions that accept orders: for whoever watches an
// engine. The guest has no use for it, so its linker drops it.
#pragma once

#include <cstdint>

#include "core/program/api.hpp"

namespace provenue {

// Quote units, at the marks in the image (5.2, 5.3).
struct Margins {
    int64_t equity;
    int64_t initial;
    int64_t maintenance;
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
