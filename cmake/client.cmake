# The client library: libtokenpool.a, with all of our rooms that it needs, for other projects.
target_include_directories(tokenpool_client PUBLIC ${PROJECT_SOURCE_DIR}/include)

# One archive for programs and for shared libraries of others; of ours nothing is exported there.
set_target_properties(tokenpool_core tokenpool_wire tokenpool_proc tokenpool_client PROPERTIES
                      POSITION_INDEPENDENT_CODE ON CXX_VISIBILITY_PRESET hidden
                      VISIBILITY_INLINES_HIDDEN ON)
add_library(tokenpool_library STATIC
  $<TARGET_OBJECTS:tokenpool_client>
  $<FILTER:$<TARGET_OBJECTS:tokenpool_core>,INCLUDE,/check\\.cc>
  $<FILTER:$<TARGET_OBJECTS:tokenpool_wire>,INCLUDE,/protocol_[a-z_]+\\.cc|/make_words\\.cc|/makeflags\\.cc>
  $<FILTER:$<TARGET_OBJECTS:tokenpool_proc>,INCLUDE,/process_[a-z]+\\.cc>)
set_target_properties(tokenpool_library PROPERTIES OUTPUT_NAME tokenpool LINKER_LANGUAGE CXX)
# Whoever installs the program installs the library, too.
add_dependencies(tokenpool tokenpool_library)
