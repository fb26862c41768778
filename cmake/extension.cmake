# The extension modules over the machine and the program; bindings/module.cpp says which there are.
# A module is built as soon as its binding file exists.
find_package(Python 3.11 REQUIRED COMPONENTS Interpreter Development.Module)
execute_process(COMMAND ${Python_EXECUTABLE} -m nanobind --cmake_dir
                OUTPUT_STRIP_TRAILING_WHITESPACE OUTPUT_VARIABLE nanobind_ROOT
                COMMAND_ERROR_IS_FATAL ANY)
find_package(nanobind CONFIG REQUIRED)

# One module: its name, the part it binds (machine or engine), and the libraries it needs.
function(provenue_module name part)
  set(sources bindings/module.cpp)
  if(EXISTS ${PROJECT_SOURCE_DIR}/bindings/${part}.cpp)
    file(GLOB parts CONFIGURE_DEPENDS bindings/${part}.cpp bindings/${part}_*.cpp)
    list(APPEND sources ${parts})
  endif()
  nanobind_add_module(${name} NB_STATIC NB_DOMAIN provenue${name} ${sources})
  target_compile_definitions(${name} PRIVATE PROVENUE_MODULE=${name})
  if(EXISTS ${PROJECT_SOURCE_DIR}/bindings/${part}.cpp)
    string(TOUPPER ${part} upper)
    target_compile_definitions(${name} PRIVATE PROVENUE_BIND_${upper}=1)
  endif()
  target_link_libraries(${name} PRIVATE ${ARGN})
  install(TARGETS ${name} LIBRARY DESTINATION provenue)
endfunction()

provenue_module(_native machine provenue_machine)
if(EXISTS ${PROJECT_SOURCE_DIR}/bindings/engine.cpp)
  foreach(preset ${PROVENUE_PRESETS})
    provenue_core_library(${preset})
    provenue_module(_native_${preset} engine provenue_core_${preset})
  endforeach()
endif()
