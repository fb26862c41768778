// Orders that change: AMEND and REPLACE (chapters 4.4 and 4.5).
#pragma once

#include "core/program/authorise.hpp"

namespace provenue::PROVENUE_PRESET_NAMESPACE {

Code amend(Run& run, const Actor& actor);
Code replace(Run& run, const Actor& actor);

}  // namespace provenue::PROVENUE_PRESET_NAMESPACE
