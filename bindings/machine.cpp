// The machine as a Python class. Conversion only: buffers in, bytes and memory views out. The GIL
// is released while the machine runs or hashes; a second thread that touches it then is refused.
#include "bindings/machine.hpp"

#include "machine/layout.hpp"

#include <nanobind/nanobind.h>
#include <nanobind/ndarray.h>
#include <nanobind/stl/optional.h>
#include <nanobind/stl/vector.h>

#include <cstring>
#include <optional>
#include <stdexcept>
#include <string>

namespace nb = nanobind;
using namespace provenue::machine;
using provenue::bindings::Buffer;
using provenue::bindings::PyMachine;
using provenue::bindings::to_bytes;
using provenue::bindings::Use;

void bind_machine(nb::module_& m);

namespace {

using View = nb::ndarray<nb::memview, const uint8_t, nb::ndim<1>, nb::c_contig>;

void check_range(const char* what, uint64_t offset, uint64_t length, uint64_t size) {
  if (offset > size || length > size - offset)
    throw std::invalid_argument(std::string("machine.") + what +
                                ": expected offset + length of at most " + std::to_string(size) +
                                ", was " + std::to_string(offset) + " + " + std::to_string(length));
}

// --- ecrecover ----------------------------------------------------------------------------------

bool call_python(void* context, const uint8_t in[128], uint8_t out[32]) {
  const nb::gil_scoped_acquire gil;
  const nb::object result = static_cast<PyMachine*>(context)->recover(to_bytes(in, 128));
  if (result.is_none()) return false;
  const Buffer word(result);
  if (word.bytes().size() != 32)
    throw std::invalid_argument("machine.recover: expected None or 32 bytes, was " +
                                std::to_string(word.bytes().size()) + " bytes");
  std::memcpy(out, word.bytes().data(), 32);
  return true;
}

// A capsule or an integer is the address of a RecoverFunction; anything else is called from Python.
void set_recover(PyMachine& self, nb::object function, uintptr_t context) {
  Use use(self);
  uintptr_t address = 0;
  if (PyCapsule_CheckExact(function.ptr())) {
    void* at = PyCapsule_GetPointer(function.ptr(), PyCapsule_GetName(function.ptr()));
    if (at == nullptr) throw nb::python_error();
    address = reinterpret_cast<uintptr_t>(at);
  } else if (PyLong_Check(function.ptr())) {
    address = nb::cast<uintptr_t>(function);
  } else if (PyCallable_Check(function.ptr())) {
    self.recover = function;
    use->set_recover(call_python, &self);
    return;
  } else {
    throw nb::type_error("machine.set_recover: function: expected a callable, a capsule or an "
                         "address");
  }
  if (address == 0)
    throw std::invalid_argument("machine.set_recover: function: expected an address, was 0");
  self.recover = function;  // a capsule may own what it points to
  use->set_recover(reinterpret_cast<RecoverFunction>(address), reinterpret_cast<void*>(context));
}

// The callable may refer to the machine, so the garbage collector has to see it.
int traverse(PyObject* self, visitproc visit, void* arg) {
  Py_VISIT(Py_TYPE(self));
  if (!nb::inst_ready(self)) return 0;
  Py_VISIT(nb::inst_ptr<PyMachine>(self)->recover.ptr());
  return 0;
}

int clear(PyObject* self) {
  PyMachine& m = *nb::inst_ptr<PyMachine>(self);
  m.machine.set_recover(nullptr, nullptr);
  m.recover.reset();
  return 0;
}

PyType_Slot slots[] = {{Py_tp_traverse, reinterpret_cast<void*>(traverse)},
                       {Py_tp_clear, reinterpret_cast<void*>(clear)},
                       {0, nullptr}};

// --- running and looking ------------------------------------------------------------------------

nb::tuple run(PyMachine& self, uint64_t budget) {
  Use use(self);
  RunResult r;
  {
    const nb::gil_scoped_release release;
    r = use->run(budget);
  }
  return nb::make_tuple(static_cast<unsigned>(r.status), static_cast<unsigned>(r.event), r.steps,
                        r.pc, r.exit_code);
}

nb::bytes image_root(PyMachine& self, uint64_t extent) {
  Use use(self);
  Digest root;
  {
    const nb::gil_scoped_release release;
    root = use->image_root(extent);
  }
  return to_bytes(root.data(), root.size());
}

std::optional<uint64_t> image_difference(PyMachine& self, nb::handle other) {
  Use use(self);
  const Buffer buffer(other);
  const auto bytes = buffer.bytes();
  check_range("image_difference", 0, bytes.size(), kQuarterSize);
  const nb::gil_scoped_release release;
  constexpr uint64_t kStride = kPageSize;
  for (uint64_t at = 0; at < bytes.size(); at += kStride) {
    const uint64_t length = std::min(kStride, bytes.size() - at);
    if (std::memcmp(use->image() + at, bytes.data() + at, length) == 0) continue;
    for (uint64_t i = at; i < at + length; ++i)
      if (use->image()[i] != bytes[i]) return i;
  }
  return std::nullopt;
}

// A read-only view of memory, which keeps the machine alive.
View view(nb::handle self, const uint8_t* data, uint64_t length) {
  check_range("view", 0, length, kQuarterSize);
  return View(data, {static_cast<size_t>(length)}, self);
}

nb::bytes decode_words(nb::handle words) {
  const Buffer buffer(words);
  const auto bytes = buffer.bytes();
  if (bytes.size() % 4 != 0)
    throw std::invalid_argument("machine.decode: words: expected a multiple of 4 bytes, was " +
                                std::to_string(bytes.size()));
  std::vector<Instruction> decoded(bytes.size() / 4);
  for (size_t i = 0; i < decoded.size(); ++i) {
    uint32_t word;
    std::memcpy(&word, bytes.data() + 4 * i, 4);
    decoded[i] = decode(word);
  }
  return to_bytes(reinterpret_cast<const uint8_t*>(decoded.data()),
                  decoded.size() * sizeof(Instruction));
}

nb::dict constants() {
  nb::dict d;
  d["QUARTER_BYTES"] = kQuarterSize;
  d["IMAGE_BASE"] = kImageBase;
  d["INPUT_BASE"] = kInputBase;
  d["OUTPUT_BASE"] = kOutputBase;
  d["LEAF_BYTES"] = kLeafSize;
  d["QUARTER_HEIGHT"] = kQuarterDepth;
  d["MEMORY_HEIGHT"] = kMemoryDepth;
  d["STATE_BYTES"] = kStateBytes;
  d["TRACE_TREE_HEIGHT"] = kTraceDepth;
  d["STATUS_RUNNING"] = static_cast<unsigned>(Status::running);
  d["STATUS_HALTED"] = static_cast<unsigned>(Status::halted);
  d["STATUS_TRAPPED"] = static_cast<unsigned>(Status::trapped);
  d["HASH_BLOCK_BYTES"] = kKeccakLengthMax;
  d["ECALL_EXIT"] = kCallExit;
  d["ECALL_KECCAK"] = kCallKeccak;
  d["ECALL_RECOVER"] = kCallRecover;
  return d;
}

nb::tuple op_names() {
  nb::list names;
  for (size_t i = 0; i < kOpCount; ++i) names.append(op_name(static_cast<Op>(i)));
  return nb::tuple(names);
}

void bind_memory(nb::class_<PyMachine>& c) {
  c.def("set_image", [](PyMachine& s, uint64_t offset, nb::handle data) {
     const Buffer buffer(data);
     Use(s)->set_image(offset, buffer.bytes());
   }, nb::arg("offset"), nb::arg("data"));
  c.def("clear_image", [](PyMachine& s) { Use(s)->clear_image(); });
  c.def("image", [](PyMachine& s, uint64_t offset, uint64_t length) {
     check_range("image", offset, length, kQuarterSize);
     return to_bytes(Use(s)->image() + offset, length);
   }, nb::arg("offset"), nb::arg("length"));
  c.def("image_view", [](nb::handle_t<PyMachine> s, uint64_t length) {
     return view(s, nb::cast<PyMachine&>(s).machine.image(), length);
   }, nb::arg("length"));
  c.def("image_root", &image_root, nb::arg("extent"));
  c.def("image_difference", &image_difference, nb::arg("other"));
  c.def("set_input", [](PyMachine& s, uint64_t offset, nb::handle data) {
     const Buffer buffer(data);
     Use(s)->set_input(offset, buffer.bytes());
   }, nb::arg("offset"), nb::arg("data"));
  c.def("clear_input", [](PyMachine& s) { Use(s)->clear_input(); });
  c.def("output", [](PyMachine& s, uint64_t offset, uint64_t length) {
     check_range("output", offset, length, kQuarterSize);
     return to_bytes(Use(s)->output() + offset, length);
   }, nb::arg("offset"), nb::arg("length"));
  c.def("output_view", [](nb::handle_t<PyMachine> s, uint64_t length) {
     return view(s, nb::cast<PyMachine&>(s).machine.output(), length);
   }, nb::arg("length"));
  c.def("read", [](PyMachine& s, uint64_t address, uint64_t length) {
     check_range("read", address, length, kMemorySize);
     return to_bytes(Use(s)->memory() + address, length);
   }, nb::arg("address"), nb::arg("length"));
  c.def("dirty_image_pages", [](PyMachine& s) { return Use(s)->dirty_image_pages(); });
  c.def("dirty_image_leaves", [](PyMachine& s) { return Use(s)->dirty_image_leaves(); });
  c.def("dirty_output_pages", [](PyMachine& s) { return Use(s)->dirty_output_pages(); });
  c.def("dirty_output_leaves", [](PyMachine& s) { return Use(s)->dirty_output_leaves(); });
}

}  // namespace

void bind_machine(nb::module_& m) {
  nb::exception<ElfError>(m, "ElfError", PyExc_ValueError);
  nb::class_<PyMachine> c(m, "Machine", nb::type_slots(slots));
  c.def(nb::init<>());
  c.def("load_elf", [](PyMachine& s, nb::handle elf) {
     const Buffer buffer(elf);
     Use(s)->load_elf(buffer.bytes());
   }, nb::arg("elf"));
  c.def("set_recover", &set_recover, nb::arg("function").none(), nb::arg("context") = 0);
  c.def("begin_message", [](PyMachine& s, uint64_t a0, uint64_t a1) {
     Use(s)->begin_message(a0, a1);
   }, nb::arg("a0"), nb::arg("a1"));
  c.def("begin_program", [](PyMachine& s) { Use(s)->begin_program(); });
  c.def("run", &run, nb::arg("budget"));
  c.def("rollback_image", [](PyMachine& s) { Use(s)->rollback_image(); });
  bind_memory(c);
  provenue::bindings::bind_trace(m, c);
  c.def_prop_ro("pc", [](PyMachine& s) { return Use(s)->pc(); });
  c.def_prop_ro("entry", [](PyMachine& s) { return Use(s)->entry(); });
  c.def_prop_ro("end_of_text", [](PyMachine& s) { return Use(s)->end_of_text(); });
  c.def_prop_ro("registers", [](PyMachine& s) {
    const auto x = Use(s)->registers();
    return nb::tuple(nb::cast(std::vector<uint64_t>(x.begin(), x.end())));
  });
  m.def("machine_decode", &decode_words, nb::arg("words"));
  m.attr("machine_op_names") = op_names();
  m.attr("machine_constants") = constants();
}
