# What `cmake --install` and the packages put in place: the program, its shims, the man pages, the
# completions and the units of systemd. The shims are relative links, so that the tree works under
# any prefix and in a chroot.
include(GNUInstallDirs)

# What debuggers need is most of the file. A program with sanitizers needs it to tell where it is.
set(is_release $<CONFIG:Release,RelWithDebInfo,MinSizeRel>)
if(TOKENPOOL_STRIP AND NOT TOKENPOOL_SANITIZE)
  install(CODE "if(${is_release})
    set(CMAKE_INSTALL_DO_STRIP 1)
  endif()")
endif()
install(TARGETS tokenpool RUNTIME DESTINATION ${CMAKE_INSTALL_BINDIR})
include(cmake/install_client.cmake)

set(launcher_stage ${PROJECT_BINARY_DIR}/install-launcher)
file(MAKE_DIRECTORY ${launcher_stage})
file(CREATE_LINK tokenpool ${launcher_stage}/tokenpool-exec SYMBOLIC)
install(FILES ${launcher_stage}/tokenpool-exec DESTINATION ${CMAKE_INSTALL_BINDIR})

set(tokenpool_shims make gmake ninja ninja-build ctest cmake)
# Fixed, not CMAKE_INSTALL_LIBDIR: the program looks for ../lib/tokenpool/shims beside its own folder.
set(tokenpool_shims_dir lib/tokenpool/shims)
set(shims_stage ${PROJECT_BINARY_DIR}/install-shims)
file(REMOVE_RECURSE ${shims_stage})
file(MAKE_DIRECTORY ${shims_stage})
foreach(shim IN LISTS tokenpool_shims)
  file(CREATE_LINK ../../../${CMAKE_INSTALL_BINDIR}/tokenpool ${shims_stage}/${shim} SYMBOLIC)
endforeach()
install(DIRECTORY ${shims_stage}/ DESTINATION ${tokenpool_shims_dir})

file(GLOB man_sources CONFIGURE_DEPENDS ${PROJECT_SOURCE_DIR}/man/*.scd)
set(man_stage ${PROJECT_BINARY_DIR}/man)
file(REMOVE_RECURSE ${man_stage})  # a page that was renamed must not be installed again
file(MAKE_DIRECTORY ${man_stage})
find_program(SCDOC scdoc)
set(man_pages)
# Commands and names that another page describes.
if(SCDOC)
  foreach(name set pause resume)
    file(WRITE ${man_stage}/man1/tokenpool-${name}.1 ".so man1/tokenpool-status.1\n")
  endforeach()
endif()
if(SCDOC)
  foreach(source IN LISTS man_sources)
    get_filename_component(page ${source} NAME_WLE)
    if(NOT page MATCHES "\\.([0-9])$")
      message(FATAL_ERROR "${source}: a man page is named NAME.SECTION.scd")
    endif()
    set(folder ${man_stage}/man${CMAKE_MATCH_1})
    # A fixed date makes the page the same in every build.
    add_custom_command(OUTPUT ${folder}/${page}
      COMMAND ${CMAKE_COMMAND} -E make_directory ${folder}
      COMMAND ${CMAKE_COMMAND} -E env SOURCE_DATE_EPOCH=1790000000
              sh -c "\"$1\" < \"$2\" > \"$3\"" scdoc ${SCDOC} ${source} ${folder}/${page}
      DEPENDS ${source} VERBATIM)
    list(APPEND man_pages ${folder}/${page})
  endforeach()
else()
  message(WARNING "scdoc was not found: no man page will be installed (apt-get install scdoc)")
endif()
add_custom_target(man ALL DEPENDS ${man_pages})
install(DIRECTORY ${man_stage}/ DESTINATION ${CMAKE_INSTALL_MANDIR} FILES_MATCHING PATTERN "*.[0-9]")

set(completions ${PROJECT_SOURCE_DIR}/completions)
install(FILES ${completions}/tokenpool.bash RENAME tokenpool
        DESTINATION ${CMAKE_INSTALL_DATADIR}/bash-completion/completions)
# zsh searches site-functions below /usr/local, and vendor-completions below /usr in Debian.
install(CODE "
  set(zsh_folder site-functions)
  if(CMAKE_INSTALL_PREFIX MATCHES \"/usr$\")
    set(zsh_folder vendor-completions)
  endif()
  file(INSTALL \"${completions}/_tokenpool\"
       DESTINATION \"\${CMAKE_INSTALL_PREFIX}/${CMAKE_INSTALL_DATADIR}/zsh/\${zsh_folder}\")")
install(FILES ${completions}/tokenpool.fish
        DESTINATION ${CMAKE_INSTALL_DATADIR}/fish/vendor_completions.d)

install(CODE "
  set(SOURCE \"${PROJECT_SOURCE_DIR}/systemd\")
  set(BINDIR \"${CMAKE_INSTALL_BINDIR}\")
  include(\"${PROJECT_SOURCE_DIR}/cmake/install_units.cmake\")")

install(FILES ${PROJECT_SOURCE_DIR}/README.md ${PROJECT_SOURCE_DIR}/CHANGELOG.md
              ${PROJECT_SOURCE_DIR}/LICENSE DESTINATION ${CMAKE_INSTALL_DOCDIR})
install(FILES ${PROJECT_SOURCE_DIR}/docs/clients.md ${PROJECT_SOURCE_DIR}/docs/comparison.md
        DESTINATION ${CMAKE_INSTALL_DOCDIR}/docs)

set(CPACK_PACKAGE_NAME tokenpool)
set(CPACK_PACKAGE_CONTACT "The Tokenpool authors <tokenpool@localhost>")
set(CPACK_PACKAGE_DESCRIPTION_SUMMARY "${PROJECT_DESCRIPTION}")
set(CPACK_PACKAGE_VERSION ${PROJECT_VERSION})
set(CPACK_RESOURCE_FILE_LICENSE ${PROJECT_SOURCE_DIR}/LICENSE)
set(CPACK_GENERATOR DEB TGZ)
set(CPACK_STRIP_FILES ON)
# The units name the program by its path, so the prefix is that of the packages' files.
set(CPACK_SET_DESTDIR ON)
set(CPACK_INSTALL_PREFIX /usr)
set(CPACK_DEBIAN_FILE_NAME DEB-DEFAULT)
set(CPACK_DEBIAN_PACKAGE_SECTION devel)
set(CPACK_DEBIAN_PACKAGE_PRIORITY optional)
# A static program depends on no package; without it the libraries that it links are found out.
if(NOT TOKENPOOL_STATIC)
  set(CPACK_DEBIAN_PACKAGE_SHLIBDEPS ON)
endif()
include(CPack)
