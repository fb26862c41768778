#include "core/program/prices.hpp"

#include "core/base/generated/wire.hpp"
#include "core/base/wide.hpp"
#include "core/clearing/settlement.hpp"
#include "core/matching/book.hpp"
#include "core/program/authorise.hpp"
#include "core/program/sweep.hpp"
#include "core/risk/margin.hpp"

namespace provenue::PROVENUE_PRESET_NAMESPACE {

namespace {

using W = PricesWire;

struct PriceEntry {
    uint32_t feed;
    uint64_t price;
};

PriceEntry entry_at(const Run& run, uint32_t index) {
    const uint32_t at = W::kEntries + index * W::kEntrySize;
    return {run.u16(at + W::kEntryFeed), run.u64(at + W::kEntryPrice)};
}

Code check_entries(const Run& run, uint32_t count) {
    for (uint32_t i = 0; i < count; ++i) {
        const PriceEntry entry = entry_at(run, i);
        if (entry.feed >= kFeedsMax) return Code::kFeedUnknown;
        if (i > 0 && entry.feed <= entry_at(run, i - 1).feed) return Code::kBadFeedOrder;
        if (entry.price == 0 || entry.price > uint64_t{kPriceMax}) return Code::kBadPrice;
    }
    return Code::kOk;
}

bool is_signature_good(Run& run, uint32_t count, const uint8_t* address) {
    static_assert(kFeedsPerMessage * kWordBytes <= kHashBlockBytes);
    for (uint32_t i = 0; i < count; ++i) {
        // word(feed << 64 | price)
        const PriceEntry entry = entry_at(run, i);
        uint8_t big[16];
        store_big(big, entry.feed);
        store_big(big + 8, entry.price);
        run.hasher.padded(big, sizeof(big));
    }
    const Hash entries = run.hasher.digest();
    run.hasher.hash(W::kTypeHash).padded(run.data + W::kPublishedAtMs, W::kPublishedAtMsSize);
    const Hash struct_hash = run.hasher.hash(entries).digest();
    const uint8_t* signature =
        run.data + W::kEntries + count * W::kEntrySize + W::kSignatureBehindEntries;
    return is_signed_by(run, struct_hash, signature, address);
}

// Times are compared as exact integers: a sum may exceed 64 bits.
bool is_counted(const SignerPriceRecord& value, uint64_t now_ms) {
    return value.price != 0 && i128{value.published_at_ms} + kPriceFreshMs >= now_ms;
}

Code check_prices(Run& run) {
    if (run.state.globals().pending_order != kNoLink) return Code::kTakerPending;
    const uint32_t count = run.u8(W::kCount);
    if (count == 0 || count > kFeedsPerMessage) return Code::kBadCount;
    const uint32_t signer = run.u8(W::kSigner);
    if (signer >= run.state.globals().signer_count) return Code::kSignerUnknown;
    const Code code = check_entries(run, count);
    if (code != Code::kOk) return code;
    const SignerRecord& record = run.state.signers[signer];
    if (!is_signature_good(run, count, record.address.data())) return Code::kBadSignature;
    const uint64_t published_ms = run.u64(W::kPublishedAtMs);
    if (published_ms <= record.last_published_at_ms) return Code::kPriceNotNewer;
    if (published_ms > i128{run.now_ms} + kPriceAheadMaxMs) return Code::kPriceFromFuture;
    if (i128{published_ms} + kPriceFreshMs < run.now_ms) return Code::kPriceTooOld;
    return Code::kOk;
}

// The median of the counted values of a feed, of an even number the lower middle one; 0 when there
// are fewer than the quorum.
uint64_t median_of(const State& state, uint32_t feed, uint64_t now_ms) {
    uint64_t sorted[kSignersMax];
    uint32_t count = 0;
    for (uint32_t signer = 0; signer < state.globals().signer_count; ++signer) {
        const SignerPriceRecord& value =
            state.signer_prices[State::signer_price_row(signer, feed)];
        if (!is_counted(value, now_ms)) continue;
        uint32_t place = count;
        for (; place > 0 && sorted[place - 1] > value.price; --place)
            sorted[place] = sorted[place - 1];
        sorted[place] = value.price;
        count += 1;
    }
    ASSERT(state.globals().price_quorum > 0, "quorum of none");
    return count < state.globals().price_quorum ? 0 : sorted[(count - 1) / 2];
}

void update_feed(Run& run, uint32_t feed, uint64_t price) {
    FeedRecord& record = run.state.feeds.edit(feed);
    record.price = price;
    record.updated_at_ms = run.now_ms;
    Event event = event_of(EventKind::kPriceUpdated);
    event.extra = feed;
    event.price = narrow<int64_t>(price);
    run.events.emit(event);
}

// How far the middle of the book stands from the mark, capped.
int64_t sample_premium(const State& state, uint32_t index) {
    const InstrumentRecord& instrument = state.instruments[index];
    const uint32_t bid = best_price(state, index, Side::kBuy);
    const uint32_t ask = best_price(state, index, Side::kSell);
    if (bid == 0 || ask == 0) return 0;
    const i128 twice_mark = 2 * i128{mark_of(state, instrument)};
    const i128 apart = multiply(i128{bid} + ask, instrument.tick_size) - twice_mark;
    const i128 cap = instrument.funding_cap_ppm;
    return narrow<int64_t>(clamp(mul_div_trunc(apart, kPpm, twice_mark), -cap, cap));
}

void sample_premiums(State& state, const bool (&updated)[kFeedsMax]) {
    for (uint32_t index = 0; index < kInstrumentsMax; ++index) {
        const InstrumentRecord& instrument = state.instruments[index];
        if (instrument.listed == 0 || !is_perpetual(instrument) || !updated[instrument.feed])
            continue;
        const int64_t premium = sample_premium(state, index);
        if (premium != instrument.premium_ppm)
            state.instruments.edit(index, &InstrumentRecord::premium_ppm) = premium;
    }
}

}  // namespace

Code prices(Run& run) {
    const Code code = check_prices(run);
    if (code != Code::kOk) return code;
    State& state = run.state;
    const uint32_t count = run.u8(W::kCount);
    const uint32_t signer = run.u8(W::kSigner);
    const uint64_t published_ms = run.u64(W::kPublishedAtMs);

    accrue_funding(state, run.now_ms);
    state.signers.edit(signer).last_published_at_ms = published_ms;
    for (uint32_t i = 0; i < count; ++i) {
        const PriceEntry entry = entry_at(run, i);
        SignerPriceRecord& value =
            state.signer_prices.edit(State::signer_price_row(signer, entry.feed));
        value.price = entry.price;
        value.published_at_ms = published_ms;
    }
    bool updated[kFeedsMax] = {};
    bool any = false;
    for (uint32_t i = 0; i < count; ++i) {
        const uint32_t feed = entry_at(run, i).feed;
        const uint64_t median = median_of(state, feed, run.now_ms);
        if (median == 0) continue;
        update_feed(run, feed, median);
        updated[feed] = any = true;
    }
    // Funding has accrued: who was visited already may be unsafe now (P6).
    if (!any && state.globals().sweep_remaining == 0) return Code::kOk;
    sample_premiums(state, updated);
    start_sweep(state);
    sweep_part(run);
    return Code::kOk;
}

Code tick(Run& run) {
    if (run.state.globals().pending_order != kNoLink) return Code::kTakerPending;
    accrue_funding(run.state, run.now_ms);
    start_sweep(run.state);
    sweep_part(run);
    return Code::kOk;
}

}  // namespace provenue::PROVENUE_PRESET_NAMESPACE
