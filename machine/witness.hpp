// One step with nothing but its witness (protocol 10.3): what a contract does, written in C++.
#pragma once

#include "machine/event.hpp"
#include "machine/state.hpp"

#include <cstdint>
#include <span>
#include <stdexcept>
#include <vector>

namespace provenue::machine {

// A refused witness. It says nothing about the state.
struct WitnessError : std::invalid_argument {
  using std::invalid_argument::invalid_argument;
};

// The host's ecrecover: false if no key recovers. It is asked only with v 27 or 28 and r, s in
// [1, n), and writes the address left-padded to 32 bytes. High s is valid. It must be a pure
// function of its input. An exception leaves the machine before the call.
using RecoverFunction = bool (*)(void* context, const uint8_t in[128], uint8_t out[32]);

struct Recover {
  RecoverFunction function = nullptr;
  void* context = nullptr;

  // Throws std::logic_error without a function, or if its answer is no address.
  bool operator()(const uint8_t in[128], uint8_t out[32]) const;
};

// What one step did, and the bytes that prove it.
struct StepRecord {
  Event event = Event::none;
  StateBytes post{};             // the next state
  std::vector<uint8_t> witness;  // of the state before
};

struct ReplayResult {
  Event event = Event::none;  // none for a step from HALTED or TRAPPED
  StateBytes post{};
};

// Makes the step that the witness is of. Throws WitnessError for anything but exactly the parts
// that the step needs, with the state's memory root.
ReplayResult replay_step(std::span<const uint8_t> witness, const Recover& recover);

}  // namespace provenue::machine
