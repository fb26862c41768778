#include "core/native/mapping.hpp"

#include <fcntl.h>
#include <sys/mman.h>
#include <unistd.h>

#include <cerrno>
#include <system_error>

namespace provenue::native {

namespace {

[[noreturn]] void fail(const char* what) {
    throw std::system_error(errno, std::generic_category(), what);
}

uint8_t* map(void* at, size_t bytes, int flags, int file) {
    flags |= file < 0 ? MAP_PRIVATE | MAP_ANONYMOUS : MAP_SHARED;
#ifdef MAP_NORESERVE
    flags |= MAP_NORESERVE;
#endif
    void* data = mmap(at, bytes, PROT_READ | PROT_WRITE, flags, file, 0);
    if (data == MAP_FAILED) fail("map memory");
    return static_cast<uint8_t*>(data);
}

int open_zeros(const char* path, size_t bytes) {
    const int file = open(path, O_RDWR | O_CREAT | O_TRUNC | O_CLOEXEC, 0600);
    if (file < 0) fail(path);
    if (ftruncate(file, static_cast<off_t>(bytes)) != 0) {
        const int code = errno;
        close(file);
        errno = code;
        fail(path);
    }
    return file;
}

}  // namespace

Mapping::Mapping(size_t bytes, const char* path) : bytes_(bytes) {
    if (path) file_ = open_zeros(path, bytes);
    try {
        data_ = map(nullptr, bytes, 0, file_);
    } catch (...) {
        if (file_ >= 0) close(file_);
        throw;
    }
}

Mapping::~Mapping() {
    munmap(data_, bytes_);
    if (file_ >= 0) close(file_);
}

void Mapping::clear() {
    if (file_ >= 0) {
        // Cut and lengthened: the mapping sees the new zeros.
        const off_t length = static_cast<off_t>(bytes_);
        if (ftruncate(file_, 0) != 0 || ftruncate(file_, length) != 0) fail("clear a mapped file");
        return;
    }
    map(data_, bytes_, MAP_FIXED, -1);
}

}  // namespace provenue::native
