# Which source belongs to what. The same rules stand in tools/build_guest.py (guest_sources).
#   *_test.cpp                      tests only
#   keccak/**                       wide hashing, for the host and the machine
#   core/guest/**                   guest only
#   core/native/**, *_native.cpp    host only: hosted C++ (files, threads, CPU dispatch)
#   the rest of core/               the program: freestanding, in both builds, once per preset

file(GLOB_RECURSE provenue_core_all CONFIGURE_DEPENDS RELATIVE ${PROJECT_SOURCE_DIR} core/*.cpp)
file(GLOB_RECURSE provenue_machine_all CONFIGURE_DEPENDS RELATIVE ${PROJECT_SOURCE_DIR}
     machine/*.cpp)
file(GLOB provenue_keccak_sources CONFIGURE_DEPENDS RELATIVE ${PROJECT_SOURCE_DIR} keccak/*.cpp)

set(provenue_program_sources ${provenue_core_all})
list(FILTER provenue_program_sources EXCLUDE REGEX "_test\\.cpp$|_native\\.cpp$")
list(FILTER provenue_program_sources EXCLUDE REGEX "^core/(guest|native)/")
set(provenue_host_sources ${provenue_core_all})
list(FILTER provenue_host_sources INCLUDE REGEX "_native\\.cpp$|^core/native/")
list(FILTER provenue_host_sources EXCLUDE REGEX "_test\\.cpp$")
set(provenue_machine_sources ${provenue_machine_all})
list(FILTER provenue_machine_sources EXCLUDE REGEX "_test\\.cpp$")
set(provenue_test_sources ${provenue_core_all} ${provenue_machine_all})
list(FILTER provenue_test_sources INCLUDE REGEX "_test\\.cpp$")

# A library of the given sources with the flags of `flags`; nothing while there are no sources.
function(provenue_library name flags)
  if(NOT ARGN)
    add_library(${name} INTERFACE)
    target_link_libraries(${name} INTERFACE provenue_common)
    return()
  endif()
  list(TRANSFORM ARGN PREPEND ${PROJECT_SOURCE_DIR}/ OUTPUT_VARIABLE sources)
  add_library(${name} STATIC EXCLUDE_FROM_ALL ${sources})
  target_link_libraries(${name} PUBLIC provenue_common PRIVATE provenue_warnings ${flags})
endfunction()

# Flags that compile a file for one preset: provenue_preset_<preset>.
foreach(preset ${PROVENUE_PRESETS})
  string(TOUPPER ${preset} upper)
  add_library(provenue_preset_${preset} INTERFACE)
  target_compile_definitions(provenue_preset_${preset} INTERFACE PROVENUE_PRESET_${upper}=1)
endforeach()

provenue_library(provenue_keccak provenue_common ${provenue_keccak_sources})
provenue_library(provenue_machine provenue_common ${provenue_machine_sources})
target_link_libraries(provenue_machine PUBLIC provenue_keccak)
# Host code serves every preset through ProgramTable. core/program/api.hpp asks for one by name all
# the same, so it is compiled as `main`, and so are the bindings.
provenue_library(provenue_host provenue_preset_main ${provenue_host_sources})
target_link_libraries(provenue_host PUBLIC provenue_keccak)

# The program with the capacities of one preset: provenue_program_<preset>. It calls the host
# (core/base/host.hpp), so that one follows it in the link.
function(provenue_program_library preset)
  set(name provenue_program_${preset})
  provenue_library(${name} provenue_freestanding ${provenue_program_sources})
  get_target_property(type ${name} TYPE)
  if(type STREQUAL STATIC_LIBRARY)
    target_link_libraries(${name} PRIVATE provenue_preset_${preset} PUBLIC provenue_host)
  endif()
endfunction()
