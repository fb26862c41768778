// One step of the machine (protocol 10.2), written once. It is a template over `State`, the way the
// step sees the machine: running (view.hpp), recording what it touches (record.cpp), replaying it
// from a witness alone (replay.cpp), tracing (trace.cpp).
//
// A State is a small view, cheap to copy, with
//   const Instruction* fetch();                    the one at pc; Op::illegal when there is none
//   bool outside_text() const;                     asked after such a fetch: was pc outside text?
//   uint64_t pc() const;                           not asked when pc is outside text
//   void advance();                                pc += 4
//   void set_pc(uint64_t);                         a multiple of 4, perhaps outside text
//   void jump_by(int32_t);                         the same, from pc
//   uint64_t x(unsigned) const;                    void set_x(unsigned, uint64_t);
//   template <class T> bool load(uint64_t, T&);    false: outside memory; the address is aligned
//   template <class T> bool store(uint64_t, T);    false: not writable; the address is aligned
//   template <uint64_t size>
//   const uint8_t* block(uint64_t);                null: outside memory; aligned to its size
//   bool recover(const uint8_t in[128], uint8_t out[32])
//
// The step is total: every word, register value and address has a defined next state. A step that
// traps or halts changes neither pc nor registers nor memory, so both are fixed points.
#pragma once

#include "machine/decode.hpp"
#include "machine/event.hpp"
#include "machine/keccak.hpp"
#include "machine/layout.hpp"

#include <bit>
#include <cstdint>
#include <cstring>
#include <limits>
#include <type_traits>

namespace provenue::machine {

static_assert(std::endian::native == std::endian::little);

namespace detail {

constexpr int64_t as_signed(uint64_t value) { return static_cast<int64_t>(value); }
constexpr uint64_t sign_extend_word(uint64_t value) {
  return static_cast<uint64_t>(static_cast<int64_t>(static_cast<int32_t>(value)));
}

constexpr uint64_t mul_high_unsigned(uint64_t a, uint64_t b) {
  __extension__ using Wide = unsigned __int128;
  return static_cast<uint64_t>((Wide{a} * b) >> 64);
}

// Division by zero gives all ones and the dividend; the one overflow gives the dividend and zero.
template <class T>
constexpr T divide(T a, T b) {
  if (b == 0) return static_cast<T>(-1);
  if constexpr (std::is_signed_v<T>) {
    if (a == std::numeric_limits<T>::min() && b == -1) return a;
  }
  return a / b;
}

template <class T>
constexpr T remainder(T a, T b) {
  if (b == 0) return a;
  if constexpr (std::is_signed_v<T>) {
    if (b == -1) return 0;
  }
  return a % b;
}

template <Op op>
[[gnu::always_inline]] constexpr uint64_t base_arithmetic(uint64_t a, uint64_t b) {
  const auto word = static_cast<uint32_t>(a);
  switch (op) {
    case Op::add: return a + b;
    case Op::sub: return a - b;
    case Op::sll: return a << (b & 63);
    case Op::slt: return as_signed(a) < as_signed(b) ? 1 : 0;
    case Op::sltu: return a < b ? 1 : 0;
    case Op::xor_: return a ^ b;
    case Op::srl: return a >> (b & 63);
    case Op::sra: return static_cast<uint64_t>(as_signed(a) >> (b & 63));
    case Op::or_: return a | b;
    case Op::and_: return a & b;
    case Op::addw: return sign_extend_word(a + b);
    case Op::subw: return sign_extend_word(a - b);
    case Op::sllw: return sign_extend_word(uint64_t{word} << (b & 31));
    case Op::srlw: return sign_extend_word(word >> (b & 31));
    case Op::sraw: return static_cast<uint64_t>(int64_t{static_cast<int32_t>(word) >> (b & 31)});
    default: return 0;
  }
}

template <Op op>
[[gnu::always_inline]] constexpr uint64_t multiply_divide(uint64_t a, uint64_t b) {
  const auto sa = as_signed(a), sb = as_signed(b);
  const auto wa = static_cast<int32_t>(a), wb = static_cast<int32_t>(b);
  const auto ua = static_cast<uint32_t>(a), ub = static_cast<uint32_t>(b);
  switch (op) {
    case Op::mul: return a * b;
    case Op::mulhu: return mul_high_unsigned(a, b);
    case Op::mulh: return mul_high_unsigned(a, b) - (sa < 0 ? b : 0) - (sb < 0 ? a : 0);
    case Op::mulhsu: return mul_high_unsigned(a, b) - (sa < 0 ? b : 0);
    case Op::div: return static_cast<uint64_t>(divide(sa, sb));
    case Op::divu: return divide(a, b);
    case Op::rem: return static_cast<uint64_t>(remainder(sa, sb));
    case Op::remu: return remainder(a, b);
    case Op::mulw: return sign_extend_word(a * b);
    case Op::divw: return sign_extend_word(static_cast<uint32_t>(divide(wa, wb)));
    case Op::divuw: return sign_extend_word(divide(ua, ub));
    case Op::remw: return sign_extend_word(static_cast<uint32_t>(remainder(wa, wb)));
    case Op::remuw: return sign_extend_word(remainder(ua, ub));
    default: return 0;
  }
}

template <Op op>
[[gnu::always_inline]] constexpr uint64_t arithmetic(uint64_t a, uint64_t b) {
  if constexpr (op >= Op::mul && op <= Op::remuw) return multiply_divide<op>(a, b);
  else return base_arithmetic<op>(a, b);
}

template <Op op>
[[gnu::always_inline]] constexpr bool taken(uint64_t a, uint64_t b) {
  switch (op) {
    case Op::beq: return a == b;
    case Op::bne: return a != b;
    case Op::blt: return as_signed(a) < as_signed(b);
    case Op::bge: return as_signed(a) >= as_signed(b);
    case Op::bltu: return a < b;
    case Op::bgeu: return a >= b;
    default: return false;
  }
}

// The operand type of a load or store; the sign of the type is the sign of the extension.
template <Op op> struct access;
template <> struct access<Op::lb> { using type = int8_t; };
template <> struct access<Op::lh> { using type = int16_t; };
template <> struct access<Op::lw> { using type = int32_t; };
template <> struct access<Op::ld> { using type = int64_t; };
template <> struct access<Op::lbu> { using type = uint8_t; };
template <> struct access<Op::lhu> { using type = uint16_t; };
template <> struct access<Op::lwu> { using type = uint32_t; };
template <> struct access<Op::sb> { using type = uint8_t; };
template <> struct access<Op::sh> { using type = uint16_t; };
template <> struct access<Op::sw> { using type = uint32_t; };
template <> struct access<Op::sd> { using type = uint64_t; };

constexpr uint64_t offset_by(uint64_t address, int32_t imm) {
  return address + static_cast<uint64_t>(int64_t{imm});
}

// --- host calls ---------------------------------------------------------------------------------

constexpr unsigned kNoLink = ~0u;
constexpr unsigned kSp = 2, kA0 = 10, kA1 = 11, kA7 = 17;

template <class State>
void return_word(State& s, const uint8_t word[32]) {
  for (unsigned i = 0; i < 4; ++i) {
    uint64_t value;
    std::memcpy(&value, word + 8 * i, 8);
    s.set_x(kA0 + i, value);
  }
}

template <class State>
Event call_keccak(State& s) {
  const uint64_t address = s.x(kA0), length = s.x(kA1);
  if (address % kKeccakAlign != 0 || length > kKeccakLengthMax) return Event::bad_call_argument;
  const uint8_t* block = s.template block<kKeccakAlign>(address);
  if (block == nullptr) return Event::bad_call_argument;
  return_word(s, keccak256({block, length}).data());
  return Event::none;
}

// The order of secp256k1, big-endian.
inline constexpr uint8_t kGroupOrder[32] = {
    0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xfe,
    0xba, 0xae, 0xdc, 0xe6, 0xaf, 0x48, 0xa0, 0x3b, 0xbf, 0xd2, 0x5e, 0x8c, 0xd0, 0x36, 0x41, 0x41};

inline bool is_scalar(const uint8_t value[32]) {
  static constexpr uint8_t kZero[32] = {};
  return std::memcmp(value, kZero, 32) != 0 && std::memcmp(value, kGroupOrder, 32) < 0;
}

inline bool is_recovery_value(const uint8_t v[32]) {
  static constexpr uint8_t kZero[31] = {};
  return std::memcmp(v, kZero, 31) == 0 && (v[31] == 27 || v[31] == 28);
}

// The EVM precompile at address 1: hash | v | r | s to a left-padded address, zero when invalid.
template <class State>
Event call_recover(State& s) {
  const uint64_t address = s.x(kA0);
  if (address % kRecoverLength != 0) return Event::bad_call_argument;
  const uint8_t* in = s.template block<kRecoverLength>(address);
  if (in == nullptr) return Event::bad_call_argument;
  uint8_t out[32] = {};
  const bool valid = is_recovery_value(in + 32) && is_scalar(in + 64) && is_scalar(in + 96) &&
                     s.recover(in, out);
  if (!valid) std::memset(out, 0, sizeof out);
  return_word(s, out);
  return Event::none;
}

// By value: a view whose address escaped could not be kept in host registers by the run loop.
template <class State>
[[gnu::noinline]] Event host_call(State s) {
  switch (s.x(kA7)) {
    case kCallExit: return Event::halt;
    case kCallKeccak: return call_keccak(s);
    case kCallRecover: return call_recover(s);
    default: return Event::unknown_call;
  }
}

// --- one instruction ----------------------------------------------------------------------------

template <class State>
[[gnu::always_inline]] inline Event retire(State& s) {
  s.advance();
  return Event::none;
}

// Alignment is checked at the jump, before anything changes; text bounds at the next fetch. pc is a
// multiple of 4, so the target is one when the offset is.
template <class State>
[[gnu::always_inline]] inline Event jump_by(State& s, int32_t offset, unsigned link) {
  if (offset % 4 != 0) [[unlikely]] return Event::misaligned_jump;
  if (link != kNoLink) s.set_x(link, s.pc() + 4);
  s.jump_by(offset);
  return Event::none;
}

template <class State>
[[gnu::always_inline]] inline Event jump_to(State& s, uint64_t target, unsigned link) {
  if (target % 4 != 0) [[unlikely]] return Event::misaligned_jump;
  s.set_x(link, s.pc() + 4);
  s.set_pc(target);
  return Event::none;
}

template <Op op, class State, class Operands>
[[gnu::always_inline]] inline Event execute_load(State& s, const Operands& i) {
  typename access<op>::type value;
  const uint64_t address = offset_by(s.x(i.rs1), i.imm);
  if (address % sizeof value != 0) [[unlikely]] return Event::misaligned_load;
  if (!s.load(address, value)) [[unlikely]] return Event::load_outside_memory;
  s.set_x(i.rd, static_cast<uint64_t>(value));
  return retire(s);
}

template <Op op, class State, class Operands>
[[gnu::always_inline]] inline Event execute_store(State& s, const Operands& i) {
  const auto value = static_cast<typename access<op>::type>(s.x(i.rs2));
  const uint64_t address = offset_by(s.x(i.rs1), i.imm);
  if (address % sizeof value != 0) [[unlikely]] return Event::misaligned_store;
  if (!s.store(address, value)) [[unlikely]] return Event::store_not_writable;
  return retire(s);
}

template <Op op, class State>
[[gnu::always_inline]] inline Event execute_system(State& s) {
  if constexpr (op == Op::ebreak) return Event::ebreak;
  if constexpr (op == Op::ecall) {
    const Event event = host_call(s);
    if (event != Event::none) return event;
  }
  return retire(s);
}

// `i` is an Instruction, or has its operands in another way that the state knows (run.hpp).
// `jumped` becomes true if control does not fall through, if it retires.
template <Op op, class State, class Operands>
[[gnu::always_inline]] inline Event execute(State& s, const Operands& i, bool& jumped) {
  constexpr Kind kind = kOpInfo[static_cast<size_t>(op)].kind;
  constexpr Op computes = kOpInfo[static_cast<size_t>(op)].computes;
  if constexpr (kind == Kind::load) return execute_load<op>(s, i);
  else if constexpr (kind == Kind::store) return execute_store<op>(s, i);
  else if constexpr (kind == Kind::system) return execute_system<op>(s);
  else if constexpr (kind == Kind::illegal)
    return s.outside_text() ? Event::fetch_outside_text : Event::illegal_instruction;
  else if constexpr (kind == Kind::branch) {
    if (!taken<op>(s.x(i.rs1), s.x(i.rs2))) return retire(s);
    jumped = true;
    return jump_by(s, i.imm, kNoLink);
  } else if constexpr (op == Op::jal) {
    jumped = true;
    return jump_by(s, i.imm, i.rd);
  } else if constexpr (op == Op::jalr) {
    jumped = true;
    return jump_to(s, offset_by(s.x(i.rs1), i.imm) & ~uint64_t{1}, i.rd);
  } else {
    const uint64_t imm = static_cast<uint64_t>(int64_t{i.imm});
    if constexpr (op == Op::lui) s.set_x(i.rd, imm);
    else if constexpr (op == Op::auipc) s.set_x(i.rd, s.pc() + imm);
    else if constexpr (kind == Kind::reg) s.set_x(i.rd, arithmetic<op>(s.x(i.rs1), s.x(i.rs2)));
    else s.set_x(i.rd, arithmetic<computes>(s.x(i.rs1), imm));
    return retire(s);
  }
}

}  // namespace detail

// Makes one step; Event::none if it retires its instruction.
template <class State>
Event make_step(State& s) {
  const Instruction& i = *s.fetch();
  bool jumped = false;
  switch (i.op) {
#define PROVENUE_MACHINE_CASE(id, name, kind, computes) \
  case Op::id: return detail::execute<Op::id>(s, i, jumped);
    PROVENUE_MACHINE_OPS(PROVENUE_MACHINE_CASE)
#undef PROVENUE_MACHINE_CASE
  }
  return Event::illegal_instruction;  // not reached: the decoder gives no other operation
}

}  // namespace provenue::machine
