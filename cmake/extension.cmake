# provenue._native: bindings/*.cpp over the program and the machine.
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
    set_property(SOURCE bindings/module.cpp APPEND PROPERTY
                 COMPILE_DEFINITIONS PROVENUE_BIND_${upper})
  endif()
endforeach()
target_link_libraries(_native PRIVATE provenue_core provenue_machine)
if(PROVENUE_ZIG)
  target_compile_options(nanobind-static PRIVATE -fno-sanitize=all)
endif()
install(TARGETS _native LIBRARY DESTINATION provenue)
