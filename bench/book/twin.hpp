// The naive twin of the book: maps and lists, nothing clever. What it reports is right by reading.
#pragma once

#include <cstdint>
#include <list>
#include <map>
#include <unordered_map>
#include <vector>

#include "bench/book/book.h"
#include "bench/book/flows.hpp"

namespace provenue::bench {

class Twin {
public:
    void apply(const Message& message, std::vector<provenue_report>& reports);
    uint32_t best(int side) const;
    uint64_t depth(int side, uint32_t price_ticks) const;

private:
    struct Order {
        uint32_t id;
        uint32_t lots;
    };
    struct Place {
        int side;
        uint32_t price_ticks;
    };
    using Level = std::list<Order>;

    void take(const Message& message, uint32_t lots, bool rests,
              std::vector<provenue_report>& reports);
    Order remove(uint32_t id);

    std::map<uint32_t, Level> sides_[2];
    std::unordered_map<uint32_t, Place> places_;
};

}  // namespace provenue::bench
