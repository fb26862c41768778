// The machine's address space. It has 2^36 bytes in four aligned quarters, so that one path of two
// hashes separates program, image, input and output in the Merkle tree of the memory.
// Everything here is part of the machine's definition: a step contract must use the same numbers.
#pragma once

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

// Text starts here; it ends at the lowest writable segment of the ELF. Both are immutable.
inline constexpr uint64_t kTextBase = 0x7800'0000;
// 2^22 instruction words, the smallest limit among the proving systems that could take this ELF.
inline constexpr uint64_t kTextSizeMax = uint64_t{1} << 24;

inline constexpr unsigned kLeafBits = 5;
inline constexpr uint64_t kLeafSize = uint64_t{1} << kLeafBits;
inline constexpr unsigned kPageBits = 12;
inline constexpr uint64_t kPageSize = uint64_t{1} << kPageBits;

inline constexpr unsigned kQuarterDepth = kQuarterBits - kLeafBits;  // 29 levels above the leaves

// Host calls: the number in a7.
inline constexpr uint64_t kCallExit = 93;
inline constexpr uint64_t kCallKeccak = 0x4B43;   // "KC"
inline constexpr uint64_t kCallRecover = 0x4543;  // "EC"
inline constexpr uint64_t kKeccakAlign = 1024;
inline constexpr uint64_t kKeccakLengthMax = 1024;
inline constexpr uint64_t kRecoverLength = 128;   // also its alignment

}  // namespace provenue::machine
