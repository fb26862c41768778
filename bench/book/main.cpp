// Drives a book library through its C interface: `book_bench LIBRARY [FLOW] [--orders N]
// [--repeat N] [--seed N]`. First every report, best price and depth is compared with the naive
// twin; then the same messages are timed. One JSON line per flow.
#include <dlfcn.h>
#include <linux/perf_event.h>
#include <sys/ioctl.h>
#include <sys/syscall.h>
#include <time.h>
#include <unistd.h>

#include <algorithm>
#include <cstdio>
#include <cstdlib>
#include <cstring>
#include <stdexcept>
#include <string>
#include <vector>

#include "bench/book/book.h"
#include "bench/book/flows.hpp"
#include "bench/book/twin.hpp"

namespace provenue::bench {

namespace {

struct Library {
    decltype(&provenue_book_open) open;
    decltype(&provenue_book_close) close;
    decltype(&provenue_book_new) place;
    decltype(&provenue_book_cancel) cancel;
    decltype(&provenue_book_modify) modify;
    decltype(&provenue_book_best) best;
    decltype(&provenue_book_depth) depth;
    decltype(&provenue_book_marks) marks;
};

template <typename F>
void load(void* handle, const char* name, F& function) {
    function = reinterpret_cast<F>(dlsym(handle, name));
    if (function == nullptr) throw std::runtime_error(std::string("library lacks ") + name);
}

Library open_library(const char* path) {
    void* handle = dlopen(path, RTLD_NOW | RTLD_LOCAL);
    if (handle == nullptr) throw std::runtime_error(dlerror());
    Library library;
    load(handle, "provenue_book_open", library.open);
    load(handle, "provenue_book_close", library.close);
    load(handle, "provenue_book_new", library.place);
    load(handle, "provenue_book_cancel", library.cancel);
    load(handle, "provenue_book_modify", library.modify);
    load(handle, "provenue_book_best", library.best);
    load(handle, "provenue_book_depth", library.depth);
    load(handle, "provenue_book_marks", library.marks);
    return library;
}

void send(const Library& library, provenue_book* book, const Message& message) {
    switch (message.action) {
        case Action::kNew:
            library.place(book, message.id, message.side, message.price_ticks, message.lots,
                          message.immediate);
            break;
        case Action::kCancel:
            library.cancel(book, message.id);
            break;
        case Action::kModify:
            library.modify(book, message.id, message.price_ticks, message.lots);
            break;
    }
}

// Reports go into a ring that a reader would drain: written whole, never looked at.
struct Ring {
    static constexpr uint64_t kSize = 1 << 14;
    provenue_report reports[kSize];
    uint64_t written = 0;
    static void take(void* context, const provenue_report* report) {
        Ring& ring = *static_cast<Ring*>(context);
        ring.reports[ring.written++ % kSize] = *report;
    }
};

void collect(void* context, const provenue_report* report) {
    static_cast<std::vector<provenue_report>*>(context)->push_back(*report);
}

// Throws where book and twin differ. Returns the number of trades.
uint64_t check(const Library& library, const std::vector<Message>& flow) {
    std::vector<provenue_report> got;
    std::vector<provenue_report> want;
    provenue_book* book = library.open(collect, &got);
    if (book == nullptr) throw std::runtime_error("no memory for a book");
    Twin twin;
    uint64_t trades = 0;
    for (size_t i = 0; i < flow.size(); ++i) {
        got.clear();
        want.clear();
        send(library, book, flow[i]);
        twin.apply(flow[i], want);
        bool equal = got.size() == want.size() &&
                     std::memcmp(got.data(), want.data(), got.size() * sizeof got[0]) == 0;
        for (int side = 0; side < 2; ++side) {
            const uint32_t best = twin.best(side);
            equal = equal && library.best(book, side) == best;
            if (i % 64 == 0 && best != 0)
                equal = equal && library.depth(book, side, best) == twin.depth(side, best);
        }
        if (!equal)
            throw std::runtime_error("book and twin differ at message " + std::to_string(i));
        for (const provenue_report& report : got) trades += report.kind == PROVENUE_TRADE;
    }
    library.close(book);
    return trades;
}

double cpu_s() {
    timespec now;
    clock_gettime(CLOCK_THREAD_CPUTIME_ID, &now);
    return static_cast<double>(now.tv_sec) + static_cast<double>(now.tv_nsec) * 1e-9;
}

uint64_t now_ns() {
    timespec now;
    clock_gettime(CLOCK_MONOTONIC, &now);
    return static_cast<uint64_t>(now.tv_sec) * 1'000'000'000 + static_cast<uint64_t>(now.tv_nsec);
}

// Instructions of this thread, where the machine lets them be counted; else -1.
class Instructions {
public:
    Instructions() {
        perf_event_attr attributes{};
        attributes.type = PERF_TYPE_HARDWARE;
        attributes.size = sizeof attributes;
        attributes.config = PERF_COUNT_HW_INSTRUCTIONS;
        attributes.exclude_kernel = 1;
        file_ = static_cast<int>(syscall(SYS_perf_event_open, &attributes, 0, -1, -1, 0));
    }
    ~Instructions() {
        if (file_ >= 0) close(file_);
    }
    int64_t read_count() const {
        int64_t count = -1;
        if (file_ < 0 || read(file_, &count, sizeof count) != sizeof count) return -1;
        return count;
    }

private:
    int file_;
};

struct Timed {
    double cpu_s;
    int64_t instructions;
};

Timed run(const Library& library, const std::vector<Message>& flow, Ring& ring) {
    provenue_book* book = library.open(Ring::take, &ring);
    if (book == nullptr) throw std::runtime_error("no memory for a book");
    const Instructions instructions;
    const int64_t count = instructions.read_count();
    const double began = cpu_s();
    for (const Message& message : flow) send(library, book, message);
    const Timed timed{cpu_s() - began, count < 0 ? -1 : instructions.read_count() - count};
    library.close(book);
    return timed;
}

std::vector<uint64_t> latencies_ns(const Library& library, const std::vector<Message>& flow,
                                   Ring& ring) {
    provenue_book* book = library.open(Ring::take, &ring);
    if (book == nullptr) throw std::runtime_error("no memory for a book");
    std::vector<uint64_t> found;
    found.reserve(flow.size());
    for (const Message& message : flow) {
        const uint64_t began = now_ns();
        send(library, book, message);
        found.push_back(now_ns() - began);
    }
    library.close(book);
    std::sort(found.begin(), found.end());
    return found;
}

struct Options {
    const char* library;
    std::vector<std::string> flows = flow_names();
    FlowSize size;
    uint32_t repeat = 5;
};

void bench(const Library& library, const std::string& name, const Options& options) {
    const std::vector<Message> flow = make_flow(name, options.size);
    const uint64_t trades = check(library, flow);
    Ring& ring = *new Ring();
    std::vector<double> rates;
    int64_t instructions = -1;
    for (uint32_t i = 0; i < options.repeat; ++i) {
        const Timed timed = run(library, flow, ring);
        rates.push_back(static_cast<double>(flow.size()) / timed.cpu_s);
        instructions = timed.instructions;
    }
    std::sort(rates.begin(), rates.end());
    const std::vector<uint64_t> ns = latencies_ns(library, flow, ring);
    const auto at = [&](double q) {
        return static_cast<unsigned long long>(
            ns[std::min(ns.size() - 1, static_cast<size_t>(static_cast<double>(ns.size()) * q))]);
    };
    std::printf(
        "{\"flow\": \"%s\", \"marks\": %d, \"messages\": %zu, \"trades\": %llu, "
        "\"messages_per_second\": %.0f, \"lowest\": %.0f, \"highest\": %.0f, \"p50_ns\": %llu, "
        "\"p99_ns\": %llu, \"p999_ns\": %llu, \"worst_ns\": %llu, "
        "\"instructions_per_message\": ",
        name.c_str(), library.marks(), flow.size(), static_cast<unsigned long long>(trades),
        rates[rates.size() / 2], rates.front(), rates.back(), at(0.5), at(0.99), at(0.999),
        static_cast<unsigned long long>(ns.back()));
    if (instructions < 0)
        std::printf("null}\n");
    else
        std::printf("%.0f}\n",
                    static_cast<double>(instructions) / static_cast<double>(flow.size()));
    std::fflush(stdout);
    delete &ring;
}

uint32_t number(const char* option, const char* text) {
    char* end = nullptr;
    const unsigned long value = text ? std::strtoul(text, &end, 10) : 0;
    if (text == nullptr || end == text || *end != 0 || value == 0 || value > PROVENUE_BOOK_IDS)
        throw std::invalid_argument(std::string(option) + ": expected 1 to 2^20, got " +
                                    (text ? text : "nothing"));
    return static_cast<uint32_t>(value);
}

Options parse(int count, char** arguments) {
    if (count < 2)
        throw std::invalid_argument(
            "book_bench LIBRARY [FLOW] [--orders N] [--repeat N] [--seed N]");
    Options options;
    options.library = arguments[1];
    for (int i = 2; i < count; ++i) {
        const std::string name = arguments[i];
        const char* value = i + 1 < count ? arguments[i + 1] : nullptr;
        if (name == "--orders")
            options.size.new_orders = number("--orders", value), ++i;
        else if (name == "--repeat")
            options.repeat = number("--repeat", value), ++i;
        else if (name == "--seed")
            options.size.seed = number("--seed", value), ++i;
        else
            options.flows = {name};
    }
    return options;
}

}  // namespace

}  // namespace provenue::bench

int main(int count, char** arguments) {
    using namespace provenue::bench;
    try {
        const Options options = parse(count, arguments);
        const Library library = open_library(options.library);
        for (const std::string& name : options.flows) bench(library, name, options);
    } catch (const std::exception& problem) {
        std::fprintf(stderr, "book_bench: %s\n", problem.what());
        return 2;
    }
    return 0;
}
