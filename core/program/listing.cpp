#include "core/program/listing.hpp"

#include "core/base/generated/wire.hpp"
#include "core/base/wide.hpp"
#include "core/clearing/accounts.hpp"
#include "core/risk/margin.hpp"

namespace provenue::PROVENUE_PRESET_NAMESPACE {

namespace {

constexpr uint32_t kFeePpmMax = 100'000;
constexpr uint32_t kFundingCapPpmMax = 100'000;

constexpr uint64_t power_of_ten(uint32_t exponent) {
    uint64_t power = 1;
    for (uint32_t i = 0; i < exponent; ++i) power *= 10;
    return power;
}

// LIST_INSTRUMENT as it came.
struct Listing {
    uint32_t kind;
    uint32_t base_asset;
    uint32_t feed;
    uint64_t tick_size;
    uint64_t lots_per_base;
    uint32_t initial_ppm;
    uint32_t maintenance_ppm;
    uint32_t taker_fee_ppm;
    uint32_t maker_fee_ppm;
    uint32_t liquidation_fee_ppm;
    uint32_t market_band_ppm;
    uint32_t liquidation_band_ppm;
    uint32_t funding_cap_ppm;
};

Listing read_listing(const Run& run) {
    using W = ListInstrumentWire;
    return {
        .kind = run.u8(W::kInstrumentKind),
        .base_asset = run.u16(W::kBaseAsset),
        .feed = run.u16(W::kFeed),
        .tick_size = run.u64(W::kTickSize),
        .lots_per_base = run.u64(W::kLotsPerBase),
        .initial_ppm = run.u32(W::kInitialPpm),
        .maintenance_ppm = run.u32(W::kMaintenancePpm),
        .taker_fee_ppm = run.u32(W::kTakerFeePpm),
        .maker_fee_ppm = run.u32(W::kMakerFeePpm),
        .liquidation_fee_ppm = run.u32(W::kLiquidationFeePpm),
        .market_band_ppm = run.u32(W::kMarketBandPpm),
        .liquidation_band_ppm = run.u32(W::kLiquidationBandPpm),
        .funding_cap_ppm = run.u32(W::kFundingCapPpm),
    };
}

bool is_band(uint32_t ppm) { return ppm > 0 && ppm < kPpm; }

bool are_rates_good(const Listing& listing) {
    return listing.taker_fee_ppm <= kFeePpmMax && listing.maker_fee_ppm <= kFeePpmMax &&
           listing.liquidation_fee_ppm <= kFeePpmMax &&
           listing.maker_fee_ppm <= listing.taker_fee_ppm && is_band(listing.market_band_ppm) &&
           is_band(listing.liquidation_band_ppm) && listing.funding_cap_ppm <= kFundingCapPpmMax;
}

bool is_grid_good(const Listing& listing) {
    return listing.tick_size > 0 && listing.lots_per_base > 0 &&
           listing.tick_size <= uint64_t{kPriceMax} &&
           listing.lots_per_base <= uint64_t{kPriceMax} &&
           listing.tick_size % listing.lots_per_base == 0;
}

bool is_perpetual_good(const Listing& listing) {
    return listing.base_asset == kNoneU16 && listing.initial_ppm > 0 &&
           listing.initial_ppm <= kPpm && listing.maintenance_ppm > 0 &&
           listing.maintenance_ppm <= listing.initial_ppm;
}

bool is_spot_good(const State& state, const Listing& listing) {
    if (listing.base_asset == kQuote || listing.base_asset >= kAssetsMax) return false;
    const AssetRecord& base = state.assets[listing.base_asset];
    return base.listed != 0 && listing.feed == base.feed &&
           base.units_per_base % listing.lots_per_base == 0 && listing.initial_ppm == 0 &&
           listing.maintenance_ppm == 0;
}

bool is_listing_good(const State& state, const Listing& listing) {
    if (listing.kind > static_cast<uint32_t>(InstrumentKind::kPerpetual)) return false;
    if (state.assets[kQuote].listed == 0 || listing.feed >= kFeedsMax) return false;
    if (!is_grid_good(listing) || !are_rates_good(listing)) return false;
    return listing.kind == static_cast<uint32_t>(InstrumentKind::kSpot)
               ? is_spot_good(state, listing)
               : is_perpetual_good(listing);
}

// An unlisted instrument's record is all zero, so every field is set once.
template <typename F, typename V>
void set(State& state, uint32_t index, F InstrumentRecord::*field, V value) {
    state.instruments.edit(index, field) = narrow<F>(value);
}

void store_listing(State& state, uint32_t index, const Listing& listing) {
    using R = InstrumentRecord;
    const bool spot = listing.kind == static_cast<uint32_t>(InstrumentKind::kSpot);
    const uint64_t units =
        spot ? state.assets[listing.base_asset].units_per_base / listing.lots_per_base : 0;
    set(state, index, &R::tick_size, listing.tick_size);
    set(state, index, &R::lots_per_base, listing.lots_per_base);
    set(state, index, &R::quote_per_tick_lot, listing.tick_size / listing.lots_per_base);
    set(state, index, &R::base_units_per_lot, units);
    set(state, index, &R::initial_ppm, listing.initial_ppm);
    set(state, index, &R::maintenance_ppm, listing.maintenance_ppm);
    set(state, index, &R::taker_fee_ppm, listing.taker_fee_ppm);
    set(state, index, &R::maker_fee_ppm, listing.maker_fee_ppm);
    set(state, index, &R::liquidation_fee_ppm, listing.liquidation_fee_ppm);
    set(state, index, &R::market_band_ppm, listing.market_band_ppm);
    set(state, index, &R::liquidation_band_ppm, listing.liquidation_band_ppm);
    set(state, index, &R::funding_cap_ppm, listing.funding_cap_ppm);
    set(state, index, &R::base_asset, listing.base_asset);
    set(state, index, &R::feed, listing.feed);
    set(state, index, &R::kind, listing.kind);
    set(state, index, &R::listed, 1);
}

Code check_signers(const Run& run) {
    using W = SetSignersWire;
    const uint32_t count = run.u8(W::kCount);
    const uint32_t quorum = run.u8(W::kQuorum);
    if (count == 0 || count > kSignersMax) return Code::kBadCount;
    if (quorum == 0 || quorum > count) return Code::kBadParameter;
    const uint8_t* signers = run.data + W::kSigners;
    for (uint32_t i = 0; i < count; ++i)
        if (is_zero_address(signers + i * W::kEntrySize)) return Code::kBadRecipient;
    for (uint32_t i = 0; i < count; ++i)
        for (uint32_t j = 0; j < i; ++j)
            if (same_address(signers + i * W::kEntrySize, signers + j * W::kEntrySize))
                return Code::kBadParameter;
    return Code::kOk;
}

}  // namespace

Code genesis(Run& run) {
    using W = GenesisWire;
    run.hasher.hash(kDomainTypeHash).hash(kDomainNameHash).hash(kDomainVersionHash);
    run.hasher.padded(run.data + W::kChainId, W::kChainIdSize);
    run.hasher.padded(run.data + W::kAnchor, W::kAnchorSize);
    run.state.edit_globals(&GlobalsRecord::domain_separator) = run.hasher.digest();
    run.state.edit_globals(&GlobalsRecord::configured) = 1;
    open_house(run.state);
    run.events.emit(event_of(EventKind::kConfigured));
    return Code::kOk;
}

Code list_asset(Run& run) {
    using W = ListAssetWire;
    using R = AssetRecord;
    const uint32_t asset = run.u16(W::kAsset);
    const uint32_t feed = run.u16(W::kFeed);
    const uint32_t weight_ppm = run.u32(W::kWeightPpm);
    const uint8_t decimals = run.u8(W::kUnitDecimals);
    State& state = run.state;
    if (asset >= kAssetsMax) return Code::kAssetUnknown;
    if (state.assets[asset].listed != 0) return Code::kAlreadyListed;
    if (decimals > kUnitDecimalsMax || weight_ppm > kPpm) return Code::kBadParameter;
    const bool good = asset == kQuote
                          ? feed == kNoneU16 && weight_ppm == kPpm
                          : feed < kFeedsMax && state.assets[kQuote].listed != 0;
    if (!good) return Code::kBadParameter;

    // Deposits may have come before the listing: the sums stay.
    std::memcpy(state.assets.edit(asset, &R::token).data(), run.data + W::kToken, kAddressBytes);
    state.assets.edit(asset, &R::weight_ppm) = weight_ppm;
    state.assets.edit(asset, &R::feed) = narrow<uint16_t>(feed);
    state.assets.edit(asset, &R::listed) = 1;
    state.assets.edit(asset, &R::unit_decimals) = decimals;
    state.assets.edit(asset, &R::chain) = run.u8(W::kChain);
    state.assets.edit(asset, &R::opening_min_units) = run.u64(W::kOpeningMinUnits);
    state.assets.edit(asset, &R::units_per_base) = power_of_ten(decimals);
    Event event = event_of(EventKind::kAssetListed);
    event.extra = asset;
    run.events.emit(event);
    return Code::kOk;
}

Code list_instrument(Run& run) {
    using W = ListInstrumentWire;
    const uint32_t index = run.u16(W::kInstrument);
    State& state = run.state;
    if (index >= kInstrumentsMax) return Code::kInstrumentUnknown;
    if (state.instruments[index].listed != 0) return Code::kAlreadyListed;
    const Listing listing = read_listing(run);
    if (!is_listing_good(state, listing)) return Code::kBadParameter;

    store_listing(state, index, listing);
    state.instruments.edit(index, &InstrumentRecord::funding_time_ms) = run.now_ms;
    auto& name = state.instruments.edit(index, &InstrumentRecord::name);
    static_assert(sizeof(name) == W::kNameSize);
    std::memcpy(name.data(), run.data + W::kName, W::kNameSize);
    Event event = event_of(EventKind::kInstrumentListed);
    event.instrument = index;
    run.events.emit(event);
    return Code::kOk;
}

Code set_signers(Run& run) {
    using W = SetSignersWire;
    const Code code = check_signers(run);
    if (code != Code::kOk) return code;
    const uint32_t count = run.u8(W::kCount);
    const uint32_t quorum = run.u8(W::kQuorum);
    State& state = run.state;
    for (uint32_t signer = 0; signer < kSignersMax; ++signer) {
        SignerRecord& record = state.signers.edit(signer);
        record = SignerRecord{};
        if (signer < count)
            std::memcpy(record.address.data(), run.data + W::kSigners + signer * W::kEntrySize,
                        kAddressBytes);
        for (uint32_t feed = 0; feed < kFeedsMax; ++feed) {
            const uint32_t row = State::signer_price_row(signer, feed);
            // What was never priced stays clean.
            if (state.signer_prices[row].price != 0)
                state.signer_prices.edit(row) = SignerPriceRecord{};
        }
    }
    state.edit_globals(&GlobalsRecord::signer_count) = count;
    state.edit_globals(&GlobalsRecord::price_quorum) = quorum;
    Event event = event_of(EventKind::kSignersSet);
    event.extra = count;
    event.value = quorum;
    run.events.emit(event);
    return Code::kOk;
}

}  // namespace provenue::PROVENUE_PRESET_NAMESPACE
