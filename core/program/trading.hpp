// Orders as messages: PLACE and the ways to cancel (chapters 4.1 and 4.3).
#pragma once

#include "core/program/authorise.hpp"

namespace provenue::PROVENUE_PRESET_NAMESPACE {

Code place(Run& run, const Actor& actor);
Code cancel(Run& run, const Actor& actor);
Code cancel_all(Run& run, const Actor& actor);
Code cancel_label(Run& run, const Actor& actor);
Code forced_cancel(Run& run);

}  // namespace provenue::PROVENUE_PRESET_NAMESPACE
