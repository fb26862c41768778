// The canonical dump of protocol chapter 8, read from the image alone. It knows the tables and not
// the program: levels are found through the live orders and not through the price index, so that a
// damaged index shows as a difference.
#include <algorithm>
#include <span>
#include <tuple>

#include "core/native/engine.hpp"

namespace provenue::native {

namespace {

constexpr uint8_t kResting = 1;  // OrderRecord::live; a pending taker has 2

class Dump {
public:
    Dump(const Layout& layout, const uint8_t* image) : l_(layout), image_(image) {}
    std::string run();

private:
    void globals();
    void scan();
    void signers();
    void prices();
    void assets();
    void instruments();
    void books();
    void orders();
    void accounts();
    void keys();
    void rows();
    void row(uint32_t account, const PositionRecord& row);

    // One line: fields separated by single spaces.
    template <typename... Fields>
    void line(char tag, const Fields&... fields) {
        begin(tag);
        (field(fields), ...);
        end();
    }
    void begin(char tag) { text_ += tag; }
    void end() { text_ += '\n'; }
    void field(const std::string& text) {
        text_ += ' ';
        text_ += text;
    }
    template <typename Integer>
        requires std::is_integral_v<Integer>
    void field(Integer value) {
        text_ += ' ';
        text_ += std::to_string(value);
    }
    template <size_t N>
    void field(const std::array<uint8_t, N>& bytes) {
        text_ += ' ';
        for (const uint8_t byte : bytes) hex(byte);
    }
    void hex(uint8_t byte) {
        constexpr char kDigits[] = "0123456789abcdef";
        text_ += kDigits[byte >> 4];
        text_ += kDigits[byte & 15];
    }

    const GlobalsRecord& g() const { return l_.globals.at(image_, 0); }
    const OrderRecord& order(uint32_t slot) const { return l_.orders.at(image_, slot); }
    const AccountRecord& account(uint32_t index) const { return l_.accounts.at(image_, index); }
    uint64_t order_id(uint32_t slot) const {
        return uint64_t{order(slot).generation} << 32 | slot;
    }
    // Follows a list of order links (index + 1) from `link`; a loop ends it, so a damaged image
    // gives a dump and no hang.
    template <typename Visit>
    void follow(uint32_t link, uint32_t OrderRecord::*next, Visit visit) const {
        for (uint32_t seen = 0; link != 0 && seen < l_.orders.count; ++seen) {
            if (link > l_.orders.count) return;
            visit(link - 1);
            link = order(link - 1).*next;
        }
    }

    const Layout& l_;
    const uint8_t* image_;
    std::string text_;
};

std::string Dump::run() {
    globals();
    scan();
    signers();
    prices();
    assets();
    instruments();
    books();
    orders();
    accounts();
    keys();
    rows();
    return std::move(text_);
}

void Dump::globals() {
    uint64_t live = 0;
    for (uint32_t slot = 0; slot < l_.orders.count; ++slot) live += order(slot).live != 0;
    line('G', g().configured, g().now_ms, g().sweep_next, g().sweep_remaining,
         g().pending_order ? order_id(g().pending_order - 1) : 0, g().accounts_used,
         g().reclaim_next, live, g().levels_live, g().withdrawal_count, g().withdrawal_root,
         g().domain_separator);
}

void Dump::scan() {
    const ScanRecord& scan = l_.scan.at(image_, 0);
    if (scan.account_plus_1 == 0) return;
    begin('X');
    field(scan.account_plus_1 - 1);
    field(scan.instrument_plus_1 - 1);
    field(scan.next);
    field(scan.remaining);
    for (uint32_t i = 0; i < std::min(scan.ranked, l_.scan_ranks.count); ++i) {
        const ScanRankRecord& rank = l_.scan_ranks.at(image_, i);
        field(std::to_string(rank.score_ppm) + ':' + std::to_string(rank.account));
    }
    end();
}

void Dump::signers() {
    line('Q', g().price_quorum, g().signer_count);
    for (uint32_t i = 0; i < std::min(g().signer_count, l_.signers.count); ++i) {
        const SignerRecord& signer = l_.signers.at(image_, i);
        line('S', i, signer.address, signer.last_published_at_ms);
    }
}

void Dump::prices() {
    for (uint32_t i = 0; i < l_.feeds.count; ++i) {
        const FeedRecord& feed = l_.feeds.at(image_, i);
        if (feed.price) line('F', i, feed.price, feed.updated_at_ms);
    }
    for (uint32_t i = 0; i < l_.signer_prices.count; ++i) {
        const SignerPriceRecord& price = l_.signer_prices.at(image_, i);
        if (price.price)
            line('P', i / l_.feeds_max, i % l_.feeds_max, price.price, price.published_at_ms);
    }
}

void Dump::assets() {
    for (uint32_t i = 0; i < l_.assets.count; ++i) {
        const AssetRecord& a = l_.assets.at(image_, i);
        if (a.listed || a.applied_units)
            line('A', i, a.token, a.weight_ppm, a.feed, a.unit_decimals, a.chain,
                 a.opening_min_units, a.applied_units, a.issued_units, a.fees_units);
    }
}

void Dump::instruments() {
    for (uint32_t i = 0; i < l_.instruments.count; ++i) {
        const InstrumentRecord& r = l_.instruments.at(image_, i);
        if (!r.listed) continue;
        line('I', i, r.kind, r.base_asset, r.feed, r.tick_size, r.lots_per_base, r.initial_ppm,
             r.maintenance_ppm, r.taker_fee_ppm, r.maker_fee_ppm, r.liquidation_fee_ppm,
             r.market_band_ppm, r.liquidation_band_ppm, r.funding_cap_ppm, r.name, r.premium_ppm,
             r.funding_index, r.funding_time_ms, r.clearing_units);
    }
}

void Dump::books() {
    // (instrument, side, rank of the price, level): sorts buys from the highest price.
    std::vector<std::tuple<uint32_t, uint32_t, int64_t, uint32_t>> levels;
    for (uint32_t slot = 0; slot < l_.orders.count; ++slot) {
        const OrderRecord& o = order(slot);
        if (o.live != kResting || o.level == 0 || o.level > l_.levels.count) continue;
        const int64_t price = l_.levels.at(image_, o.level - 1).price_ticks;
        levels.emplace_back(o.instrument, o.side, o.side ? price : -price, o.level - 1);
    }
    std::sort(levels.begin(), levels.end());
    levels.erase(std::unique(levels.begin(), levels.end()), levels.end());
    for (const auto& [instrument, side, rank, index] : levels) {
        begin('B');
        field(instrument);
        field(side);
        field(rank < 0 ? -rank : rank);
        follow(l_.levels.at(image_, index).head, &OrderRecord::next, [&](uint32_t slot) {
            field(std::to_string(order_id(slot)) + ':' +
                  std::to_string(order(slot).remaining_lots));
        });
        end();
    }
}

void Dump::orders() {
    for (uint32_t slot = 0; slot < l_.orders.count; ++slot) {
        const OrderRecord& o = order(slot);
        if (o.live)
            line('O', order_id(slot), o.account, o.instrument, o.side, o.price_ticks, o.size_lots,
                 o.remaining_lots, o.client_id, o.flags, o.live, o.good_till_s);
    }
}

void Dump::accounts() {
    for (uint32_t i = 0; i < l_.accounts.count; ++i) {
        const AccountRecord& a = account(i);
        if (!a.open) continue;
        begin('U');
        field(i);
        field(a.generation);
        field(a.owner);
        field(a.subaccount);
        field(a.open_orders);
        field(a.leaving);
        field(a.next_expiry_s);
        for (uint32_t asset = 0; asset < l_.assets_max; ++asset)
            field(l_.balances.at(image_, uint64_t{i} * l_.assets_max + asset));
        follow(a.order_head, &OrderRecord::account_next,
               [&](uint32_t slot) { field(order_id(slot)); });
        end();
    }
}

void Dump::keys() {
    const auto slots = static_cast<uint32_t>(l_.keys.count / l_.accounts.count);
    for (uint32_t i = 0; i < l_.accounts.count * slots; ++i) {
        if (!account(i / slots).open) continue;
        const KeyRecord& key = l_.keys.at(image_, i);
        const NonceRecord& nonce = l_.nonces.at(image_, i);
        const bool used = key.address != std::array<uint8_t, 20>{} || nonce.base != 0 ||
                          nonce.window != std::array<uint64_t, 3>{};
        if (!used) continue;
        std::array<uint8_t, 24> window;
        for (size_t byte = 0; byte < window.size(); ++byte)
            window[byte] = static_cast<uint8_t>(nonce.window[byte / 8] >> (56 - 8 * (byte % 8)));
        line('K', i / slots, i % slots, key.address, key.scope, key.expires_at_ms, nonce.base,
             window);
    }
}

void Dump::row(uint32_t account, const PositionRecord& r) {
    line('R', account, r.instrument_plus_1 - 1, r.size_lots, r.cash_leg_units, r.funding_index,
         r.open_buy_lots, r.open_sell_lots, r.open_buy_units, r.open_sell_units, r.reduce_orders);
}

void Dump::rows() {
    for (uint32_t i = 0; i < l_.accounts.count; ++i) {
        std::vector<const PositionRecord*> used;
        const uint32_t slots = i == 0 ? l_.instruments_max : l_.positions_per_account;
        for (uint32_t slot = 0; slot < slots; ++slot) {
            const PositionRecord& r =
                i == 0 ? l_.house_positions.at(image_, slot)
                       : l_.positions.at(image_, uint64_t{i} * l_.positions_per_account + slot);
            if (r.instrument_plus_1) used.push_back(&r);
        }
        std::sort(used.begin(), used.end(), [](const PositionRecord* a, const PositionRecord* b) {
            return a->instrument_plus_1 < b->instrument_plus_1;
        });
        for (const PositionRecord* r : used) row(i, *r);
    }
}

}  // namespace

std::string Engine::dump() const { return Dump(layout_, image_.data()).run(); }

}  // namespace provenue::native
