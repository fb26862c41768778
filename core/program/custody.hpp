// Money in and out (chapters 3.4 to 3.6).
#pragma once

#include "core/program/authorise.hpp"

namespace provenue::PROVENUE_PRESET_NAMESPACE {

Code deposit(Run& run);
Code withdraw(Run& run, const Actor& actor);
Code forced_withdraw(Run& run);

}  // namespace provenue::PROVENUE_PRESET_NAMESPACE
