// The books against a map of queues: price-time priority, the best price after any change, level
// volumes, and nothing left behind when a book is empty.
#include "core/matching/book.hpp"

#include <algorithm>
#include <deque>
#include <map>
#include <memory>
#include <set>
#include <vector>

#include "core/base/test.hpp"

using namespace provenue;
using namespace provenue::PROVENUE_PRESET_NAMESPACE;

namespace {

constexpr uint32_t kAccounts = 6;

struct Venue {
    std::vector<uint8_t> image = std::vector<uint8_t>(kImageBytes);
    std::unique_ptr<UndoLog> undo = std::make_unique<UndoLog>();
    State state{image.data(), *undo};
};

struct Resting {
    uint32_t slot;
    uint64_t lots;
};
using Levels = std::map<uint32_t, std::deque<Resting>>;  // by price

struct Reference {
    Levels sides[kInstrumentsMax][2];

    Levels& side(uint32_t instrument, Side side) {
        return sides[instrument][static_cast<uint32_t>(side)];
    }
    size_t level_count() const {
        size_t count = 0;
        for (const auto& both : sides) count += both[0].size() + both[1].size();
        return count;
    }
};

// Prices near one another, far apart, and at the ends of the domain.
uint32_t random_price(test::Random& random) {
    switch (random.below(4)) {
        case 0: return static_cast<uint32_t>(random.between(1, kPriceTicksMax));
        case 1: return random.one_in(2) ? 1 : static_cast<uint32_t>(kPriceTicksMax);
        default: return static_cast<uint32_t>(1'000'000 + random.below(5));
    }
}

void check_level(const State& state, uint32_t link, uint32_t price,
                 const std::deque<Resting>& queue) {
    const LevelRecord& level = state.levels[linked_index(link)];
    CHECK(level.price_ticks == price);
    CHECK(level.order_count == queue.size());
    uint64_t lots = 0;
    uint32_t at = level.head;
    for (const Resting& resting : queue) {
        CHECK(at == link_to(resting.slot));
        if (at == kNoLink) return;
        const OrderRecord& order = state.orders[linked_index(at)];
        CHECK(order.remaining_lots == resting.lots && order.price_ticks == price);
        lots += resting.lots;
        at = order.next;
    }
    CHECK(at == kNoLink);
    CHECK(level.total_lots == lots);
}

void check_side(const State& state, uint32_t instrument, Side side, const Levels& levels) {
    std::vector<uint32_t> prices;
    for (const auto& [price, queue] : levels) prices.push_back(price);
    if (side == Side::kBuy) std::reverse(prices.begin(), prices.end());
    CHECK(best_price(state, instrument, side) == (prices.empty() ? 0 : prices.front()));
    uint32_t link = best_level(state, instrument, side);
    for (const uint32_t price : prices) {
        CHECK(link != kNoLink);
        if (link == kNoLink) return;
        CHECK(link == level_at(state, instrument, side, price));
        check_level(state, link, price, levels.at(price));
        link = level_behind(state, instrument, side, price);
    }
    CHECK(link == kNoLink);
    if (!prices.empty()) {
        uint32_t maker = 0;
        CHECK(find_maker(state, instrument, opposite(side), prices.front(), maker));
        CHECK(maker == levels.at(prices.front()).front().slot);
        CHECK(crosses(state, instrument, opposite(side), prices.front()));
    }
}

void check_books(const State& state, Reference& reference) {
    for (uint32_t instrument = 0; instrument < kInstrumentsMax; ++instrument)
        for (const Side side : {Side::kBuy, Side::kSell})
            check_side(state, instrument, side, reference.side(instrument, side));
    CHECK(state.globals().levels_live == reference.level_count());
}

void rest_random(test::Random& random, State& state, Reference& reference) {
    const auto instrument = static_cast<uint32_t>(random.below(kInstrumentsMax));
    const Side side = random.one_in(2) ? Side::kBuy : Side::kSell;
    const uint32_t price = random_price(random);
    const auto account = static_cast<uint32_t>(random.between(1, kAccounts));
    if (state.accounts[account].open_orders >= kOrdersPerAccount || !has_free_order(state)) return;
    CHECK(has_level(state, instrument, side, price) ==
          reference.side(instrument, side).contains(price));
    if (!has_level(state, instrument, side, price) && !has_free_level(state)) {
        CHECK(reference.level_count() == kLevelsMax);
        return;
    }
    const auto lots = static_cast<uint32_t>(random.between(1, 1000));
    const uint32_t slot =
        open_order(state, {account, instrument, side, 0, price, lots, random.next(), 0});
    rest_order(state, slot);
    reference.side(instrument, side)[price].push_back({slot, lots});
}

// Takes lots of, or cancels, any resting order.
void change_random(test::Random& random, State& state, Reference& reference) {
    const auto instrument = static_cast<uint32_t>(random.below(kInstrumentsMax));
    const Side side = random.one_in(2) ? Side::kBuy : Side::kSell;
    Levels& levels = reference.side(instrument, side);
    if (levels.empty()) return;
    auto level = levels.begin();
    std::advance(level, static_cast<long>(random.below(levels.size())));
    const auto place = static_cast<long>(random.below(level->second.size()));
    Resting& resting = level->second[static_cast<size_t>(place)];
    const auto lots = static_cast<uint32_t>(
        random.one_in(2) ? resting.lots : random.between(1, resting.lots));
    reduce_order(state, resting.slot, lots);
    resting.lots -= lots;
    if (resting.lots != 0) return;  // keeps its place
    unrest_order(state, resting.slot);
    unlist_order(state, resting.slot);
    give_back_order(state, resting.slot);
    level->second.erase(level->second.begin() + place);
    if (level->second.empty()) levels.erase(level);
}

void test_random_books_agree_with_the_reference(test::Random& random) {
    Venue venue;
    Reference reference;
    for (test::round = 0; test::round < 20'000; ++test::round) {
        venue.undo->clear();
        // In waves: filling up to the tables' ends, then running dry.
        const bool filling = test::round / 200 % 2 == 0;
        if (random.below(4) < (filling ? 3u : 1u))
            rest_random(random, venue.state, reference);
        else
            change_random(random, venue.state, reference);
        check_books(venue.state, reference);
    }
}

void test_an_empty_book_leaves_nothing_but_free_lists(test::Random& random) {
    Venue venue;
    Reference reference;
    for (test::round = 0; test::round < 300; ++test::round) {
        venue.undo->clear();
        rest_random(random, venue.state, reference);
    }
    CHECK(reference.level_count() > 5);
    for (uint64_t guard = 0; reference.level_count() > 0 && guard < 100'000; ++guard) {
        venue.undo->clear();
        change_random(random, venue.state, reference);
    }
    const State& state = venue.state;
    std::set<uint32_t> free_nodes;
    for (uint32_t link = state.globals().node_free_head; link != kNoLink;
         link = state.nodes[linked_index(link)].next_free)
        free_nodes.insert(linked_index(link));
    CHECK(free_nodes.size() == state.globals().node_used);
    for (uint32_t index = 0; index < kNodesCount; ++index) {
        NodeRecord node = state.nodes[index];
        node.next_free = kNoLink;
        const NodeRecord zero{};
        CHECK(std::memcmp(&node, &zero, sizeof(node)) == 0);
    }
    for (uint32_t index = 0; index < kInstrumentsMax; ++index)
        CHECK(state.instruments[index].bid_root == kNoLink &&
              state.instruments[index].ask_root == kNoLink);
    for (uint32_t slot = 0; slot < kOrdersMax; ++slot) {
        OrderRecord order = state.orders[slot];
        order.generation = order.next = 0;
        const OrderRecord zero{};
        CHECK(std::memcmp(&order, &zero, sizeof(order)) == 0);
    }
}

// A price that moves from one end of the domain to the other costs five nodes, as any other.
void test_the_best_price_survives_a_jump_over_the_whole_domain() {
    Venue venue;
    State& state = venue.state;
    const auto rest = [&](uint32_t price) {
        const uint32_t slot = open_order(state, {1, 0, Side::kSell, 0, price, 5, 0, 0});
        rest_order(state, slot);
        return slot;
    };
    const uint32_t far = rest(kPriceTicksMax);
    const uint32_t near = rest(1);
    CHECK(best_price(state, 0, Side::kSell) == 1);
    unrest_order(state, near);
    CHECK(best_price(state, 0, Side::kSell) == kPriceTicksMax);
    CHECK(!crosses(state, 0, Side::kBuy, kPriceTicksMax - 1));
    CHECK(crosses(state, 0, Side::kBuy, kPriceTicksMax));
    unrest_order(state, far);
    CHECK(best_price(state, 0, Side::kSell) == 0);
}

void test_slots_go_back_last_in_first_out_and_ids_never_repeat() {
    Venue venue;
    State& state = venue.state;
    std::set<uint64_t> ids;
    uint32_t slots[3];
    for (uint32_t& slot : slots) {
        slot = open_order(state, {1, 0, Side::kBuy, 0, 10, 1, 0, 0});
        CHECK(ids.insert(order_id(state, slot)).second);
    }
    CHECK(slots[0] == 0 && slots[1] == 1 && slots[2] == 2);
    for (const uint32_t slot : {slots[2], slots[0]}) {
        unlist_order(state, slot);
        give_back_order(state, slot);
    }
    uint32_t found = 0;
    CHECK(!find_order(state, 1, uint64_t{1} << 32 | slots[0], found));  // ended
    CHECK(find_order(state, 1, order_id(state, slots[1]), found) && found == slots[1]);
    CHECK(!find_order(state, 2, order_id(state, slots[1]), found));  // of another account
    for (const uint32_t expected : {0u, 2u, 3u}) {
        const uint32_t slot = open_order(state, {1, 0, Side::kBuy, 0, 10, 1, 0, 0});
        CHECK(slot == expected);
        CHECK(ids.insert(order_id(state, slot)).second);
    }
    // The slot lives again, under another id.
    CHECK(!find_order(state, 1, uint64_t{1} << 32 | slots[0], found));
    CHECK(find_order(state, 1, uint64_t{2} << 32 | slots[0], found) && found == slots[0]);
    // The account's list is oldest first: 1, 0, 2, 3.
    uint32_t link = state.accounts[1].order_head;
    for (const uint32_t expected : {1u, 0u, 2u, 3u}) {
        CHECK(link == link_to(expected));
        link = state.orders[expected].account_next;
    }
    CHECK(link == kNoLink && state.accounts[1].open_orders == 4);
}

}  // namespace

int main(int argc, char** argv) {
    test::Random random(test::seed_of(argc, argv));
    test_random_books_agree_with_the_reference(random);
    test_an_empty_book_leaves_nothing_but_free_lists(random);
    test_the_best_price_survives_a_jump_over_the_whole_domain();
    test_slots_go_back_last_in_first_out_and_ids_never_repeat();
    return test::finish();
}
