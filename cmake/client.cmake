# The client library: libtokenpool.a, with all of our rooms that it needs, for other projects.
target_include_directories(tokenpool_client PUBLIC ${PROJECT_SOURCE_DIR}/include)

set(library_rooms tokenpool_client tokenpool_core_for_clients tokenpool_wire_for_clients
                  tokenpool_dialect_for_clients tokenpool_proc_for_clients)
# One archive for programs and for shared libraries of others; of ours nothing is exported there.
set_target_properties(${library_rooms} PROPERTIES
                      POSITION_INDEPENDENT_CODE ON CXX_VISIBILITY_PRESET hidden
                      VISIBILITY_INLINES_HIDDEN ON)
list(TRANSFORM library_rooms REPLACE "(.+)" "$<TARGET_OBJECTS:\\1>" OUTPUT_VARIABLE library_objects)
add_library(tokenpool_library STATIC ${library_objects})
set_target_properties(tokenpool_library PROPERTIES OUTPUT_NAME tokenpool LINKER_LANGUAGE CXX)
# Whoever installs the program installs the library, too.
add_dependencies(tokenpool tokenpool_library)
