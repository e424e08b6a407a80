# What `cmake --install` puts in place for programs that use the client library: the archive, its
# headers, tokenpool.pc and the CMake package tokenpool. All of it works under any prefix.
include(CMakePackageConfigHelpers)

# The archive holds C++; who links it as C needs the run-time library by name.
set(tokenpool_runtime stdc++)
if(APPLE OR CMAKE_CXX_FLAGS MATCHES "-stdlib=libc\\+\\+")
  set(tokenpool_runtime c++)
endif()

install(TARGETS tokenpool_library ARCHIVE DESTINATION ${CMAKE_INSTALL_LIBDIR})
install(DIRECTORY ${PROJECT_SOURCE_DIR}/include/tokenpool DESTINATION ${CMAKE_INSTALL_INCLUDEDIR})

set(pc_folder ${CMAKE_INSTALL_LIBDIR}/pkgconfig)
file(RELATIVE_PATH tokenpool_up "/${pc_folder}" "/")
string(REGEX REPLACE "/$" "" tokenpool_up "${tokenpool_up}")
configure_file(${CMAKE_CURRENT_LIST_DIR}/tokenpool.pc.in ${PROJECT_BINARY_DIR}/tokenpool.pc @ONLY)
install(FILES ${PROJECT_BINARY_DIR}/tokenpool.pc DESTINATION ${pc_folder})

set(package_folder ${CMAKE_INSTALL_LIBDIR}/cmake/tokenpool)
configure_package_config_file(${CMAKE_CURRENT_LIST_DIR}/tokenpool-config.cmake.in
                              ${PROJECT_BINARY_DIR}/tokenpool-config.cmake
                              INSTALL_DESTINATION ${package_folder}
                              PATH_VARS CMAKE_INSTALL_INCLUDEDIR CMAKE_INSTALL_LIBDIR
                              NO_CHECK_REQUIRED_COMPONENTS_MACRO)
write_basic_package_version_file(${PROJECT_BINARY_DIR}/tokenpool-config-version.cmake
                                 VERSION ${PROJECT_VERSION} COMPATIBILITY SameMinorVersion)
install(FILES ${PROJECT_BINARY_DIR}/tokenpool-config.cmake
              ${PROJECT_BINARY_DIR}/tokenpool-config-version.cmake DESTINATION ${package_folder})
