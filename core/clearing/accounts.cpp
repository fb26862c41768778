#include "core/clearing/accounts.hpp"

namespace provenue::PROVENUE_PRESET_NAMESPACE {

namespace {

constexpr uint32_t kHeadsPerBucket = sizeof(AccountBucketRecord) / sizeof(uint32_t);
constexpr uint32_t kHeads = kAccountBucketsCount * kHeadsPerBucket;

// Which chain a holder is in. Hashed, so that chains stay short for whatever owners come; a chain
// is at most accounts_max long (P3).
uint32_t chain_of(Hasher& hasher, const Holder& holder) {
    hasher.padded(holder.owner, kAddressBytes).word(holder.subaccount);
    const Hash hash = hasher.digest();
    return static_cast<uint32_t>(load_big<uint64_t>(hash.data()) % kHeads);
}

uint32_t head_of(const State& state, uint32_t chain) {
    return state.buckets[chain / kHeadsPerBucket].heads[chain % kHeadsPerBucket];
}

uint32_t& edit_head(State& state, uint32_t chain) {
    return state.buckets.edit(chain / kHeadsPerBucket, &AccountBucketRecord::heads,
                              chain % kHeadsPerBucket);
}

void unchain(State& state, Hasher& hasher, uint32_t account) {
    const AccountRecord& record = state.accounts[account];
    const uint32_t chain = chain_of(hasher, {record.owner.data(), record.subaccount});
    const uint32_t behind = record.next_in_bucket;
    if (head_of(state, chain) == link_to(account)) {
        edit_head(state, chain) = behind;
        return;
    }
    uint32_t at = linked_index(head_of(state, chain));
    for (uint32_t looks = 0; looks < kAccountsMax; ++looks) {
        if (state.accounts[at].next_in_bucket == link_to(account)) {
            state.accounts.edit(at, &AccountRecord::next_in_bucket) = behind;
            return;
        }
        at = linked_index(state.accounts[at].next_in_bucket);
    }
    ASSERT(false, "account not in its chain");
}

bool is_empty(const State& state, uint32_t account) {
    if (state.accounts[account].open_orders != 0 || state.has_row_in_use(account)) return false;
    for (uint32_t asset = 0; asset < kAssetsMax; ++asset)
        if (state.balance(account, asset) != 0) return false;
    return true;
}

// Everything of the former holder but the generation.
void clear_account(State& state, Hasher& hasher, uint32_t account) {
    unchain(state, hasher, account);
    AccountRecord& record = state.accounts.edit(account);
    const uint32_t generation = record.generation;
    record = AccountRecord{};
    record.generation = generation;
    for (uint32_t slot = 0; slot < kKeysPerAccount; ++slot) {
        state.keys.edit(State::key_row(account, slot)) = KeyRecord{};
        state.nonces.edit(State::key_row(account, slot)) = NonceRecord{};
    }
}

// The table is full: the first empty account of the next reclaim_scan_max, kNoLink if none is.
uint32_t reclaim(State& state, Hasher& hasher) {
    uint32_t at = state.globals().reclaim_next;
    for (uint32_t looks = 0; looks < kReclaimScanMax; ++looks) {
        ASSERT(at != kHouse && at < kAccountsMax, "reclaim cursor");
        const uint32_t account = at;
        at = at + 1 == kAccountsMax ? 1 : at + 1;
        if (!is_empty(state, account)) continue;
        state.edit_globals(&GlobalsRecord::reclaim_next) = at;
        clear_account(state, hasher, account);
        return link_to(account);
    }
    return kNoLink;
}

}  // namespace

uint32_t find_account(const State& state, Hasher& hasher, const Holder& holder) {
    uint32_t link = head_of(state, chain_of(hasher, holder));
    for (uint32_t looks = 0; link != kNoLink; ++looks) {
        ASSERT(looks < kAccountsMax, "endless chain of accounts");
        const AccountRecord& record = state.accounts[linked_index(link)];
        if (record.subaccount == holder.subaccount &&
            same_address(record.owner.data(), holder.owner))
            return link;
        link = record.next_in_bucket;
    }
    return kNoLink;
}

uint32_t open_account(State& state, Hasher& hasher, const Holder& holder) {
    uint32_t link = kNoLink;
    if (state.globals().accounts_used < kAccountsMax) {
        link = link_to(state.globals().accounts_used);
        state.edit_globals(&GlobalsRecord::accounts_used) += 1;
    } else {
        link = reclaim(state, hasher);
        if (link == kNoLink) return kNoLink;
    }
    const uint32_t account = linked_index(link);
    const uint32_t chain = chain_of(hasher, holder);
    AccountRecord& record = state.accounts.edit(account);
    ASSERT(record.open == 0, "account opened twice");
    std::memcpy(record.owner.data(), holder.owner, kAddressBytes);
    record.subaccount = holder.subaccount;
    record.generation += 1;
    record.open = 1;
    record.next_in_bucket = head_of(state, chain);
    edit_head(state, chain) = link;

    KeyRecord& key = state.keys.edit(State::key_row(account, 0));
    std::memcpy(key.address.data(), holder.owner, kAddressBytes);
    key.scope = static_cast<uint8_t>(kScopeAll);
    return link;
}

void open_house(State& state) {
    AccountRecord& record = state.accounts.edit(kHouse);
    record.generation = 1;
    record.open = 1;
    state.edit_globals(&GlobalsRecord::accounts_used) = 1;
    state.edit_globals(&GlobalsRecord::reclaim_next) = 1;
}

}  // namespace provenue::PROVENUE_PRESET_NAMESPACE
