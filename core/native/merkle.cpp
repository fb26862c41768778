#include "core/native/merkle.hpp"

#include <algorithm>
#include <cstring>
#include <stdexcept>
#include <utility>

namespace provenue::native {

namespace {

constexpr size_t kLeafBytes = 32;
constexpr size_t kPageBytes = 4096;
constexpr unsigned kPageHeight = 7;  // a page is 2^7 leaves
// Pairs hashed in one call: a multiple of every width, and small enough for the first-level cache.
constexpr size_t kChunk = 64;
// Of versions that are hashed together: 2 MB of pairs.
constexpr size_t kVersionNodesMax = 1 << 15;

bool is_zero(const uint8_t* data, size_t bytes) {
    uint64_t any = 0;
    for (size_t i = 0; i < bytes; i += 8) {
        uint64_t word;
        std::memcpy(&word, data + i, 8);
        any |= word;
    }
    return any == 0;
}

std::array<Digest, kHeightMax + 1> zero_roots() {
    std::array<Digest, kHeightMax + 1> roots{};
    for (unsigned h = 0; h < kHeightMax; ++h) {
        uint8_t pair[64];
        std::memcpy(pair, roots[h].data(), 32);
        std::memcpy(pair + 32, roots[h].data(), 32);
        roots[h + 1] = keccak256(pair, sizeof pair);
    }
    return roots;
}

// Halves a row of nodes of level `level`; an odd one gets a zero subtree beside it.
std::vector<Digest> parents_of(std::vector<Digest> nodes, unsigned level) {
    if (nodes.size() % 2) nodes.push_back(zero_root(level));
    std::vector<Digest> parents(nodes.size() / 2);
    hash_pairs(nodes.data()->data(), parents.data()->data(), parents.size());
    return parents;
}

Digest page_root(const uint8_t* page) {
    if (is_zero(page, kPageBytes)) return zero_root(kPageHeight);
    uint8_t rows[2][kPageBytes];
    std::memcpy(rows[0], page, kPageBytes);
    unsigned from = 0;
    for (size_t pairs = kPageBytes / 64; pairs >= 1; pairs /= 2, from ^= 1)
        hash_pairs(rows[from], rows[from ^ 1], pairs);
    Digest root;
    std::memcpy(root.data(), rows[from], root.size());
    return root;
}

}  // namespace

const Digest& zero_root(unsigned height) {
    static const std::array<Digest, kHeightMax + 1> roots = zero_roots();
    return roots.at(height);
}

Digest merkle_root(std::span<const uint8_t> leaves, unsigned height) {
    if (height < kPageHeight || height > kHeightMax || leaves.size() % kPageBytes != 0 ||
        leaves.size() / kLeafBytes > uint64_t{1} << height)
        throw std::invalid_argument("merkle_root: whole pages within the tree");
    if (leaves.empty()) return zero_root(height);
    std::vector<Digest> nodes(leaves.size() / kPageBytes);
    for (size_t i = 0; i < nodes.size(); ++i) nodes[i] = page_root(leaves.data() + i * kPageBytes);
    for (unsigned level = kPageHeight; level < height; ++level)
        nodes = parents_of(std::move(nodes), level);
    return nodes.front();
}

Digest root_from_proof(const uint8_t leaf[32], uint64_t index, std::span<const Digest> siblings) {
    Digest node;
    std::memcpy(node.data(), leaf, 32);
    for (const Digest& sibling : siblings) {
        uint8_t pair[64];
        const bool right = index & 1;
        std::memcpy(pair + (right ? 32 : 0), node.data(), 32);
        std::memcpy(pair + (right ? 0 : 32), sibling.data(), 32);
        node = keccak256(pair, sizeof pair);
        index >>= 1;
    }
    return node;
}

ClaimTree::ClaimTree(std::span<const Digest> roots, unsigned height) {
    if (roots.empty() || height > 20 || roots.size() > size_t{1} << height)
        throw std::invalid_argument("claim: 1 to 2^height roots");
    std::vector<Digest> row(roots.begin(), roots.end());
    row.resize(size_t{1} << height, roots.back());
    levels_.push_back(std::move(row));
    for (unsigned level = 0; level < height; ++level)
        levels_.push_back(parents_of(levels_.back(), level));
}

std::vector<Digest> ClaimTree::proof(uint64_t index) const {
    if (index >= levels_.front().size()) throw std::invalid_argument("claim: no such leaf");
    std::vector<Digest> siblings;
    for (size_t level = 0; level + 1 < levels_.size(); ++level)
        siblings.push_back(levels_[level][(index >> level) ^ 1]);
    return siblings;
}

// --- the image's tree ----------------------------------------------------------------------------

namespace {

uint64_t nodes_at(uint64_t leaves, unsigned level) {
    return (leaves + (uint64_t{1} << level) - 1) >> level;
}

// Ascending node numbers become those of their parents, each once.
void halve(std::vector<uint64_t>& nodes) {
    for (uint64_t& node : nodes) node /= 2;
    nodes.erase(std::unique(nodes.begin(), nodes.end()), nodes.end());
}

uint64_t nodes_total(uint64_t leaves, unsigned height) {
    uint64_t total = 0;
    for (unsigned level = 1; level <= height; ++level) total += nodes_at(leaves, level);
    return total;
}

}  // namespace

ImageTree::ImageTree(const uint8_t* image, uint64_t image_bytes, unsigned height)
    : image_(image),
      image_bytes_(image_bytes),
      height_(height),
      nodes_(nodes_total(image_bytes / kLeafBytes, height) * kLeafBytes),
      dirty_marks_((image_bytes / kLeafBytes + 63) / 64) {
    const uint64_t leaves = image_bytes / kLeafBytes;
    if (image_bytes == 0 || image_bytes % kPageBytes != 0 || height < kPageHeight ||
        height > kHeightMax || leaves > uint64_t{1} << height)
        throw std::invalid_argument("image tree: whole pages within the tree");
    levels_.push_back({leaves, 0});
    uint64_t offset = 0;
    for (unsigned level = 1; level <= height; ++level) {
        levels_.push_back({nodes_at(leaves, level), offset});
        offset += levels_.back().nodes;
    }
}

void ImageTree::mark(uint64_t leaf) {
    if (leaf >= levels_[0].nodes) throw std::out_of_range("image tree: leaf beyond the image");
    uint64_t& word = dirty_marks_[leaf / 64];
    const uint64_t bit = uint64_t{1} << (leaf % 64);
    if (word & bit) return;
    word |= bit;
    dirty_.push_back(leaf);
}

void ImageTree::mark_all() { all_dirty_ = true; }

const uint8_t* ImageTree::stored(unsigned level, uint64_t index) const {
    if (level == 0) return image_ + index * kLeafBytes;
    return nodes_.data() + (levels_[level].offset + index) * kLeafBytes;
}

void ImageTree::read(unsigned level, uint64_t index, uint8_t out[32]) const {
    const bool inside = index < levels_[level].nodes;
    const bool zero = !inside || is_zero(stored(level, index), kLeafBytes);
    std::memcpy(out, zero ? zero_root(level).data() : stored(level, index), kLeafBytes);
}

// Hashes at most kChunk parents of level `level`. A pair of zero subtrees is not hashed: its parent
// is stored as zero, whether or not it was before.
void ImageTree::hash_chunk(unsigned level, std::span<const uint64_t> parents) {
    uint8_t pairs[kChunk * 64];
    uint8_t digests[kChunk * 32];
    uint8_t* targets[kChunk];
    size_t count = 0;
    for (const uint64_t parent : parents) {
        uint8_t* target = nodes_.data() + (levels_[level].offset + parent) * kLeafBytes;
        const uint64_t left = 2 * parent;
        const bool right_inside = left + 1 < levels_[level - 1].nodes;
        const bool zero = is_zero(stored(level - 1, left), kLeafBytes) &&
                          (!right_inside || is_zero(stored(level - 1, left + 1), kLeafBytes));
        if (zero) {
            if (!is_zero(target, kLeafBytes)) std::memset(target, 0, kLeafBytes);
            continue;
        }
        read(level - 1, left, pairs + count * 64);
        read(level - 1, left + 1, pairs + count * 64 + 32);
        targets[count++] = target;
    }
    if (count == 0) return;
    hash_pairs(pairs, digests, count);
    for (size_t i = 0; i < count; ++i) std::memcpy(targets[i], digests + i * 32, kLeafBytes);
}

void ImageTree::update_parents(unsigned level, std::span<const uint64_t> parents) {
    for (size_t from = 0; from < parents.size(); from += kChunk)
        hash_chunk(level, parents.subspan(from, std::min(kChunk, parents.size() - from)));
}

// Every node from the bytes. Pages of zeros are known to be zero subtrees.
void ImageTree::build() {
    nodes_.clear();
    dirty_.clear();
    std::fill(dirty_marks_.begin(), dirty_marks_.end(), 0);
    std::vector<uint64_t> nodes;
    for (uint64_t page = 0; page < image_bytes_ / kPageBytes; ++page) {
        if (is_zero(image_ + page * kPageBytes, kPageBytes)) continue;
        constexpr uint64_t kPairs = kPageBytes / 64;
        for (uint64_t i = 0; i < kPairs; ++i) nodes.push_back(page * kPairs + i);
    }
    for (unsigned level = 1; level <= height_; ++level) {
        update_parents(level, nodes);
        halve(nodes);
    }
    all_dirty_ = false;
}

Digest ImageTree::root() {
    flush();
    if (all_dirty_) build();
    if (!dirty_.empty()) {
        // Sorted, so that what is equal after halving stands side by side.
        std::sort(dirty_.begin(), dirty_.end());
        for (const uint64_t leaf : dirty_) dirty_marks_[leaf / 64] = 0;
        for (unsigned level = 1; level <= height_; ++level) {
            halve(dirty_);
            update_parents(level, dirty_);
        }
        dirty_.clear();
    }
    Digest root;
    read(height_, 0, root.data());
    return root;
}

// --- versions ------------------------------------------------------------------------------------

void ImageTree::commit() {
    if (all_dirty_) {
        flush();
        root();
    }
    std::sort(dirty_.begin(), dirty_.end());
    for (const uint64_t leaf : dirty_) dirty_marks_[leaf / 64] = 0;
    halve(dirty_);
    for (const uint64_t node : dirty_) {
        const size_t at = version_pairs_.size();
        version_pairs_.resize(at + 2 * kLeafBytes);
        read(0, 2 * node, version_pairs_.data() + at);
        read(0, 2 * node + 1, version_pairs_.data() + at + kLeafBytes);
    }
    version_nodes_.insert(version_nodes_.end(), dirty_.begin(), dirty_.end());
    version_ends_.push_back(version_nodes_.size());
    dirty_.clear();
    if (version_nodes_.size() >= kVersionNodesMax) flush();
}

std::vector<Digest> ImageTree::take_roots() {
    flush();
    return std::exchange(version_roots_, {});
}

// Hashes the versions' nodes of a level and replaces them by those of the next one. A version's
// nodes are written to the tree, and then what it needs from beside them is read there: it finds
// the versions before it and none behind it.
void ImageTree::lift(unsigned level) {
    std::vector<uint8_t> digests(version_nodes_.size() * kLeafBytes);
    keccak::hash_pairs_parallel(version_pairs_.data(), digests.data(), version_nodes_.size());
    const Digest& zero = zero_root(level);
    size_t from = 0, kept = 0;
    for (size_t& end : version_ends_) {
        for (size_t i = from; i < end; ++i) {
            const uint8_t* digest = digests.data() + i * kLeafBytes;
            uint8_t* target =
                nodes_.data() + (levels_[level].offset + version_nodes_[i]) * kLeafBytes;
            const bool is_empty = std::memcmp(digest, zero.data(), kLeafBytes) == 0;
            if (is_empty) std::memset(target, 0, kLeafBytes);
            else std::memcpy(target, digest, kLeafBytes);
        }
        if (level == height_) {
            read(height_, 0, version_roots_.emplace_back().data());
            continue;
        }
        uint64_t previous = UINT64_MAX;
        for (; from < end; ++from) {
            const uint64_t parent = version_nodes_[from] / 2;
            if (parent == previous) continue;
            read(level, 2 * parent, version_pairs_.data() + kept * 2 * kLeafBytes);
            read(level, 2 * parent + 1, version_pairs_.data() + (2 * kept + 1) * kLeafBytes);
            version_nodes_[kept++] = previous = parent;
        }
        end = kept;
    }
    version_nodes_.resize(kept);
}

void ImageTree::flush() {
    if (version_ends_.empty()) return;
    for (unsigned level = 1; level <= height_; ++level) lift(level);
    version_nodes_.clear();
    version_pairs_.clear();
    version_ends_.clear();
}

Digest ImageTree::rehash() const { return merkle_root({image_, image_bytes_}, height_); }

std::vector<Digest> ImageTree::proof(uint64_t leaf) {
    if (leaf >> height_) throw std::out_of_range("image tree: leaf beyond the tree");
    root();
    std::vector<Digest> siblings(height_);
    for (unsigned level = 0; level < height_; ++level)
        read(level, (leaf >> level) ^ 1, siblings[level].data());
    return siblings;
}

bool ImageTree::page_is_zero(uint64_t page) const {
    return is_zero(stored(kPageHeight, page), kLeafBytes);
}

}  // namespace provenue::native
