#include "cli/real_tool.h"

#include <algorithm>
#include <array>

#include "proc/tool.h"

namespace tokenpool::cli {

bool is_shim_name(std::string_view name) {
  return std::ranges::find(wire::kShimNames, name) != wire::kShimNames.end() ||
         std::ranges::find(wire::kBsdMakes, name) != wire::kBsdMakes.end();
}

std::optional<std::string> real_tool(const std::string& name, const std::string& own_shims) {
  const std::string search = proc::search_path();
  auto path = proc::find_tool(name, search, own_shims);
  for (const auto other : wire::kShimNames) {
    if (path || wire::tool_kind(other) != wire::tool_kind(name)) continue;
    path = proc::find_tool(other, search, own_shims);
  }
  return path;
}

}  // namespace tokenpool::cli
