// A strict loader for what the machine runs: static ET_EXEC, RV64 little-endian, soft-float,
// uncompressed, W^X, all segments in quarter 0 (protocol 10.5). Anything else is refused with its
// field, what was expected and what came: a program that is loaded in two ways would have two
// roots.
#pragma once

#include <cstdint>
#include <span>
#include <stdexcept>
#include <vector>

namespace provenue::machine {

struct ElfError : std::runtime_error {
  using std::runtime_error::runtime_error;
};

struct Segment {
  uint64_t address;
  uint64_t size_in_memory;
  bool writable;
  bool executable;
  std::vector<uint8_t> bytes;  // the initial bytes; the rest of the segment is zero
};

struct Program {
  uint64_t entry;
  // The lowest writable segment, rounded down to a page. Without a writable segment: the end of the
  // last one, rounded up.
  uint64_t end_of_text;
  std::vector<Segment> segments;  // ascending, not overlapping
};

Program parse_elf(std::span<const uint8_t> file);

}  // namespace provenue::machine
