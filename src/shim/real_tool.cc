#include "shim/real_tool.h"

#include <algorithm>
#include <array>

#include "proc/tool.h"

namespace tokenpool::shim {

bool is_shim_name(std::string_view name) {
  return std::ranges::find(dialect::kShimNames, name) != dialect::kShimNames.end() ||
         std::ranges::find(dialect::kBsdMakes, name) != dialect::kBsdMakes.end();
}

std::optional<std::string> real_tool(const std::string& name, const std::string& own_shims) {
  const std::string search = proc::search_path();
  auto path = proc::find_tool(name, search, own_shims);
  for (const auto other : dialect::kShimNames) {
    if (path || dialect::tool_kind(other) != dialect::tool_kind(name)) continue;
    path = proc::find_tool(other, search, own_shims);
  }
  return path;
}

}  // namespace tokenpool::shim
