#include "machine/elf.hpp"

#include "machine/layout.hpp"

#include <algorithm>
#include <bit>
#include <cinttypes>
#include <cstdio>
#include <cstring>
#include <string>

namespace provenue::machine {
namespace {

static_assert(std::endian::native == std::endian::little);

struct Header {
  uint8_t magic[4];
  uint8_t file_class, byte_order, ident_version, abi, abi_version, padding[7];
  uint16_t type, machine;
  uint32_t version;
  uint64_t entry, phoff, shoff;
  uint32_t flags;
  uint16_t ehsize, phentsize, phnum, shentsize, shnum, shstrndx;
};
static_assert(sizeof(Header) == 64);

struct ProgramHeader {
  uint32_t type, flags;
  uint64_t offset, vaddr, paddr, filesz, memsz, align;
};
static_assert(sizeof(ProgramHeader) == 56);

// The kinds that mean something only to a dynamic loader are refused; the rest is a note to tools.
enum : uint32_t {
  kNull = 0, kLoad = 1, kNote = 4, kPhdr = 6, kTls = 7, kGnuUnwind = 0x6474'E550,
  kGnuStack = 0x6474'E551, kGnuRelro = 0x6474'E552, kGnuProperty = 0x6474'E553,
  kAttributes = 0x7000'0003,
};
enum : uint32_t { kExecute = 1, kWrite = 2, kRead = 4 };
constexpr uint16_t kProgramHeadersMax = 256;

std::string hex(uint64_t value) {
  char text[24];
  std::snprintf(text, sizeof text, "0x%" PRIx64, value);
  return text;
}

[[noreturn]] void refuse(const std::string& field, const std::string& expected, uint64_t was) {
  throw ElfError("elf." + field + ": expected " + expected + ", was " + hex(was));
}

void require(bool good, const std::string& field, const std::string& expected, uint64_t was) {
  if (!good) refuse(field, expected, was);
}

void require_equal(const std::string& field, uint64_t expected, uint64_t was, const char* meaning) {
  require(was == expected, field, hex(expected) + " (" + meaning + ")", was);
}

// [offset, offset + size) lies in a file of `file_size` bytes, without overflow.
bool in_file(uint64_t offset, uint64_t size, uint64_t file_size) {
  return offset <= file_size && size <= file_size - offset;
}

Header read_header(std::span<const uint8_t> file) {
  require(file.size() >= sizeof(Header), "size", "at least 64 bytes (an ELF header)", file.size());
  Header h;
  std::memcpy(&h, file.data(), sizeof h);
  uint32_t magic;
  std::memcpy(&magic, h.magic, 4);
  require_equal("e_ident.magic", 0x464C'457F, magic, "\\x7f ELF");
  require_equal("e_ident.class", 2, h.file_class, "64-bit");
  require_equal("e_ident.data", 1, h.byte_order, "little-endian");
  require_equal("e_ident.version", 1, h.ident_version, "current");
  require(h.abi == 0 || h.abi == 3, "e_ident.osabi", "0x0 (none) or 0x3 (GNU)", h.abi);
  require_equal("e_ident.abiversion", 0, h.abi_version, "none");
  for (const uint8_t byte : h.padding) require_equal("e_ident.padding", 0, byte, "zero");
  require_equal("e_type", 2, h.type, "ET_EXEC, a static executable");
  require_equal("e_machine", 243, h.machine, "EM_RISCV");
  require_equal("e_version", 1, h.version, "current");
  require_equal("e_flags", 0, h.flags, "no compressed code, soft-float, lp64");
  require_equal("e_ehsize", sizeof(Header), h.ehsize, "an ELF64 header");
  require_equal("e_phentsize", sizeof(ProgramHeader), h.phentsize, "an ELF64 program header");
  require(h.phnum >= 1 && h.phnum <= kProgramHeadersMax, "e_phnum", "1 to 256", h.phnum);
  require(h.phoff % 8 == 0 && in_file(h.phoff, h.phnum * sizeof(ProgramHeader), file.size()),
          "e_phoff", "an 8-aligned table inside the file", h.phoff);
  // Sections mean nothing here, but a table outside the file is a damaged file.
  if (h.shnum != 0) {
    require_equal("e_shentsize", 64, h.shentsize, "an ELF64 section header");
    require(in_file(h.shoff, h.shnum * uint64_t{64}, file.size()), "e_shoff",
            "a table inside the file", h.shoff);
    require(h.shstrndx < h.shnum, "e_shstrndx", "less than e_shnum", h.shstrndx);
  } else {
    require_equal("e_shoff", 0, h.shoff, "no section table, since e_shnum is zero");
  }
  return h;
}

Segment read_segment(const ProgramHeader& p, std::span<const uint8_t> file, const std::string& at) {
  require((p.flags & ~uint32_t{7}) == 0, at + "p_flags", "R, W and X only", p.flags);
  require((p.flags & (kWrite | kExecute)) != (kWrite | kExecute), at + "p_flags",
          "never both writable and executable", p.flags);
  require(p.filesz <= p.memsz, at + "p_filesz", "at most p_memsz", p.filesz);
  require(in_file(p.offset, p.filesz, file.size()), at + "p_offset",
          "p_filesz bytes inside the file", p.offset);
  require(p.vaddr < kQuarterSize, at + "p_vaddr", "an address below " + hex(kQuarterSize), p.vaddr);
  require(p.memsz <= kQuarterSize - p.vaddr, at + "p_memsz",
          "an end at or below " + hex(kQuarterSize), p.memsz);
  require(p.align <= 1 || std::has_single_bit(p.align), at + "p_align", "a power of two", p.align);
  require(p.align <= 1 || (p.vaddr - p.offset) % p.align == 0, at + "p_offset",
          "equal to p_vaddr modulo p_align", p.offset);
  const auto bytes = file.subspan(p.offset, p.filesz);
  return {p.vaddr, p.memsz, (p.flags & kWrite) != 0, (p.flags & kExecute) != 0,
          {bytes.begin(), bytes.end()}};
}

std::vector<Segment> read_segments(const Header& h, std::span<const uint8_t> file) {
  std::vector<Segment> segments;
  for (size_t i = 0; i < h.phnum; ++i) {
    ProgramHeader p;
    std::memcpy(&p, file.data() + h.phoff + i * sizeof p, sizeof p);
    const std::string at = "phdr[" + std::to_string(i) + "].";
    switch (p.type) {
      case kLoad:
        if (p.memsz != 0 || p.filesz != 0) segments.push_back(read_segment(p, file, at));
        break;
      case kNull: case kNote: case kPhdr: case kTls: case kGnuUnwind: case kGnuStack:
      case kGnuRelro: case kGnuProperty: case kAttributes: break;
      default:
        refuse(at + "p_type", "a kind that a static executable has (no DYNAMIC, no INTERP)",
               p.type);
    }
  }
  require(!segments.empty(), "e_phnum", "at least one LOAD segment", h.phnum);
  return segments;
}

// Orders the segments and finds where text ends.
uint64_t arrange(std::vector<Segment>& segments) {
  std::sort(segments.begin(), segments.end(),
            [](const Segment& a, const Segment& b) { return a.address < b.address; });
  uint64_t end = 0;
  for (const Segment& s : segments) {
    require(s.address >= end, "segment.p_vaddr", "no overlap with the segment that ends at " +
            hex(end), s.address);
    end = s.address + s.size_in_memory;
  }
  for (const Segment& s : segments)
    if (s.writable) return s.address & ~(kPageSize - 1);
  return (end + kPageSize - 1) & ~(kPageSize - 1);
}

}  // namespace

Program parse_elf(std::span<const uint8_t> file) {
  const Header h = read_header(file);
  Program program{h.entry, 0, read_segments(h, file)};
  program.end_of_text = arrange(program.segments);
  require(h.entry % 4 == 0, "e_entry", "a multiple of 4", h.entry);
  const bool inside = std::any_of(
      program.segments.begin(), program.segments.end(), [&](const Segment& s) {
        return s.executable && h.entry >= s.address && h.entry - s.address < s.size_in_memory;
      });
  require(inside, "e_entry", "an address in an executable segment", h.entry);
  // Code that stands above data is legal and never runs; a program that starts there is none.
  require(h.entry < program.end_of_text, "e_entry",
          "an address below the lowest writable segment, " + hex(program.end_of_text), h.entry);
  return program;
}

}  // namespace provenue::machine
