// The extension module `provenue._native`. Conversion only: each part of the C++ code has a file of
// its own beside this one, with one function that adds its classes to the module. CMake defines
// PROVENUE_BIND_x where that file exists.
#include <nanobind/nanobind.h>

#ifdef PROVENUE_BIND_MACHINE
void bind_machine(nanobind::module_& m);
#endif
#ifdef PROVENUE_BIND_ENGINE
void bind_engine(nanobind::module_& m);
#endif

NB_MODULE(_native, m) {
    m.doc() = "Native engine and machine of Provenue; import provenue.engine and provenue.machine.";
#ifdef PROVENUE_BIND_MACHINE
    bind_machine(m);
#endif
#ifdef PROVENUE_BIND_ENGINE
    bind_engine(m);
#endif
}
