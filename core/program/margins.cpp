#include "core/program/margins.hpp"

#include "core/risk/margin.hpp"

namespace provenue::PROVENUE_PRESET_NAMESPACE {

namespace {

int64_t narrow(i128 value) {
    ASSERT(value == static_cast<int64_t>(value), "a margin leaves 64 bits");
    return static_cast<int64_t>(value);
}

}  // namespace

void margins(Context& context, uint32_t account, Margins& out) {
    const State state(context.image, context.undo);
    out.equity = narrow(equity(state, account));
    out.initial = narrow(initial_margin(state, account));
    out.maintenance = narrow(maintenance_margin(state, account));
}

}  // namespace provenue::PROVENUE_PRESET_NAMESPACE
