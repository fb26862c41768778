#include "core/native/engine.hpp"

#include <algorithm>
#include <cstring>
#include <new>
#include <stdexcept>
#include <utility>

namespace provenue::native {

namespace {

constexpr uint64_t kPageBytes = 4096;

Context* make_context(const ProgramTable& table, uint8_t* image) {
    if (table.context_bytes != sizeof(Context) || table.context_align != alignof(Context))
        throw std::logic_error("engine: the program was built with another Context");
    void* place = ::operator new(table.context_bytes, std::align_val_t{table.context_align});
    std::memset(place, 0, table.context_bytes);
    auto* context = static_cast<Context*>(place);
    context->image = image;
    return context;
}

const Layout& layout_of(const ProgramTable& table) {
    const Layout* layout = find_layout(table.preset);
    if (!layout || layout->image_bytes != table.image_bytes)
        throw std::logic_error("engine: the program was built with another layout");
    return *layout;
}

}  // namespace

void Engine::ContextDeleter::operator()(Context* context) const {
    ::operator delete(context, std::align_val_t{align});
}

Engine::Engine(const ProgramTable& table, const char* image_path)
    : table_(table),
      layout_(layout_of(table)),
      image_(table_.image_bytes, image_path),
      tree_(image_.data(), table_.image_bytes, static_cast<unsigned>(kQuarterHeight)),
      context_(make_context(table_, image_.data()), ContextDeleter{table_.context_align}) {}

uint32_t Engine::apply(std::span<const uint8_t> message, const Arrival& arrival) {
    if (message.size() > UINT32_MAX) throw std::invalid_argument("message: below 2^32 bytes");
    const MessageInput input{message.data(), static_cast<uint32_t>(message.size()),
                             arrival.from_inbox, arrival.stamp_min_ms, arrival.stamp_max_ms};
    const uint32_t fail_at_call = std::exchange(fail_at_call_, 0);
    uint32_t code;
    try {
        code = guarded_apply(table_, *context_, input, fail_at_call);
    } catch (const EngineFault&) {
        context_->event_count = 0;
        throw;
    }
    const UndoLog& undo = context_->undo;
    for (uint32_t i = 0; i < undo.count; ++i) tree_.mark(undo.entries[i].offset / kUndoLeafBytes);
    return code;
}

std::span<const Event> Engine::events() const {
    return {context_->events, context_->event_count};
}

void Engine::dirty_leaves(std::vector<uint64_t>& offsets) const {
    const UndoLog& undo = context_->undo;
    for (uint32_t i = 0; i < undo.count; ++i) offsets.push_back(undo.entries[i].offset);
}

std::vector<uint64_t> Engine::pages() {
    tree_.root();
    std::vector<uint64_t> pages;
    for (uint64_t page = 0; page < image_bytes() / kPageBytes; ++page)
        if (!tree_.page_is_zero(page)) pages.push_back(page);
    return pages;
}

void Engine::load_pages(std::span<const uint64_t> pages, std::span<const uint8_t> data) {
    if (data.size() != pages.size() * kPageBytes)
        throw std::invalid_argument("load_pages: expected 4096 bytes for each page");
    for (const uint64_t page : pages)
        if (page >= image_bytes() / kPageBytes)
            throw std::invalid_argument("load_pages: expected pages within the image");
    image_.clear();
    context_->undo.clear();
    context_->event_count = 0;
    for (size_t i = 0; i < pages.size(); ++i) {
        uint8_t* page = image_.data() + pages[i] * kPageBytes;
        std::memcpy(page, data.data() + i * kPageBytes, kPageBytes);
    }
    tree_.mark_all();
}

void Engine::poke(uint64_t offset, std::span<const uint8_t> data) {
    if (offset > image_bytes() || data.size() > image_bytes() - offset)
        throw std::invalid_argument("poke: expected bytes within the image");
    std::memcpy(image_.data() + offset, data.data(), data.size());
    for (uint64_t leaf = offset / 32; leaf * 32 < offset + data.size(); ++leaf) tree_.mark(leaf);
}

Margins Engine::margins(MarginsFunction function, uint32_t account) {
    if (account >= layout_.accounts.count) throw std::invalid_argument("account: beyond the table");
    struct Arguments {
        MarginsFunction function;
        Context* context;
        uint32_t account;
        Margins result;
    } arguments{function, context_.get(), account, {}};
    guarded_call(
        [](void* p) {
            auto* a = static_cast<Arguments*>(p);
            a->function(*a->context, a->account, a->result);
        },
        &arguments);
    return arguments.result;
}

}  // namespace provenue::native
