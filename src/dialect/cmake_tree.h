// Which tool `cmake --build` executes, as its command line and the tree's CMakeCache.txt tell.
//
// Pure: shim/cmake_build.h reads the file. The command line is that of cmake 3.25.1 and 4.3.1, seen
// there: the folder is the argument right behind --build, or there is none. The file's grammar is
// that of CMake's Source/cmState.cxx, ParseCacheEntry.
#pragma once

#include <optional>
#include <span>
#include <string>
#include <string_view>

#include "dialect/tool.h"

namespace tokenpool::dialect {

/// `args`: of cmake, without argv[0].
bool is_cmake_build(std::span<const std::string> args);

/// The folder that `cmake --build FOLDER ...` builds, as it was written. Empty where it is no such
/// command, or where --preset names a preset instead, which names the folder by words that only
/// cmake can resolve.
std::optional<std::string> cmake_build_folder(std::span<const std::string> args);

struct CmakeTree {
  std::string generator;     ///< CMAKE_GENERATOR, such as "Unix Makefiles"; empty: not told
  std::string make_program;  ///< CMAKE_MAKE_PROGRAM, mostly an absolute path; empty: not told
  friend bool operator==(const CmakeTree&, const CmakeTree&) = default;
};

/// Any text is accepted; of a key that is there twice the last one counts, as for cmake.
CmakeTree parse_cmake_cache(std::string_view text);

/// What kind of tool builds the trees of that generator, whatever the program is called: make,
/// ninja or unknown (Xcode and others that know no jobserver).
ToolKind generator_tool(std::string_view generator);

}  // namespace tokenpool::dialect
