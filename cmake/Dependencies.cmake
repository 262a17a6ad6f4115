# What we link: found once, here.
# SPDX-License-Identifier: Apache-2.0
find_package(Threads REQUIRED)
find_package(fmt REQUIRED)
find_package(OpenSSL 3.0 REQUIRED)
find_package(PkgConfig REQUIRED)
pkg_check_modules(THRIFT REQUIRED IMPORTED_TARGET thrift=0.17.0)
pkg_check_modules(ZSTD REQUIRED IMPORTED_TARGET libzstd)
pkg_check_modules(TOMLPLUSPLUS REQUIRED tomlplusplus)
# From its headers alone: the library as packaged reports by exceptions.
add_library(rbc_toml INTERFACE)
target_compile_definitions(rbc_toml INTERFACE TOML_HEADER_ONLY=1 TOML_EXCEPTIONS=0)
if(NOT RBC_CLIENT_ONLY)
  pkg_check_modules(SECCOMP REQUIRED IMPORTED_TARGET libseccomp)
  find_package(spdlog REQUIRED)
endif()
find_package(CLI11 REQUIRED)
find_package(nlohmann_json REQUIRED)
find_program(RBC_THRIFT_COMPILER thrift REQUIRED)

# LLVM is linked into rbc-worker alone (targets/); everybody else takes BLAKE3 from its Support library.
set(RBC_LLVM_INCLUDEDIR ${RBC_LLVM_PREFIX}/include)
set(RBC_LLVM_LIBDIR ${RBC_LLVM_PREFIX}/lib)
if(NOT EXISTS ${RBC_LLVM_LIBDIR}/libLLVMSupport.a)
  message(FATAL_ERROR "No static LLVM 22 under ${RBC_LLVM_PREFIX}; scripts/install-deps installs llvm-22-dev")
endif()

if(RBC_BUILD_TESTS)
  find_package(GTest REQUIRED)
  include(GoogleTest)
endif()
