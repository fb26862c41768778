# Builds with the `ziglang` package from pip where there is no C++ compiler:
#   cmake -DCMAKE_TOOLCHAIN_FILE=cmake/zig-toolchain.cmake ...
# The wrappers beside this file run `python -m ziglang`; the environment variable PROVENUE_PYTHON
# names the Python that has it, the default is the checkout's own .venv.
set(CMAKE_CXX_COMPILER "${CMAKE_CURRENT_LIST_DIR}/zig/zig-c++")
set(CMAKE_AR "${CMAKE_CURRENT_LIST_DIR}/zig/zig-ar" CACHE FILEPATH "archiver")
set(CMAKE_RANLIB "${CMAKE_CURRENT_LIST_DIR}/zig/zig-ranlib" CACHE FILEPATH "archive indexer")
set(CMAKE_CXX_COMPILER_AR "${CMAKE_AR}" CACHE FILEPATH "archiver")
set(CMAKE_CXX_COMPILER_RANLIB "${CMAKE_RANLIB}" CACHE FILEPATH "archive indexer")
# A strip of the host may be missing, and `install/strip` is not used.
set(CMAKE_STRIP "true" CACHE FILEPATH "no strip")
set(PROVENUE_ZIG ON CACHE BOOL "the compiler is zig")
