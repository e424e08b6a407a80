option(TOKENPOOL_UNITY
       "Compile the sources of a room in groups: a fresh build takes half the time; one changed file takes longer"
       OFF)

# What the client library needs beside client/; cmake/client.cmake puts it into the archive.
set(tokenpool_client_needs
    "/core/check\\.cc|/wire/protocol_[a-z_]+\\.cc|/dialect/make_words\\.cc|/dialect/makeflags\\.cc|/proc/process_[a-z]+\\.cc")

# A room is one folder of src/. Its files choose their platform by suffix: *_linux.cc, *_win32.cc,
# *_posix.cc; everything else is portable. What of it the client library needs is also to be had as
# the object library tokenpool_NAME_for_clients.
function(tokenpool_room name)
  file(GLOB sources CONFIGURE_DEPENDS ${CMAKE_CURRENT_SOURCE_DIR}/${name}/*.cc)
  list(FILTER sources EXCLUDE REGEX "/main\\.cc$")
  if(NOT CMAKE_SYSTEM_NAME STREQUAL "Linux")
    list(FILTER sources EXCLUDE REGEX "_linux\\.cc$")
  endif()
  if(NOT WIN32)
    list(FILTER sources EXCLUDE REGEX "_win32\\.cc$")
  else()
    list(FILTER sources EXCLUDE REGEX "_posix\\.cc$")
  endif()
  set(needed ${sources})
  list(FILTER needed INCLUDE REGEX "(${tokenpool_client_needs})$")
  set(targets tokenpool_${name})
  if(needed)
    list(REMOVE_ITEM sources ${needed})
    list(APPEND sources $<TARGET_OBJECTS:tokenpool_${name}_for_clients>)
    list(APPEND targets tokenpool_${name}_for_clients)
    add_library(tokenpool_${name}_for_clients OBJECT ${needed})
  endif()
  add_library(tokenpool_${name} STATIC ${sources})
  foreach(target ${targets})
    target_include_directories(${target} PUBLIC ${PROJECT_SOURCE_DIR}/src)
    target_link_libraries(${target} PUBLIC ${ARGN} PRIVATE tokenpool_flags)
    # Most of a group's time goes to its headers: few large ones, but enough for a few CPUs.
    set_target_properties(${target} PROPERTIES UNITY_BUILD ${TOKENPOOL_UNITY} UNITY_BUILD_BATCH_SIZE 24)
    if(TOKENPOOL_UNITY AND CMAKE_CXX_COMPILER_ID STREQUAL "GNU")
      # A type with a member from an anonymous namespace is fine in a .cc file. GCC takes the file
      # for a header there, because another one includes it.
      target_compile_options(${target} PRIVATE -Wno-subobject-linkage)
    endif()
  endforeach()
endfunction()
