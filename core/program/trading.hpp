// Orders as messages: PLACE, CANCEL, CANCEL_ALL, FORCED_CANCEL (chapter 4).
#pragma once

#include "core/program/authorise.hpp"

namespace provenue::PROVENUE_PRESET_NAMESPACE {

Code place(Run& run, const Actor& actor);
Code cancel(Run& run, const Actor& actor);
Code cancel_all(Run& run, const Actor& actor);
Code forced_cancel(Run& run);

}  // namespace provenue::PROVENUE_PRESET_NAMESPACE
