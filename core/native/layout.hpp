// The image layout of any preset at run time, for host code that reads the image and serves all of
// them. The program itself has it at compile time.
#pragma once

#include <cstdint>
#include <string_view>

#include "core/image/generated/layout.hpp"

namespace provenue::native {

// A table of records T, or of plain integers.
template <typename T>
struct TableView {
    uint64_t offset;
    uint32_t count;

    const T& at(const uint8_t* image, uint64_t row) const {
        return *reinterpret_cast<const T*>(image + offset + row * sizeof(T));
    }
};

struct Layout {
    const char* preset;
    uint64_t image_bytes;
    uint32_t assets_max;
    uint32_t feeds_max;
    uint32_t instruments_max;
    uint32_t positions_per_account;
    TableView<GlobalsRecord> globals;
    TableView<SignerRecord> signers;
    TableView<FeedRecord> feeds;
    TableView<SignerPriceRecord> signer_prices;
    TableView<AssetRecord> assets;
    TableView<InstrumentRecord> instruments;
    TableView<AccountRecord> accounts;
    TableView<int64_t> balances;
    TableView<KeyRecord> keys;
    TableView<NonceRecord> nonces;
    TableView<PositionRecord> positions;
    TableView<PositionRecord> house_positions;
    TableView<OrderRecord> orders;
    TableView<LevelRecord> levels;
    TableView<ScanRecord> scan;
    TableView<ScanRankRecord> scan_ranks;
};

// Null when there is no such preset.
const Layout* find_layout(std::string_view preset);

}  // namespace provenue::native
