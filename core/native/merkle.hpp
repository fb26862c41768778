// Merkle trees of keccak-256 over raw 32-byte leaves (protocol chapter 7), mostly zero.
//
// ImageTree keeps every node of the image's tree and recomputes those above the leaves that a
// message wrote; rehash() computes the same root from the bytes alone. P1 demands that the two
// agree.
#pragma once

#include <cstdint>
#include <span>
#include <vector>

#include "core/native/keccak.hpp"
#include "core/native/mapping.hpp"

namespace provenue::native {

inline constexpr unsigned kHeightMax = 32;

// Root of a tree of this height whose leaves are all zero.
const Digest& zero_root(unsigned height);

// Root of the tree of `height` over `leaves` (32 bytes each, from the left); what lies beyond is
// zero. Passes over the whole; pages of zeros are not hashed.
Digest merkle_root(std::span<const uint8_t> leaves, unsigned height);

// Root from a leaf and its siblings, the lowest first.
Digest root_from_proof(const uint8_t leaf[32], uint64_t index, std::span<const Digest> siblings);

// The tree of claim leaves (chapter 7.4): `roots` from the left, then the last one repeated to the
// end. roots must not be empty nor have more than 2^height elements.
class ClaimTree {
public:
    ClaimTree(std::span<const Digest> roots, unsigned height);
    const Digest& root() const { return levels_.back().front(); }
    std::vector<Digest> proof(uint64_t index) const;

private:
    std::vector<std::vector<Digest>> levels_;  // levels_[0] the leaves, all 2^height of them
};

class ImageTree {
public:
    // The image must stay where it is; its size is a multiple of 4096 and at most 2^height leaves.
    ImageTree(const uint8_t* image, uint64_t image_bytes, unsigned height);

    // Says that a leaf may have changed. Cheap; the tree is brought up to date by root().
    void mark(uint64_t leaf);
    // Says that every leaf may have changed.
    void mark_all();

    Digest root();
    // Notes that the image as it is now is a version whose root will be asked for: cheaper than
    // root(), because the versions of many messages are hashed together, level by level.
    void commit();
    // The roots of all versions since the last call, in order.
    std::vector<Digest> take_roots();
    Digest rehash() const;
    // The siblings of a leaf, the lowest first: `height` digests. Brings the tree up to date.
    std::vector<Digest> proof(uint64_t leaf);
    // Whether a 4096-byte page holds anything but zeros; of the tree as last brought up to date.
    bool page_is_zero(uint64_t page) const;

private:
    struct Level {
        uint64_t nodes;   // within the extent
        uint64_t offset;  // of the first one in nodes_
    };

    // A node of level 0 is a leaf of the image. All zero stands for the zero subtree of its level,
    // so that a fresh mapping is a tree of zeros.
    const uint8_t* stored(unsigned level, uint64_t index) const;
    void read(unsigned level, uint64_t index, uint8_t out[32]) const;
    void build();
    void flush();
    void lift(unsigned level);
    void update_parents(unsigned level, std::span<const uint64_t> parents);
    void hash_chunk(unsigned level, std::span<const uint64_t> parents);

    const uint8_t* image_;
    uint64_t image_bytes_;
    unsigned height_;
    std::vector<Level> levels_;  // levels_[0] is unused
    Mapping nodes_;
    std::vector<uint64_t> dirty_;         // leaves, each once, in any order
    std::vector<uint64_t> dirty_marks_;   // one bit per leaf of the extent
    bool all_dirty_ = false;

    // Versions that are noted and not hashed yet: the nodes of level 1 above what each changed,
    // ascending, and the two leaves below each node; in one row for all versions.
    std::vector<uint64_t> version_nodes_;
    std::vector<uint8_t> version_pairs_;
    std::vector<size_t> version_ends_;  // in version_nodes_
    std::vector<Digest> version_roots_;  // of those that are hashed
};

}  // namespace provenue::native
