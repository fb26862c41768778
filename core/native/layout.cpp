#include "core/native/layout.hpp"

namespace provenue::native {

namespace {

#define PROVENUE_TABLE(NAME) \
    { k##NAME##Offset, k##NAME##Count }
#define PROVENUE_LAYOUT(NAMESPACE)                                                              \
    [] {                                                                                        \
        using namespace provenue::NAMESPACE;                                                    \
        return Layout{kPresetName, kImageBytes, kAssetsMax, kFeedsMax, kInstrumentsMax,         \
                      kPositionsPerAccount, PROVENUE_TABLE(Globals), PROVENUE_TABLE(Signers),   \
                      PROVENUE_TABLE(Feeds), PROVENUE_TABLE(SignerPrices),                      \
                      PROVENUE_TABLE(Assets), PROVENUE_TABLE(Instruments),                      \
                      PROVENUE_TABLE(Accounts), PROVENUE_TABLE(Balances), PROVENUE_TABLE(Keys), \
                      PROVENUE_TABLE(Nonces), PROVENUE_TABLE(Positions),                        \
                      PROVENUE_TABLE(HousePositions), PROVENUE_TABLE(Orders),                   \
                      PROVENUE_TABLE(Levels), PROVENUE_TABLE(Scan), PROVENUE_TABLE(ScanRanks)}; \
    }()

const Layout kLayouts[] = {
    PROVENUE_LAYOUT(preset_minimal),
    PROVENUE_LAYOUT(preset_dev),
    PROVENUE_LAYOUT(preset_main),
};

}  // namespace

const Layout* find_layout(std::string_view preset) {
    for (const Layout& layout : kLayouts)
        if (preset == layout.preset) return &layout;
    return nullptr;
}

}  // namespace provenue::native
