// The book behind the C interface: core/matching over an image of its own, the caller's ids beside
// it. Compiled once with the undo log, once without (PROVENUE_UNMARKED).
#include "bench/book/book.h"

#include <sys/mman.h>

#include <cstdio>
#include <cstdlib>
#include <cstring>
#include <memory>
#include <new>

#include "core/matching/book.hpp"
#include "core/native/mapping.hpp"

namespace provenue {

// A broken invariant ends the process: a benchmark has nothing to restore.
[[noreturn]] void assert_failed(const char* what, int line) {
    std::fprintf(stderr, "book: %s (line %d)\n", what, line);
    std::abort();
}

}  // namespace provenue

using namespace provenue;
using namespace provenue::PROVENUE_PRESET_NAMESPACE;

static_assert(kOrdersMax >= PROVENUE_BOOK_IDS);

namespace {

// Zeros, on huge pages where the kernel has them: ids come in random order, and each would cost a
// walk of the page table beside the cache miss.
class IdTable {
public:
    explicit IdTable(size_t count)
        : bytes_((count * sizeof(uint32_t) + kHuge - 1) / kHuge * kHuge) {
        data_ = static_cast<uint32_t*>(std::aligned_alloc(kHuge, bytes_));
        if (data_ == nullptr) throw std::bad_alloc();
        madvise(data_, bytes_, MADV_HUGEPAGE);
        std::memset(data_, 0, bytes_);
    }
    ~IdTable() { std::free(data_); }
    IdTable(const IdTable&) = delete;
    IdTable& operator=(const IdTable&) = delete;
    uint32_t& operator[](size_t index) { return data_[index]; }

private:
    static constexpr size_t kHuge = 2 << 20;
    size_t bytes_;
    uint32_t* data_;
};

}  // namespace

struct provenue_book {
    provenue_book(provenue_report_fn report_to, void* context_of)
        : image(kImageBytes),
          undo(new UndoLog()),
          state(image.data(), *undo),
          slots(PROVENUE_BOOK_IDS),
          ids(kOrdersMax),
          report(report_to),
          context(context_of) {}

    native::Mapping image;
    std::unique_ptr<UndoLog> undo;
    State state;
    IdTable slots;  // slot + 1 by id
    IdTable ids;    // id by slot
    provenue_report_fn report;
    void* context;
};

namespace {

constexpr uint32_t kInstrument = 0;

struct Taker {
    uint32_t id;
    Side side;
    uint32_t limit_ticks;
    uint32_t lots;
};

void tell(provenue_book& book, provenue_report_kind kind, uint32_t id, uint32_t counter_id,
          uint32_t price_ticks, uint32_t lots) {
    const provenue_report report{static_cast<uint32_t>(kind), id, counter_id, price_ticks, lots};
    book.report(book.context, &report);
}

bool is_in_range(uint32_t price_ticks, uint32_t lots) {
    return price_ticks >= 1 && price_ticks <= kPriceTicksMax && lots >= 1;
}

void end_order(provenue_book& book, uint32_t slot) {
    book.slots[book.ids[slot]] = 0;
    give_back_order(book.state, slot);
}

// Trades until nothing crosses; returns what is left.
uint32_t take(provenue_book& book, const Taker& taker) {
    uint32_t left = taker.lots;
    uint32_t slot = 0;
    while (left > 0 && find_maker(book.state, kInstrument, taker.side, taker.limit_ticks, slot)) {
        const OrderRecord& maker = book.state.orders[slot];
        const uint32_t maker_lots = maker.remaining_lots;
        const uint32_t lots = left < maker_lots ? left : maker_lots;
        left -= lots;
        tell(book, PROVENUE_TRADE, taker.id, book.ids[slot], maker.price_ticks, lots);
        reduce_order(book.state, slot, lots);
        if (lots == maker_lots) {
            unrest_order(book.state, slot);
            end_order(book, slot);
        }
    }
    return left;
}

// Only what rests takes a slot: a harness of this kind names orders by its own ids.
void rest(provenue_book& book, const Taker& taker, uint32_t lots) {
    const uint32_t slot = make_order(
        book.state, {.account = kHouse, .instrument = kInstrument, .side = taker.side, .bits = 0,
                     .price_ticks = taker.limit_ticks, .size_lots = lots, .client_id = 0,
                     .good_till_s = 0});
    book.slots[taker.id] = slot + 1;
    book.ids[slot] = taker.id;
    rest_order(book.state, slot);
}

}  // namespace

provenue_book* provenue_book_open(provenue_report_fn report, void* context) {
    try {
        return new provenue_book(report, context);
    } catch (const std::exception&) {
        return nullptr;
    }
}

void provenue_book_close(provenue_book* book) { delete book; }

void provenue_book_new(provenue_book* book, uint32_t id, int side, uint32_t price_ticks,
                       uint32_t lots, int immediate) {
    book->undo->clear();
    if (id >= PROVENUE_BOOK_IDS || book->slots[id] != 0 || !is_in_range(price_ticks, lots))
        return tell(*book, PROVENUE_REJECTED, id, 0, 0, 0);
    tell(*book, PROVENUE_ACCEPTED, id, 0, price_ticks, lots);
    const Taker taker{id, side == 0 ? Side::kBuy : Side::kSell, price_ticks, lots};
    const uint32_t left = take(*book, taker);
    if (left == 0) return;
    if (immediate)
        tell(*book, PROVENUE_CANCELLED, id, 0, price_ticks, left);
    else
        rest(*book, taker, left);
}

void provenue_book_cancel(provenue_book* book, uint32_t id) {
    book->undo->clear();
    if (id >= PROVENUE_BOOK_IDS || book->slots[id] == 0)
        return tell(*book, PROVENUE_REJECTED, id, 0, 0, 0);
    const uint32_t slot = book->slots[id] - 1;
    const OrderRecord& order = book->state.orders[slot];
    tell(*book, PROVENUE_CANCELLED, id, 0, order.price_ticks,
         order.remaining_lots);
    unrest_order(book->state, slot);
    end_order(*book, slot);
}

void provenue_book_modify(provenue_book* book, uint32_t id, uint32_t price_ticks, uint32_t lots) {
    book->undo->clear();
    if (id >= PROVENUE_BOOK_IDS || book->slots[id] == 0 || !is_in_range(price_ticks, lots))
        return tell(*book, PROVENUE_REJECTED, id, 0, 0, 0);
    const uint32_t slot = book->slots[id] - 1;
    const OrderRecord& order = book->state.orders[slot];
    const Side side = side_of(order);
    tell(*book, PROVENUE_MODIFIED, id, 0, price_ticks, lots);
    if (price_ticks == order.price_ticks && lots <= order.remaining_lots) {
        if (lots < order.remaining_lots)
            reduce_order(book->state, slot, order.remaining_lots - lots);
        return;
    }
    unrest_order(book->state, slot);
    end_order(*book, slot);
    const Taker taker{id, side, price_ticks, lots};
    const uint32_t left = take(*book, taker);
    if (left > 0) rest(*book, taker, left);
}

uint32_t provenue_book_best(const provenue_book* book, int side) {
    return best_price(book->state, kInstrument, side == 0 ? Side::kBuy : Side::kSell);
}

uint64_t provenue_book_depth(const provenue_book* book, int side, uint32_t price_ticks) {
    const uint32_t link = level_at(book->state, kInstrument,
                                   side == 0 ? Side::kBuy : Side::kSell, price_ticks);
    return link == kNoLink ? 0 : book->state.levels[linked_index(link)].total_lots;
}

int provenue_book_marks(void) {
#if defined(PROVENUE_UNMARKED)
    return 0;
#else
    return 1;
#endif
}
