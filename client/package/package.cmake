# The installed package: one shared library that shows its own interface only, its headers, CMake and pkg-config files.
# SPDX-License-Identifier: Apache-2.0
include(CMakePackageConfigHelpers)
include(GNUInstallDirs)

# Thrift's own static library is not made for shared ones: librbc needs libthrift at run time, and no header of it.
add_library(rbc_shared SHARED $<TARGET_OBJECTS:rbc_client_objects>)
add_library(rbc::rbc ALIAS rbc_shared)
target_link_libraries(rbc_shared PRIVATE rbc_types rbc_packing rbc_thrift rbc_base OpenSSL::SSL Threads::Threads)
target_link_options(rbc_shared PRIVATE -Wl,--exclude-libs,ALL $<$<STREQUAL:${RBC_SANITIZER},>:-Wl,-z,defs>)
target_include_directories(rbc_shared INTERFACE $<BUILD_INTERFACE:${CMAKE_CURRENT_SOURCE_DIR}/include>
                                                $<INSTALL_INTERFACE:${CMAKE_INSTALL_INCLUDEDIR}>)
target_compile_features(rbc_shared INTERFACE cxx_std_20)
set_target_properties(rbc_shared PROPERTIES OUTPUT_NAME rbc EXPORT_NAME rbc VERSION ${PROJECT_VERSION}
                                            SOVERSION ${PROJECT_VERSION_MAJOR})

# The error value is the project's own: installed under rbc/, it includes its neighbour there.
set(rbc_made ${CMAKE_CURRENT_BINARY_DIR}/package)
configure_file(${CMAKE_SOURCE_DIR}/base/error.h ${rbc_made}/error.h COPYONLY)
file(READ ${CMAKE_SOURCE_DIR}/base/expected.h rbc_expected)
set_property(DIRECTORY APPEND PROPERTY CMAKE_CONFIGURE_DEPENDS ${CMAKE_SOURCE_DIR}/base/expected.h)
string(REPLACE "\"base/error.h\"" "\"rbc/error.h\"" rbc_expected "${rbc_expected}")
file(CONFIGURE OUTPUT ${rbc_made}/expected.h CONTENT "${rbc_expected}" @ONLY)

string(REGEX REPLACE "^${CMAKE_INSTALL_PREFIX}/?" "" CMAKE_INSTALL_LIBDIR_TAIL "${CMAKE_INSTALL_LIBDIR}")
string(REGEX REPLACE "[^/]+" ".." rbc_up "${CMAKE_INSTALL_LIBDIR_TAIL}")
set(rbc_pc_up "${rbc_up}/..")
configure_file(package/rbc.pc.in ${rbc_made}/rbc.pc @ONLY)
configure_package_config_file(package/rbcConfig.cmake.in ${rbc_made}/rbcConfig.cmake
                              INSTALL_DESTINATION ${CMAKE_INSTALL_LIBDIR}/cmake/rbc)
write_basic_package_version_file(${rbc_made}/rbcConfigVersion.cmake COMPATIBILITY SameMinorVersion)

install(TARGETS rbc_shared EXPORT rbcTargets LIBRARY DESTINATION ${CMAKE_INSTALL_LIBDIR} COMPONENT client)
install(TARGETS rbc RUNTIME DESTINATION ${CMAKE_INSTALL_BINDIR} COMPONENT client)
install(EXPORT rbcTargets NAMESPACE rbc:: DESTINATION ${CMAKE_INSTALL_LIBDIR}/cmake/rbc COMPONENT client)
install(FILES ${rbc_made}/rbcConfig.cmake ${rbc_made}/rbcConfigVersion.cmake
        DESTINATION ${CMAKE_INSTALL_LIBDIR}/cmake/rbc COMPONENT client)
install(FILES ${rbc_made}/rbc.pc DESTINATION ${CMAKE_INSTALL_LIBDIR}/pkgconfig COMPONENT client)
install(DIRECTORY include/rbc DESTINATION ${CMAKE_INSTALL_INCLUDEDIR} COMPONENT client
        PATTERN error.h EXCLUDE PATTERN expected.h EXCLUDE)
install(FILES ${rbc_made}/error.h ${rbc_made}/expected.h DESTINATION ${CMAKE_INSTALL_INCLUDEDIR}/rbc COMPONENT client)
