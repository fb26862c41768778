// State, witness, replay and trace of the machine as Python functions and a class.
#include "bindings/machine.hpp"

#include "machine/trace.hpp"
#include "machine/witness.hpp"

#include <nanobind/nanobind.h>
#include <nanobind/stl/pair.h>
#include <nanobind/stl/vector.h>

#include <cstdint>
#include <memory>
#include <tuple>
#include <utility>
#include <vector>

namespace provenue::bindings {
namespace {

using machine::Digest;

nb::bytes digest(const Digest& d) { return to_bytes(d); }

nb::list digests(const std::vector<Digest>& all) {
  nb::list list;
  for (const Digest& d : all) list.append(digest(d));
  return list;
}

std::span<const uint8_t, machine::kStateBytes> state_of(const Buffer& buffer) {
  if (buffer.bytes().size() != machine::kStateBytes)
    throw std::invalid_argument("machine.set_state: state: expected 320 bytes, were " +
                                std::to_string(buffer.bytes().size()));
  return buffer.bytes().first<machine::kStateBytes>();
}

// Runs `work` without the GIL.
template <class Work>
auto unlocked(Work&& work) {
  const nb::gil_scoped_release release;
  return work();
}

nb::tuple record_step(PyMachine& self) {
  Use use(self);
  const machine::StepRecord record = unlocked([&] { return use->record_step(); });
  return nb::make_tuple(static_cast<unsigned>(record.event), to_bytes(record.post),
                        to_bytes(record.witness));
}

nb::tuple quarter_roots(PyMachine& self) {
  Use use(self);
  const auto roots = unlocked([&] { return use->quarter_roots(); });
  return nb::make_tuple(digest(roots[0]), digest(roots[1]), digest(roots[2]), digest(roots[3]));
}

// --- replay --------------------------------------------------------------------------------------

bool call_python(void* context, const uint8_t in[128], uint8_t out[32]) {
  const nb::gil_scoped_acquire gil;
  const nb::object result = (*static_cast<nb::object*>(context))(to_bytes(in, 128));
  if (result.is_none()) return false;
  const Buffer word(result);
  if (word.bytes().size() != 32)
    throw std::invalid_argument("replay_step: recover: expected None or 32 bytes, was " +
                                std::to_string(word.bytes().size()) + " bytes");
  std::memcpy(out, word.bytes().data(), 32);
  return true;
}

// `recover`: the address of a RecoverFunction, or a callable.
nb::tuple replay(nb::handle witness, nb::object recover, uintptr_t context) {
  const Buffer buffer(witness);
  machine::Recover how;
  if (PyLong_Check(recover.ptr())) {
    how.function = reinterpret_cast<machine::RecoverFunction>(nb::cast<uintptr_t>(recover));
    how.context = reinterpret_cast<void*>(context);
  } else if (!recover.is_none()) {
    how = {call_python, &recover};
  }
  const auto result =
      unlocked([&] { return machine::replay_step(buffer.bytes(), how); });
  return nb::make_tuple(static_cast<unsigned>(result.event), to_bytes(result.post));
}

// --- trace ---------------------------------------------------------------------------------------

using PyPoke = std::tuple<uint64_t, uint64_t, nb::bytes>;

class PyTrace {
 public:
  PyTrace(nb::handle_t<PyMachine> owner, nb::sequence pokes)
      : object_(nb::borrow(owner)), machine_(nb::cast<PyMachine&>(owner)) {
    std::vector<machine::Poke> list;
    for (nb::handle each : pokes) {
      const auto poke = nb::cast<nb::tuple>(each);
      if (poke.size() != 3)
        throw std::invalid_argument("trace: poke: expected (step, address, bytes)");
      const Buffer buffer(poke[2]);
      list.push_back({nb::cast<uint64_t>(poke[0]), nb::cast<uint64_t>(poke[1]),
                      {buffer.bytes().begin(), buffer.bytes().end()}});
    }
    const Use use(machine_);
    trace_ = unlocked(
        [&] { return std::make_unique<machine::Trace>(machine_.machine, std::move(list)); });
  }

  // Asks the trace for something while nobody else uses the machine.
  template <class Work>
  auto ask(Work&& work) {
    const Use use(machine_);
    return unlocked([&] { return work(*trace_); });
  }
  const machine::Trace& look() const { return *trace_; }
  nb::handle object() const { return object_; }

 private:
  nb::object object_;
  PyMachine& machine_;
  std::unique_ptr<machine::Trace> trace_;
};

nb::list children(PyTrace& self, unsigned height, uint64_t index) {
  constexpr unsigned kDown = 3;
  if (height < kDown)
    throw std::invalid_argument("trace.children: height: expected at least 3, was " +
                                std::to_string(height));
  return digests(self.ask([&](machine::Trace& t) {
    (void)t.node(height, index);  // checks the place
    std::vector<Digest> nodes;
    for (uint64_t k = 0; k < 1 << kDown; ++k)
      nodes.push_back(t.node(height - kDown, (index << kDown) + k));
    return nodes;
  }));
}

nb::tuple end(const PyTrace& self) {
  const auto& state = self.look().end_state();
  const auto& q = self.look().end_quarters();
  nb::list words;
  for (size_t at = 0; at < state.size(); at += 32) words.append(to_bytes(state.data() + at, 32));
  const Digest upper = machine::hash_pair(q[2].data(), q[3].data());
  return nb::make_tuple(words, digest(q[0]), digest(q[1]), digest(upper));
}

// The machine holds no trace, so there is no cycle but through a subclass; visited all the same.
int traverse(PyObject* self, visitproc visit, void* arg) {
  Py_VISIT(Py_TYPE(self));
  if (!nb::inst_ready(self)) return 0;
  Py_VISIT(nb::inst_ptr<PyTrace>(self)->object().ptr());
  return 0;
}

PyType_Slot slots[] = {{Py_tp_traverse, reinterpret_cast<void*>(traverse)}, {0, nullptr}};

}  // namespace

void bind_trace(nb::module_& m, nb::class_<PyMachine>& c) {
  c.def("state", [](PyMachine& s) {
    Use use(s);
    return to_bytes(unlocked([&] { return use->state(); }));
  });
  c.def("memory_root", [](PyMachine& s) {
    Use use(s);
    return digest(unlocked([&] { return use->memory_root(); }));
  });
  c.def("quarter_roots", &quarter_roots);
  c.def("record_step", &record_step);
  c.def("set_state", [](PyMachine& s, nb::handle state) {
    const Buffer buffer(state);
    Use(s)->set_state(state_of(buffer));
  }, nb::arg("state"));
  nb::class_<machine::Snapshot>(m, "Snapshot");
  c.def("snapshot", [](PyMachine& s) {
    Use use(s);
    return unlocked([&] { return use->snapshot(); });
  });
  c.def("restore", [](PyMachine& s, const machine::Snapshot& snapshot) {
    Use use(s);
    unlocked([&] { use->restore(snapshot); });
  }, nb::arg("snapshot"));
  c.def("poke", [](PyMachine& s, uint64_t address, nb::handle data) {
    const Buffer buffer(data);
    Use(s)->poke(address, buffer.bytes());
  }, nb::arg("address"), nb::arg("data"));
  c.def("rewind", [](PyMachine& s) { Use(s)->rewind(); });
  c.def_prop_ro("steps", [](PyMachine& s) { return Use(s)->steps(); });
  c.def_prop_ro("status", [](PyMachine& s) { return static_cast<unsigned>(Use(s)->status()); });

  m.def("machine_replay_step", &replay, nb::arg("witness"), nb::arg("recover").none(),
        nb::arg("context") = 0);
  m.def("machine_keccak", [](nb::handle data) {
    const Buffer buffer(data);
    return digest(machine::keccak256(buffer.bytes()));
  }, nb::arg("data"));

  nb::class_<PyTrace> t(m, "Trace", nb::type_slots(slots));
  t.def(nb::init<nb::handle_t<PyMachine>, nb::sequence>(), nb::arg("machine"), nb::arg("pokes"));
  t.def_prop_ro("steps", [](const PyTrace& s) { return s.look().steps(); });
  t.def_prop_ro("root", [](const PyTrace& s) { return digest(s.look().root()); });
  t.def("node", [](PyTrace& s, unsigned height, uint64_t index) {
    return digest(s.ask([&](machine::Trace& trace) { return trace.node(height, index); }));
  }, nb::arg("height"), nb::arg("index"));
  t.def("children", &children, nb::arg("height"), nb::arg("index"));
  t.def("proof", [](PyTrace& s, uint64_t leaf) {
    return digests(s.ask([&](machine::Trace& trace) { return trace.proof(leaf); }));
  }, nb::arg("leaf"));
  t.def("end", &end);
  t.def("state", [](PyTrace& s, uint64_t step) {
    return to_bytes(s.ask([&](machine::Trace& trace) { return trace.at(step).state(); }));
  }, nb::arg("step"));
  t.def("witness", [](PyTrace& s, uint64_t step) {
    const auto record = [&](machine::Trace& trace) { return trace.at(step).record_step(); };
    return to_bytes(s.ask(record).witness);
  }, nb::arg("step"));
}

}  // namespace provenue::bindings
