#include "cli/real_tool.h"

#include <algorithm>
#include <array>

#include "proc/tool.h"

namespace tokenpool::cli {
namespace {

constexpr std::array<std::string_view, 6> kNames = {"make",        "gmake", "ninja",
                                                    "ninja-build", "ctest", "cmake"};

}  // namespace

bool is_shim_name(std::string_view name) { return std::ranges::find(kNames, name) != kNames.end(); }

std::optional<std::string> real_tool(const std::string& name, const std::string& own_shims) {
  const std::string search = proc::search_path();
  auto path = proc::find_tool(name, search, own_shims);
  for (const auto other : kNames) {
    if (path || wire::tool_kind(other) != wire::tool_kind(name)) continue;
    path = proc::find_tool(other, search, own_shims);
  }
  return path;
}

}  // namespace tokenpool::cli
