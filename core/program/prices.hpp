// Signed prices and the tick of the clock (chapter 6.1).
#pragma once

#include "core/program/run.hpp"

namespace provenue::PROVENUE_PRESET_NAMESPACE {

Code prices(Run& run);
Code tick(Run& run);

}  // namespace provenue::PROVENUE_PRESET_NAMESPACE
