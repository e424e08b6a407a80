# Run by `cmake --install`: the units of systemd name the program by the path at which it is
# installed, so that they work under any prefix. SOURCE: the folder of the units; BINDIR: that of the
# program below the prefix.
#
# The same units serve root's builds and a user's. systemd looks in lib/systemd, not in
# CMAKE_INSTALL_LIBDIR; below a home folder (~/.local) it only looks in share/systemd/user.
get_filename_component(program "${CMAKE_INSTALL_PREFIX}/${BINDIR}/tokenpool" ABSOLUTE)
string(REPLACE "%" "%%" program "${program}")
string(REPLACE "\\" "\\x5c" program "${program}")
foreach(character IN ITEMS " " "\"" "'" "$")
  string(HEX "${character}" code)
  string(REPLACE "${character}" "\\x${code}" program "${program}")
endforeach()

set(folders lib/systemd/system lib/systemd/user)
if(NOT CMAKE_INSTALL_PREFIX MATCHES "^/usr(/local)?$")
  list(APPEND folders share/systemd/user)
endif()
foreach(folder IN LISTS folders)
  file(INSTALL "${SOURCE}/tokenpool.socket" DESTINATION "${CMAKE_INSTALL_PREFIX}/${folder}")
  set(unit "${CMAKE_INSTALL_PREFIX}/${folder}/tokenpool.service")
  message(STATUS "Installing: $ENV{DESTDIR}${unit}")
  configure_file("${SOURCE}/tokenpool.service.in" "$ENV{DESTDIR}${unit}" @ONLY NO_SOURCE_PERMISSIONS)
  list(APPEND CMAKE_INSTALL_MANIFEST_FILES "${unit}")
endforeach()
