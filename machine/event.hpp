// Why a machine stopped.
#pragma once

#include <cstdint>

namespace provenue::machine {

// What a step did besides retiring an instruction. The order is part of the Python interface.
enum class Event : uint8_t {
  none,
  halt,
  illegal_instruction,
  fetch_outside_text,
  misaligned_jump,
  misaligned_load,
  misaligned_store,
  load_outside_memory,
  store_not_writable,
  ebreak,
  unknown_call,
  bad_call_argument,
};

}  // namespace provenue::machine
