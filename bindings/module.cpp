// The extension modules. Conversion only: each part of the C++ code has a file of its own beside
// this one, with one function that adds its classes to a module.
//
// Capacities are compile-time constants of a preset, so there is one module per preset and one that
// knows no preset. cmake/extension.cmake compiles this file once for each of them:
//   provenue._native           the machine (bindings/machine.cpp)
//   provenue._native_minimal   the engine with the capacities of preset `minimal`
//   provenue._native_dev       ... of preset `dev`         (all from bindings/engine.cpp,
//   provenue._native_main      ... of preset `main`         with -DPROVENUE_PRESET_MINIMAL=1 etc.)
// Each has a nanobind domain of its own, so that classes of the same C++ name do not meet. Only
// provenue/machine.py and provenue/engine.py import them.
#include <nanobind/nanobind.h>

#ifdef PROVENUE_BIND_MACHINE
void bind_machine(nanobind::module_& m);
#endif
#ifdef PROVENUE_BIND_ENGINE
void bind_engine(nanobind::module_& m);
#endif

NB_MODULE(PROVENUE_MODULE, m) {
    m.doc() = "Native part of Provenue; import provenue.engine or provenue.machine instead.";
#ifdef PROVENUE_BIND_MACHINE
    bind_machine(m);
#endif
#ifdef PROVENUE_BIND_ENGINE
    bind_engine(m);
#endif
}
