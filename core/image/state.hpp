// The exchange state: every table of the image of this preset, and the position rows, which two
// tables share. No policy.
#pragma once

#include <cstdint>

#include "core/base/generated/protocol.hpp"
#include "core/base/links.hpp"
#include "core/base/preset.hpp"
#include "core/image/generated/layout.hpp"
#include "core/image/table.hpp"

namespace provenue::PROVENUE_PRESET_NAMESPACE {

// Where a position row is: in `positions`, or in `house_positions` for account 0.
struct RowRef {
    uint32_t account = 0;
    uint32_t index = 0;  // in its table
};

// The rows of an account in the order of their slots, used or not.
struct Rows {
    const PositionRecord* first;
    uint32_t count;

    const PositionRecord* begin() const { return first; }
    const PositionRecord* end() const { return first + count; }
    const PositionRecord& operator[](uint32_t slot) const { return first[slot]; }
};

constexpr uint32_t kHouse = 0;
constexpr uint32_t kQuote = 0;
// Rows of one account: the house has one for every instrument.
constexpr uint32_t kRowsMax =
    kInstrumentsMax > kPositionsPerAccount ? kInstrumentsMax : kPositionsPerAccount;

class State {
public:
    State(uint8_t* image, UndoLog& undo)
        : globals_(image, undo),
          frontier(image, undo),
          signers(image, undo),
          feeds(image, undo),
          signer_prices(image, undo),
          assets(image, undo),
          instruments(image, undo),
          accounts(image, undo),
          buckets(image, undo),
          keys(image, undo),
          nonces(image, undo),
          orders(image, undo),
          levels(image, undo),
          nodes(image, undo),
          scan(image, undo),
          scan_ranks(image, undo),
          balances_(image, undo),
          positions_(image, undo),
          house_positions_(image, undo) {}

    const GlobalsRecord& globals() const { return globals_[0]; }
    template <typename F>
    F& edit_globals(F GlobalsRecord::*field) {
        return globals_.edit(0, field);
    }

    int64_t balance(uint32_t account, uint32_t asset) const {
        return balances_[balance_row(account, asset)];
    }
    // One for each asset.
    const int64_t* balances(uint32_t account) const {
        return balances_.records(balance_row(account, 0), kAssetsMax);
    }
    int64_t& edit_balance(uint32_t account, uint32_t asset) {
        return balances_.edit(balance_row(account, asset));
    }

    const PositionRecord& row(RowRef ref) const {
        return ref.account == kHouse ? house_positions_[ref.index] : positions_[ref.index];
    }
    PositionRecord& edit_row(RowRef ref) {
        return ref.account == kHouse ? house_positions_.edit(ref.index)
                                     : positions_.edit(ref.index);
    }
    // The rows of an account, used or not; slot < row_count(account).
    static constexpr uint32_t row_count(uint32_t account) {
        return account == kHouse ? kInstrumentsMax : kPositionsPerAccount;
    }
    static constexpr RowRef row_at(uint32_t account, uint32_t slot) {
        return {account, account == kHouse ? slot : account * kPositionsPerAccount + slot};
    }
    Rows rows(uint32_t account) const {
        const uint32_t count = row_count(account);
        const uint32_t first = row_at(account, 0).index;
        return {account == kHouse ? house_positions_.records(first, count)
                                  : positions_.records(first, count),
                count};
    }
    // The row of an instrument, or an unused row for it; false when there is neither.
    bool find_row(uint32_t account, uint32_t instrument, RowRef& ref) const;
    bool find_row_or_free(uint32_t account, uint32_t instrument, RowRef& ref) const;
    bool has_row_in_use(uint32_t account) const;

    static constexpr uint32_t key_row(uint32_t account, uint32_t slot) {
        return account * static_cast<uint32_t>(kKeysPerAccount) + slot;
    }
    static constexpr uint32_t signer_price_row(uint32_t signer, uint32_t feed) {
        return signer * kFeedsMax + feed;
    }

private:
    Table<GlobalsRecord, kGlobalsOffset, kGlobalsCount> globals_;

public:
    Table<WithdrawalFrontierRecord, kWithdrawalFrontierOffset, kWithdrawalFrontierCount> frontier;
    Table<SignerRecord, kSignersOffset, kSignersCount> signers;
    Table<FeedRecord, kFeedsOffset, kFeedsCount> feeds;
    Table<SignerPriceRecord, kSignerPricesOffset, kSignerPricesCount> signer_prices;
    Table<AssetRecord, kAssetsOffset, kAssetsCount> assets;
    Table<InstrumentRecord, kInstrumentsOffset, kInstrumentsCount> instruments;
    Table<AccountRecord, kAccountsOffset, kAccountsCount> accounts;
    Table<AccountBucketRecord, kAccountBucketsOffset, kAccountBucketsCount> buckets;
    Table<KeyRecord, kKeysOffset, kKeysCount> keys;
    Table<NonceRecord, kNoncesOffset, kNoncesCount> nonces;
    Table<OrderRecord, kOrdersOffset, kOrdersCount> orders;
    Table<LevelRecord, kLevelsOffset, kLevelsCount> levels;
    Table<NodeRecord, kNodesOffset, kNodesCount> nodes;
    Table<ScanRecord, kScanOffset, kScanCount> scan;  // one record
    Table<ScanRankRecord, kScanRanksOffset, kScanRanksCount> scan_ranks;

private:
    static constexpr uint64_t balance_row(uint32_t account, uint32_t asset) {
        ASSERT(asset < kAssetsMax, "asset index");
        return uint64_t{account} * kAssetsMax + asset;
    }

    Table<int64_t, kBalancesOffset, kBalancesCount> balances_;
    Table<PositionRecord, kPositionsOffset, kPositionsCount> positions_;
    Table<PositionRecord, kHousePositionsOffset, kHousePositionsCount> house_positions_;
};

}  // namespace provenue::PROVENUE_PRESET_NAMESPACE
