#include "dialect/tool.h"

#include <algorithm>
#include <array>
#include <utility>

#include "core/check.h"
#include "dialect/make_words.h"
#include "wire/characters.h"

namespace tokenpool::dialect {
namespace {

struct ToolName {
  std::string_view name;
  ToolKind kind;
};
constexpr std::array<ToolName, 27> kToolNames = {{
    {"make", ToolKind::make},         {"gmake", ToolKind::make},
    {"gnumake", ToolKind::make},      {"ninja", ToolKind::ninja},
    {"ninja-build", ToolKind::ninja}, {"ctest", ToolKind::ctest},
    {"ctest3", ToolKind::ctest},      {"cmake", ToolKind::cmake},
    {"cmake3", ToolKind::cmake},      {"cargo", ToolKind::cargo},
    {"rustc", ToolKind::rustc},       {"gcc", ToolKind::gcc},
    {"g++", ToolKind::gcc},           {"cc", ToolKind::gcc},
    {"c++", ToolKind::gcc},           {"gfortran", ToolKind::gcc},
    {"clang", ToolKind::clang},       {"clang++", ToolKind::clang},
    {"lld", ToolKind::lld},           {"ld.lld", ToolKind::lld},
    {"meson", ToolKind::meson},       {"bazel", ToolKind::bazel},
    {"scons", ToolKind::scons},       {"clang-cl", ToolKind::clang},
    {"bmake", ToolKind::bsd_make},    {"pmake", ToolKind::bsd_make},
    {"pdpmake", ToolKind::bsd_make},
}};

ToolKind exact_kind(std::string_view name) {
  const auto* found = std::ranges::find(kToolNames, name, &ToolName::name);
  return found == kToolNames.end() ? ToolKind::unknown : found->kind;
}

// The packager's remark, as in "gcc (Debian 12.2.0-14) 12.2.0", has numbers of its own.
std::string first_line_without_remarks(std::string_view output) {
  std::string line;
  int depth = 0;
  for (const char c : output.substr(0, output.find('\n'))) {
    if (c == '(') ++depth;
    if (depth == 0) line += c;
    if (c == ')' && depth > 0) --depth;
  }
  return line;
}

std::string version_word(const std::string& line) {
  for (std::size_t i = 0; i < line.size(); ++i) {
    const bool starts =
        wire::is_digit(line[i]) && (i == 0 || line[i - 1] == ' ' || line[i - 1] == 'v');
    if (!starts) continue;
    const std::string word = line.substr(i, line.find_first_of(" \t\r,", i) - i);
    if (word.find('.') != std::string::npos) return word;
  }
  return {};
}

std::optional<Version> parse_version(std::string_view word) {
  if (word.empty() || !wire::is_digit(word[0])) return std::nullopt;
  std::array<unsigned, 3> parts{};
  for (std::size_t n = 0; n < parts.size() && !word.empty() && wire::is_digit(word[0]); ++n) {
    const std::size_t end = std::min(word.size(), word.find_first_not_of("0123456789"));
    parts[n] = whole_number(word.substr(0, end)).value_or(0);
    word.remove_prefix(end);
    if (!word.empty() && word[0] == '.') word.remove_prefix(1);
  }
  return Version{parts[0], parts[1], parts[2]};
}

// What `--version` must say, lest a tool of another kind under the same name be taken for it.
std::string_view expected_word(ToolKind kind) {
  switch (kind) {
    case ToolKind::make:
      return "GNU Make";
    case ToolKind::ctest:
      return "ctest";
    case ToolKind::cmake:
      return "cmake";
    case ToolKind::cargo:
      return "cargo";
    case ToolKind::rustc:
      return "rustc";
    case ToolKind::clang:
      return "clang";
    case ToolKind::lld:
      return "LLD";
    case ToolKind::unknown:
    case ToolKind::ninja:
    case ToolKind::gcc:
    case ToolKind::meson:
    case ToolKind::bazel:
    case ToolKind::scons:
    case ToolKind::bsd_make:
      return "";
  }
  TOKENPOOL_CHECK(false);
}

void join(Tool* tool, Dialect dialect, std::string leaves) {
  tool->client = true;
  tool->dialect = dialect;
  tool->leaves = std::move(leaves);
}

void describe_make(Tool* tool) {
  const Version v = *tool->version;
  const Dialect dialect = v >= Version{4, 4, 0}   ? Dialect::fifo
                          : v >= Version{4, 2, 0} ? Dialect::fds_auth
                                                  : Dialect::fds_old;
  join(tool, dialect, "a -j on its command line or in a makefile's MAKEFLAGS");
}

void describe_ninja(Tool* tool) {
  if (tool->version_text.find("kitware.jobserver") != std::string::npos) {
    join(tool, Dialect::fds_auth, "closed descriptors");
  } else if (*tool->version >= Version{1, 13, 0}) {
    join(tool, Dialect::fifo, "a -j on its command line, or a MAKEFLAGS that names descriptors");
  } else {
    tool->leaves = "ninja before 1.13 knows no jobserver: install ninja 1.13 or later";
  }
}

// Their jobserver library prefers a FIFO's path to descriptors since its 0.1.28.
void describe_rust(Tool* tool) {
  const std::string hidden = "a CARGO_MAKEFLAGS without a jobserver, which hides MAKEFLAGS from it";
  if (*tool->version >= Version{1, 78, 0}) return join(tool, Dialect::fifo, hidden);
  join(tool, Dialect::fds_auth,
       "a recipe without + of a make before 4.4, which closes descriptors; " + hidden);
}

void describe_gcc(Tool* tool) {
  if (*tool->version >= Version{13, 0, 0}) {
    join(tool, Dialect::fifo, "MAKE set to a make before 4.4, with -flto");
  } else {
    join(tool, Dialect::fds_auth,
         "-flto=auto runs $MAKE -jN, which joins by the shim of make only");
  }
}

void describe_known(Tool* tool) {
  switch (tool->kind) {
    case ToolKind::make:
      return describe_make(tool);
    case ToolKind::ninja:
      return describe_ninja(tool);
    case ToolKind::ctest:
      if (*tool->version >= Version{3, 29, 0}) {
        return join(tool, Dialect::fifo, "a number in CTEST_PARALLEL_LEVEL is a limit besides it");
      }
      tool->leaves = "ctest before 3.29 knows no jobserver: install CMake 3.29 or later";
      return;
    case ToolKind::cmake:
      tool->leaves =
          "a tree whose tool is no client; --build with -j, CMAKE_BUILD_PARALLEL_LEVEL, a preset's "
          "jobs";
      return;
    case ToolKind::cargo:
    case ToolKind::rustc:
      return describe_rust(tool);
    case ToolKind::gcc:
      return describe_gcc(tool);
    case ToolKind::clang:
    case ToolKind::lld:
      tool->leaves = "its threads do not use a jobserver: limit them with -Wl,--threads=1";
      return;
    case ToolKind::meson:
      tool->leaves = "meson compile joins by its ninja unless it is given -j; meson test does not";
      return;
    case ToolKind::bazel:
    case ToolKind::scons:
      tool->leaves = "knows no jobserver: its compilers obey under run --wrap, or give it a -j";
      return;
    case ToolKind::bsd_make:
      tool->leaves = "it is not GNU make";
      return;
    case ToolKind::unknown:
      return;
  }
}

}  // namespace

std::string_view to_string(ToolKind kind) {
  constexpr std::array<std::string_view, 14> kText = {"unknown", "make",  "ninja", "ctest", "cmake",
                                                      "cargo",   "rustc", "gcc",   "clang", "lld",
                                                      "meson",   "bazel", "scons", "bmake"};
  return kText.at(static_cast<std::size_t>(kind));
}

ToolKind tool_kind(std::string_view name) {
  name = name.substr(name.find_last_of('/') + 1);
  if (const ToolKind kind = exact_kind(name); kind != ToolKind::unknown) return kind;
  const std::size_t dash = name.find_last_of('-');
  if (dash == std::string_view::npos || dash + 1 == name.size()) return ToolKind::unknown;
  const std::string_view tail = name.substr(dash + 1);
  if (tail.find_first_not_of("0123456789.") == std::string_view::npos) {
    return tool_kind(name.substr(0, dash));
  }
  // A cross compiler carries its target in front.
  const ToolKind kind = exact_kind(tail);
  return kind == ToolKind::gcc || kind == ToolKind::clang ? kind : ToolKind::unknown;
}

bool takes_its_own(std::string_view name) {
  const ToolKind kind = tool_kind(name);
  return kind == ToolKind::make || kind == ToolKind::ninja || kind == ToolKind::cargo ||
         kind == ToolKind::rustc || kind == ToolKind::ctest;
}

Tool describe_tool(ToolKind kind, std::string_view version_output) {
  Tool tool;
  tool.kind = kind;
  const std::string line = first_line_without_remarks(version_output);
  if (line.find(expected_word(kind)) != std::string::npos) {
    tool.version_text = version_word(line);
    tool.version = parse_version(tool.version_text);
  }
  if (!tool.version) {
    tool.version_text.clear();
    const bool other_make = kind == ToolKind::make || kind == ToolKind::bsd_make;
    tool.leaves = other_make ? "it is not GNU make" : "its version is not known";
    return tool;
  }
  describe_known(&tool);
  return tool;
}

Dialect dialect_for(const Tool& tool, const std::optional<Tool>& make) {
  if (tool.client && tool.dialect != Dialect::fifo) return *tool.dialect;
  if (tool.kind == ToolKind::make) return Dialect::fifo;
  const bool old_make = make && make->client && make->dialect != Dialect::fifo;
  return old_make ? Dialect::both : Dialect::fifo;
}

}  // namespace tokenpool::dialect
