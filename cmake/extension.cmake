# provenue._native: bindings/*.cpp over the machine and the program of every preset. A part is bound
# as soon as its file exists.
find_package(Python 3.11 REQUIRED COMPONENTS Interpreter Development.Module)
execute_process(COMMAND ${Python_EXECUTABLE} -m nanobind --cmake_dir
                OUTPUT_STRIP_TRAILING_WHITESPACE OUTPUT_VARIABLE nanobind_ROOT
                COMMAND_ERROR_IS_FATAL ANY)
find_package(nanobind CONFIG REQUIRED)

file(GLOB provenue_binding_sources CONFIGURE_DEPENDS bindings/*.cpp)
nanobind_add_module(_native NB_STATIC ${provenue_binding_sources})
foreach(part machine engine)
  if(EXISTS ${PROJECT_SOURCE_DIR}/bindings/${part}.cpp)
    string(TOUPPER ${part} upper)
    target_compile_definitions(_native PRIVATE PROVENUE_BIND_${upper}=1)
  endif()
endforeach()
target_link_libraries(_native PRIVATE provenue_machine)
if(EXISTS ${PROJECT_SOURCE_DIR}/bindings/engine.cpp)
  foreach(preset ${PROVENUE_PRESETS})
    provenue_program_library(${preset})
    target_link_libraries(_native PRIVATE provenue_program_${preset})
  endforeach()
  target_link_libraries(_native PRIVATE provenue_host provenue_preset_main)
endif()
install(TARGETS _native LIBRARY DESTINATION provenue)
