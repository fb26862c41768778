// The engine under sanitizers: messages, faults in the middle of them, pages, dump.
#include "core/native/engine.hpp"

#include <cstdio>
#include <cstring>

#include "core/native/recover.hpp"

using namespace provenue;
using native::Engine;
using native::EngineFault;

namespace {

int failures = 0;

void expect(bool ok, const char* what) {
    if (ok) return;
    std::printf("%s\n", what);
    ++failures;
}

constexpr native::Arrival kInbox{true, 1'000, UINT64_MAX};
constexpr native::Arrival kPosted{false, 1'000, UINT64_MAX};
constexpr auto kOk = static_cast<uint32_t>(Code::kOk);

std::vector<uint8_t> message(std::initializer_list<uint64_t> bytes, size_t size) {
    std::vector<uint8_t> data;
    for (const uint64_t byte : bytes) data.push_back(static_cast<uint8_t>(byte));
    data.resize(size);
    return data;
}

const std::vector<uint8_t> kGenesis = message({0x80, 0, 0, 0, 0, 0, 0, 0x7A, 0x69, 0xA4}, 29);
// Asset 0, chain 1, 6 decimals, no feed, the whole weight.
const std::vector<uint8_t> kListAsset =
    message({0x81, 0, 0, 1, 6, 0xFF, 0xFF, 0x00, 0x0F, 0x42, 0x40}, 39);
// 5 units of asset `asset` for the owner 11..., subaccount 0.
std::vector<uint8_t> deposit(uint8_t asset) {
    return message({0x90, 0, asset, 0, 0, 0, 0, 0, 0, 0, 5, 0x11, 0x11}, 32);
}

std::vector<uint8_t> bytes_of(const Engine& engine) {
    return {engine.image(), engine.image() + engine.image_bytes()};
}

void check_messages(Engine& engine) {
    expect(engine.apply({}, kPosted) == static_cast<uint32_t>(Code::kEmptyMessage), "empty");
    expect(engine.apply(kGenesis, kInbox) == kOk, "genesis");
    expect(engine.events().size() == 1, "one event");
    expect(engine.apply(kListAsset, kInbox) == kOk, "listing");
    expect(engine.apply(deposit(0), kInbox) == kOk, "deposit");
    expect(engine.dump().find("\nU 1 1 1111") != std::string::npos, "dump names the account");
    const Margins margins = engine.margins(preset_minimal::margins, 1);
    expect(margins.equity == 5 && margins.initial == 0, "margins");
    expect(engine.root() == engine.rehash(), "root is rehash");
}

// The deposit of an unlisted asset bounces: its withdrawal hashes a whole path of the tree.
void check_faults(Engine& engine) {
    const std::vector<uint8_t> before = bytes_of(engine);
    uint32_t calls = 0;
    for (bool done = false; !done;) {
        engine.fail_at_call(++calls);
        try {
            done = engine.apply(deposit(1), kInbox) == kOk;
        } catch (const EngineFault&) {
            expect(bytes_of(engine) == before, "a fault leaves no trace");
            expect(engine.events().empty(), "a fault has no events");
        }
    }
    expect(calls > 32, "the withdrawal tree was hashed");
    expect(engine.root() == engine.rehash(), "root is rehash after faults");
}

void check_without_library(Engine& engine) {
    std::vector<uint8_t> cancel_all = message({0x03}, 101);
    cancel_all[16] = 1;  // account 1 ...
    cancel_all[12] = 1;  // ... of generation 1
    expect(!native::secp256k1_loaded(), "no library here");
    cancel_all[35] = 1;   // r
    cancel_all[100] = 27; // v
    try {
        const uint32_t code = engine.apply(cancel_all, kPosted);
        expect(code != kOk, "no signature is good without a library");
    } catch (const EngineFault& fault) {
        expect(fault.rule == "no secp256k1 library is loaded", "the fault says so");
    }
    expect(engine.root() == engine.rehash(), "root is rehash without a library");
}

void check_pages(Engine& engine) {
    const std::vector<uint64_t> pages = engine.pages();
    std::vector<uint8_t> data;
    for (const uint64_t page : pages)
        data.insert(data.end(), engine.image() + page * 4096, engine.image() + (page + 1) * 4096);
    Engine other(program_table_minimal);
    other.load_pages(pages, data);
    expect(bytes_of(other) == bytes_of(engine) && other.root() == engine.root(), "pages");
    other.poke(100, std::vector<uint8_t>{1, 2, 3});
    expect(other.root() != engine.root() && other.root() == other.rehash(), "poke");
    other.load_pages({}, {});
    expect(other.root() == native::zero_root(29), "no pages are zeros");
}

}  // namespace

int main() {
    Engine engine(program_table_minimal);
    check_messages(engine);
    check_faults(engine);
    check_without_library(engine);
    check_pages(engine);
    return failures == 0 ? 0 : 1;
}
