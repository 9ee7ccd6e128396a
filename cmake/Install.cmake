# What `cmake --install` puts in place: the command, the libraries in both
# forms, headers, pkg-config files, a CMake package and the man pages; the
# shells' completions are cli's.
include(CMakePackageConfigHelpers)

set_target_properties(telltale_core_shared PROPERTIES EXPORT_NAME telltale)
set_target_properties(telltale_core PROPERTIES EXPORT_NAME telltale_static)
set_target_properties(telltale_http_shared PROPERTIES EXPORT_NAME http)
set_target_properties(telltale_http PROPERTIES EXPORT_NAME http_static)
set_target_properties(telltale_sqlite_shared PROPERTIES EXPORT_NAME sqlite)
set_target_properties(telltale_sqlite PROPERTIES EXPORT_NAME sqlite_static)

# The static HTTP library is exported on its own: only it makes a program find
# libcurl and zlib.
install(TARGETS telltale_core_shared telltale_core telltale_http_shared
                telltale_sqlite_shared telltale_sqlite
        EXPORT telltale-targets
        LIBRARY DESTINATION ${CMAKE_INSTALL_LIBDIR}
        ARCHIVE DESTINATION ${CMAKE_INSTALL_LIBDIR})
install(TARGETS telltale_http EXPORT telltale-http-static-targets
        ARCHIVE DESTINATION ${CMAKE_INSTALL_LIBDIR})
install(DIRECTORY include/telltale DESTINATION ${CMAKE_INSTALL_INCLUDEDIR}
        FILES_MATCHING PATTERN "*.h")

set(package_dir ${CMAKE_INSTALL_LIBDIR}/cmake/telltale)
install(EXPORT telltale-targets NAMESPACE telltale:: DESTINATION ${package_dir})
install(EXPORT telltale-http-static-targets NAMESPACE telltale::
        DESTINATION ${package_dir})
configure_package_config_file(
  cmake/telltale-config.cmake.in ${PROJECT_BINARY_DIR}/telltale-config.cmake
  INSTALL_DESTINATION ${package_dir})
write_basic_package_version_file(
  ${PROJECT_BINARY_DIR}/telltale-config-version.cmake
  COMPATIBILITY SameMinorVersion)
install(FILES ${PROJECT_BINARY_DIR}/telltale-config.cmake
              ${PROJECT_BINARY_DIR}/telltale-config-version.cmake
        DESTINATION ${package_dir})

# The pkg-config files find the prefix from where they lie, so that an installed
# tree can be moved, and staged in a package.
file(RELATIVE_PATH pc_to_prefix ${CMAKE_INSTALL_FULL_LIBDIR}/pkgconfig
     ${CMAKE_INSTALL_PREFIX})
file(RELATIVE_PATH pc_libdir ${CMAKE_INSTALL_PREFIX} ${CMAKE_INSTALL_FULL_LIBDIR})
file(RELATIVE_PATH pc_includedir ${CMAKE_INSTALL_PREFIX}
     ${CMAKE_INSTALL_FULL_INCLUDEDIR})
foreach(name telltale telltale-http telltale-sqlite)
  configure_file(cmake/${name}.pc.in ${PROJECT_BINARY_DIR}/${name}.pc @ONLY)
  install(FILES ${PROJECT_BINARY_DIR}/${name}.pc
          DESTINATION ${CMAKE_INSTALL_LIBDIR}/pkgconfig)
endforeach()

install(FILES docs/man/libtelltale.3 DESTINATION ${CMAKE_INSTALL_MANDIR}/man3)
