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

// Where an index begins: `near` spares the way from the root to who works around the touch.
struct Entry {
    uint32_t InstrumentRecord::* root;
    uint32_t InstrumentRecord::* best;
    uint32_t InstrumentRecord::* near;
    uint32_t InstrumentRecord::* near_prefix;
};
constexpr Entry kBid{&InstrumentRecord::bid_root, &InstrumentRecord::bid_best,
                     &InstrumentRecord::bid_near, &InstrumentRecord::bid_near_prefix};
constexpr Entry kAsk{&InstrumentRecord::ask_root, &InstrumentRecord::ask_best,
                     &InstrumentRecord::ask_near, &InstrumentRecord::ask_near_prefix};

constexpr const Entry& entry_of(Side side) { return side == Side::kBuy ? kBid : kAsk; }

// The depth of the near node, and which prices lie below it.
constexpr uint32_t kNearDepth = 3;
constexpr uint32_t prefix_of(uint32_t price_ticks) {
    return price_ticks >> (kDigitBits * (kDigits - kNearDepth));
}

bool is_better(Side side, uint32_t price_ticks, uint32_t than_ticks) {
    return side == Side::kBuy ? price_ticks > than_ticks : price_ticks < than_ticks;
}

struct Start {
    uint32_t link;
    uint32_t depth;
};

// The deepest known node above a price.
Start start_of(const State& state, uint32_t instrument, Side side, uint32_t price_ticks) {
    const InstrumentRecord& record = state.instruments[instrument];
    const Entry& entry = entry_of(side);
    const uint32_t near = record.*entry.near;
    if (near != kNoLink && record.*entry.near_prefix == prefix_of(price_ticks))
        return {near, kNearDepth};
    return {record.*entry.root, 0};
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

// The nodes from `start` down to above `end`, by depth.
void fill_path(const State& state, Start start, uint32_t end, uint32_t price_ticks,
               uint32_t* path) {
    uint32_t link = start.link;
    for (uint32_t depth = start.depth; depth < end; ++depth) {
        path[depth] = linked_index(link);
        link = state.nodes[path[depth]].children[digit_of(price_ticks, depth)];
    }
}

void set_near(State& state, uint32_t instrument, const Entry& entry, uint32_t near,
              uint32_t price_ticks) {
    const InstrumentRecord& record = state.instruments[instrument];
    if (record.*entry.near == near && record.*entry.near_prefix == prefix_of(price_ticks)) return;
    state.instruments.edit(instrument, entry.near) = near;
    state.instruments.edit(instrument, entry.near_prefix) = prefix_of(price_ticks);
}

// The best level has gone; all that is left below `from`, the deepest node of its way that is not
// empty, is worse and better than anything elsewhere.
void find_best(State& state, uint32_t instrument, Side side, Start from) {
    const Entry& entry = entry_of(side);
    uint32_t near = state.instruments[instrument].*entry.near;
    for (; from.depth < kDigits; ++from.depth) {
        if (from.depth == kNearDepth) near = from.link;
        const NodeRecord& node = state.nodes[linked_index(from.link)];
        from.link = node.children[best_digit(node.bitmap, side)];
    }
    state.instruments.edit(instrument, entry.best) = from.link;
    set_near(state, instrument, entry, near, state.levels[linked_index(from.link)].price_ticks);
}

}  // namespace

uint32_t best_level(const State& state, uint32_t instrument, Side side) {
    return state.instruments[instrument].*entry_of(side).best;
}

uint32_t level_at(const State& state, uint32_t instrument, Side side, uint32_t price_ticks) {
    auto [link, depth] = start_of(state, instrument, side, price_ticks);
    for (; depth < kDigits && link != kNoLink; ++depth)
        link = state.nodes[linked_index(link)].children[digit_of(price_ticks, depth)];
    return link;
}

uint32_t level_behind(const State& state, uint32_t instrument, Side side, uint32_t price_ticks) {
    uint32_t link = state.instruments[instrument].*entry_of(side).root;
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
    const Entry& entry = entry_of(side);
    auto [link, depth] = start_of(state, instrument, side, price_ticks);
    if (link == kNoLink) {
        link = link_to(take_node(state));
        state.instruments.edit(instrument, entry.root) = link;
    }
    uint32_t near = link;
    for (; depth < kDigits - 1; ++depth) {
        if (depth == kNearDepth) near = link;
        const uint32_t node = linked_index(link);
        const uint32_t digit = digit_of(price_ticks, depth);
        link = state.nodes[node].children[digit];
        if (link == kNoLink) {
            link = link_to(take_node(state));
            set_child(state, node, digit, link);
        }
    }
    set_child(state, linked_index(link), digit_of(price_ticks, kDigits - 1), level_link);

    const InstrumentRecord& record = state.instruments[instrument];
    const uint32_t best = record.*entry.best;
    if (best != kNoLink &&
        !is_better(side, price_ticks, state.levels[linked_index(best)].price_ticks))
        return;
    state.instruments.edit(instrument, entry.best) = level_link;
    set_near(state, instrument, entry, near, price_ticks);
}

void unindex_level(State& state, uint32_t instrument, Side side, uint32_t price_ticks) {
    const Entry& entry = entry_of(side);
    uint32_t path[kDigits];
    Start start = start_of(state, instrument, side, price_ticks);
    fill_path(state, start, kDigits, price_ticks, path);
    const InstrumentRecord& record = state.instruments[instrument];
    const NodeRecord& last = state.nodes[path[kDigits - 1]];
    const uint32_t level = last.children[digit_of(price_ticks, kDigits - 1)];
    ASSERT(level != kNoLink, "no level at this price");
    for (uint32_t depth = kDigits; depth-- > 0;) {
        if (depth < start.depth) {  // the near node is empty, so the way down to it is needed
            start = {record.*entry.root, 0};
            fill_path(state, start, kNearDepth, price_ticks, path);
        }
        clear_child(state, path[depth], digit_of(price_ticks, depth));
        if (state.nodes[path[depth]].bitmap != 0) {
            if (record.*entry.best == level)
                find_best(state, instrument, side, {link_to(path[depth]), depth});
            return;
        }
        if (link_to(path[depth]) == record.*entry.near)
            state.instruments.edit(instrument, entry.near) = kNoLink;
        free_node(state, path[depth]);
    }
    state.instruments.edit(instrument, entry.root) = kNoLink;
    state.instruments.edit(instrument, entry.best) = kNoLink;
}

}  // namespace provenue::PROVENUE_PRESET_NAMESPACE
