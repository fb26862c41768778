#include "core/program/authorise.hpp"

namespace provenue::PROVENUE_PRESET_NAMESPACE {

namespace {

// (n - 1) / 2 of secp256k1: a signature with a higher s has a twin with a lower one.
constexpr Hash kHalfOrder = {
    0x7F, 0xFF, 0xFF, 0xFF, 0xFF, 0xFF, 0xFF, 0xFF, 0xFF, 0xFF, 0xFF, 0xFF, 0xFF, 0xFF, 0xFF, 0xFF,
    0x5D, 0x57, 0x6E, 0x73, 0x57, 0xA4, 0x50, 0x1D, 0xDF, 0xE9, 0x2F, 0x46, 0x68, 0x1B, 0x20, 0xA0,
};
constexpr uint32_t kSignatureS = 32;
constexpr uint32_t kSignatureV = 64;
constexpr uint32_t kNonceWords = 3;
static_assert(kNonceWindow == 64 * kNonceWords);

// Every signed kind begins with the same fields, at the same places.
using Head = CancelWire;

template <typename W>
constexpr bool has_head() {
    return W::kStampMs == Head::kStampMs && W::kAccount == Head::kAccount &&
           W::kKey == Head::kKey && W::kNonce == Head::kNonce &&
           W::kExpiresAtMs == Head::kExpiresAtMs;
}
static_assert(has_head<PlaceWire>() && has_head<CancelAllWire>() && has_head<WithdrawWire>() &&
              has_head<SetKeyWire>() && has_head<CancelLabelWire>() && has_head<AmendWire>() &&
              has_head<ReplaceWire>());

template <typename W, uint32_t kCount>
constexpr SignedKind kind_of(const Member (&members)[kCount], uint64_t scopes,
                             bool allowed_in_sweep) {
    static_assert(kCount == W::kMembers);
    return {&W::kTypeHash, members, kCount, W::kSignature, scopes, allowed_in_sweep};
}

// The members follow one another on the wire without a gap, up to the signature.
template <uint32_t kCount>
constexpr bool are_contiguous(const Member (&members)[kCount], uint32_t from, uint32_t to) {
    for (const Member& member : members) {
        if (member.at != from) return false;
        from += member.size;
    }
    return from == to;
}

#define PROVENUE_MEMBER(W, name) Member{W::name, W::name##Size}
#define PROVENUE_HEAD(W)                                                                  \
    PROVENUE_MEMBER(W, kAccount), PROVENUE_MEMBER(W, kKey), PROVENUE_MEMBER(W, kNonce), \
        PROVENUE_MEMBER(W, kExpiresAtMs)

constexpr Member kPlaceMembers[] = {
    PROVENUE_HEAD(PlaceWire),
    PROVENUE_MEMBER(PlaceWire, kInstrument),
    PROVENUE_MEMBER(PlaceWire, kSide),
    PROVENUE_MEMBER(PlaceWire, kOrderType),
    PROVENUE_MEMBER(PlaceWire, kTimeInForce),
    PROVENUE_MEMBER(PlaceWire, kFlags),
    PROVENUE_MEMBER(PlaceWire, kSelfTrade),
    PROVENUE_MEMBER(PlaceWire, kPriceTicks),
    PROVENUE_MEMBER(PlaceWire, kSizeLots),
    PROVENUE_MEMBER(PlaceWire, kClientId),
    PROVENUE_MEMBER(PlaceWire, kGoodTillS),
};
constexpr Member kCancelMembers[] = {
    PROVENUE_HEAD(CancelWire),
    PROVENUE_MEMBER(CancelWire, kOrderId),
};
constexpr Member kCancelAllMembers[] = {
    PROVENUE_HEAD(CancelAllWire),
    PROVENUE_MEMBER(CancelAllWire, kInstrument),
};
constexpr Member kWithdrawMembers[] = {
    PROVENUE_HEAD(WithdrawWire),
    PROVENUE_MEMBER(WithdrawWire, kAsset),
    PROVENUE_MEMBER(WithdrawWire, kAmountUnits),
    PROVENUE_MEMBER(WithdrawWire, kRecipient),
};
constexpr Member kSetKeyMembers[] = {
    PROVENUE_HEAD(SetKeyWire),
    PROVENUE_MEMBER(SetKeyWire, kSlot),
    PROVENUE_MEMBER(SetKeyWire, kKeyAddress),
    PROVENUE_MEMBER(SetKeyWire, kScope),
    PROVENUE_MEMBER(SetKeyWire, kKeyExpiresAtMs),
};
constexpr Member kCancelLabelMembers[] = {
    PROVENUE_HEAD(CancelLabelWire),
    PROVENUE_MEMBER(CancelLabelWire, kInstrument),
    PROVENUE_MEMBER(CancelLabelWire, kClientId),
};
constexpr Member kAmendMembers[] = {
    PROVENUE_HEAD(AmendWire),
    PROVENUE_MEMBER(AmendWire, kOrderId),
    PROVENUE_MEMBER(AmendWire, kPriceTicks),
    PROVENUE_MEMBER(AmendWire, kSizeLots),
};
constexpr Member kReplaceMembers[] = {
    PROVENUE_HEAD(ReplaceWire),
    PROVENUE_MEMBER(ReplaceWire, kOrderId),
    PROVENUE_MEMBER(ReplaceWire, kOrderType),
    PROVENUE_MEMBER(ReplaceWire, kTimeInForce),
    PROVENUE_MEMBER(ReplaceWire, kFlags),
    PROVENUE_MEMBER(ReplaceWire, kSelfTrade),
    PROVENUE_MEMBER(ReplaceWire, kPriceTicks),
    PROVENUE_MEMBER(ReplaceWire, kSizeLots),
    PROVENUE_MEMBER(ReplaceWire, kClientId),
    PROVENUE_MEMBER(ReplaceWire, kGoodTillS),
};
static_assert(are_contiguous(kPlaceMembers, PlaceWire::kAccount, PlaceWire::kSignature));
static_assert(are_contiguous(kCancelMembers, CancelWire::kAccount, CancelWire::kSignature));
static_assert(are_contiguous(kCancelAllMembers, CancelAllWire::kAccount,
                             CancelAllWire::kSignature));
static_assert(are_contiguous(kWithdrawMembers, WithdrawWire::kAccount, WithdrawWire::kSignature));
static_assert(are_contiguous(kSetKeyMembers, SetKeyWire::kAccount, SetKeyWire::kSignature));
static_assert(are_contiguous(kCancelLabelMembers, CancelLabelWire::kAccount,
                             CancelLabelWire::kSignature));
static_assert(are_contiguous(kAmendMembers, AmendWire::kAccount, AmendWire::kSignature));
static_assert(are_contiguous(kReplaceMembers, ReplaceWire::kAccount, ReplaceWire::kSignature));

Hash struct_hash_of(Run& run, const SignedKind& kind) {
    run.hasher.hash(*kind.type_hash);
    for (uint32_t i = 0; i < kind.member_count; ++i)
        run.hasher.padded(run.data + kind.members[i].at, kind.members[i].size);
    return run.hasher.digest();
}

// Moves the window up to `base`; bits of nonces below it are dropped.
void move_window(NonceRecord& record, uint64_t base) {
    const uint64_t distance = base - record.base;
    const NonceRecord before = record;
    record.base = base;
    for (uint32_t word = 0; word < kNonceWords; ++word) {
        const uint64_t from = word + distance / 64;
        const uint64_t shift = distance % 64;
        const uint64_t low = from < kNonceWords ? before.window[from] : 0;
        const uint64_t high = from + 1 < kNonceWords ? before.window[from + 1] : 0;
        record.window[word] = low >> shift | (shift == 0 ? 0 : high << (64 - shift));
    }
}

Code check_nonce(const NonceRecord& record, uint64_t nonce) {
    if (nonce > uint64_t{kNonceMax}) return Code::kNonceTooLarge;
    if (nonce < record.base) return Code::kNonceTooOld;
    const uint64_t place = nonce - record.base;
    if (place < uint64_t{kNonceWindow} && (record.window[place / 64] >> (place % 64) & 1) != 0)
        return Code::kNonceUsed;
    return Code::kOk;
}

void burn_nonce(NonceRecord& record, uint64_t nonce) {
    constexpr uint64_t kWindow = kNonceWindow;
    if (nonce - record.base >= kWindow) move_window(record, nonce - kWindow + 1);
    const uint64_t place = nonce - record.base;
    ASSERT(place < kWindow, "nonce outside its window");
    record.window[place / 64] |= uint64_t{1} << (place % 64);
}

// Steps 6 to 9: after the burn.
Code check_service(const Run& run, const SignedKind& kind, const KeyRecord& key, uint32_t slot) {
    const GlobalsRecord& globals = run.state.globals();
    if (globals.pending_order != kNoLink) return Code::kTakerPending;
    if (globals.sweep_remaining != 0 && !kind.allowed_in_sweep) return Code::kSweepPending;
    if (run.now_ms >= run.u64(Head::kExpiresAtMs)) return Code::kExpired;
    if (key.expires_at_ms != 0 && run.now_ms >= key.expires_at_ms) return Code::kKeyExpired;
    const bool in_scope = kind.scopes == 0 ? slot == 0 : (key.scope & kind.scopes) != 0;
    return in_scope ? Code::kOk : Code::kScopeMissing;
}

}  // namespace

template <>
SignedKind signed_kind<PlaceWire>() {
    return kind_of<PlaceWire>(kPlaceMembers, kScopeTrade, false);
}
template <>
SignedKind signed_kind<CancelWire>() {
    return kind_of<CancelWire>(kCancelMembers, kScopeTrade | kScopeCancel, true);
}
template <>
SignedKind signed_kind<CancelAllWire>() {
    return kind_of<CancelAllWire>(kCancelAllMembers, kScopeTrade | kScopeCancel, true);
}
template <>
SignedKind signed_kind<WithdrawWire>() {
    return kind_of<WithdrawWire>(kWithdrawMembers, kScopeWithdraw, false);
}
template <>
SignedKind signed_kind<SetKeyWire>() {
    return kind_of<SetKeyWire>(kSetKeyMembers, 0, false);
}
template <>
SignedKind signed_kind<CancelLabelWire>() {
    return kind_of<CancelLabelWire>(kCancelLabelMembers, kScopeTrade | kScopeCancel, true);
}
template <>
SignedKind signed_kind<AmendWire>() {
    return kind_of<AmendWire>(kAmendMembers, kScopeTrade, false);
}
template <>
SignedKind signed_kind<ReplaceWire>() {
    return kind_of<ReplaceWire>(kReplaceMembers, kScopeTrade, false);
}

bool is_signed_by(Run& run, const Hash& struct_hash, const uint8_t* signature,
                  const uint8_t* address) {
    const uint8_t v = signature[kSignatureV];
    if (v != 27 && v != 28) return false;
    if (std::memcmp(signature + kSignatureS, kHalfOrder.data(), kWordBytes) > 0) return false;
    constexpr uint8_t kPrefix[2] = {0x19, 0x01};
    run.hasher.bytes(kPrefix, sizeof(kPrefix));
    const Hash digest =
        run.hasher.hash(run.state.globals().domain_separator).hash(struct_hash).digest();

    uint8_t* block = run.context.recover_block;
    std::memcpy(block, digest.data(), kWordBytes);
    store_word(block + 32, v);
    std::memcpy(block + 64, signature, 2 * kWordBytes);
    Hash recovered;
    host_recover(block, recovered.data());
    return !is_zero_address(address) &&
           same_address(recovered.data() + kWordBytes - kAddressBytes, address);
}

Code authorise(Run& run, const SignedKind& kind, Actor& actor) {
    const uint64_t id = run.u64(Head::kAccount);
    actor.account = static_cast<uint32_t>(id);
    actor.key = run.u8(Head::kKey);
    if (actor.account >= run.state.globals().accounts_used || actor.account == kHouse)
        return Code::kAccountUnknown;
    const AccountRecord& account = run.state.accounts[actor.account];
    if (account.open == 0 || account.generation != id >> 32) return Code::kAccountUnknown;

    if (actor.key >= kKeysPerAccount) return Code::kKeyUnknown;
    const uint32_t row = State::key_row(actor.account, actor.key);
    const KeyRecord& key = run.state.keys[row];
    if (is_zero_address(key.address.data())) return Code::kKeyUnknown;
    const Hash struct_hash = struct_hash_of(run, kind);
    if (!is_signed_by(run, struct_hash, run.data + kind.signature_at, key.address.data()))
        return Code::kBadSignature;

    const uint64_t nonce = run.u64(Head::kNonce);
    const Code nonce_code = check_nonce(run.state.nonces[row], nonce);
    if (nonce_code != Code::kOk) return nonce_code;
    burn_nonce(run.state.nonces.edit(row), nonce);
    run.reject_mark = run.context.undo.count;
    return check_service(run, kind, key, actor.key);
}

void put_key(Run& run, uint32_t account, uint8_t slot, const KeyRecord& key) {
    run.state.keys.edit(State::key_row(account, slot)) = key;
    Event event = event_of(EventKind::kKeySet);
    event.account = account;
    event.extra = slot;
    event.value = key.scope;
    run.events.emit(event);
}

Code set_key(Run& run, const Actor& actor) {
    using W = SetKeyWire;
    const uint8_t slot = run.u8(W::kSlot);
    if (!is_session_slot(slot)) return Code::kBadKeySlot;
    const uint8_t scope = run.u8(W::kScope);
    if ((scope & ~uint64_t{kScopeAll}) != 0) return Code::kBadScope;

    KeyRecord key{};
    if (!is_zero_address(run.data + W::kKeyAddress)) {
        std::memcpy(key.address.data(), run.data + W::kKeyAddress, kAddressBytes);
        key.scope = scope;
        key.expires_at_ms = run.u64(W::kKeyExpiresAtMs);
    }
    put_key(run, actor.account, slot, key);
    return Code::kOk;
}

}  // namespace provenue::PROVENUE_PRESET_NAMESPACE
