// The extension module `provenue._native`. Conversion only: each part of the C++ code has a file of
// its own beside this one, with one function that adds its classes to the module:
//   bindings/machine.cpp   bind_machine   the RV64IM machine
//   bindings/engine.cpp    bind_engine    the engine; it chooses the preset through ProgramTable
// A part may have more files, machine_*.cpp and engine_*.cpp. Only provenue/machine.py and
// provenue/engine.py import the module. CMake defines PROVENUE_BIND_x where the part exists.
#include <nanobind/nanobind.h>

#ifdef PROVENUE_BIND_MACHINE
void bind_machine(nanobind::module_& m);
#endif
#ifdef PROVENUE_BIND_ENGINE
void bind_engine(nanobind::module_& m);
#endif

NB_MODULE(_native, m) {
    m.doc() = "Native part of Provenue; import provenue.engine or provenue.machine instead.";
#ifdef PROVENUE_BIND_MACHINE
    bind_machine(m);
#endif
#ifdef PROVENUE_BIND_ENGINE
    bind_engine(m);
#endif
}
