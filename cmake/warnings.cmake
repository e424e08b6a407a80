# The flags that every target of ours is compiled with.
add_library(tokenpool_flags INTERFACE)
target_compile_options(tokenpool_flags INTERFACE -Wall -Wextra -Werror -Wswitch-enum)
if(CMAKE_CXX_COMPILER_ID STREQUAL "Clang")
  target_compile_options(tokenpool_flags INTERFACE -Wthread-safety)
endif()
if(CMAKE_CXX_COMPILER_ID STREQUAL "GNU" AND CMAKE_CXX_COMPILER_VERSION VERSION_LESS 13)
  # At -O3 GCC 12 sees overlaps in std::string's operator+ that are not there (GCC PR 105651).
  target_compile_options(tokenpool_flags INTERFACE -Wno-restrict)
endif()
target_compile_definitions(tokenpool_flags INTERFACE FMT_HEADER_ONLY)
if(TOKENPOOL_SANITIZE)
  # That of vptr asks the kernel by writing into a pipe: calls of which our processes know nothing.
  target_compile_options(tokenpool_flags INTERFACE
    -fsanitize=${TOKENPOOL_SANITIZE} -fno-sanitize=vptr -fno-sanitize-recover=all
    -fno-omit-frame-pointer -g1)
  target_link_options(tokenpool_flags INTERFACE -fsanitize=${TOKENPOOL_SANITIZE})
  if(TOKENPOOL_SANITIZE MATCHES "address" AND CMAKE_CXX_COMPILER_ID STREQUAL "Clang" AND NOT TOKENPOOL_SANITIZE_ALL)
    target_compile_options(tokenpool_flags INTERFACE -fsanitize-ignorelist=${CMAKE_CURRENT_LIST_DIR}/libraries.ignorelist)
  endif()
endif()
