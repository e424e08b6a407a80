# The lines of tests/seeds/NAME without their comments, as a list in VARIABLE; a change of the file
# configures anew.
function(tokenpool_seeds name variable)
  set(file ${PROJECT_SOURCE_DIR}/tests/seeds/${name})
  set_property(DIRECTORY APPEND PROPERTY CMAKE_CONFIGURE_DEPENDS ${file})
  file(STRINGS ${file} lines REGEX "^[^#]")
  list(TRANSFORM lines REPLACE " *#.*$" "")
  set(${variable} "${lines}" PARENT_SCOPE)
endfunction()
