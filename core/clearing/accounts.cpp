#include "core/clearing/accounts.hpp"

namespace provenue::PROVENUE_PRESET_NAMESPACE {

namespace {

constexpr uint32_t kHeadsPerBucket = sizeof(AccountBucketRecord) / sizeof(uint32_t);
constexpr uint32_t kHeads = kAccountBucketsCount * kHeadsPerBucket;

// Accounts are found by a hash of their holder: its first bytes name a bucket, whose accounts form
// a digital search tree over the bits behind them. Anyone may choose owners that meet in a bucket;
// d deep in its tree an account costs 2^d hashes, so that nobody makes a look-up long (P3).
constexpr uint32_t kBitsAt = 8;  // bytes of the hash that choose the bucket
constexpr uint32_t kDepthMax = 8 * (kWordBytes - kBitsAt);

Hash hash_of(Hasher& hasher, const Holder& holder) {
    return hasher.padded(holder.owner, kAddressBytes).word(holder.subaccount).digest();
}

bool goes_right(const Hash& hash, uint32_t depth) {
    return (hash[kBitsAt + depth / 8] >> (depth % 8) & 1) != 0;
}

// A link of a bucket's tree: its root, or one of the two below an account.
struct Place {
    uint32_t head;
    uint32_t above;  // an account link, kNoLink for the root
    bool right;
};

uint32_t link_at(const State& state, const Place& place) {
    if (place.above == kNoLink)
        return state.buckets[place.head / kHeadsPerBucket].heads[place.head % kHeadsPerBucket];
    const AccountRecord& record = state.accounts[linked_index(place.above)];
    return place.right ? record.bucket_right : record.bucket_left;
}

void set_link(State& state, const Place& place, uint32_t link) {
    if (place.above == kNoLink)
        state.buckets.edit(place.head / kHeadsPerBucket, &AccountBucketRecord::heads,
                           place.head % kHeadsPerBucket) = link;
    else
        state.accounts.edit(linked_index(place.above), place.right
                                                           ? &AccountRecord::bucket_right
                                                           : &AccountRecord::bucket_left) = link;
}

bool is_held_by(const AccountRecord& record, const Holder& holder) {
    return record.subaccount == holder.subaccount &&
           same_address(record.owner.data(), holder.owner);
}

// Where the holder's account is linked, or would be.
Place place_of(const State& state, Hasher& hasher, const Holder& holder) {
    const Hash hash = hash_of(hasher, holder);
    Place place{static_cast<uint32_t>(load_big<uint64_t>(hash.data()) % kHeads), kNoLink, false};
    for (uint32_t depth = 0;; ++depth) {
        const uint32_t link = link_at(state, place);
        if (link == kNoLink || is_held_by(state.accounts[linked_index(link)], holder))
            return place;
        ASSERT(depth < kDepthMax, "hashes of two holders are the same");
        place = {place.head, link, goes_right(hash, depth)};
    }
}

// An account below which there is none, in the tree that begins at a place; where it is linked.
Place last_place(const State& state, Place place) {
    for (uint32_t depth = 0; depth <= kDepthMax; ++depth) {
        const uint32_t link = link_at(state, place);
        const AccountRecord& record = state.accounts[linked_index(link)];
        if (record.bucket_left == kNoLink && record.bucket_right == kNoLink) return place;
        place = {place.head, link, record.bucket_left == kNoLink};
    }
    ASSERT(false, "endless tree of accounts");
    return place;
}

// Takes an account out of its tree. Any account below it may stand in its place: the bits above
// are the same.
void unlink(State& state, Hasher& hasher, uint32_t account) {
    AccountRecord& record = state.accounts.edit(account);
    const Place place = place_of(state, hasher, {record.owner.data(), record.subaccount});
    ASSERT(link_at(state, place) == link_to(account), "account not in its tree");
    const Place last = last_place(state, place);
    const uint32_t heir = link_at(state, last);
    set_link(state, last, kNoLink);
    if (heir != link_to(account)) {
        AccountRecord& moved = state.accounts.edit(linked_index(heir));
        moved.bucket_left = record.bucket_left;
        moved.bucket_right = record.bucket_right;
        set_link(state, place, heir);
    }
    record.bucket_left = kNoLink;
    record.bucket_right = kNoLink;
}

bool is_empty(const State& state, uint32_t account) {
    if (state.accounts[account].open_orders != 0 || state.has_row_in_use(account)) return false;
    for (uint32_t asset = 0; asset < kAssetsMax; ++asset)
        if (state.balance(account, asset) != 0) return false;
    return true;
}

// Everything of the former holder but the generation.
void clear_account(State& state, Hasher& hasher, uint32_t account) {
    unlink(state, hasher, account);
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
    return link_at(state, place_of(state, hasher, holder));
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
    const Place place = place_of(state, hasher, holder);
    ASSERT(link_at(state, place) == kNoLink, "holder has an account");
    AccountRecord& record = state.accounts.edit(account);
    ASSERT(record.open == 0, "account opened twice");
    std::memcpy(record.owner.data(), holder.owner, kAddressBytes);
    record.subaccount = holder.subaccount;
    record.generation += 1;
    record.open = 1;
    set_link(state, place, link);

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
