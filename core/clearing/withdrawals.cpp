#include "core/clearing/withdrawals.hpp"

#include "core/base/wide.hpp"

namespace provenue::PROVENUE_PRESET_NAMESPACE {

namespace {

constexpr uint32_t kHeight = static_cast<uint32_t>(kWithdrawalTreeHeight);
static_assert(kWithdrawalFrontierCount == kHeight);

// Puts leaf number `index` into the tree and returns the root: one path from leaf to root, with the
// left siblings of the frontier and empty subtrees to the right.
Hash append_leaf(State& state, Hasher& hasher, uint64_t index, const Hash& leaf) {
    Hash node = leaf;
    Hash empty{};  // of the current height; the empty leaf is 32 zero bytes
    bool stored = false;
    for (uint32_t level = 0; level < kHeight; ++level) {
        if ((index >> level & 1) != 0) {
            node = hasher.hash(state.frontier[level].node).hash(node).digest();
        } else {
            // The lowest left child on the path is the one that later paths meet.
            if (!stored) state.frontier.edit(level).node = node;
            stored = true;
            node = hasher.hash(node).hash(empty).digest();
        }
        empty = hasher.hash(empty).hash(empty).digest();
    }
    return node;
}

}  // namespace

uint64_t issue_withdrawal(State& state, Hasher& hasher, uint32_t asset, int64_t amount_units,
                          const uint8_t* recipient) {
    const uint64_t id = state.globals().withdrawal_count;
    ASSERT(id < uint64_t{1} << kHeight, "withdrawal tree full");
    int64_t& issued = state.assets.edit(asset, &AssetRecord::issued_units);
    issued = narrow<int64_t>(i128{issued} + amount_units);

    hasher.word(id).word(asset).padded(recipient, kAddressBytes);
    const Hash leaf = hasher.word(static_cast<uint64_t>(amount_units)).digest();
    const Hash root = append_leaf(state, hasher, id, leaf);
    state.edit_globals(&GlobalsRecord::withdrawal_count) = id + 1;
    state.edit_globals(&GlobalsRecord::withdrawal_root) = root;
    return id;
}

}  // namespace provenue::PROVENUE_PRESET_NAMESPACE
