// The machine's address space and state (protocol chapter 10). Memory has 2^36 bytes in four
// quarters, so that one path of two hashes separates program, image, input and output in its tree.
// Everything here is part of the machine's definition: a step contract must use the same numbers.
#pragma once

#include <cstddef>
#include <cstdint>

namespace provenue::machine {

inline constexpr unsigned kAddressBits = 36;
inline constexpr uint64_t kMemorySize = uint64_t{1} << kAddressBits;
inline constexpr unsigned kQuarterBits = 34;
inline constexpr uint64_t kQuarterSize = uint64_t{1} << kQuarterBits;

inline constexpr uint64_t kProgramBase = 0;                 // text, then scratch
inline constexpr uint64_t kImageBase = 1 * kQuarterSize;    // 0x4_0000_0000
inline constexpr uint64_t kInputBase = 2 * kQuarterSize;    // 0x8_0000_0000, read-only
inline constexpr uint64_t kOutputBase = 3 * kQuarterSize;   // 0xC_0000_0000

inline constexpr unsigned kLeafBits = 5;
inline constexpr uint64_t kLeafSize = uint64_t{1} << kLeafBits;
inline constexpr unsigned kPageBits = 12;
inline constexpr uint64_t kPageSize = uint64_t{1} << kPageBits;

// Levels of the trees above their leaves.
inline constexpr unsigned kQuarterDepth = kQuarterBits - kLeafBits;
inline constexpr unsigned kMemoryDepth = kAddressBits - kLeafBits;
inline constexpr unsigned kPageDepth = kPageBits - kLeafBits;
inline constexpr unsigned kTraceDepth = 24;
inline constexpr uint64_t kMessageSteps = uint64_t{1} << kTraceDepth;

// The state: memory root, 32 registers, one word of status, end of text and pc.
inline constexpr size_t kStateBytes = 320;
inline constexpr size_t kStateRegisters = 32;  // offset of x0
inline constexpr size_t kStateWord9 = 288;     // offset of the word of status

// Host calls: the number in a7.
inline constexpr uint64_t kCallExit = 93;
inline constexpr uint64_t kCallKeccak = 0x4B43;   // "KC"
inline constexpr uint64_t kCallRecover = 0x4543;  // "EC"
inline constexpr uint64_t kKeccakAlign = 1024;
inline constexpr uint64_t kKeccakLengthMax = 1024;
inline constexpr uint64_t kRecoverLength = 128;   // also its alignment

// Where the stack of a program that is no guest starts (10.5); above it are zeros.
inline constexpr uint64_t kProgramStack = kQuarterSize - kPageSize;

// May a program with this end of text store at this address (any 64-bit number)?
constexpr bool is_writable(uint64_t address, uint64_t end_of_text) {
  switch (address >> kQuarterBits) {
    case kProgramBase >> kQuarterBits: return address >= end_of_text;
    case kImageBase >> kQuarterBits:
    case kOutputBase >> kQuarterBits: return true;
    default: return false;
  }
}

}  // namespace provenue::machine
