# One executable per *_test.cpp, each with its own main() that returns 0 when all is well.
# core/base/fixed_test.cpp becomes tests/core_base_fixed_test; the list is written to tests.txt.
include(CheckCXXSourceCompiles)

set(CMAKE_RUNTIME_OUTPUT_DIRECTORY ${CMAKE_BINARY_DIR}/tests)
set(provenue_sanitizers OFF)
if(PROVENUE_SANITIZE)
  set(sanitize -fsanitize=address,undefined -fno-sanitize-recover=all)
  string(REPLACE ";" " " CMAKE_REQUIRED_FLAGS "${sanitize}")
  check_cxx_source_compiles("int main() { return 0; }" PROVENUE_HAS_SANITIZERS)
  unset(CMAKE_REQUIRED_FLAGS)
  if(PROVENUE_HAS_SANITIZERS)
    set(provenue_sanitizers ON)
    target_compile_options(provenue_common INTERFACE ${sanitize} -g1 -O1 -fno-omit-frame-pointer)
    target_link_options(provenue_common INTERFACE ${sanitize})
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
