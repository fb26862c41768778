// Signed actions: signature, nonce, scope (chapters 2.4 and 2.5).
#pragma once

#include <cstdint>

#include "core/base/generated/wire.hpp"
#include "core/program/run.hpp"

namespace provenue::PROVENUE_PRESET_NAMESPACE {

// Who signed: an open account and one of its keys.
struct Actor {
    uint32_t account;
    uint32_t key;
};

// digest of 2.5 from a struct hash, then: v is 27 or 28, s is low, and the signer is `address`.
// `signature` is r | s | v.
bool is_signed_by(Run& run, const Hash& struct_hash, const uint8_t* signature,
                  const uint8_t* address);

// A field that is a member of the signed struct: where it stands on the wire, and its width.
struct Member {
    uint32_t at;
    uint32_t size;
};

// The members are the wire's fields from `account` up to the signature, in order.
struct SignedKind {
    const Hash* type_hash;
    const Member* members;
    uint32_t member_count;
    uint32_t signature_at;
    uint64_t scopes;        // any of these lets a key do it; 0: key slot 0 only
    bool allowed_in_sweep;  // cancels are served while a sweep is pending
};

// Everything of 2.4 up to the kind's own checks. Burns the nonce and moves run.reject_mark.
Code authorise(Run& run, const SignedKind& kind, Actor& actor);

// The kind's members and rules; defined in authorise.cpp for every signed wire struct.
template <typename W>
SignedKind signed_kind();

template <typename W>
Code run_signed(Run& run, Code (*kind)(Run&, const Actor&)) {
    Actor actor{};
    const Code code = authorise(run, signed_kind<W>(), actor);
    return code == Code::kOk ? kind(run, actor) : code;
}

template <>
SignedKind signed_kind<PlaceWire>();
template <>
SignedKind signed_kind<CancelWire>();
template <>
SignedKind signed_kind<CancelAllWire>();
template <>
SignedKind signed_kind<WithdrawWire>();
template <>
SignedKind signed_kind<SetKeyWire>();
template <>
SignedKind signed_kind<CancelLabelWire>();
template <>
SignedKind signed_kind<AmendWire>();
template <>
SignedKind signed_kind<ReplaceWire>();

// 2.6: key 0 is the owner's for good.
constexpr bool is_session_slot(uint8_t slot) { return slot != 0 && slot < kKeysPerAccount; }
// Sets a key of a session slot, or clears it. Event KEY_SET.
void put_key(Run& run, uint32_t account, uint8_t slot, const KeyRecord& key);
// SET_KEY (2.6).
Code set_key(Run& run, const Actor& actor);

}  // namespace provenue::PROVENUE_PRESET_NAMESPACE
