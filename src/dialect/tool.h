// What is known of the tools that take part in a build: by which words they join a pool, and which
// words of their command line would make them leave it.
//
// Pure: the version is what `TOOL --version` printed, which proc/tool.h asks for.
#pragma once

#include <array>
#include <compare>
#include <cstdint>
#include <optional>
#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "dialect/makeflags.h"

namespace tokenpool::dialect {

enum class ToolKind : std::uint8_t {
  unknown,
  make,
  ninja,
  ctest,
  cmake,
  cargo,
  rustc,
  gcc,
  clang,
  lld,
  meson,
  bazel,
  scons,
  bsd_make,
};

/// Names of the tools that a shim brings into the pool.
inline constexpr std::array<std::string_view, 6> kShimNames{"make",        "gmake", "ninja",
                                                            "ninja-build", "ctest", "cmake"};
/// Makes that read MAKEFLAGS, too, know no jobserver, and die of its words (bmake 20220724:
/// "illegal argument to -j"). Where there is one it has a shim as well.
inline constexpr std::array<std::string_view, 3> kBsdMakes{"bmake", "pmake", "pdpmake"};
std::string_view to_string(ToolKind kind);

/// By the last part of a path: gmake is make, ninja-build is ninja, x86_64-linux-gnu-g++-12 is gcc.
ToolKind tool_kind(std::string_view name);
/// Whether it is a client that never counts on a token that another process has fetched, also
/// before its first call.
bool takes_its_own(std::string_view name);

struct Version {
  unsigned major = 0;
  unsigned minor = 0;
  unsigned patch = 0;
  friend auto operator<=>(const Version&, const Version&) = default;
};

struct Tool {
  ToolKind kind = ToolKind::unknown;
  std::optional<Version> version;  ///< empty: the output was not that of such a tool
  std::string version_text;        ///< as the tool prints it, such as "1.13.2"
  bool client = false;             ///< joins a jobserver that it is told of in its dialect
  std::optional<Dialect> dialect;  ///< the best one that it understands; empty if no client
  std::string leaves;              ///< what makes it leave the pool; empty: nothing known
  friend bool operator==(const Tool&, const Tool&) = default;
};

/// `version_output`: what `TOOL --version` printed, only its first lines matter.
Tool describe_tool(ToolKind kind, std::string_view version_output);

/// The dialect for a tool whose children may run the make that is on PATH: a make older than 4.4
/// stops at a MAKEFLAGS that names the FIFO alone, so where there is one, both ways are named.
/// `make`: what is known of that make; empty if there is none.
Dialect dialect_for(const Tool& tool, const std::optional<Tool>& make);

struct Surgery {
  std::vector<std::string> args;
  std::vector<std::string> removed;  ///< as they were written, "-j 4" as one; empty: args unchanged
  bool serial = false;  ///< the last -j is -j1: one job after the other, by the caller's wish
  friend bool operator==(const Surgery&, const Surgery&) = default;
};

/// Takes the -j off the arguments (without argv[0]) of a tool that would leave the pool because of
/// it. Untouched stay: a tool that is no client, a -j that the tool itself would refuse, and -j1,
/// which keeps within its parent's slot and is often written because a makefile needs it.
///  * make: see dialect/make_words.h. ninja: -jN, -j N, in clusters, not behind -t TOOL.
///  * cmake: only `--build`, for a tree whose tool is a client (see dialect/cmake_tree.h): -jN, -j
///  N, a bare -j, --parallel; after `--` make's grammar (ninja's -j
///    is written alike).
///  * ctest >= 3.29: the first becomes -j0, by which only tokens limit it.
Surgery strip_jobs(const Tool& tool, std::span<const std::string> args);

/// The number in one of Surgery::removed, 1 to 9999. Nothing: as many as there are.
std::optional<int> jobs_in(std::string_view removed);

}  // namespace tokenpool::dialect
