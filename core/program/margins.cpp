#include "core/program/margins.hpp"

#include "core/risk/margin.hpp"

namespace provenue::PROVENUE_PRESET_NAMESPACE {

void margins(Context& context, uint32_t account, Margins& out) {
    const State state(context.image, context.undo);
    out.equity = equity(state, account);
    out.initial = initial_margin(state, account);
    out.maintenance = maintenance_margin(state, account);
}

}  // namespace provenue::PROVENUE_PRESET_NAMESPACE
