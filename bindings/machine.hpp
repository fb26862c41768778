// What the bindings of the machine share: buffers in, bytes out, one thread at a time.
#pragma once

#include "machine/machine.hpp"

#include <nanobind/nanobind.h>

#include <atomic>
#include <cstdint>
#include <span>
#include <stdexcept>

namespace provenue::bindings {

namespace nb = nanobind;

// Any contiguous bytes-like object.
class Buffer {
 public:
  explicit Buffer(nb::handle object) {
    if (PyObject_GetBuffer(object.ptr(), &view_, PyBUF_SIMPLE) != 0) throw nb::python_error();
  }
  ~Buffer() { PyBuffer_Release(&view_); }
  Buffer(const Buffer&) = delete;
  Buffer& operator=(const Buffer&) = delete;
  std::span<const uint8_t> bytes() const {
    return {static_cast<const uint8_t*>(view_.buf), static_cast<size_t>(view_.len)};
  }

 private:
  Py_buffer view_;
};

inline nb::bytes to_bytes(const uint8_t* data, uint64_t size) {
  return nb::bytes(reinterpret_cast<const char*>(data), size);
}

inline nb::bytes to_bytes(std::span<const uint8_t> data) {
  return to_bytes(data.data(), data.size());
}

struct PyMachine {
  machine::Machine machine;
  nb::object recover;  // the Python callable of the slow path, kept alive
  std::atomic<bool> busy = false;

  PyMachine() = default;
};

// Entry of every method: one thread at a time.
class Use {
 public:
  explicit Use(PyMachine& m) : m_(m) {
    if (m_.busy.exchange(true))
      throw std::runtime_error("machine: in use by another call: expected one at a time");
  }
  ~Use() { m_.busy = false; }
  Use(const Use&) = delete;
  Use& operator=(const Use&) = delete;
  machine::Machine* operator->() { return &m_.machine; }

 private:
  PyMachine& m_;
};

// machine_trace.cpp
void bind_trace(nb::module_& m, nb::class_<PyMachine>& machine);

}  // namespace provenue::bindings
