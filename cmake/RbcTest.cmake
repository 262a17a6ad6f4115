# rbc_test(name SOURCES... [LIBS...] [RELEASE_ONLY]): a GoogleTest program, each of its tests known to ctest.
# RELEASE_ONLY: not under sanitizers (the narrow sandbox, exact memory figures).
# SPDX-License-Identifier: Apache-2.0
function(rbc_test name)
  cmake_parse_arguments(ARG "RELEASE_ONLY" "TIMEOUT" "SOURCES;LIBS;ENV;LABELS" ${ARGN})
  if(ARG_RELEASE_ONLY AND RBC_SANITIZER)
    return()
  endif()
  add_executable(${name} ${ARG_SOURCES})
  target_link_libraries(${name} PRIVATE ${ARG_LIBS} GTest::gtest GTest::gmock GTest::gtest_main)
  if(NOT ARG_TIMEOUT)
    set(ARG_TIMEOUT 120)
  endif()
  gtest_discover_tests(${name} DISCOVERY_TIMEOUT 60
                       PROPERTIES TIMEOUT ${ARG_TIMEOUT} LABELS "${ARG_LABELS}" ENVIRONMENT "${ARG_ENV}")
endfunction()
