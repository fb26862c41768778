// The loop that runs a machine, over views (view.hpp) that may be wrapped, as recorder.cpp does.
//
// Each operation, or pair of them, ends in an indirect jump of its own, which branch predictors
// follow much better than the one of a switch. Steps are not counted one by one: straight code is
// counted by its length when a jump leaves it. So that it cannot run over the budget, this needs a
// budget above the length of the text; below, every step is counted, and nothing is paired.
#pragma once

#include "machine/fuse.hpp"
#include "machine/view.hpp"

#include <algorithm>
#include <cstdint>

namespace provenue::machine {

constexpr bool falls_through(Op op) {
  const Kind kind = kOpInfo[static_cast<size_t>(op)].kind;
  return kind != Kind::branch && kind != Kind::jump && kind != Kind::system;
}

// Operands of the second instruction of a chain: its rs1 is what the first one wrote.
struct Held {};
struct ChainedOperands {
  uint8_t rd;
  Held rs1;
  uint8_t rs2;
  int32_t imm;
  explicit ChainedOperands(const Instruction& i) : rd(i.rd), rs1(), rs2(i.rs2), imm(i.imm) {}
};

// A view that holds on to the last register written. A copy: a reference to the loop's view would
// drive all of that out of the host's registers.
template <class View>
struct Holding : View {
  uint64_t held;

  Holding(const View& view, uint64_t value) : View(view), held(value) {}
  using View::x;
  uint64_t x(Held) const { return held; }
  void set_x(unsigned index, uint64_t value) {
    held = value;
    View::set_x(index, value);
  }
};

// Makes steps until one does more than retire its instruction, at most `budget` of them; adds their
// number to `steps`. View is a TextView or derived from one.
template <bool counted, class View>
Event run_text(View& view, uint64_t budget, uint64_t& steps) {
  Holding<View> s(view, 0);  // a copy of its own, so that it can live in host registers
  static const void* const kLabels[kCodeCount] = {
#define PROVENUE_MACHINE_LABEL(id, name, kind, computes) &&do_##id,
      PROVENUE_MACHINE_OPS(PROVENUE_MACHINE_LABEL)
#undef PROVENUE_MACHINE_LABEL
#define PROVENUE_MACHINE_LABEL(first, second) counted ? &&do_##first : &&do_##first##_##second,
      PROVENUE_MACHINE_PAIRS(PROVENUE_MACHINE_LABEL)
#undef PROVENUE_MACHINE_LABEL
#define PROVENUE_MACHINE_LABEL(first, second) counted ? &&do_##first : &&chain_##first##_##second,
      PROVENUE_MACHINE_CHAINS(PROVENUE_MACHINE_LABEL)
#undef PROVENUE_MACHINE_LABEL
  };
  // `end - s.at` is what is left of the budget, in bytes of Instruction, at any place of straight
  // code; a jump moves the end along. So nothing is counted in between.
  constexpr uint64_t kStep = sizeof(Instruction);
  const auto address = [](const Instruction* at) { return reinterpret_cast<uintptr_t>(at); };
  budget = std::min(budget, ~uint64_t{0} / kStep / 2) * kStep;
  const uint64_t longest = address(s.text_end + 1) - address(s.text);
  uint64_t end = address(s.at) + budget;
  Event event = Event::none;

#define PROVENUE_MACHINE_NEXT                                     \
  if constexpr (counted)                                          \
    if (end == address(s.at)) [[unlikely]] goto done;             \
  goto* kLabels[static_cast<size_t>(s.at->op)];
#define PROVENUE_MACHINE_FIRST(id)                                \
  {                                                               \
    static_assert(falls_through(Op::id));                         \
    bool jumped = false;                                          \
    event = detail::execute<Op::id>(s, *s.at, jumped);            \
    if (event != Event::none) [[unlikely]] goto stopped;          \
  }
#define PROVENUE_MACHINE_LAST(id, operands)                       \
  {                                                               \
    bool jumped = false;                                          \
    const uint64_t next = address(s.at + 1);                      \
    event = detail::execute<Op::id>(s, operands, jumped);         \
    if (event != Event::none) [[unlikely]] goto stopped;          \
    if (jumped) {                                                 \
      end += address(s.at) - next;                                \
      if (!counted && end - address(s.at) < longest) [[unlikely]] goto done; \
    }                                                             \
  }                                                               \
  PROVENUE_MACHINE_NEXT
// What is held means nothing here; said so, it need not be kept for the copy that a call gets.
#define PROVENUE_MACHINE_BODY(id, name, kind, computes)           \
  do_##id : if constexpr (Op::id == Op::ecall) s.held = 0;        \
  PROVENUE_MACHINE_LAST(id, *s.at)
#define PROVENUE_MACHINE_PAIR(first, second)                      \
  do_##first##_##second : PROVENUE_MACHINE_FIRST(first)           \
  PROVENUE_MACHINE_LAST(second, *s.at)
#define PROVENUE_MACHINE_CHAIN(first, second)                     \
  chain_##first##_##second : PROVENUE_MACHINE_FIRST(first)        \
  PROVENUE_MACHINE_LAST(second, ChainedOperands(*s.at))

  if constexpr (!counted)
    if (budget < longest) goto done;
  PROVENUE_MACHINE_NEXT
  PROVENUE_MACHINE_OPS(PROVENUE_MACHINE_BODY)
  PROVENUE_MACHINE_PAIRS(PROVENUE_MACHINE_PAIR)
  PROVENUE_MACHINE_CHAINS(PROVENUE_MACHINE_CHAIN)
#undef PROVENUE_MACHINE_CHAIN
#undef PROVENUE_MACHINE_PAIR
#undef PROVENUE_MACHINE_BODY
#undef PROVENUE_MACHINE_LAST
#undef PROVENUE_MACHINE_FIRST
#undef PROVENUE_MACHINE_NEXT

stopped:  // at its instruction, which is a step too
  end -= kStep;
done:
  view = s;
  steps += (budget - (end - address(s.at))) / kStep;
  return event;
}

// Runs by the text view, and by the word view where pc is in text but was not predecoded.
template <class Text, class Word>
Event Machine::run_views(uint64_t budget, uint64_t& steps, Text&& text, Word&& word) {
  for (;;) {
    auto view = text(TextView(*this));
    Event event = run_text<false>(view, budget - steps, steps);
    if (event == Event::none) event = run_text<true>(view, budget - steps, steps);
    pc_ = view.pc_now();
    if (event != Event::fetch_outside_text || pc_ >= end_of_text_) return event;
    --steps;  // that was no step: pc only left what is predecoded
    Instruction decoded;
    while (steps < budget && !is_predecoded(pc_)) {
      auto slow = word(WordView(*this, decoded));
      event = make_step(slow);
      pc_ = slow.pc_now();
      ++steps;
      if (event != Event::none) return event;
    }
    if (steps == budget) return Event::none;
  }
}

template <class Text, class Word>
RunResult Machine::run_with(uint64_t budget, Text&& text, Word&& word) {
  expect_begun("run");
  uint64_t steps = 0;
  if (status_ == Status::running) {
    ++version_;
    event_ = run_views(budget, steps, text, word);
    if (event_ != Event::none) status_ = event_ == Event::halt ? Status::halted : Status::trapped;
    steps_ += steps;
  }
  const uint64_t exit_code = status_ == Status::halted ? x_[detail::kA0] : 0;
  return {status_, event_, steps, pc_, exit_code};
}

}  // namespace provenue::machine
