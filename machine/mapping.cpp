#include "machine/mapping.hpp"

#include <sys/mman.h>

#include <cerrno>
#include <string>
#include <system_error>

namespace provenue::machine {
namespace {

#ifdef MAP_NORESERVE
constexpr int kMapFlags = MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE;
#else
constexpr int kMapFlags = MAP_PRIVATE | MAP_ANONYMOUS;
#endif

}  // namespace

Mapping::Mapping(uint64_t size) : size_(size) {
  void* at = ::mmap(nullptr, size, PROT_READ | PROT_WRITE, kMapFlags, -1, 0);
  if (at == MAP_FAILED)
    throw std::system_error(errno, std::generic_category(),
                            "machine: cannot reserve " + std::to_string(size >> 20) +
                                " MiB of address space (see ulimit -v, vm.overcommit_memory)");
#ifdef MADV_DONTDUMP
  ::madvise(at, size, MADV_DONTDUMP);
#endif
  data_ = static_cast<uint8_t*>(at);
}

Mapping::~Mapping() { ::munmap(data_, size_); }

void Mapping::zero(uint64_t offset, uint64_t size) {
  // A fresh mapping in place is zero on every system; MADV_DONTNEED is only on some.
  void* at = ::mmap(data_ + offset, size, PROT_READ | PROT_WRITE, kMapFlags | MAP_FIXED, -1, 0);
  if (at == MAP_FAILED)
    throw std::system_error(errno, std::generic_category(), "machine: cannot clear memory");
#ifdef MADV_DONTDUMP
  ::madvise(at, size, MADV_DONTDUMP);
#endif
}

}  // namespace provenue::machine
