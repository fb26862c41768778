// A large, lazily populated piece of zeros. The machine's memory, its marks and its tree are such.
#pragma once

#include <cstdint>

namespace provenue::machine {

// An anonymous private mapping without reserved swap, zero until written.
class Mapping {
 public:
  explicit Mapping(uint64_t size);
  ~Mapping();
  Mapping(const Mapping&) = delete;
  Mapping& operator=(const Mapping&) = delete;

  uint8_t* data() const { return data_; }
  // Returns whole pages to zero and their memory to the system.
  void zero(uint64_t offset, uint64_t size);

 private:
  uint8_t* data_;
  uint64_t size_;
};

}  // namespace provenue::machine
