#include "shim/cmake_build.h"

#include <filesystem>
#include <optional>
#include <system_error>

#include "dialect/cmake_tree.h"
#include "proc/file.h"
#include "proc/tool.h"
#include "shim/limits.h"
#include "shim/shim_files.h"

namespace tokenpool::shim {
namespace {

namespace fs = std::filesystem;

std::optional<std::string> cache_in(const fs::path& folder) {
  auto text = proc::read_start(folder / "CMakeCache.txt", kMaxCmakeCache);
  // The last line may be cut.
  if (text && text->size() == kMaxCmakeCache) text->resize(text->rfind('\n') + 1);
  return text;
}

dialect::CmakeTree tree_of(const std::string& folder) {
  std::error_code error;
  fs::path at = fs::absolute(folder, error).lexically_normal();
  if (error) return {};
  auto text = cache_in(at);
  if (!text && !fs::exists(at / "CMakeFiles", error)) return {};
  while (!text && at.has_relative_path()) {
    at = at.parent_path();
    text = cache_in(at);
  }
  return text ? dialect::parse_cmake_cache(*text) : dialect::CmakeTree{};
}

std::vector<FoundTool> tools_on_path(const std::string& own_shims, const std::string& folder) {
  std::vector<FoundTool> found;
  for (const auto kind : {dialect::ToolKind::make, dialect::ToolKind::ninja}) {
    const auto path = real_tool(std::string(to_string(kind)), own_shims);
    if (path) found.push_back({*path, known_tool(kind, *path, folder)});
  }
  return found;
}

}  // namespace

std::vector<FoundTool> cmake_builders(std::span<const std::string> args,
                                      const std::string& own_shims, const std::string& folder) {
  const auto built = dialect::cmake_build_folder(args);
  const dialect::CmakeTree tree = built ? tree_of(*built) : dialect::CmakeTree{};
  const std::string& program = tree.make_program;
  if (tree.generator.empty() || program.empty()) return tools_on_path(own_shims, folder);
  const dialect::ToolKind kind = dialect::generator_tool(tree.generator);
  if (kind == dialect::ToolKind::unknown) return {{program, {}}};
  auto path = proc::find_tool(program, proc::search_path(), own_shims);
  if (!path) path = real_tool(program.substr(program.find_last_of('/') + 1), own_shims);
  if (!path) return {};
  return {{*path, known_tool(kind, *path, folder)}};
}

}  // namespace tokenpool::shim
