// The engine and its twin as Python classes. Conversion only: buffers in, bytes and memory views
// out. The GIL is released while messages are applied or hashes computed; a second thread that
// touches the same object meanwhile is refused.
#include <nanobind/nanobind.h>
#include <nanobind/ndarray.h>
#include <nanobind/stl/optional.h>
#include <nanobind/stl/string.h>
#include <nanobind/stl/vector.h>

#include <atomic>
#include <cstring>
#include <optional>

#include "bindings/engine_twin.hpp"
#include "core/native/recover.hpp"

namespace nb = nanobind;

void bind_engine(nb::module_& m);

namespace {

using namespace provenue;
using native::Arrival;
using native::Digest;
using View = nb::ndarray<nb::memview, const uint8_t, nb::ndim<1>, nb::c_contig>;

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
    // As 64-bit integers of this machine.
    std::vector<uint64_t> words(const char* what) const {
        if (bytes().size() % 8 != 0)
            throw std::invalid_argument(std::string(what) + ": expected 64-bit integers");
        std::vector<uint64_t> words(bytes().size() / 8);
        if (!words.empty()) std::memcpy(words.data(), bytes().data(), bytes().size());
        return words;
    }

private:
    Py_buffer view_;
};

nb::bytes to_bytes(const void* data, size_t size) {
    return nb::bytes(static_cast<const char*>(data), size);
}
nb::bytes to_bytes(const Digest& digest) { return to_bytes(digest.data(), digest.size()); }

nb::list to_list(const std::vector<Digest>& digests) {
    nb::list list;
    for (const Digest& digest : digests) list.append(to_bytes(digest));
    return list;
}

struct Program {
    const ProgramTable& table;
    MarginsFunction margins;
};
const Program kPrograms[] = {{program_table_minimal, preset_minimal::margins},
                             {program_table_dev, preset_dev::margins},
                             {program_table_main, preset_main::margins}};

const Program& program_of(const std::string& preset) {
    for (const Program& program : kPrograms)
        if (preset == program.table.preset) return program;
    throw std::invalid_argument("preset: expected minimal, dev or main, was " + preset);
}

// One thread at a time.
template <typename T>
struct Guarded {
    T value;
    std::atomic<bool> busy = false;

    template <typename... Arguments>
    explicit Guarded(const Arguments&... arguments) : value(arguments...) {}
};

template <typename T>
class Use {
public:
    explicit Use(Guarded<T>& guarded) : guarded_(guarded) {
        if (guarded_.busy.exchange(true))
            throw std::runtime_error("engine: in use by another thread: expected one at a time");
    }
    ~Use() { guarded_.busy = false; }
    Use(const Use&) = delete;
    Use& operator=(const Use&) = delete;
    T* operator->() { return &guarded_.value; }

private:
    Guarded<T>& guarded_;
};

using PyEngine = Guarded<native::Engine>;
using PyTwin = Guarded<Twin>;

View image_view(nb::handle self, const uint8_t* image, uint64_t bytes) {
    return View(image, {static_cast<size_t>(bytes)}, self);
}

// --- applying ------------------------------------------------------------------------------------

nb::tuple apply(PyEngine& self, nb::handle message, bool from_inbox, uint64_t stamp_min_ms,
                uint64_t stamp_max_ms) {
    Use use(self);
    const Buffer buffer(message);
    const uint32_t code =
        use->apply(buffer.bytes(), Arrival{from_inbox, stamp_min_ms, stamp_max_ms});
    const auto events = use->events();
    return nb::make_tuple(code, to_bytes(events.data(), events.size_bytes()));
}

struct Applied {
    std::vector<uint32_t> codes;
    std::vector<uint64_t> event_ends;
    std::vector<Event> events;
    std::vector<Digest> roots;
    std::optional<native::EngineFault> fault;
};

// Applies messages until the end or a fault. `from_inbox` has one byte a message.
Applied apply_span(native::Engine& engine, std::span<const uint8_t> data,
                   const std::vector<uint64_t>& offsets, std::span<const uint8_t> from_inbox,
                   Arrival arrival, bool want_roots) {
    Applied done;
    engine.take_roots();  // what a call that broke off may have left
    for (size_t i = 0; i < from_inbox.size(); ++i) {
        arrival.from_inbox = from_inbox[i] != 0;
        try {
            const auto message = data.subspan(offsets[i], offsets[i + 1] - offsets[i]);
            done.codes.push_back(engine.apply(message, arrival));
        } catch (const native::EngineFault& fault) {
            done.fault = fault;
            break;
        }
        const auto events = engine.events();
        done.events.insert(done.events.end(), events.begin(), events.end());
        done.event_ends.push_back(done.events.size());
        if (want_roots) engine.commit_root();
    }
    done.roots = engine.take_roots();
    return done;
}

// (codes u32, ends of events u64, events, roots, fault or None), the arrays as bytes.
nb::tuple apply_many(PyEngine& self, nb::handle data, nb::handle message_offsets,
                     nb::handle from_inbox, uint64_t stamp_min_ms, uint64_t stamp_max_ms,
                     bool want_roots) {
    Use use(self);
    const Buffer bytes(data);
    const Buffer sources(from_inbox);
    const std::vector<uint64_t> offsets = Buffer(message_offsets).words("offsets");
    uint64_t before = 0;
    for (const uint64_t offset : offsets) {
        if (offset < before || offset > bytes.bytes().size())
            throw std::invalid_argument("offsets: expected rising ones within the data");
        before = offset;
    }
    if (offsets.empty() || sources.bytes().size() != offsets.size() - 1)
        throw std::invalid_argument(
            "from_inbox: expected one value a message, and one offset more");
    Applied done;
    {
        const nb::gil_scoped_release release;
        done = apply_span(*use.operator->(), bytes.bytes(), offsets, sources.bytes(),
                          Arrival{false, stamp_min_ms, stamp_max_ms}, want_roots);
    }
    nb::object fault = nb::none();
    if (done.fault) fault = nb::make_tuple(done.fault->rule, done.fault->line);
    return nb::make_tuple(to_bytes(done.codes.data(), done.codes.size() * 4),
                          to_bytes(done.event_ends.data(), done.event_ends.size() * 8),
                          to_bytes(done.events.data(), done.events.size() * sizeof(Event)),
                          to_bytes(done.roots.data(), done.roots.size() * sizeof(Digest)), fault);
}

// Python's integers are as wide as need be.
nb::object to_int(i128 value) {
    const auto high = static_cast<int64_t>(value >> 64);
    const nb::int_ low(static_cast<uint64_t>(value));
    return (nb::int_(high) << nb::int_(64)) | low;
}

nb::tuple margins(PyEngine& self, uint32_t account) {
    Use use(self);
    const Margins result = use->margins(program_of(use->preset()).margins, account);
    return nb::make_tuple(to_int(result.equity), to_int(result.initial),
                          to_int(result.maintenance));
}

template <typename Method>
auto without_gil(PyEngine& self, Method method) {
    Use use(self);
    const nb::gil_scoped_release release;
    return method(*use.operator->());
}

template <typename T>
void load_pages(Guarded<T>& self, nb::handle pages, nb::handle data) {
    Use use(self);
    const Buffer bytes(data);
    const std::vector<uint64_t> numbers = Buffer(pages).words("pages");
    use->load_pages(numbers, bytes.bytes());
}

// --- the twin ------------------------------------------------------------------------------------

constexpr const char* kKinds[] = {"outcome", "code", "event_count", "event", "image", "root"};

nb::dict to_dict(const BatchReport& report) {
    std::vector<uint32_t> codes, event_counts;
    std::vector<uint64_t> steps;
    std::vector<uint8_t> broke_off;
    for (const Outcome& outcome : report.outcomes) {
        codes.push_back(outcome.code);
        steps.push_back(outcome.steps);
        broke_off.push_back(outcome.broke_off);
    }
    nb::list differences;
    for (const Difference& d : report.differences)
        differences.append(nb::make_tuple(kKinds[static_cast<int>(d.kind)], d.message, d.at,
                                          d.native, d.guest, d.note));
    nb::dict dict;
    dict["roots"] = to_list(report.roots);
    dict["codes"] = to_bytes(codes.data(), codes.size() * 4);
    dict["steps"] = to_bytes(steps.data(), steps.size() * 8);
    dict["broke_off"] = to_bytes(broke_off.data(), broke_off.size());
    dict["event_ends"] = to_bytes(report.event_ends.data(), report.event_ends.size() * 8);
    dict["events"] = to_bytes(report.events.data(), report.events.size() * sizeof(Event));
    dict["differences"] = differences;
    return dict;
}

nb::dict check(PyTwin& self, nb::handle header, nb::handle inbox, nb::handle posted,
               uint32_t compare_every) {
    Use use(self);
    const Buffer h(header), i(inbox), p(posted);
    BatchReport report;
    {
        const nb::gil_scoped_release release;
        report = use->check(Batch{h.bytes(), i.bytes(), p.bytes()}, compare_every);
    }
    return to_dict(report);
}

// --- functions -----------------------------------------------------------------------------------

nb::bytes recover_many(nb::handle inputs, unsigned threads) {
    const Buffer in(inputs);
    if (in.bytes().size() % 128 != 0)
        throw std::invalid_argument("inputs: expected a multiple of 128 bytes");
    const size_t count = in.bytes().size() / 128;
    std::vector<uint8_t> out(count * 32);
    {
        const nb::gil_scoped_release release;
        native::recover_many(in.bytes().data(), out.data(), count, threads);
    }
    return to_bytes(out.data(), out.size());
}

nb::tuple claim_tree(nb::handle roots, std::optional<uint64_t> index) {
    const Buffer in(roots);
    if (in.bytes().size() % 32 != 0)
        throw std::invalid_argument("roots: expected a multiple of 32 bytes");
    std::vector<Digest> leaves(in.bytes().size() / 32);
    if (!leaves.empty()) std::memcpy(leaves.data(), in.bytes().data(), in.bytes().size());
    const native::ClaimTree tree(leaves, static_cast<unsigned>(kClaimTreeHeight));
    return nb::make_tuple(to_bytes(tree.root()),
                          index ? to_list(tree.proof(*index)) : nb::list());
}

void bind_functions(nb::module_& m) {
    m.def("engine_load_secp256k1", [](const std::string& path) {
        native::load_secp256k1(path.c_str());
    }, nb::arg("path"));
    m.def("engine_recover", &recover_many, nb::arg("inputs"), nb::arg("threads"));
    m.def("engine_recover_address", [] {
        return reinterpret_cast<uintptr_t>(&native::recover_callback);
    });
    m.def("engine_recover_counters", [] {
        const auto counters = native::recover_counters();
        return nb::make_tuple(counters.computed, counters.remembered);
    });
    m.def("engine_claim_tree", &claim_tree, nb::arg("roots"), nb::arg("index") = nb::none());
    m.def("engine_keccak", [](nb::handle data) {
        const Buffer buffer(data);
        return to_bytes(native::keccak256(buffer.bytes().data(), buffer.bytes().size()));
    }, nb::arg("data"));
    m.def("engine_keccak_width", [] { return static_cast<int>(native::width()); });
    m.def("engine_set_keccak_width", [](int width) {
        return native::set_width(static_cast<native::Width>(width));
    }, nb::arg("width"));
}

void bind_engine_class(nb::module_& m) {
    nb::class_<PyEngine> c(m, "Engine");
    c.def("__init__", [](PyEngine* self, const std::string& preset,
                         const std::optional<std::string>& image_path) {
        new (self) PyEngine(program_of(preset).table, image_path ? image_path->c_str() : nullptr);
    }, nb::arg("preset"), nb::arg("image_path") = nb::none());
    c.def("apply", &apply, nb::arg("message"), nb::arg("from_inbox"), nb::arg("stamp_min_ms"),
          nb::arg("stamp_max_ms"));
    c.def("apply_many", &apply_many, nb::arg("data"), nb::arg("offsets"), nb::arg("from_inbox"),
          nb::arg("stamp_min_ms"), nb::arg("stamp_max_ms"), nb::arg("roots"));
    c.def("root", [](PyEngine& s) {
        return to_bytes(without_gil(s, [](native::Engine& e) { return e.root(); }));
    });
    c.def("rehash", [](PyEngine& s) {
        return to_bytes(without_gil(s, [](native::Engine& e) { return e.rehash(); }));
    });
    c.def("leaf_proof", [](PyEngine& s, uint64_t leaf) { return to_list(Use(s)->proof(leaf)); },
          nb::arg("leaf"));
    c.def("dump", [](PyEngine& s) {
        return without_gil(s, [](native::Engine& e) { return e.dump(); });
    });
    c.def("margins", &margins, nb::arg("account"));
    c.def("pages", [](PyEngine& s) {
        const auto pages = without_gil(s, [](native::Engine& e) { return e.pages(); });
        return to_bytes(pages.data(), pages.size() * 8);
    });
    c.def("load_pages", &load_pages<native::Engine>, nb::arg("pages"), nb::arg("data"));
    c.def("image", [](nb::handle_t<PyEngine> s) {
        const native::Engine& engine = nb::cast<PyEngine&>(s).value;
        return image_view(s, engine.image(), engine.image_bytes());
    });
    c.def("poke", [](PyEngine& s, uint64_t offset, nb::handle data) {
        const Buffer buffer(data);
        Use(s)->poke(offset, buffer.bytes());
    }, nb::arg("offset"), nb::arg("data"));
    c.def("fail_at_call", [](PyEngine& s, uint32_t n) { Use(s)->fail_at_call(n); }, nb::arg("n"));
}

void bind_twin_class(nb::module_& m) {
    nb::class_<PyTwin> c(m, "Twin");
    c.def("__init__", [](PyTwin* self, const std::string& preset, nb::handle elf) {
        const Buffer buffer(elf);
        new (self) PyTwin(program_of(preset).table, buffer.bytes());
    }, nb::arg("preset"), nb::arg("elf"));
    c.def("check", &check, nb::arg("header"), nb::arg("inbox"), nb::arg("posted"),
          nb::arg("compare_every"));
    c.def("load_pages", &load_pages<Twin>, nb::arg("pages"), nb::arg("data"));
    c.def("root", [](PyTwin& s) { return to_bytes(Use(s)->engine().root()); });
    c.def("leaf_proof",
          [](PyTwin& s, uint64_t leaf) { return to_list(Use(s)->engine().proof(leaf)); },
          nb::arg("leaf"));
    c.def("dump", [](PyTwin& s) { return Use(s)->engine().dump(); });
    c.def("image", [](nb::handle_t<PyTwin> s) {
        native::Engine& engine = nb::cast<PyTwin&>(s).value.engine();
        return image_view(s, engine.image(), engine.image_bytes());
    });
    c.def("poke_native", [](PyTwin& s, uint64_t offset, nb::handle data) {
        const Buffer buffer(data);
        Use(s)->engine().poke(offset, buffer.bytes());
    }, nb::arg("offset"), nb::arg("data"));
    c.def("fail_at_call", [](PyTwin& s, uint32_t n) { Use(s)->engine().fail_at_call(n); },
          nb::arg("n"));
}

// A fault becomes the exception class of provenue.engine: class(rule, line).
PyObject* fault_class = nullptr;

void set_fault_class(nb::handle type) {
    Py_XDECREF(fault_class);
    fault_class = type.inc_ref().ptr();
}

void translate_fault(const std::exception_ptr& error, void*) {
    try {
        std::rethrow_exception(error);
    } catch (const native::EngineFault& fault) {
        PyObject* type = fault_class ? fault_class : PyExc_RuntimeError;
        const nb::tuple arguments = nb::make_tuple(fault.rule, fault.line);
        PyErr_SetObject(type, arguments.ptr());
    }
}

}  // namespace

void bind_engine(nb::module_& m) {
    nb::register_exception_translator(translate_fault);
    m.def("engine_set_fault_class", &set_fault_class, nb::arg("fault"));
    bind_engine_class(m);
    bind_twin_class(m);
    bind_functions(m);
}
