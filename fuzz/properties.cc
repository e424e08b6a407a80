#include "properties.h"

#include <algorithm>
#include <optional>
#include <string>
#include <vector>

#include "core/check.h"
#include "dialect/makeflags.h"
#include "dialect/tool.h"

namespace tokenpool::fuzz {
namespace {

using dialect::Dialect;
using dialect::JobserverWord;
using dialect::Makeflags;

// Written apart from the parser, so that they do not share a mistake: make's splitting of
// MAKEFLAGS.
std::vector<std::string> words_of(std::string_view value) {
  std::vector<std::string> words;
  bool inside = false;
  for (std::size_t i = 0; i < value.size(); ++i) {
    const bool blank = value[i] == ' ' || value[i] == '\t';
    if (blank) {
      inside = false;
      continue;
    }
    if (!inside) words.emplace_back();
    inside = true;
    if (value[i] == '\\' && i + 1 < value.size()) ++i;
    words.back() += value[i];
  }
  return words;
}

void check_composed(const Makeflags& flags, const dialect::Jobserver& pool, Dialect dialect) {
  const std::string value = dialect::compose_makeflags(flags, pool, dialect);
  const Makeflags again = dialect::parse_makeflags(value);
  TOKENPOOL_CHECK(again.options == flags.options);
  TOKENPOOL_CHECK(again.operands == flags.operands);
  TOKENPOOL_CHECK(again.jobs.has_value());
  TOKENPOOL_CHECK(again.jobservers.size() == (dialect == Dialect::both ? 2 : 1));
  const bool path = dialect == Dialect::fifo || dialect == Dialect::both;
  const JobserverWord& first = again.jobservers.front();
  TOKENPOOL_CHECK((first.form == JobserverWord::Form::fifo) == path);
  TOKENPOOL_CHECK(!path || first.path == pool.fifo);
  const JobserverWord& last = again.jobservers.back();
  TOKENPOOL_CHECK(dialect == Dialect::fifo || last.read_fd == pool.read_fd);
  TOKENPOOL_CHECK(dialect == Dialect::fifo || last.write_fd == pool.write_fd);
  TOKENPOOL_CHECK(dialect::compose_makeflags(again, pool, dialect) == value);
  TOKENPOOL_CHECK(dialect::compose_makeflags(again) == dialect::compose_makeflags(flags));
}

}  // namespace

void check_makeflags(std::string_view value) {
  const Makeflags flags = dialect::parse_makeflags(value);
  const std::string stripped = dialect::compose_makeflags(flags);
  for (const std::string& word : words_of(stripped)) {
    TOKENPOOL_CHECK(!word.starts_with("--jobserver"));
  }
  const Makeflags again = dialect::parse_makeflags(stripped);
  TOKENPOOL_CHECK(again.jobservers.empty());
  TOKENPOOL_CHECK(!again.jobs);
  TOKENPOOL_CHECK(dialect::compose_makeflags(again) == stripped);
  TOKENPOOL_CHECK(stripped.empty() || stripped[0] == ' ' || stripped[0] != '-');
  const dialect::Jobserver pool{"/run/pool-1/fifo", 900, 901, 4};
  for (const Dialect dialect :
       {Dialect::fifo, Dialect::fds_auth, Dialect::fds_old, Dialect::both}) {
    check_composed(flags, pool, dialect);
  }
}

void check_strip_jobs(std::string_view lines) {
  std::vector<std::string> words(1);
  for (const char c : lines) {
    if (c == '\n') {
      words.emplace_back();
    } else if (c != '\0') {
      words.back() += c;
    }
  }
  const dialect::ToolKind kind = dialect::tool_kind(words[0]);
  const std::vector<std::string> args(words.begin() + 1, words.end());
  const bool make = kind == dialect::ToolKind::make;
  const dialect::Tool tool =
      dialect::describe_tool(kind, make                               ? "GNU Make 4.3"
                                   : kind == dialect::ToolKind::ctest ? "ctest version 4.3.1"
                                   : kind == dialect::ToolKind::cmake ? "cmake version 4.3.1"
                                                                      : "1.13.2");
  const dialect::Surgery once = dialect::strip_jobs(tool, args);
  TOKENPOOL_CHECK(!once.removed.empty() || once.args == args);
  TOKENPOOL_CHECK(once.args.size() <= args.size());
  std::size_t at = 0;
  for (const std::string& word : once.args) {
    // A cluster may have lost its end, ctest's -j its number.
    while (at < args.size() && !args[at].starts_with(word) && word != "-j0") ++at;
    TOKENPOOL_CHECK(at < args.size());
    if (word != "-j0") ++at;
  }
  const dialect::Surgery twice = dialect::strip_jobs(tool, once.args);
  TOKENPOOL_CHECK(twice.args == once.args);
  TOKENPOOL_CHECK(twice.removed.empty());
}

}  // namespace tokenpool::fuzz
