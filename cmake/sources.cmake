# Which source belongs to what. The same rules stand in tools/build_guest.py (guest_sources).
#   *_test.cpp                      tests only
#   core/guest/**                   guest only
#   core/native/**, *_native.cpp    host only: hosted C++ (files, threads, CPU dispatch)
#   the rest of core/               the program: freestanding, in both builds

file(GLOB_RECURSE provenue_core_all CONFIGURE_DEPENDS RELATIVE ${PROJECT_SOURCE_DIR} core/*.cpp)
file(GLOB_RECURSE provenue_machine_all CONFIGURE_DEPENDS RELATIVE ${PROJECT_SOURCE_DIR}
     machine/*.cpp)

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
  add_library(${name} STATIC ${sources})
  target_link_libraries(${name} PUBLIC provenue_common PRIVATE provenue_warnings ${flags})
endfunction()

provenue_library(provenue_machine provenue_common ${provenue_machine_sources})

# core/ with the capacities of one preset: provenue_core_<preset>. Whoever links it is compiled for
# the same preset.
function(provenue_core_library preset)
  string(TOUPPER ${preset} upper)
  add_library(provenue_preset_${preset} INTERFACE)
  target_compile_definitions(provenue_preset_${preset} INTERFACE PROVENUE_PRESET_${upper}=1)
  provenue_library(provenue_program_${preset} provenue_freestanding ${provenue_program_sources})
  provenue_library(provenue_host_${preset} provenue_common ${provenue_host_sources})
  # Host code calls the program and the program calls host code (hash dispatch): a cycle, which
  # CMake allows between static libraries and links in the right order.
  foreach(pair "program;host" "host;program")
    list(GET pair 0 part)
    list(GET pair 1 other)
    get_target_property(type provenue_${part}_${preset} TYPE)
    if(type STREQUAL STATIC_LIBRARY)
      target_link_libraries(provenue_${part}_${preset} PUBLIC
        provenue_preset_${preset} provenue_${other}_${preset})
    endif()
  endforeach()
  add_library(provenue_core_${preset} INTERFACE)
  target_link_libraries(provenue_core_${preset} INTERFACE
    provenue_program_${preset} provenue_host_${preset} provenue_preset_${preset} provenue_common)
endfunction()
