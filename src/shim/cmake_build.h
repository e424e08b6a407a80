// The tool that `cmake --build` is going to execute.
#pragma once

#include <span>
#include <string>
#include <vector>

#include "shim/real_tool.h"

namespace tokenpool::shim {

/// One tool where CMakeCache.txt tells which: the one in the folder of the command line or, where
/// that folder has a CMakeFiles instead, the nearest above it, as cmake looks for it. A
/// CMAKE_MAKE_PROGRAM that is a shim or has no folder stands for the real tool. A program of a
/// generator other than those of make and ninja is not asked for its version, and is no client.
///
/// Where the cache cannot be read or lacks the keys, and with --preset, which names the folder by
/// words that only cmake can resolve: the make and the ninja on PATH, since it may be either.
/// Whoever takes a -j off should do so only if all of them are clients: an old ninja without its -j
/// would run more jobs than the user asked for, while a -j that stays is at most what was asked.
///
/// Empty: no such tool was found, cmake will say so. `args`: of cmake --build, without argv[0].
/// `own_shims`: our folder of shims. `folder`: tools_folder(), where versions are kept.
std::vector<FoundTool> cmake_builders(std::span<const std::string> args,
                                      const std::string& own_shims, const std::string& folder);

}  // namespace tokenpool::shim
