#include "bench/book/twin.hpp"

#include <algorithm>
#include <iterator>

namespace provenue::bench {

namespace {

constexpr uint32_t kPriceMax = 0x3FFF'FFFF;

bool is_in_range(uint32_t price_ticks, uint32_t lots) {
    return price_ticks >= 1 && price_ticks <= kPriceMax && lots >= 1;
}

}  // namespace

uint32_t Twin::best(int side) const {
    if (sides_[side].empty()) return 0;
    return side == 0 ? sides_[0].rbegin()->first : sides_[1].begin()->first;
}

uint64_t Twin::depth(int side, uint32_t price_ticks) const {
    const auto level = sides_[side].find(price_ticks);
    uint64_t lots = 0;
    if (level != sides_[side].end())
        for (const Order& order : level->second) lots += order.lots;
    return lots;
}

Twin::Order Twin::remove(uint32_t id) {
    const Place place = places_.at(id);
    Level& level = sides_[place.side].at(place.price_ticks);
    const auto at = std::find_if(level.begin(), level.end(),
                                 [&](const Order& order) { return order.id == id; });
    const Order order = *at;
    level.erase(at);
    if (level.empty()) sides_[place.side].erase(place.price_ticks);
    places_.erase(id);
    return order;
}

void Twin::take(const Message& message, uint32_t lots, bool rests,
                std::vector<provenue_report>& reports) {
    const int other = 1 - message.side;
    while (lots > 0) {
        const uint32_t price = best(other);
        const bool crosses = price != 0 && (message.side == 0 ? price <= message.price_ticks
                                                              : price >= message.price_ticks);
        if (!crosses) break;
        Order& maker = sides_[other].at(price).front();
        const uint32_t traded = std::min(lots, maker.lots);
        reports.push_back({PROVENUE_TRADE, message.id, maker.id, price, traded});
        lots -= traded;
        maker.lots -= traded;
        if (maker.lots == 0) remove(maker.id);
    }
    if (lots == 0) return;
    if (!rests) {
        reports.push_back({PROVENUE_CANCELLED, message.id, 0, message.price_ticks, lots});
        return;
    }
    sides_[message.side][message.price_ticks].push_back({message.id, lots});
    places_[message.id] = {message.side, message.price_ticks};
}

void Twin::apply(const Message& message, std::vector<provenue_report>& reports) {
    const bool known = places_.count(message.id) != 0;
    const bool fits =
        message.action == Action::kCancel || is_in_range(message.price_ticks, message.lots);
    if (message.id >= PROVENUE_BOOK_IDS || known == (message.action == Action::kNew) || !fits) {
        reports.push_back({PROVENUE_REJECTED, message.id, 0, 0, 0});
        return;
    }
    if (message.action == Action::kNew) {
        reports.push_back({PROVENUE_ACCEPTED, message.id, 0, message.price_ticks, message.lots});
        take(message, message.lots, message.immediate == 0, reports);
        return;
    }
    const Place place = places_.at(message.id);
    if (message.action == Action::kCancel) {
        const Order gone = remove(message.id);
        reports.push_back({PROVENUE_CANCELLED, message.id, 0, place.price_ticks, gone.lots});
        return;
    }
    reports.push_back({PROVENUE_MODIFIED, message.id, 0, message.price_ticks, message.lots});
    Level& level = sides_[place.side].at(place.price_ticks);
    const auto at = std::find_if(level.begin(), level.end(),
                                 [&](const Order& order) { return order.id == message.id; });
    if (place.price_ticks == message.price_ticks && message.lots <= at->lots) {
        at->lots = message.lots;
        return;
    }
    remove(message.id);
    Message taker = message;
    taker.side = static_cast<uint8_t>(place.side);
    take(taker, message.lots, true, reports);
}

}  // namespace provenue::bench
