// A venue for tests of the program: messages built and signed from the chapters alone, applied to
// an image, with the invariants of chapter 9.
#pragma once

#include <memory>
#include <string>
#include <vector>

#include "core/base/test.hpp"
#include "core/image/state.hpp"
#include "core/program/api.hpp"
#include "core/risk/margin.hpp"

namespace provenue::PROVENUE_PRESET_NAMESPACE {

using Bytes = std::vector<uint8_t>;

struct Address {
    uint8_t bytes[20];
};

inline Address address_of(uint64_t number) {
    Address address{};
    for (int i = 0; i < 8; ++i)
        address.bytes[12 + i] = static_cast<uint8_t>(number >> (56 - 8 * i));
    address.bytes[0] = 0xA0;
    return address;
}

// Big-endian fields, one after another; those behind `signed_from` are members of the struct.
class Message {
public:
    explicit Message(uint8_t kind) { bytes_.push_back(kind); }
    Message& number(uint64_t value, uint32_t size) {
        for (uint32_t i = size; i-- > 0;) bytes_.push_back(static_cast<uint8_t>(value >> (8 * i)));
        if (signing_) word(value);
        return *this;
    }
    Message& u8(uint64_t value) { return number(value, 1); }
    Message& u16(uint64_t value) { return number(value, 2); }
    Message& u32(uint64_t value) { return number(value, 4); }
    Message& u64(uint64_t value) { return number(value, 8); }
    Message& address(const Address& value) {
        bytes_.insert(bytes_.end(), value.bytes, value.bytes + 20);
        if (signing_) {
            struct_.insert(struct_.end(), 12, 0);
            struct_.insert(struct_.end(), value.bytes, value.bytes + 20);
        }
        return *this;
    }
    Message& text(const std::string& value, size_t size) {
        for (size_t i = 0; i < size; ++i)
            bytes_.push_back(i < value.size() ? static_cast<uint8_t>(value[i]) : 0);
        return *this;
    }
    Message& sign_from_here(const std::string& type) {
        signing_ = true;
        struct_ = hash(Bytes(type.begin(), type.end()));
        return *this;
    }
    // Appends the pretended signature of chapter 2.5's digest.
    Message& sign(const Bytes& domain, const Address& by) {
        signing_ = false;
        Bytes preimage = {0x19, 0x01};
        const Bytes inner = hash(struct_);
        preimage.insert(preimage.end(), domain.begin(), domain.end());
        preimage.insert(preimage.end(), inner.begin(), inner.end());
        const Bytes digest = hash(preimage);
        uint8_t signature[65] = {};
        std::memcpy(signature + 12, by.bytes, 20);
        test::pretend_s(digest.data(), signature, signature + 32);
        signature[64] = 27;
        bytes_.insert(bytes_.end(), signature, signature + 65);
        return *this;
    }
    // For PRICES: the array is one member, its hash.
    Message& member_hash(const Bytes& words) {
        const Bytes digest = hash(words);
        struct_.insert(struct_.end(), digest.begin(), digest.end());
        return *this;
    }
    Message& pause_signing() {
        signing_ = false;
        return *this;
    }
    static Bytes hash(const Bytes& input) {
        Bytes out(32);
        test::keccak(input.data(), input.size(), out.data());
        return out;
    }
    const Bytes& bytes() const { return bytes_; }
    Bytes& bytes() { return bytes_; }

private:
    void word(uint64_t value) {
        struct_.insert(struct_.end(), 24, 0);
        for (int i = 0; i < 8; ++i) struct_.push_back(static_cast<uint8_t>(value >> (56 - 8 * i)));
    }

    Bytes bytes_;
    Bytes struct_;
    bool signing_ = false;
};

struct OrderFields {
    uint32_t instrument = 0;
    Side side = Side::kBuy;
    uint64_t price_ticks = 0;
    uint64_t size_lots = 0;
    OrderType type = OrderType::kLimit;
    TimeInForce time_in_force = TimeInForce::kGoodTillCancelled;
    uint8_t flags = 0;
    SelfTrade self_trade = SelfTrade::kCancelMaker;
    uint64_t client_id = 0;
    uint32_t good_till_s = 0;
};

class Venue {
public:
    Venue() {
        context_->image = image_.data();
        for (uint64_t i = 0; i < 4; ++i) signers.push_back(address_of(0x5000 + i));
    }

    // --- applying ---
    Code apply(const Bytes& message, bool inbox) {
        const MessageInput input{message.data(), static_cast<uint32_t>(message.size()), inbox,
                                 now_ms, UINT64_MAX};
        return static_cast<Code>(
            PROVENUE_PRESET_NAMESPACE::apply(*context_, input));
    }
    Code posted(const Message& message) { return apply(message.bytes(), false); }
    Code inbox(const Message& message) { return apply(message.bytes(), true); }
    void undo() { undo_message(*context_); }

    std::vector<Event> events() const {
        return {context_->events, context_->events + context_->event_count};
    }
    std::vector<Event> events(EventKind kind) const {
        std::vector<Event> found;
        for (const Event& event : events())
            if (event.kind == static_cast<uint16_t>(kind)) found.push_back(event);
        return found;
    }
    const Bytes& image() const { return image_; }
    const UndoLog& undo_log() const { return context_->undo; }
    State state() { return State(image_.data(), context_->undo); }

    // --- messages ---
    static constexpr uint64_t kChainId = 31'337;
    static Address anchor() { return address_of(0xACC0); }

    Code genesis() {
        const Code code = inbox(Message(0x80).u64(kChainId).address(anchor()));
        const GlobalsRecord& globals = state().globals();
        domain.assign(globals.domain_separator.begin(), globals.domain_separator.end());
        return code;
    }
    Code list_asset(uint64_t asset, uint64_t decimals, uint64_t feed, uint64_t weight_ppm,
                    uint64_t opening_min) {
        return inbox(Message(0x81).u16(asset).u8(1).u8(decimals).u16(feed).u32(weight_ppm)
                         .u64(opening_min).address(address_of(0xC0 + asset)));
    }
    static Message perpetual(uint64_t instrument, uint64_t feed,
                             uint64_t liquidation_band_ppm = 50'000) {
        return Message(0x82).u16(instrument).u8(1).u16(0xFFFF).u16(feed).u64(1'000'000)
            .u64(1'000).u32(100'000).u32(50'000).u32(500).u32(200).u32(10'000).u32(50'000)
            .u32(liquidation_band_ppm).u32(10'000).text("BTC-PERPETUAL", 16);
    }
    static Message spot(uint64_t instrument, uint64_t feed, uint64_t base) {
        return Message(0x82).u16(instrument).u8(0).u16(base).u16(feed).u64(1'000'000).u64(1'000)
            .u32(0).u32(0).u32(1'000).u32(500).u32(0).u32(50'000).u32(50'000).u32(0)
            .text("BTC-USDC", 16);
    }
    Code set_signers(uint64_t count, uint64_t quorum) {
        Message message = Message(0x83).u8(quorum).u8(count);
        for (uint64_t i = 0; i < count; ++i) message.address(signers[i]);
        return inbox(message);
    }
    Code deposit(uint64_t owner, uint64_t asset, uint64_t amount, uint64_t subaccount = 0) {
        return inbox(
            Message(0x90).u16(asset).u64(amount).address(address_of(owner)).u8(subaccount));
    }
    Message forced_withdraw(uint64_t owner, uint64_t asset, uint64_t amount) const {
        return Message(0x91).address(address_of(owner)).u8(0).u16(asset).u64(amount)
            .address(address_of(owner));
    }
    Message forced_cancel(uint64_t owner) const {
        return Message(0x92).address(address_of(owner)).u8(0);
    }
    Message forced_close(uint64_t owner) const {
        return Message(0x93).address(address_of(owner)).u8(0);
    }
    Message forced_revoke(uint64_t owner, uint64_t slot) const {
        return Message(0x94).address(address_of(owner)).u8(0).u8(slot);
    }
    Message tick() const { return Message(0x11).u64(now_ms); }
    static Message resume() { return Message(0x12); }

    struct Quote {
        uint64_t feed;
        uint64_t price;
    };
    Message prices(uint64_t signer, const std::vector<Quote>& quotes, uint64_t published_ms) {
        Message message = Message(0x10).u64(now_ms).u8(signer);
        message.sign_from_here("Prices(uint64 publishedAt,uint256[] entries)").u64(published_ms)
            .pause_signing().u8(quotes.size());
        Bytes words;
        for (const Quote& quote : quotes) {
            message.u16(quote.feed).u64(quote.price);
            Bytes word(32);
            for (size_t i = 0; i < 8; ++i) {
                word[16 + i] = static_cast<uint8_t>(quote.feed >> (56 - 8 * i));
                word[24 + i] = static_cast<uint8_t>(quote.price >> (56 - 8 * i));
            }
            words.insert(words.end(), word.begin(), word.end());
        }
        return message.member_hash(words).sign(domain, signers[signer < 4 ? signer : 0]);
    }

    // The fields every signed action begins with, signed by key 0 of the account's owner.
    Message head(uint8_t kind, const std::string& type, uint64_t account) {
        return Message(kind).u64(now_ms).sign_from_here(type).u64(account).u8(key)
            .u64(nonce != 0 ? nonce : next_nonce_++).u64(expires_at_ms);
    }
    Address owner_of(uint64_t account) {
        Address owner{};
        const uint64_t index = account & 0xFFFF'FFFF;
        if (index < kAccountsMax)
            std::memcpy(owner.bytes, state().accounts[index].owner.data(), 20);
        return signer_override ? *signer_override : owner;
    }
    // What PLACE and REPLACE end with.
    Message& terms(Message& message, const OrderFields& order) {
        return message.u8(static_cast<uint8_t>(order.type))
            .u8(static_cast<uint8_t>(order.time_in_force)).u8(order.flags)
            .u8(static_cast<uint8_t>(order.self_trade)).u64(order.price_ticks)
            .u64(order.size_lots).u64(order.client_id).u32(order.good_till_s);
    }
    Message place(uint64_t account, const OrderFields& order) {
        Message message =
            head(0x01,
                 "Order(uint64 account,uint8 key,uint64 nonce,uint64 expiresAt,uint16 "
                 "instrument,uint8 side,uint8 orderType,uint8 timeInForce,uint8 flags,uint8 "
                 "selfTrade,uint64 priceTicks,uint64 sizeLots,uint64 clientId,uint32 goodTill)",
                 account);
        message.u16(order.instrument).u8(static_cast<uint8_t>(order.side));
        return terms(message, order).sign(domain, owner_of(account));
    }
    Message amend(uint64_t account, uint64_t order_id, uint64_t price_ticks, uint64_t size_lots) {
        return head(0x07,
                    "Amend(uint64 account,uint8 key,uint64 nonce,uint64 expiresAt,uint64 "
                    "orderId,uint64 priceTicks,uint64 sizeLots)",
                    account)
            .u64(order_id).u64(price_ticks).u64(size_lots).sign(domain, owner_of(account));
    }
    // Instrument and side are the old order's.
    Message replace(uint64_t account, uint64_t order_id, const OrderFields& order) {
        Message message =
            head(0x08,
                 "Replace(uint64 account,uint8 key,uint64 nonce,uint64 expiresAt,uint64 "
                 "orderId,uint8 orderType,uint8 timeInForce,uint8 flags,uint8 selfTrade,uint64 "
                 "priceTicks,uint64 sizeLots,uint64 clientId,uint32 goodTill)",
                 account);
        message.u64(order_id);
        return terms(message, order).sign(domain, owner_of(account));
    }
    Message cancel_label(uint64_t account, uint64_t client_id, uint64_t instrument = 0xFFFF) {
        return head(0x06,
                    "CancelLabel(uint64 account,uint8 key,uint64 nonce,uint64 expiresAt,uint16 "
                    "instrument,uint64 clientId)",
                    account)
            .u16(instrument).u64(client_id).sign(domain, owner_of(account));
    }
    Message cancel(uint64_t account, uint64_t order_id) {
        return head(0x02,
                    "Cancel(uint64 account,uint8 key,uint64 nonce,uint64 expiresAt,uint64 orderId)",
                    account)
            .u64(order_id).sign(domain, owner_of(account));
    }
    Message cancel_all(uint64_t account, uint64_t instrument = 0xFFFF) {
        return head(0x03,
                    "CancelAll(uint64 account,uint8 key,uint64 nonce,uint64 expiresAt,uint16 "
                    "instrument)",
                    account)
            .u16(instrument).sign(domain, owner_of(account));
    }
    Message withdraw(uint64_t account, uint64_t asset, uint64_t amount, const Address& to) {
        return head(0x04,
                    "Withdraw(uint64 account,uint8 key,uint64 nonce,uint64 expiresAt,uint16 "
                    "asset,uint64 amountUnits,address recipient)",
                    account)
            .u16(asset).u64(amount).address(to).sign(domain, owner_of(account));
    }
    Message set_key(uint64_t account, uint64_t slot, const Address& to, uint64_t scope,
                    uint64_t key_expires_at_ms) {
        return head(0x05,
                    "SetKey(uint64 account,uint8 key,uint64 nonce,uint64 expiresAt,uint8 "
                    "slot,address keyAddress,uint8 scope,uint64 keyExpiresAt)",
                    account)
            .u8(slot).address(to).u8(scope).u64(key_expires_at_ms)
            .sign(domain, owner_of(account));
    }

    // An account id of the present generation.
    uint64_t id_of(uint32_t index) {
        return uint64_t{state().accounts[index].generation} << 32 | index;
    }

    // USDC (6), BTC (8, feed 0, weight 90 %), a perpetual and a spot pair on feed 0, three signers
    // of whom two must agree, BTC at 60,000 and accounts 1 to `traders` with 1,000,000 USDC.
    void open(uint32_t traders) {
        CHECK(genesis() == Code::kOk);
        CHECK(list_asset(0, 6, 0xFFFF, 1'000'000, 1'000'000) == Code::kOk);
        CHECK(list_asset(1, 8, 0, 900'000, 1'000) == Code::kOk);
        CHECK(inbox(perpetual(0, 0)) == Code::kOk);
        CHECK(inbox(spot(1, 0, 1)) == Code::kOk);
        CHECK(set_signers(3, 2) == Code::kOk);
        mark(60'000'000'000);
        for (uint32_t i = 1; i <= traders; ++i)
            CHECK(deposit(100 + i, 0, 1'000'000'000'000) == Code::kOk);
    }
    // Two signers say so, and the sweep runs to its end.
    void mark(uint64_t price) {
        for (uint64_t signer = 0; signer < 2; ++signer) {
            now_ms += 10;
            CHECK(posted(prices(signer, {{0, price}}, now_ms)) == Code::kOk);
            finish_sweep();
        }
    }
    void finish_sweep() {
        for (int i = 0; i < 1000 && state().globals().sweep_remaining != 0; ++i)
            CHECK(posted(resume()) == Code::kOk);
        CHECK(state().globals().sweep_remaining == 0);
    }

    uint64_t now_ms = 1'700'000'000'000;
    uint64_t expires_at_ms = UINT64_MAX;
    uint64_t nonce = 0;  // 0: the next one
    uint8_t key = 0;
    const Address* signer_override = nullptr;
    Bytes domain = Bytes(32);
    std::vector<Address> signers;

private:
    Bytes image_ = Bytes(kImageBytes);
    std::unique_ptr<Context> context_{new Context{}};
    uint64_t next_nonce_ = 1;
};

// The events of the last message and of the parts of the sweep behind it.
inline std::vector<Event> until_swept(Venue& venue) {
    std::vector<Event> seen;
    for (int parts = 0; parts < 1000; ++parts) {
        for (const Event& event : venue.events()) seen.push_back(event);
        if (venue.state().globals().sweep_remaining == 0) return seen;
        CHECK(venue.posted(Venue::resume()) == Code::kOk);
    }
    CHECK(false);
    return seen;
}

// Two signers say a new mark; all events until the sweeps have ended.
inline std::vector<Event> sweep_at(Venue& venue, uint64_t price) {
    std::vector<Event> seen;
    for (uint64_t signer = 0; signer < 2; ++signer) {
        venue.now_ms += 10;
        CHECK(venue.posted(venue.prices(signer, {{0, price}}, venue.now_ms)) == Code::kOk);
        for (const Event& event : until_swept(venue)) seen.push_back(event);
    }
    return seen;
}

inline std::vector<Event> of_kind(const std::vector<Event>& events, EventKind kind) {
    std::vector<Event> found;
    for (const Event& event : events)
        if (event.kind == static_cast<uint16_t>(kind)) found.push_back(event);
    return found;
}

inline OrderFields limit(Side side, uint64_t price, uint64_t size, uint32_t instrument = 0) {
    return {.instrument = instrument, .side = side, .price_ticks = price, .size_lots = size};
}

// An order that must be accepted; its id.
inline uint64_t placed(Venue& venue, uint32_t account, const OrderFields& order) {
    CHECK(venue.posted(venue.place(venue.id_of(account), order)) == Code::kOk);
    const std::vector<Event> accepted = venue.events(EventKind::kOrderAccepted);
    CHECK(accepted.size() == 1);
    return accepted.empty() ? 0 : accepted[0].order_id;
}

// The record of a live order; all zero when the id names none.
inline OrderRecord order_of(Venue& venue, uint64_t id) {
    const auto slot = static_cast<uint32_t>(id);
    if (slot >= kOrdersMax) return OrderRecord{};
    const OrderRecord& order = venue.state().orders[slot];
    return order.live != 0 && order.generation == id >> 32 ? order : OrderRecord{};
}

// P4: the last message was rejected, and all it has left is one record of a nonce.
inline void check_only_a_nonce_is_new(Venue& venue, const Bytes& before) {
    CHECK(venue.events().empty());
    CHECK(venue.undo_log().count == 1);
    const uint64_t at = venue.undo_log().entries[0].offset;
    CHECK(at >= kNoncesOffset && at < kPositionsOffset);
    Bytes image = venue.image();
    std::memcpy(&image[at], &before[at], 32);
    CHECK(image == before);
}

inline int64_t quote_of(Venue& venue, uint32_t account) {
    return venue.state().balance(account, kQuote);
}

// The row of an account for an instrument, all zero when it has none.
inline PositionRecord row_of(Venue& venue, uint32_t account, uint32_t instrument) {
    RowRef ref;
    State state = venue.state();
    return state.find_row(account, instrument, ref) ? state.row(ref) : PositionRecord{};
}

}  // namespace provenue::PROVENUE_PRESET_NAMESPACE
