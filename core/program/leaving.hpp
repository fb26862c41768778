// Leaving through L1 (chapter 12): an owner closes every position, or revokes a key, without the
// operator's consent. The close is a rule of the sweep.
#pragma once

#include "core/program/run.hpp"

namespace provenue::PROVENUE_PRESET_NAMESPACE {

Code forced_close(Run& run);
Code forced_revoke(Run& run);

// 12.3, for the account at the cursor of a sweep, which is not unsafe. True when a closing step was
// done: the part of the sweep ends, and the cursor stays.
bool visit_leaving(Run& run, uint32_t account);

}  // namespace provenue::PROVENUE_PRESET_NAMESPACE
