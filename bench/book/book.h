/* One order book, as the program runs it, behind a C interface: for benchmarks and for whoever
 * wants to drive it from a harness of their own. Matching only: no accounts, no money, no margin.
 *
 * Orders are named by the caller, ids are below PROVENUE_BOOK_IDS and may come in any order; an id
 * may be used again once its order is gone. Reports come in the order of effects, from within the
 * call that causes them. Not for several threads at once. */
#ifndef PROVENUE_BOOK_H
#define PROVENUE_BOOK_H

#include <stdint.h>

#ifdef __cplusplus
extern "C" {
#endif

#define PROVENUE_BOOK_IDS (1u << 20)
#define PROVENUE_BOOK_API __attribute__((visibility("default")))

typedef struct provenue_book provenue_book;

enum provenue_report_kind {
    PROVENUE_ACCEPTED = 1,  /* id, price, lots */
    PROVENUE_TRADE = 2,     /* id: taker, counter_id: maker; the maker's price; lots */
    PROVENUE_CANCELLED = 3, /* id, price, lots that were left; also what an IOC did not get */
    PROVENUE_MODIFIED = 4,  /* id, the new price and lots */
    PROVENUE_REJECTED = 5   /* id: none such, one such already, or price or lots out of range */
};

typedef struct {
    uint32_t kind;
    uint32_t id;
    uint32_t counter_id;
    uint32_t price_ticks;
    uint32_t lots;
} provenue_report;

typedef void (*provenue_report_fn)(void *context, const provenue_report *report);

/* NULL when there is no memory. */
PROVENUE_BOOK_API provenue_book *provenue_book_open(provenue_report_fn report, void *context);
PROVENUE_BOOK_API void provenue_book_close(provenue_book *book);

/* side: 0 buys, 1 sells. immediate: what does not trade at once is cancelled. */
PROVENUE_BOOK_API void provenue_book_new(provenue_book *book, uint32_t id, int side,
                                         uint32_t price_ticks, uint32_t lots, int immediate);
PROVENUE_BOOK_API void provenue_book_cancel(provenue_book *book, uint32_t id);
/* lots: what is to be left. Keeps its place only if the price stays and the lots do not grow; else
 * it is a taker again at the new price, and what remains rests last. */
PROVENUE_BOOK_API void provenue_book_modify(provenue_book *book, uint32_t id, uint32_t price_ticks,
                                            uint32_t lots);

/* Best price of a side, 0 when it is empty; lots at a price of a side. */
PROVENUE_BOOK_API uint32_t provenue_book_best(const provenue_book *book, int side);
PROVENUE_BOOK_API uint64_t provenue_book_depth(const provenue_book *book, int side,
                                               uint32_t price_ticks);

/* 1 if writes to the image are marked, as in the venue, 0 if this is the library without. */
PROVENUE_BOOK_API int provenue_book_marks(void);

#ifdef __cplusplus
}
#endif
#endif
