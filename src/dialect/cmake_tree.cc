#include "dialect/cmake_tree.h"

#include <algorithm>

namespace tokenpool::dialect {
namespace {

constexpr std::string_view kBlanks = " \t\r";

std::string_view trimmed(std::string_view text) {
  text.remove_prefix(std::min(text.size(), text.find_first_not_of(kBlanks)));
  return text.substr(0, text.find_last_not_of(kBlanks) + 1);
}

// KEY:TYPE or "KEY":TYPE; cmake also takes an entry without a type.
std::string_view key_of(std::string_view text) {
  const std::size_t quote = text.starts_with('"') ? text.find('"', 1) : std::string_view::npos;
  if (quote != std::string_view::npos) return text.substr(1, quote - 1);
  return text.substr(0, text.find(':'));
}

// cmake puts single quotes around a value that ends with a blank.
std::string_view unquoted(std::string_view value) {
  const bool quoted = value.size() > 1 && value.starts_with('\'') && value.ends_with('\'');
  return quoted ? value.substr(1, value.size() - 2) : value;
}

void read_line(std::string_view line, CmakeTree* tree) {
  if (line.starts_with('#') || line.starts_with("//")) return;
  const std::size_t equals = line.find('=');
  if (equals == std::string_view::npos) return;
  const std::string_view key = key_of(line.substr(0, equals));
  const std::string_view value = unquoted(line.substr(equals + 1));
  if (key == "CMAKE_GENERATOR") tree->generator = value;
  if (key == "CMAKE_MAKE_PROGRAM") tree->make_program = value;
}

}  // namespace

bool is_cmake_build(std::span<const std::string> args) {
  return !args.empty() && args[0] == "--build";
}

std::optional<std::string> cmake_build_folder(std::span<const std::string> args) {
  if (!is_cmake_build(args) || args.size() < 2 || args[1].starts_with('-')) return std::nullopt;
  for (const std::string& word : args) {
    if (word == "--") break;
    if (word == "--preset" || word.starts_with("--preset=")) return std::nullopt;
  }
  return args[1];
}

CmakeTree parse_cmake_cache(std::string_view text) {
  CmakeTree tree;
  while (!text.empty()) {
    const std::size_t end = std::min(text.size(), text.find('\n'));
    read_line(trimmed(text.substr(0, end)), &tree);
    text.remove_prefix(std::min(text.size(), end + 1));
  }
  return tree;
}

ToolKind generator_tool(std::string_view generator) {
  if (generator == "Unix Makefiles") return ToolKind::make;
  if (generator == "Ninja" || generator == "Ninja Multi-Config") return ToolKind::ninja;
  return ToolKind::unknown;
}

}  // namespace tokenpool::dialect
