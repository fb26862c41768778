# Compiler flags, as interface targets.

# Ours: every warning is an error. Third-party headers are included as system headers. In C++, g++
# leaves changes of sign out of -Wconversion and clang does not; all builds mean the former.
add_library(provenue_warnings INTERFACE)
target_compile_options(provenue_warnings INTERFACE
  -Wall -Wextra -Wconversion -Wno-sign-conversion -Werror)

# All of our C++: the tree is the include root, signed overflow wraps and aliasing is not assumed,
# exactly as in the guest, so that both builds mean the same program (P1).
add_library(provenue_common INTERFACE)
target_include_directories(provenue_common INTERFACE ${PROJECT_SOURCE_DIR})
target_compile_options(provenue_common INTERFACE -fwrapv -fno-strict-aliasing)

if(PROVENUE_MARCH)
  set(provenue_march ${PROVENUE_MARCH})
elseif(CMAKE_SYSTEM_PROCESSOR MATCHES "x86_64|AMD64|amd64")
  set(provenue_march x86-64-v2)
endif()
if(provenue_march)
  if(PROVENUE_ZIG)
    string(REPLACE "-" "_" provenue_march ${provenue_march})
    target_compile_options(provenue_common INTERFACE -mcpu=${provenue_march})
  else()
    target_compile_options(provenue_common INTERFACE -march=${provenue_march})
  endif()
endif()
if(PROVENUE_ZIG)
  # zig instruments for undefined behaviour by default; tests ask for it, the product does not.
  target_compile_options(provenue_common INTERFACE -fno-sanitize=all)
endif()

# The program: what the guest can do and nothing more. No heap, exceptions, rtti, libc (P2).
add_library(provenue_freestanding INTERFACE)
target_compile_options(provenue_freestanding INTERFACE
  -ffreestanding -fno-exceptions -fno-rtti -fno-threadsafe-statics)
