#include "core/matching/price_index.hpp"

#include "core/base/bits.hpp"

namespace provenue::PROVENUE_PRESET_NAMESPACE {

namespace {

constexpr uint32_t kDigitBits = 6;
constexpr uint32_t kDigits = 5;
constexpr uint32_t kFanout = 1u << kDigitBits;
static_assert((uint64_t{1} << (kDigits * kDigitBits)) - 1 == kPriceTicksMax);
static_assert(sizeof(NodeRecord::children) == kFanout * sizeof(uint32_t));
// Each level needs at most a node for every digit but the first; the first digit's are the roots.
static_assert(kNodesCount >= (kDigits - 1) * kLevelsMax + 2 * kInstrumentsMax);

constexpr uint32_t digit_of(uint32_t price_ticks, uint32_t depth) {
    return price_ticks >> (kDigitBits * (kDigits - 1 - depth)) & (kFanout - 1);
}

uint32_t best_digit(uint64_t bitmap, Side side) {
    ASSERT(bitmap != 0, "empty node in a price index");
    return side == Side::kBuy ? highest_bit(bitmap) : lowest_bit(bitmap);
}

constexpr uint32_t InstrumentRecord::* root_field(Side side) {
    return side == Side::kBuy ? &InstrumentRecord::bid_root : &InstrumentRecord::ask_root;
}

uint32_t root_of(const State& state, uint32_t instrument, Side side) {
    const InstrumentRecord& record = state.instruments[instrument];
    return side == Side::kBuy ? record.bid_root : record.ask_root;
}

// The best level below a node that stands at `depth`.
uint32_t best_below(const State& state, uint32_t link, uint32_t depth, Side side) {
    for (; depth < kDigits; ++depth) {
        const NodeRecord& node = state.nodes[linked_index(link)];
        link = node.children[best_digit(node.bitmap, side)];
    }
    return link;
}

uint32_t take_node(State& state) {
    const uint32_t head = state.globals().node_free_head;
    if (head == kNoLink) {
        const uint32_t index = state.globals().node_used;
        ASSERT(index < kNodesCount, "price index out of nodes");
        state.edit_globals(&GlobalsRecord::node_used) = index + 1;
        return index;
    }
    const uint32_t index = linked_index(head);
    state.edit_globals(&GlobalsRecord::node_free_head) = state.nodes[index].next_free;
    state.nodes.edit(index, &NodeRecord::next_free) = kNoLink;
    return index;
}

// The node's children are gone already, so that it is all zero but for the free link.
void free_node(State& state, uint32_t index) {
    ASSERT(state.nodes[index].bitmap == 0, "node freed with children");
    state.nodes.edit(index, &NodeRecord::next_free) = state.globals().node_free_head;
    state.edit_globals(&GlobalsRecord::node_free_head) = link_to(index);
}

void set_child(State& state, uint32_t node, uint32_t digit, uint32_t link) {
    ASSERT(state.nodes[node].children[digit] == kNoLink, "child is taken");
    state.nodes.edit(node, &NodeRecord::children, digit) = link;
    state.nodes.edit(node, &NodeRecord::bitmap) |= uint64_t{1} << digit;
}

void clear_child(State& state, uint32_t node, uint32_t digit) {
    ASSERT(state.nodes[node].children[digit] != kNoLink, "child is absent");
    state.nodes.edit(node, &NodeRecord::children, digit) = kNoLink;
    state.nodes.edit(node, &NodeRecord::bitmap) &= ~(uint64_t{1} << digit);
}

}  // namespace

uint32_t best_level(const State& state, uint32_t instrument, Side side) {
    const uint32_t root = root_of(state, instrument, side);
    return root == kNoLink ? kNoLink : best_below(state, root, 0, side);
}

uint32_t level_at(const State& state, uint32_t instrument, Side side, uint32_t price_ticks) {
    uint32_t link = root_of(state, instrument, side);
    for (uint32_t depth = 0; depth < kDigits && link != kNoLink; ++depth)
        link = state.nodes[linked_index(link)].children[digit_of(price_ticks, depth)];
    return link;
}

uint32_t level_behind(const State& state, uint32_t instrument, Side side, uint32_t price_ticks) {
    uint32_t link = root_of(state, instrument, side);
    uint32_t behind = kNoLink;  // the deepest branch that holds only worse prices
    uint32_t behind_depth = 0;
    for (uint32_t depth = 0; depth < kDigits && link != kNoLink; ++depth) {
        const NodeRecord& node = state.nodes[linked_index(link)];
        const uint32_t digit = digit_of(price_ticks, depth);
        const uint64_t bit = uint64_t{1} << digit;
        const uint64_t below = node.bitmap & (bit - 1);
        const uint64_t above = node.bitmap & ~(bit | (bit - 1));
        const uint64_t worse = side == Side::kBuy ? below : above;
        if (worse != 0) {
            behind = node.children[best_digit(worse, side)];
            behind_depth = depth + 1;
        }
        link = node.children[digit];
    }
    return behind == kNoLink ? kNoLink : best_below(state, behind, behind_depth, side);
}

void index_level(State& state, uint32_t instrument, Side side, uint32_t price_ticks,
                 uint32_t level_link) {
    uint32_t link = root_of(state, instrument, side);
    if (link == kNoLink) {
        link = link_to(take_node(state));
        state.instruments.edit(instrument, root_field(side)) = link;
    }
    uint32_t node = linked_index(link);
    for (uint32_t depth = 0; depth < kDigits - 1; ++depth) {
        const uint32_t digit = digit_of(price_ticks, depth);
        if (state.nodes[node].children[digit] == kNoLink) {
            const uint32_t child = take_node(state);
            set_child(state, node, digit, link_to(child));
        }
        node = linked_index(state.nodes[node].children[digit]);
    }
    set_child(state, node, digit_of(price_ticks, kDigits - 1), level_link);
}

void unindex_level(State& state, uint32_t instrument, Side side, uint32_t price_ticks) {
    uint32_t path[kDigits];
    uint32_t link = root_of(state, instrument, side);
    for (uint32_t depth = 0; depth < kDigits; ++depth) {
        path[depth] = linked_index(link);
        link = state.nodes[path[depth]].children[digit_of(price_ticks, depth)];
    }
    ASSERT(link != kNoLink, "no level at this price");
    for (uint32_t depth = kDigits; depth-- > 0;) {
        clear_child(state, path[depth], digit_of(price_ticks, depth));
        if (state.nodes[path[depth]].bitmap != 0) return;
        free_node(state, path[depth]);
    }
    state.instruments.edit(instrument, root_field(side)) = kNoLink;
}

}  // namespace provenue::PROVENUE_PRESET_NAMESPACE
