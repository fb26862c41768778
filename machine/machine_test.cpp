// Random words as programs, for the sanitizers: whatever a program does, it ends in a status, its
// pc is where it stopped, x0 is zero, and a rollback gives the image back byte for byte (P4).
// What the instructions compute is tested from Python, against independent oracles.
#include "machine/machine.hpp"

#include "machine/layout.hpp"
#include "machine/test_elf.hpp"

#include <array>
#include <cstdio>
#include <cstdlib>
#include <cstring>
#include <random>
#include <vector>

using namespace provenue::machine;

namespace {

constexpr size_t kTextWords = 64;
constexpr uint64_t kTextBase = 0x7800'0000;
constexpr size_t kImageBytes = 4 * kPageSize;
constexpr int kPrograms = 10'000;

// An ELF of one page of text; its writable page starts with the same bytes.
std::vector<uint8_t> elf_of(const std::array<uint32_t, kTextWords>& words) {
    std::vector<uint8_t> page(kPageSize);
    std::memcpy(page.data(), words.data(), sizeof words);
    return test::make_elf(kTextBase,
                          {{kTextBase, false, page}, {kTextBase + kPageSize, true, page}});
}

// Most words decode: random fields under the opcodes of RV64IM. x8 to x10 point to image, input and
// output, and every fourth word stores somewhere in the first page of the image.
std::array<uint32_t, kTextWords> random_words(std::mt19937_64& random) {
    static constexpr uint32_t kOpcodes[] = {0x03, 0x13, 0x17, 0x1B, 0x23, 0x33, 0x37,
                                            0x3B, 0x63, 0x67, 0x6F, 0x73, 0x0F};
    std::array<uint32_t, kTextWords> words;
    for (uint32_t& word : words) {
        word = static_cast<uint32_t>(random()) & ~uint32_t{0x7F};
        word |= kOpcodes[random() % std::size(kOpcodes)];
        const bool reg = (word & 0x57) == 0x13 && (word & 0x20) != 0;
        if (reg) word &= 0x41FF'FFFF | static_cast<uint32_t>(random() & 1) << 25;
        if (random() % 4 != 0) continue;
        // Drawn one by one: compilers evaluate operands in different orders.
        const auto source = static_cast<uint32_t>(random() & 0xFFF);
        const auto offset = static_cast<uint32_t>(random() & 3);
        word = 0x0004'3023 | source << 20 | offset << 10;  // sd, 8-aligned
    }
    words[0] = 0x0010'0413;  // addi x8, x0, 1
    words[1] = 0x0224'1413;  // slli x8, x8, 34: the image
    words[2] = 0x0014'1493;  // slli x9, x8, 1: the input
    words[3] = 0x0094'0533;  // add x10, x8, x9: the output
    words[4] = 0x7F84'0413;  // addi x8, x8, 2040: the middle of the image's first page
    return words;
}

bool check(Machine& machine, const std::vector<uint8_t>& image, uint64_t budget, int& stored) {
    machine.begin_message(1, 2);
    const RunResult result = machine.run(budget);
    stored += machine.dirty_image_leaves().empty() ? 0 : 1;
    bool good = machine.registers()[0] == 0 && result.pc == machine.pc() && result.steps <= budget;
    good = good && (result.status != Status::running || result.steps == budget);
    good = good && (result.status == Status::trapped) == (result.event > Event::halt);
    const RunResult again = machine.run(result.status == Status::running ? 0 : budget);
    good = good && again.steps == 0 && again.pc == result.pc && again.status == result.status;
    machine.rollback_image();
    good = good && std::memcmp(machine.image(), image.data(), image.size()) == 0;
    return good && machine.dirty_image_pages().empty();
}

bool recover(void*, const uint8_t[128], uint8_t out[32]) {
    std::memset(out, 0, 32);
    return true;
}

}  // namespace

int main() {
    const char* text = std::getenv("PROVENUE_SEED");
    const uint64_t seed = text == nullptr ? 1 : std::strtoull(text, nullptr, 0);
    std::mt19937_64 random(seed);
    std::vector<uint8_t> image(kImageBytes);
    for (uint8_t& byte : image) byte = static_cast<uint8_t>(random());
    Machine machine;
    machine.set_recover(recover, nullptr);
    machine.set_image(0, image);
    int stored = 0;
    for (int i = 0; i < kPrograms; ++i) {
        machine.load_elf(elf_of(random_words(random)));
        if (check(machine, image, 1 + random() % 500, stored)) continue;
        std::printf("program %d: a rule is broken; replay: PROVENUE_SEED=%llu\n", i,
                    static_cast<unsigned long long>(seed));
        return 1;
    }
    if (stored < kPrograms / 4) {
        std::printf("only %d of %d programs stored to the image: the test is too tame\n", stored,
                    kPrograms);
        return 1;
    }
    std::printf("%d programs, %d of them stored to the image\n", kPrograms, stored);
    return 0;
}
