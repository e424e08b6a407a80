// The tools that have a shim, and the real ones behind the shims.
#pragma once

#include <optional>
#include <string>
#include <string_view>

#include "dialect/tool.h"

namespace tokenpool::shim {

bool is_shim_name(std::string_view name);

/// What a shim called `name` (without folders) executes: the first tool of that name on PATH that
/// is no shim (see proc/tool.h), else one of the same kind under another name that has a shim: some
/// systems have ninja-build only, and CMake asks for that name first. `own_shims`: our folder of
/// shims, may be empty. Empty: there is none.
std::optional<std::string> real_tool(const std::string& name, const std::string& own_shims);

/// A real tool, and what is known of it.
struct FoundTool {
  std::string path;
  dialect::Tool tool;
};

}  // namespace tokenpool::shim
