// Memory that is zero until written and takes room only where it was written: the image and the
// nodes of its tree are sparse.
#pragma once

#include <cstddef>
#include <cstdint>

namespace provenue::native {

class Mapping {
public:
    // Anonymous, or over the file at `path`, which starts as zeros whatever it held before: after a
    // crash a mapping is never trusted, only snapshot and journal. A file lets other processes look
    // at the memory as it changes. Throws std::system_error.
    explicit Mapping(size_t bytes, const char* path = nullptr);
    ~Mapping();
    Mapping(const Mapping&) = delete;
    Mapping& operator=(const Mapping&) = delete;

    uint8_t* data() { return data_; }
    const uint8_t* data() const { return data_; }
    size_t bytes() const { return bytes_; }
    // All zero again, and the memory given back.
    void clear();

private:
    uint8_t* data_ = nullptr;
    size_t bytes_;
    int file_ = -1;
};

}  // namespace provenue::native
