// The undo log restores exactly, whatever was written in whatever order, and knows every leaf that
// was written.
#include "core/image/undo.hpp"

#include <memory>
#include <set>
#include <vector>

#include "core/base/test.hpp"
#include "core/image/state.hpp"

using namespace provenue;
using namespace provenue::PROVENUE_PRESET_NAMESPACE;

namespace {

using Image = std::vector<uint8_t>;
constexpr uint64_t kLeaves = kImageBytes / kUndoLeafBytes;

Image random_image(test::Random& random) {
    Image image(kImageBytes);
    for (uint8_t& byte : image) byte = static_cast<uint8_t>(random.next());
    return image;
}

void write_somewhere(test::Random& random, Image& image, UndoLog& undo) {
    const uint64_t bytes = random.between(1, 100);
    // Few different places, so that leaves are written again and again.
    const uint64_t at = random.one_in(2) ? random.below(400) : random.below(kImageBytes - bytes);
    undo.record_range(image.data(), at, bytes);
    for (uint64_t i = 0; i < bytes; ++i) image[at + i] = static_cast<uint8_t>(random.next());
}

std::set<uint64_t> changed_leaves(const Image& before, const Image& after) {
    std::set<uint64_t> changed;
    for (uint64_t leaf = 0; leaf < kLeaves; ++leaf)
        if (std::memcmp(&before[leaf * 32], &after[leaf * 32], 32) != 0) changed.insert(leaf * 32);
    return changed;
}

void check_covers(const UndoLog& undo, const std::set<uint64_t>& changed) {
    std::set<uint64_t> recorded;
    for (uint32_t i = 0; i < undo.count; ++i) recorded.insert(undo.entries[i].offset);
    CHECK(recorded.size() == undo.count);  // each leaf once
    for (const uint64_t offset : changed) CHECK(recorded.contains(offset));
}

void test_rollback_restores_the_image(test::Random& random) {
    Image image = random_image(random);
    auto undo = std::make_unique<UndoLog>();
    for (test::round = 0; test::round < 300; ++test::round) {
        undo->clear();
        const Image before = image;
        const uint64_t writes = random.below(200);
        for (uint64_t i = 0; i < writes; ++i) write_somewhere(random, image, *undo);
        check_covers(*undo, changed_leaves(before, image));
        if (random.one_in(3)) continue;  // keep
        undo->rollback(image.data(), 0);
        CHECK(image == before);
        CHECK(undo->count == 0);
    }
}

// What a reject keeps: leaves recorded before the mark stay, those recorded after it go back.
void test_rollback_to_a_mark_keeps_what_came_before(test::Random& random) {
    Image image = random_image(random);
    auto undo = std::make_unique<UndoLog>();
    for (test::round = 0; test::round < 300; ++test::round) {
        undo->clear();
        const uint64_t nonce_leaf = random.below(kLeaves) * 32;
        undo->record(image.data(), nonce_leaf);
        image[nonce_leaf + random.below(32)] ^= 1;
        const Image marked = image;
        const uint32_t mark = undo->count;
        for (int i = 0; i < 50; ++i) {
            const uint64_t leaf = random.below(kLeaves) * 32;
            if (leaf == nonce_leaf) continue;
            undo->record(image.data(), leaf);
            image[leaf + random.below(32)] ^= 2;
        }
        undo->rollback(image.data(), mark);
        CHECK(image == marked);
        CHECK(undo->count == mark);
    }
}

void test_the_log_can_be_filled() {
    std::vector<uint8_t> image(uint64_t{kUndoEntriesMax} * kUndoLeafBytes);
    auto undo = std::make_unique<UndoLog>();
    for (int pass = 0; pass < 2; ++pass)
        for (uint64_t at = 0; at < image.size(); at += kUndoLeafBytes)
            undo->record(image.data(), at);
    CHECK(undo->count == kUndoEntriesMax);
    undo->rollback(image.data(), 0);
    for (const uint32_t slot : undo->slots) CHECK(slot == 0);
}

// A slot that has waited through all tags must not be taken for one of this message.
void test_tags_begin_anew() {
    std::vector<uint8_t> image(2 * kUndoLeafBytes);
    auto undo = std::make_unique<UndoLog>();
    undo->record(image.data(), 0);
    const uint32_t first = undo->tag;
    do {
        undo->clear();
        undo->record(image.data(), kUndoLeafBytes);
        CHECK(undo->count == 1);
    } while (undo->tag != first);
    undo->rollback(image.data(), 0);
    undo->record(image.data(), 0);
    undo->rollback(image.data(), 0);
    CHECK(undo->count == 0);
    for (const uint32_t slot : undo->slots) CHECK(slot == 0);
}

void test_an_edit_is_recorded() {
    Image image(kImageBytes);
    auto undo = std::make_unique<UndoLog>();
    State state(image.data(), *undo);
    const Image zero = image;
    state.orders.edit(3).client_id = 7;
    state.nodes.edit(5, &NodeRecord::children, 63) = 9;
    state.instruments.edit(2, &InstrumentRecord::name)[15] = 'x';
    state.edit_balance(4, 1) = -5;
    state.edit_row(State::row_at(0, 1)).open_sell_units = 1;
    state.edit_row(State::row_at(2, 1)).open_sell_units = 1;
    state.edit_globals(&GlobalsRecord::node_free_head) = 1;
    check_covers(*undo, changed_leaves(zero, image));
    CHECK(changed_leaves(zero, image).size() == 7);
    CHECK(state.balance(4, 1) == -5);
    undo->rollback(image.data(), 0);
    CHECK(image == zero);
}

}  // namespace

int main(int argc, char** argv) {
    test::Random random(test::seed_of(argc, argv));
    test_rollback_restores_the_image(random);
    test_rollback_to_a_mark_keeps_what_came_before(random);
    test_the_log_can_be_filled();
    test_tags_begin_anew();
    test_an_edit_is_recorded();
    return test::finish();
}
