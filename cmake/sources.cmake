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

# A library of the given sources, or nothing while there are none. SCOPE is added to every file.
function(provenue_library name scope)
  if(NOT ARGN)
    add_library(${name} INTERFACE)
    target_link_libraries(${name} INTERFACE provenue_common)
    return()
  endif()
  list(TRANSFORM ARGN PREPEND ${PROJECT_SOURCE_DIR}/ OUTPUT_VARIABLE sources)
  add_library(${name} STATIC ${sources})
  target_link_libraries(${name} PUBLIC provenue_common PRIVATE provenue_warnings ${scope})
endfunction()

provenue_library(provenue_program provenue_freestanding ${provenue_program_sources})
provenue_library(provenue_host provenue_common ${provenue_host_sources})
provenue_library(provenue_machine provenue_common ${provenue_machine_sources})
# Host code calls the program and the program calls host code (hash dispatch): one linking group.
add_library(provenue_core INTERFACE)
target_link_libraries(provenue_core INTERFACE
  provenue_program provenue_host provenue_program provenue_common)
