// How much one message can write and say, from the preset's numbers (P3). The undo log and the
// events have fixed room; the assertions at the end prove that no message needs more. The largest
// messages known are measured by tests/p1/test_worst_case.py.
#pragma once

#include "core/image/state.hpp"

namespace provenue::PROVENUE_PRESET_NAMESPACE {

namespace bounds {

constexpr uint32_t larger(uint32_t a, uint32_t b) { return a > b ? a : b; }
constexpr uint32_t smaller(uint32_t a, uint32_t b) { return a < b ? a : b; }

template <typename T>
constexpr uint32_t leaves_of() {
    return (sizeof(T) + kUndoLeafBytes - 1) / kUndoLeafBytes;
}

constexpr uint32_t kFeedsHeard =
    smaller(static_cast<uint32_t>(kFeedsPerMessage), kFeedsMax);
constexpr uint32_t kPriceDigits = 5;

// --- leaves --------------------------------------------------------------------------------------

constexpr uint32_t kGlobals = leaves_of<GlobalsRecord>();
constexpr uint32_t kInstrument = leaves_of<InstrumentRecord>();
// Funding moves an index and its time, which share a leaf, and a premium.
static_assert(offsetof(InstrumentRecord, funding_index) / kUndoLeafBytes ==
              offsetof(InstrumentRecord, funding_time_ms) / kUndoLeafBytes);
constexpr uint32_t kFunding = kInstrumentsMax * 2;
constexpr uint32_t kRow = leaves_of<PositionRecord>();
constexpr uint32_t kAccount = leaves_of<AccountRecord>();
constexpr uint32_t kAsset = leaves_of<AssetRecord>();
// A price enters or leaves the index: of each node on its path the bitmap and one child.
constexpr uint32_t kPath = 2 * kPriceDigits;
// An order comes or goes: itself, its neighbours in two lists, its level and its price. The links
// of a record lie in one leaf.
static_assert(offsetof(OrderRecord, account_prev) + sizeof(uint32_t) <= kUndoLeafBytes);
constexpr uint32_t kOrder = leaves_of<OrderRecord>() + 4 + leaves_of<LevelRecord>() + kPath;
// In one book the orders of a side share the root of its prices.
constexpr uint32_t kOrderOfBook = kOrder - 2;
constexpr uint32_t kRoots = 2 * (leaves_of<NodeRecord>() + 1);
// All balances of an account, wherever they begin.
constexpr uint32_t kBalances = kAssetsMax * sizeof(int64_t) / kUndoLeafBytes + 2;
// One side of a fill: its order, row, account, quote and base, and the reduce-only orders that are
// cut with it.
constexpr uint32_t kSide =
    (1 + static_cast<uint32_t>(kReduceOnlyMax)) * kOrderOfBook + kRow + kAccount + 2;
// The same of an order of the program itself: its account has no orders.
constexpr uint32_t kProgramSide = kRow + kAccount + 2;

constexpr uint32_t kCancels = kOrdersPerAccount * (kOrder + kRow) + kAccount;
// Every step has a maker of its own; fees go to the house and to the asset.
constexpr uint32_t kMakers =
    kFillsPerMessage * kSide + kRoots + kInstrument + kAsset + 1;
constexpr uint32_t kTakeover = 2 * kPositionsPerAccount * kRow + 2 * kBalances + kAsset;
// Of a scan (12.5): its place and all its ranks, as it ranks or when it is dropped.
constexpr uint32_t kScan = leaves_of<ScanRecord>() + kFillsPerMessage * leaves_of<ScanRankRecord>();
// Each rank is a side of its own against the leaving account; the house gets the fee.
constexpr uint32_t kDeleverage = kMakers + kProgramSide + 1;
// Accounts that have nothing left to close are let go on the way; of others the next expiry moves.
static_assert(offsetof(AccountRecord, leaving) / kUndoLeafBytes ==
              offsetof(AccountRecord, next_expiry_s) / kUndoLeafBytes);
constexpr uint32_t kLeft = kSweepAccountsPerMessage;
// A part of a sweep that ends with the dearest of what may end it, after the prices.
constexpr uint32_t kPrices =
    kGlobals + leaves_of<SignerRecord>() + 2 * kFeedsHeard + kFunding + kLeft + kScan +
    larger(larger(kCancels, kDeleverage), larger(kMakers + kProgramSide, kTakeover));
// REPLACE cancels another order before.
constexpr uint32_t kPlace =
    kGlobals + leaves_of<NonceRecord>() + kOrderOfBook + kSide + kMakers;
constexpr uint32_t kCancelAll =
    kGlobals + leaves_of<NonceRecord>() + kInstrumentsMax + kCancels;  // of each the roots
constexpr uint32_t kForcedClose = kGlobals + kInstrumentsMax + kCancels + 1;
constexpr uint32_t kSetSigners = kGlobals + static_cast<uint32_t>(kSignersMax) * (1 + kFeedsMax);
// An account is reclaimed and opened: it, its heir and what is above both, in two trees; keys.
constexpr uint32_t kDeposit = kGlobals + kAsset + 1 + 6 * kAccount + 3 +
                              2 * static_cast<uint32_t>(kKeysPerAccount) + 1;

constexpr uint32_t kLeaves =
    larger(larger(kPrices, kPlace),
           larger(larger(kCancelAll, kForcedClose), larger(kSetSigners, kDeposit)));
static_assert(kLeaves <= kUndoEntriesMax, "a message may write more than the undo log holds");

// --- events --------------------------------------------------------------------------------------

// A fill, the funding of both sides before it, and the reduce-only orders of one that are cut.
constexpr uint32_t kCuts = static_cast<uint32_t>(kReduceOnlyMax);
constexpr uint32_t kStepEvents = 3 + kCuts;
// Of every row the funding of both sides and the takeover; penalty, collateral, shortfall.
constexpr uint32_t kTakeoverEvents = kPositionsPerAccount * 3 + 1 + (kAssetsMax - 1) + 1;
constexpr uint32_t kLiquidationEvents =
    1 + larger(kFillsPerMessage * kStepEvents, kTakeoverEvents);
// A deleveraging, like a fill, may settle the funding of both sides and cut; a closing order is one
// of a liquidation's size.
static_assert(kFillsPerMessage * kStepEvents <= kLiquidationEvents);
constexpr uint32_t kPricesEvents =
    kFeedsHeard + kLeft + larger(kOrdersPerAccount, kLiquidationEvents) + 1;
// The taker's reduce-only orders are cut too. REPLACE cancels another order before.
constexpr uint32_t kPlaceEvents = 2 + kFillsPerMessage * (kStepEvents + kCuts) + 1;
constexpr uint32_t kForcedCloseEvents = kOrdersPerAccount + 1;

constexpr uint32_t kEvents = larger(kPricesEvents, larger(kPlaceEvents, kForcedCloseEvents));
static_assert(kEvents <= static_cast<uint32_t>(kEventsMax), "a message may say too much");

}  // namespace bounds

}  // namespace provenue::PROVENUE_PRESET_NAMESPACE
