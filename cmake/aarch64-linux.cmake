# The client for Linux on aarch64, made on another machine (docs/quickstart-cpp.md, "Clients on other machines").
# RBC_SYSROOT in the environment: a Debian of that architecture with the libraries; without it they lie beside this
# machine's own, as Debian's multiarch has it.
# SPDX-License-Identifier: Apache-2.0
set(CMAKE_SYSTEM_NAME Linux)
set(CMAKE_SYSTEM_PROCESSOR aarch64)
set(CMAKE_LIBRARY_ARCHITECTURE aarch64-linux-gnu)
find_program(CMAKE_C_COMPILER NAMES aarch64-linux-gnu-gcc aarch64-linux-gnu-gcc-12 REQUIRED)
find_program(CMAKE_CXX_COMPILER NAMES aarch64-linux-gnu-g++ aarch64-linux-gnu-g++-12 REQUIRED)

set(root /)
if(DEFINED ENV{RBC_SYSROOT})
  set(root $ENV{RBC_SYSROOT})
  set(CMAKE_SYSROOT ${root})
  set(ENV{PKG_CONFIG_SYSROOT_DIR} ${root})
endif()
set(ENV{PKG_CONFIG_LIBDIR} ${root}/usr/lib/aarch64-linux-gnu/pkgconfig:${root}/usr/share/pkgconfig)
set(CMAKE_FIND_ROOT_PATH_MODE_PROGRAM NEVER)  # thrift and the like run on this machine
set(CMAKE_FIND_ROOT_PATH_MODE_LIBRARY ONLY)
set(CMAKE_FIND_ROOT_PATH_MODE_INCLUDE ONLY)
set(CMAKE_FIND_ROOT_PATH_MODE_PACKAGE ONLY)
