// Accounts by (owner, subaccount): finding, opening, reclaiming empty ones (chapter 3.3).
#pragma once

#include <cstdint>

#include "core/base/hash.hpp"
#include "core/image/state.hpp"

namespace provenue::PROVENUE_PRESET_NAMESPACE {

struct Holder {
    const uint8_t* owner;  // 20 bytes
    uint8_t subaccount;
};

// An account link, kNoLink when the holder has no open account. Never the house.
uint32_t find_account(const State& state, Hasher& hasher, const Holder& holder);
// Opens an account for a holder that has none: a new index, or an empty account reclaimed. An
// account link, kNoLink when the table is full; then nothing has changed.
uint32_t open_account(State& state, Hasher& hasher, const Holder& holder);
// The house, account 0, once.
void open_house(State& state);

}  // namespace provenue::PROVENUE_PRESET_NAMESPACE
