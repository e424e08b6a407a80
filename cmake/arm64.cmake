# A toolchain: the program for Linux on arm64, built elsewhere by Debian's cross compiler.
#   cmake -S . -B build-arm64 -G Ninja --toolchain cmake/arm64.cmake
set(CMAKE_SYSTEM_NAME Linux)
set(CMAKE_SYSTEM_PROCESSOR aarch64)
set(CMAKE_C_COMPILER aarch64-linux-gnu-gcc)
set(CMAKE_CXX_COMPILER aarch64-linux-gnu-g++)

# The libraries are headers only and fit every processor. Their folders alone, since beside them in
# /usr/include are those of this machine's C library.
foreach(name CLI fmt nlohmann rapidjson tl toml++)
  if(EXISTS /usr/include/${name})
    file(MAKE_DIRECTORY ${CMAKE_BINARY_DIR}/include)
    file(CREATE_LINK /usr/include/${name} ${CMAKE_BINARY_DIR}/include/${name} SYMBOLIC)
  endif()
endforeach()
set(CMAKE_CXX_STANDARD_INCLUDE_DIRECTORIES ${CMAKE_BINARY_DIR}/include)
