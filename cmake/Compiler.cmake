# Warnings, sanitizers, linker and compiler cache.
# SPDX-License-Identifier: Apache-2.0
add_compile_options(-Wall -Wextra -Wno-unused-parameter -fno-omit-frame-pointer)

# Objects do not depend on where the checkout lies, so that two checkouts share one cache.
add_compile_options(-ffile-prefix-map=${CMAKE_SOURCE_DIR}=.)
find_program(RBC_CCACHE ccache)
if(RBC_CCACHE)
  set(RBC_LAUNCHER ${CMAKE_COMMAND} -E env CCACHE_BASEDIR=${CMAKE_SOURCE_DIR} CCACHE_NOHASHDIR=1 ${RBC_CCACHE})
  set(CMAKE_CXX_COMPILER_LAUNCHER ${RBC_LAUNCHER})
  set(CMAKE_C_COMPILER_LAUNCHER ${RBC_LAUNCHER})
endif()

# A compiler of GCC 12 takes lld by its plain name only.
find_program(RBC_LLD NAMES ld.lld ld.lld-22 PATHS ${RBC_LLVM_PREFIX}/bin)
if(RBC_LLD AND NOT CMAKE_CROSSCOMPILING)
  get_filename_component(RBC_LLD_DIR ${RBC_LLD} DIRECTORY)
  add_link_options(-fuse-ld=lld -B${RBC_LLVM_PREFIX}/bin)
endif()
add_link_options(-Wl,--gc-sections)

if(RBC_SANITIZER STREQUAL "address")
  add_compile_options(-fsanitize=address,undefined -fno-sanitize-recover=undefined)
  add_link_options(-fsanitize=address,undefined)
  add_compile_definitions(RBC_SANITIZED=1)
elseif(RBC_SANITIZER STREQUAL "thread")
  add_compile_options(-fsanitize=thread)
  add_link_options(-fsanitize=thread)
  add_compile_definitions(RBC_SANITIZED=1)
endif()
