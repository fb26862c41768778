#include "bench/book/flows.hpp"

#include <algorithm>
#include <cmath>
#include <numeric>
#include <queue>
#include <stdexcept>

#include "bench/book/book.h"

namespace provenue::bench {

namespace {

constexpr double kMid = 100'000;
constexpr double kLifeMedianUs = 430;
constexpr double kLifeSigma = 1.2;
constexpr double kDepthTicks = 25;

// splitmix64: small, and the same everywhere, unlike the distributions of the standard library.
class Random {
public:
    explicit Random(uint64_t seed) : state_(seed) {}

    uint64_t next() {
        uint64_t z = state_ += 0x9E37'79B9'7F4A'7C15;
        z = (z ^ z >> 30) * 0xBF58'476D'1CE4'E5B9;
        z = (z ^ z >> 27) * 0x94D0'49BB'1331'11EB;
        return z ^ z >> 31;
    }
    // In (0, 1].
    double unit() { return static_cast<double>((next() >> 11) + 1) * 0x1p-53; }
    uint32_t below(uint32_t bound) { return static_cast<uint32_t>(next() % bound); }
    bool chance(double p) { return unit() <= p; }
    double exponential(double mean) { return -mean * std::log(unit()); }
    double normal() {
        return std::sqrt(-2 * std::log(unit())) * std::cos(2 * 3.14159265358979323846 * unit());
    }

private:
    uint64_t state_;
};

// Where the middle is when `done` (0 to 1) of the flow is over, as a multiple of where it began.
using Path = double (*)(double done);

double still(double) { return 1; }
double drift(double done) { return 1 + 0.10 * done; }
double swing(double done, double height) {
    return 1 + height * std::sin(2 * 3.14159265358979323846 * 8 * done);
}
double swing_25(double done) { return swing(done, 0.25); }
double swing_40(double done) { return swing(done, 0.40); }
// Half is over: 40 % down within a hundredth of the time, and back within a fifth.
double crash(double done) {
    if (done < 0.50) return 1;
    if (done < 0.51) return 1 - 0.40 * (done - 0.50) / 0.01;
    if (done < 0.71) return 0.60 + 0.40 * (done - 0.51) / 0.20;
    return 1;
}

Path path_of(const std::string& name) {
    if (name == "static") return still;
    if (name == "drifting") return drift;
    if (name == "swings_25") return swing_25;
    if (name == "swings_40") return swing_40;
    if (name == "crash") return crash;
    throw std::invalid_argument("flow: expected one of flow_names(), got " + name);
}

// A cancel or modify that is due later.
struct Due {
    double at_us;
    uint32_t id;
    uint8_t side;
    Action action;
    bool operator<(const Due& other) const { return at_us > other.at_us; }
};

std::vector<uint32_t> shuffled_ids(uint32_t count, Random& random) {
    std::vector<uint32_t> ids(PROVENUE_BOOK_IDS);
    std::iota(ids.begin(), ids.end(), 0u);
    for (uint32_t i = PROVENUE_BOOK_IDS; i > 1; --i) std::swap(ids[i - 1], ids[random.below(i)]);
    ids.resize(std::min(count, PROVENUE_BOOK_IDS));
    return ids;
}

uint32_t tick(double price) { return static_cast<uint32_t>(std::max(1.0, std::round(price))); }

}  // namespace

const std::vector<std::string>& flow_names() {
    static const std::vector<std::string> names{"static", "drifting", "swings_25", "swings_40",
                                                "crash"};
    return names;
}

std::vector<Message> make_flow(const std::string& name, const FlowSize& size) {
    const Path path = path_of(name);
    if (size.new_orders == 0 || size.new_orders > PROVENUE_BOOK_IDS)
        throw std::invalid_argument("new_orders: expected 1 to 2^20");
    Random random(size.seed);
    const std::vector<uint32_t> ids = shuffled_ids(size.new_orders, random);
    std::priority_queue<Due> due;
    std::vector<Message> flow;
    flow.reserve(size_t{size.new_orders} * 2 + 1);
    double now_us = 0;
    const double end_us = size.new_orders;

    const auto middle = [&](double at_us) {
        return kMid * path(std::min(1.0, at_us / end_us));
    };
    // A buy below the middle, a sell above it.
    const auto passive = [&](uint8_t side, double at_us) {
        const double away = 1 + random.exponential(kDepthTicks);
        return tick(middle(at_us) + (side == 0 ? -away : away));
    };
    const auto serve = [&](const Due& order) {
        Message message{order.action, order.side, 0, order.id, 0, 0};
        if (order.action == Action::kModify) {
            message.price_ticks = passive(order.side, order.at_us);
            message.lots = 1 + random.below(100);
        }
        flow.push_back(message);
    };

    for (uint32_t i = 0; i < size.new_orders; ++i) {
        now_us += random.exponential(1);
        while (!due.empty() && due.top().at_us <= now_us) {
            const Due order = due.top();
            due.pop();
            serve(order);
        }
        const uint8_t side = static_cast<uint8_t>(random.next() & 1);
        const bool immediate = random.chance(0.15);
        Message message{Action::kNew, side, immediate, ids[i], 0, 1 + random.below(100)};
        if (immediate) {
            const double reach = random.exponential(4);
            message.price_ticks = tick(middle(now_us) + (side == 0 ? reach : -reach));
        } else {
            message.price_ticks = passive(side, now_us);
        }
        flow.push_back(message);
        const double life_us = kLifeMedianUs * std::exp(kLifeSigma * random.normal());
        // An immediate order may be cancelled too: its owner does not know yet that it is gone.
        if (!immediate ? random.chance(0.94) : random.chance(0.14))
            due.push({now_us + life_us, ids[i], side, Action::kCancel});
        if (!immediate && random.chance(0.19))
            due.push({now_us + life_us * random.unit(), ids[i], side, Action::kModify});
        if (random.chance(0.01))
            due.push({now_us + 2 * life_us, ids[i], side,
                      random.chance(0.5) ? Action::kCancel : Action::kModify});
    }
    return flow;
}

}  // namespace provenue::bench
