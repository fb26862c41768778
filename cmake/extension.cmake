# provenue._native: bindings/*.cpp over the machine and the program of every preset. A part is bound
# as soon as its files exist.
find_package(Python 3.11 REQUIRED COMPONENTS Interpreter Development.Module)
execute_process(COMMAND ${Python_EXECUTABLE} -m nanobind --cmake_dir
                OUTPUT_STRIP_TRAILING_WHITESPACE OUTPUT_VARIABLE nanobind_ROOT
                COMMAND_ERROR_IS_FATAL ANY)
find_package(nanobind CONFIG REQUIRED)

file(GLOB provenue_machine_bindings CONFIGURE_DEPENDS bindings/machine*.cpp)
file(GLOB provenue_engine_bindings CONFIGURE_DEPENDS bindings/engine*.cpp)
set(provenue_engine_parts ${provenue_program_sources})
list(FILTER provenue_engine_parts INCLUDE REGEX "^core/program/")

nanobind_add_module(_native NB_STATIC bindings/module.cpp)
if(provenue_machine_bindings)
  target_sources(_native PRIVATE ${provenue_machine_bindings})
  target_compile_definitions(_native PRIVATE PROVENUE_BIND_MACHINE=1)
  target_link_libraries(_native PRIVATE provenue_machine)
endif()
if(provenue_engine_bindings AND provenue_engine_parts)
  target_sources(_native PRIVATE ${provenue_engine_bindings})
  target_compile_definitions(_native PRIVATE PROVENUE_BIND_ENGINE=1)
  foreach(preset ${PROVENUE_PRESETS})
    provenue_program_library(${preset})
    target_link_libraries(_native PRIVATE provenue_program_${preset})
  endforeach()
  target_link_libraries(_native PRIVATE provenue_host provenue_machine provenue_preset_main)
endif()
install(TARGETS _native LIBRARY DESTINATION provenue)

# What an installed package needs beside its code. A checkout (editable) has them in place; guest
# ELFs go along when `make guest` has built them before.
if(NOT "${SKBUILD_STATE}" STREQUAL "editable")
  install(
    DIRECTORY ${PROJECT_SOURCE_DIR}/contracts/
    DESTINATION provenue/contracts
    FILES_MATCHING
    PATTERN "*.vy"
    PATTERN "*.vyi")
  install(
    DIRECTORY ${PROJECT_SOURCE_DIR}/build/guest/
    DESTINATION provenue/guest
    OPTIONAL
    FILES_MATCHING
    PATTERN "*.elf")
endif()
