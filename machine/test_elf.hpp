// ELF files for the machine's C++ tests.
#pragma once

#include <cstdint>
#include <cstring>
#include <vector>

namespace provenue::machine::test {

struct TestSegment {
  uint64_t address;
  bool writable;
  std::vector<uint8_t> bytes;  // whole pages
};

template <class T>
void put(std::vector<uint8_t>& file, size_t at, T value) {
  std::memcpy(file.data() + at, &value, sizeof value);
}

// A static ELF of these segments, read and execute or read and write.
inline std::vector<uint8_t> make_elf(uint64_t entry, const std::vector<TestSegment>& segments) {
  constexpr size_t kHeader = 64, kProgramHeader = 56, kPage = 4096;
  std::vector<uint8_t> file(kPage);
  const uint8_t ident[] = {0x7F, 'E', 'L', 'F', 2, 1, 1};
  std::memcpy(file.data(), ident, sizeof ident);
  put<uint16_t>(file, 16, 2);
  put<uint16_t>(file, 18, 243);
  put<uint32_t>(file, 20, 1);
  put<uint64_t>(file, 24, entry);
  put<uint64_t>(file, 32, kHeader);
  put<uint16_t>(file, 52, kHeader);
  put<uint16_t>(file, 54, kProgramHeader);
  put<uint16_t>(file, 56, static_cast<uint16_t>(segments.size()));
  size_t at = kHeader;
  for (const TestSegment& s : segments) {
    put<uint32_t>(file, at, 1);
    put<uint32_t>(file, at + 4, s.writable ? 6 : 5);
    const uint64_t size = s.bytes.size();
    const uint64_t fields[] = {file.size(), s.address, s.address, size, size, kPage};
    std::memcpy(file.data() + at + 8, fields, sizeof fields);
    file.insert(file.end(), s.bytes.begin(), s.bytes.end());
    at += kProgramHeader;
  }
  return file;
}

}  // namespace provenue::machine::test
