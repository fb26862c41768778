// The events of one message, in the order of effects (chapter 8).
#pragma once

#include <cstdint>

#include "core/base/assert.hpp"
#include "core/base/generated/protocol.hpp"

namespace provenue {

// An event of a kind, every other field 0.
constexpr Event event_of(EventKind kind) {
    Event event{};
    event.kind = static_cast<uint16_t>(kind);
    return event;
}

class EventLog {
public:
    EventLog(Event* records, uint32_t& count) : records_(records), count_(&count) {}

    void emit(const Event& event) {
        ASSERT(*count_ < kEventsMax, "too many events");
        records_[*count_] = event;
        *count_ += 1;
    }

private:
    Event* records_;
    uint32_t* count_;
};

}  // namespace provenue
