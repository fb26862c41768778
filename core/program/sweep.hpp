// The sweep: whoever is below maintenance is liquidated before anyone else is served (chapters 6.2
// to 6.5). It is a rule of the program, bounded per message, with its cursor in the image.
#pragma once

#include "core/program/run.hpp"

namespace provenue::PROVENUE_PRESET_NAMESPACE {

void start_sweep(State& state);
void sweep_part(Run& run);
// CONTINUE: a taker's remainder, else the sweep.
Code resume(Run& run);

}  // namespace provenue::PROVENUE_PRESET_NAMESPACE
