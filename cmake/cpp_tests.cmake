# One executable per *_test.cpp, each with its own main() that returns 0 when all is well.
# core/base/fixed_test.cpp becomes tests/core_base_fixed_test; the list is written to tests.txt.
include(CheckCXXSourceCompiles)

set(CMAKE_RUNTIME_OUTPUT_DIRECTORY ${CMAKE_BINARY_DIR}/tests)
set(provenue_sanitizers none)
if(PROVENUE_SANITIZE)
  # zig takes the option for addresses and brings no runtime for it: nothing would be checked.
  set(candidates address,undefined undefined)
  if(PROVENUE_ZIG)
    set(candidates undefined)
  endif()
  foreach(candidate ${candidates})
    string(MAKE_C_IDENTIFIER "PROVENUE_HAS_${candidate}" has)
    set(CMAKE_REQUIRED_FLAGS "-fsanitize=${candidate} -fno-sanitize-recover=all")
    check_cxx_source_compiles("int main() { return 0; }" ${has})
    unset(CMAKE_REQUIRED_FLAGS)
    if(${has})
      set(provenue_sanitizers ${candidate})
      break()
    endif()
  endforeach()
  if(NOT provenue_sanitizers STREQUAL none)
    set(sanitize -fsanitize=${provenue_sanitizers} -fno-sanitize-recover=all)
    target_compile_options(provenue_common INTERFACE ${sanitize} -g1 -O1 -fno-omit-frame-pointer)
    target_link_options(provenue_common INTERFACE ${sanitize})
    # g++ needs minutes for the run loop of the machine (run.hpp) with UBSan and -O1, else seconds.
    set_source_files_properties(machine/machine.cpp machine/recorder.cpp PROPERTIES
      COMPILE_OPTIONS -O0)
  endif()
endif()
file(WRITE ${CMAKE_BINARY_DIR}/sanitizers.txt "${provenue_sanitizers}\n")

# The smallest capacities, so that tests reach every edge quickly.
provenue_program_library(minimal)
foreach(source ${provenue_test_sources})
  string(REGEX REPLACE "\\.cpp$" "" name ${source})
  string(REPLACE "/" "_" name ${name})
  add_executable(${name} ${PROJECT_SOURCE_DIR}/${source})
  target_link_libraries(${name} PRIVATE
    provenue_program_minimal provenue_host provenue_machine provenue_warnings
    provenue_preset_minimal)
endforeach()
