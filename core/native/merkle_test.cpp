// The incremental tree, the full rehash and a naive recursion agree; proofs lead to the root.
#include "core/native/merkle.hpp"

#include <cstdio>
#include <cstring>

using namespace provenue::native;

namespace {

constexpr unsigned kHeight = 13;
constexpr uint64_t kImageBytes = 5 * 4096;  // not a power of two

int failures = 0;

void expect(bool ok, const char* what, uint64_t detail) {
    if (ok) return;
    std::printf("%s (%llu)\n", what, static_cast<unsigned long long>(detail));
    ++failures;
}

uint64_t state = 42;
uint64_t random_below(uint64_t limit) {
    state = state * 6364136223846793005 + 1442695040888963407;
    return (state >> 33) % limit;
}

// Straight from the definition: every leaf of the tree, no knowledge of zeros.
Digest naive(const std::vector<uint8_t>& image, unsigned height, uint64_t index) {
    if (height == 0) {
        Digest leaf{};
        if (index * 32 < image.size()) std::memcpy(leaf.data(), image.data() + index * 32, 32);
        return leaf;
    }
    uint8_t pair[64];
    std::memcpy(pair, naive(image, height - 1, 2 * index).data(), 32);
    std::memcpy(pair + 32, naive(image, height - 1, 2 * index + 1).data(), 32);
    return keccak256(pair, sizeof pair);
}

void write(std::vector<uint8_t>& image, ImageTree& tree, bool zero) {
    const uint64_t leaf = random_below(kImageBytes / 32);
    for (uint64_t i = 0; i < 32; ++i)
        image[leaf * 32 + i] = zero ? 0 : static_cast<uint8_t>(random_below(256));
    tree.mark(leaf);
}

void check_image_tree() {
    std::vector<uint8_t> image(kImageBytes);
    ImageTree tree(image.data(), kImageBytes, kHeight);
    expect(tree.root() == zero_root(kHeight), "root of zeros", 0);
    for (uint64_t round = 0; round < 60; ++round) {
        const bool zero = round % 3 == 2;
        for (uint64_t i = random_below(200); i > 0; --i) write(image, tree, zero);
        const Digest root = tree.root();
        expect(root == tree.rehash(), "incremental root is the rehash", round);
        if (round % 12 == 0) expect(root == naive(image, kHeight, 0), "naive root", round);
        const uint64_t leaf = random_below(uint64_t{1} << kHeight);
        uint8_t bytes[32] = {};
        if (leaf * 32 < kImageBytes) std::memcpy(bytes, image.data() + leaf * 32, 32);
        expect(root_from_proof(bytes, leaf, tree.proof(leaf)) == root, "proof", leaf);
        bytes[31] ^= 1;
        expect(root_from_proof(bytes, leaf, tree.proof(leaf)) != root, "wrong leaf", leaf);
    }
    std::fill(image.begin(), image.end(), 0);
    tree.mark_all();
    expect(tree.root() == zero_root(kHeight), "zeros again", 0);
    expect(tree.page_is_zero(0) && tree.page_is_zero(4), "pages are zero", 0);
    image[4 * 4096 + 17] = 1;
    tree.mark((4 * 4096 + 17) / 32);
    expect(tree.root() == naive(image, kHeight, 0), "one byte", 0);
    expect(tree.page_is_zero(0) && !tree.page_is_zero(4), "page is not zero", 4);
}

// Versions that are committed have the roots that they would have had one by one.
void check_versions() {
    std::vector<uint8_t> image(kImageBytes);
    ImageTree tree(image.data(), kImageBytes, kHeight);
    std::vector<Digest> expected;
    const auto commit = [&] {
        tree.commit();
        expected.push_back(merkle_root(image, kHeight));
    };
    for (uint64_t round = 0; round < 300; ++round) {
        const bool zero = round % 5 == 4;
        for (uint64_t i = random_below(round % 7 == 0 ? 1 : 30); i > 0; --i)
            write(image, tree, zero);
        commit();
        if (random_below(20) == 0) commit();  // nothing changed
        if (random_below(40) == 0) {          // everything may have changed
            image[random_below(kImageBytes)] ^= 1;
            tree.mark_all();
        }
        if (random_below(40) == 0) {  // asking for the root in between
            write(image, tree, zero);
            expect(tree.root() == merkle_root(image, kHeight), "root behind versions", round);
        }
        if (random_below(50) != 0 && round != 299) continue;
        const std::vector<Digest> roots = tree.take_roots();
        expect(roots == expected, "roots of versions", round);
        expected.clear();
        for (uint64_t page = 0; page < kImageBytes / 4096; ++page) {
            bool any = false;
            for (uint64_t i = 0; i < 4096; ++i) any = any || image[page * 4096 + i] != 0;
            tree.root();
            expect(tree.page_is_zero(page) != any, "page is zero", page);
        }
    }
    expect(tree.take_roots().empty(), "roots are taken once", 0);
}

void check_many_versions() {
    std::vector<uint8_t> image(kImageBytes);
    ImageTree tree(image.data(), kImageBytes, kHeight);
    std::vector<Digest> expected;
    for (uint64_t round = 0; round < 1200; ++round) {  // more than are hashed at a time
        for (uint64_t i = 0; i < 60; ++i) write(image, tree, false);
        tree.commit();
        if (round % 100 == 0) expected.push_back(merkle_root(image, kHeight));
    }
    const std::vector<Digest> roots = tree.take_roots();
    expect(roots.size() == 1200, "as many roots as versions", roots.size());
    for (size_t i = 0; i < expected.size() && roots.size() == 1200; ++i)
        expect(roots[100 * i] == expected[i], "one of many versions", i);
}

void check_unmarked_write_shows() {
    std::vector<uint8_t> image(kImageBytes);
    ImageTree tree(image.data(), kImageBytes, kHeight);
    image[100] = 1;  // nobody says so
    expect(tree.root() != tree.rehash(), "the rehash sees what was not marked", 0);
}

void check_claim_tree() {
    std::vector<Digest> roots(3);
    for (size_t i = 0; i < roots.size(); ++i) roots[i].fill(static_cast<uint8_t>(i + 1));
    const ClaimTree tree(roots, 12);
    for (const uint64_t index : {0, 1, 2, 3, 4095}) {
        const Digest& leaf = roots[index < 3 ? index : 2];
        expect(root_from_proof(leaf.data(), index, tree.proof(index)) == tree.root(), "claim",
               index);
    }
    std::vector<uint8_t> leaves(32 << 12);
    for (uint64_t i = 0; i < 4096; ++i)
        std::memcpy(leaves.data() + i * 32, roots[i < 3 ? i : 2].data(), 32);
    expect(naive(leaves, 12, 0) == tree.root(), "claim tree is the naive one", 0);
}

}  // namespace

int main() {
    check_image_tree();
    check_versions();
    check_many_versions();
    check_unmarked_write_shows();
    check_claim_tree();
    return failures == 0 ? 0 : 1;
}
