// GENESIS and administration: what exists and by which parameters (chapters 3.1 and 3.2).
#pragma once

#include "core/program/run.hpp"

namespace provenue::PROVENUE_PRESET_NAMESPACE {

Code genesis(Run& run);
Code list_asset(Run& run);
Code list_instrument(Run& run);
Code set_signers(Run& run);

}  // namespace provenue::PROVENUE_PRESET_NAMESPACE
