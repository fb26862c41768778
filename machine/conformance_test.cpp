// Random states, each made a step in three ways: the machine runs it, records it, and replays its
// witness; all give the same state. A flipped bit of the witness is refused, or it is a bit of the
// state and the machine does from there what the replay did. Now and then a state is run on at once
// and step by step.
//
//   PROVENUE_STATES=N   how many; 1,000,000 for a release (`make conformance`)
//   PROVENUE_SEED=N     another stream
#include "machine/machine.hpp"
#include "machine/test_elf.hpp"

#include <array>
#include <cstdio>
#include <cstdlib>
#include <cstring>
#include <map>
#include <random>
#include <string>
#include <vector>

using namespace provenue::machine;
using test::make_elf;
using test::TestSegment;

namespace {

std::mt19937_64 rng;  // seeded in main

uint64_t below(uint64_t limit) { return rng() % limit; }
bool one_in(uint64_t n) { return below(n) == 0; }

template <class T, size_t n>
T pick(const T (&values)[n]) {
  return values[below(n)];
}

uint32_t random_word() {
  static constexpr uint32_t kOpcodes[] = {0x03, 0x03, 0x13, 0x13, 0x17, 0x1B, 0x23, 0x23,
                                          0x33, 0x33, 0x37, 0x3B, 0x63, 0x67, 0x6F, 0x0F};
  static constexpr uint32_t kTops[] = {0, 0, 1, 1, 0x20};
  static constexpr uint32_t kWhole[] = {0x73, 0x73, 0x73, 0x73, 0x0010'0073, 0x0FF0'000F, 0};
  if (one_in(12)) return pick(kWhole);
  if (one_in(12)) return static_cast<uint32_t>(rng());
  uint32_t word = (static_cast<uint32_t>(rng()) & ~uint32_t{0x7F}) | pick(kOpcodes);
  const uint32_t opcode = word & 0x7F, funct3 = word >> 12 & 7;
  const bool shift = (opcode == 0x13 || opcode == 0x1B) && (funct3 & 3) == 1;
  if (opcode == 0x33 || opcode == 0x3B || (shift && !one_in(4)))
    word = (word & 0x01FF'FFFF) | pick(kTops) << 25;
  if (opcode == 0x67 && !one_in(4)) word &= ~uint32_t{0x7000};
  if (!one_in(3)) {  // offsets of loads, stores and jumps that are multiples of 8
    if (opcode == 0x03 || opcode == 0x67) word &= ~(uint32_t{7} << 20);
    if (opcode == 0x23) word &= ~(uint32_t{7} << 7);
    if (opcode == 0x63) word &= ~(uint32_t{1} << 8);
    if (opcode == 0x6F) word &= ~(uint32_t{1} << 21);
  }
  return one_in(30) ? word ^ uint32_t{1} << below(32) : word;
}

// A word that retires wherever x2 and x3 point to the middle of a writable page, writes neither:
// such text runs long.
uint32_t tame_word() {
  static constexpr uint32_t kOpcodes[] = {0x13, 0x13, 0x13, 0x1B, 0x33, 0x33, 0x3B, 0x37,
                                          0x17, 0x03, 0x03, 0x23, 0x23, 0x63, 0x6F};
  for (;;) {
    const uint32_t opcode = pick(kOpcodes);
    uint32_t word = (static_cast<uint32_t>(rng()) & ~uint32_t{0x7F}) | opcode;
    const auto put = [&](unsigned low, unsigned count, uint32_t value) {
      const uint32_t mask = ((uint32_t{1} << count) - 1) << low;
      word = (word & ~mask) | (value << low & mask);
    };
    if (opcode == 0x03) put(20, 12, static_cast<uint32_t>(below(256)) * 8 - 1024);
    if (opcode == 0x23) put(7, 5, static_cast<uint32_t>(below(4)) * 8);
    if (opcode == 0x03 || opcode == 0x23) put(15, 5, 2 + static_cast<uint32_t>(below(2)));
    if (opcode == 0x33 || opcode == 0x3B) put(25, 7, one_in(3) ? 1 : one_in(4) ? 0x20 : 0);
    if (opcode == 0x63) put(7, 5, static_cast<uint32_t>(below(8)) * 4);
    if (opcode == 0x63) put(25, 7, one_in(3) ? 0x7F : 0);  // back or forward
    if (opcode == 0x6F) put(12, 20, static_cast<uint32_t>(1 + below(8)) * 4 << 8);  // forward
    const uint32_t rd = word >> 7 & 31;
    const bool writes = opcode != 0x23 && opcode != 0x63;
    if (decode(word).op == Op::illegal || (writes && (rd == 2 || rd == 3))) continue;
    return word;
  }
}

std::vector<uint8_t> random_bytes(size_t size) {
  std::vector<uint8_t> bytes(size);
  for (uint8_t& byte : bytes) byte = static_cast<uint8_t>(rng());
  return bytes;
}

std::vector<uint8_t> random_text(size_t pages) {
  std::vector<uint8_t> text(pages * kPageSize);
  const bool tame = one_in(3);
  for (size_t at = 0; at < text.size(); at += 4) {
    const uint32_t word = tame && !one_in(200) ? tame_word() : random_word();
    std::memcpy(text.data() + at, &word, sizeof word);
  }
  return text;
}

// A pure function with the shape of ecrecover.
bool fake_recover(void*, const uint8_t in[128], uint8_t out[32]) {
  if (in[0] % 4 == 0) return false;
  const Digest digest = keccak256({in, 128});
  std::memset(out, 0, 12);
  std::memcpy(out + 12, digest.data() + 12, 20);
  return true;
}
constexpr Recover kRecover{fake_recover, nullptr};

// --- one program with its memory, on two machines -----------------------------------------------

struct World {
  Machine machine, twin;
  uint64_t text, text_size;

  void load() {
    static constexpr uint64_t kBases[] = {0, 0x1000, 0x1'0000, 0x7800'0000, (1ull << 34) - 0x8000};
    text = pick(kBases);
    text_size = (1 + below(3)) * kPageSize;
    const uint64_t data = text + text_size;
    std::vector<TestSegment> segments = {{text, false, random_text(text_size / kPageSize)},
                                         {data, true, random_bytes(kPageSize)}};
    uint64_t entry = text;
    if (text == 0x7800'0000 && one_in(2)) {
      // Too far apart to be predecoded together: one of the two runs word by word.
      segments.push_back({0x2000, false, random_text(1)});
      if (one_in(2)) entry = 0x2000;
    }
    const std::vector<uint8_t> elf = make_elf(entry, segments);
    const std::vector<uint8_t> image = random_bytes(2 * kPageSize), input = random_bytes(kPageSize);
    for (Machine* m : {&machine, &twin}) {
      m->load_elf(elf);
      m->clear_image();
      m->clear_input();
      m->set_image(0, image);
      m->set_image(kQuarterSize - kPageSize, {image.data(), kPageSize});
      m->set_input(0, input);
      m->set_recover(fake_recover, nullptr);
      m->begin_message(0, 0);
    }
  }

  uint64_t random_address() {
    const uint64_t edges[] = {0, machine.end_of_text(), kImageBase, kInputBase, kOutputBase,
                              kMemorySize, text};
    uint64_t address = pick(edges) + below(2 * kPageSize);
    if (one_in(3)) address -= below(3 * kPageSize);
    static constexpr uint64_t kAligned[] = {8, 8, 8, 8, 32, 128, 1024, 1024, 1, 2, 4};
    return address & ~(pick(kAligned) - 1);
  }

  uint64_t random_value() {
    static constexpr uint64_t kCorners[] = {0, 1, 2, 31, 32, 63, 64, 0x7FFF'FFFF, 0x8000'0000,
                                            0xFFFF'FFFF, 1ull << 63, (1ull << 63) - 1, ~0ull,
                                            ~0ull - 1, 0xFFFF'FFFF'8000'0000};
    switch (below(4)) {
      case 0: return pick(kCorners);
      case 1: return rng() >> below(64);
      default: return random_address();
    }
  }

  uint64_t random_pc() {
    switch (below(40)) {
      case 0: return machine.end_of_text();
      case 1: return machine.end_of_text() - 4;
      case 2: return 0;
      case 3: return rng() & ~uint64_t{3};
      case 4: return below(kMemorySize) & ~uint64_t{3};
      case 5:
      case 6: return 0x2000 + 4 * below(1024);
      default: return text + 4 * below(text_size / 4);
    }
  }

  Core random_core() {
    static constexpr uint64_t kCalls[] = {kCallExit, kCallKeccak, kCallKeccak, kCallRecover,
                                          kCallRecover, 64};
    Core core{};
    for (unsigned i = 1; i < 32; ++i) core.x[i] = random_value();
    core.x[2] = one_in(3) ? core.x[2] : kImageBase + kPageSize + 2048;
    core.x[3] = one_in(3) ? core.x[3] : machine.end_of_text() + 2048;
    core.x[17] = pick(kCalls);
    if (!one_in(4)) core.x[10] &= ~uint64_t{1023};
    if (!one_in(4)) core.x[11] = below(1026);
    core.pc = random_pc();
    core.end_of_text = machine.end_of_text();
    core.status = one_in(40) ? static_cast<Status>(1 + below(2)) : Status::running;
    return core;
  }
};

// --- the checks ---------------------------------------------------------------------------------

struct Counts {
  std::map<Event, uint64_t> events;
  std::map<std::string, uint64_t> ops;  // that retired
  uint64_t flips_refused = 0, flips_of_state = 0, long_runs = 0;
};

// All of one step; false with a message if two ways differ.
bool check_step(World& world, Counts& counts, const StateBytes& before) {
  Machine& m = world.machine;
  m.set_state(before);
  const bool running = m.status() == Status::running;
  const StepRecord record = m.record_step();
  if (m.state() != before) return std::puts("recording changed the machine"), false;
  const ReplayResult replay = replay_step(record.witness, kRecover);
  uint32_t word = 0;
  if (m.pc() < m.end_of_text()) std::memcpy(&word, m.memory() + m.pc(), sizeof word);
  const RunResult run = m.run(1);
  const StateBytes after = m.state();
  if (run.steps != (running ? 1 : 0)) return std::puts("one step is not one step"), false;
  if (record.post != after) return std::puts("record and run differ"), false;
  if (replay.post != after) return std::puts("replay and run differ"), false;
  if (record.event != replay.event || (running && run.event != replay.event))
    return std::puts("events differ"), false;
  if (running) ++counts.events[run.event];
  if (running && run.event == Event::none) ++counts.ops[op_name(decode(word).op)];
  if (record.witness.size() < kStateBytes ||
      std::memcmp(record.witness.data(), before.data(), kStateBytes) != 0)
    return std::puts("the witness is not of the state"), false;

  std::vector<uint8_t> flipped = record.witness;
  const uint64_t bit = one_in(2) ? below(8 * kStateBytes) : below(8 * flipped.size());
  flipped[bit / 8] ^= static_cast<uint8_t>(1u << bit % 8);
  ReplayResult other;
  try {
    other = replay_step(flipped, kRecover);
  } catch (const WitnessError&) {
    ++counts.flips_refused;
    return true;
  }
  // Only a bit of the state, of its root only if nothing is proven: and then it is the step of that
  // other state.
  const bool root = bit / 8 < 32;
  if (bit / 8 >= kStateBytes || (root && flipped.size() > kStateBytes))
    return std::puts("a flip was accepted"), false;
  if (root) return true;
  m.rewind();
  StateBytes changed;
  std::memcpy(changed.data(), flipped.data(), changed.size());
  if (get_big(changed.data() + 304) != m.end_of_text()) return true;  // another program's
  m.set_state(changed);
  m.run(1);
  if (m.state() != other.post) return std::puts("the step of a flipped state differs"), false;
  ++counts.flips_of_state;
  return true;
}

bool check_run(World& world, Counts& counts, const StateBytes& before) {
  const uint64_t budget = one_in(2) ? 4'000 + below(3'000) : below(400);
  world.machine.set_state(before);
  world.twin.set_state(before);
  const RunResult at_once = world.machine.run(budget);
  uint64_t steps = 0;
  while (steps < budget && world.twin.status() == Status::running) steps += world.twin.run(1).steps;
  if (at_once.steps != steps) return std::puts("at once it takes another number of steps"), false;
  if (world.machine.state() != world.twin.state())
    return std::puts("at once and step by step differ"), false;
  counts.long_runs += steps > 100 ? 1 : 0;
  return true;
}

bool enough(const Counts& counts, uint64_t states) {
  if (states < 20'000) return true;
  bool good = counts.events.size() == static_cast<size_t>(Event::bad_call_argument) + 1;
  // Everything retires but illegal words and ebreak.
  good = good && counts.ops.size() == kOpCount - 2;
  good = good && counts.flips_of_state > states / 20 && counts.flips_refused > states / 20;
  if (!good) std::puts("not every event and operation occurred: the test is too tame");
  return good && counts.long_runs > 0;
}

uint64_t number(const char* name, uint64_t otherwise) {
  const char* text = std::getenv(name);
  return text == nullptr ? otherwise : std::strtoull(text, nullptr, 0);
}

}  // namespace

int main() {
  const uint64_t seed = number("PROVENUE_SEED", 1), states = number("PROVENUE_STATES", 2'000);
  constexpr uint64_t kStatesPerWorld = 500;
  Counts counts;
  World world;
  for (uint64_t i = 0; i < states; ++i) {
    if (i % kStatesPerWorld == 0) {
      rng.seed(seed * 1'000'003 + i / kStatesPerWorld);
      world.load();
    }
    world.machine.rewind();
    world.twin.rewind();
    const StateBytes before = pack_state(world.machine.memory_root(), world.random_core());
    const bool good = i % 20 == 7 ? check_run(world, counts, before)
                                  : check_step(world, counts, before);
    if (good) continue;
    std::printf("state %llu of seed %llu; replay: PROVENUE_SEED=%llu PROVENUE_STATES=%llu\n",
                static_cast<unsigned long long>(i), static_cast<unsigned long long>(seed),
                static_cast<unsigned long long>(seed), static_cast<unsigned long long>(i + 1));
    return 1;
  }
  for (const auto& [event, count] : counts.events)
    std::printf("event %d: %llu\n", static_cast<int>(event),
                static_cast<unsigned long long>(count));
  std::printf("%llu states; %zu operations retired; flips: %llu refused, %llu another state; "
              "%llu long runs\n", static_cast<unsigned long long>(states), counts.ops.size(),
              static_cast<unsigned long long>(counts.flips_refused),
              static_cast<unsigned long long>(counts.flips_of_state),
              static_cast<unsigned long long>(counts.long_runs));
  return enough(counts, states) ? 0 : 1;
}
