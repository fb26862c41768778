// Five flows of orders for one book: where the price goes decides what a design is worth, so the
// worst of them is the score.
#pragma once

#include <cstdint>
#include <string>
#include <vector>

namespace provenue::bench {

enum class Action : uint8_t { kNew, kCancel, kModify };

struct Message {
    Action action;
    uint8_t side;       // 0 buys, 1 sells
    uint8_t immediate;  // of a new order
    uint32_t id;
    uint32_t price_ticks;
    uint32_t lots;
};

struct FlowSize {
    uint32_t new_orders = 1'000'000;
    uint64_t seed = 1;
};

// static, drifting, swings_25, swings_40, crash.
const std::vector<std::string>& flow_names();

// About 1 new order : 0.82 cancels : 0.17 modifies. A new order comes every microsecond; most rest
// for a median of 0.43 ms and are cancelled; 15 % are immediate or cancel; some cancels and
// modifies name orders that are gone. Ids come in random order. Deterministic by name and seed.
std::vector<Message> make_flow(const std::string& name, const FlowSize& size);

}  // namespace provenue::bench
