#include "properties.h"

#include <algorithm>
#include <optional>
#include <string>
#include <variant>
#include <vector>

#include "core/check.h"
#include "wire/makeflags.h"
#include "wire/protocol_codec.h"
#include "wire/tool.h"

namespace tokenpool::fuzz {
namespace {

using wire::Dialect;
using wire::JobserverWord;
using wire::Makeflags;

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

void check_composed(const Makeflags& flags, const wire::Jobserver& pool, Dialect dialect) {
  const std::string value = wire::compose_makeflags(flags, pool, dialect);
  const Makeflags again = wire::parse_makeflags(value);
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
  TOKENPOOL_CHECK(wire::compose_makeflags(again, pool, dialect) == value);
  TOKENPOOL_CHECK(wire::compose_makeflags(again) == wire::compose_makeflags(flags));
}

/// What is appended is one line; answers it without its end.
std::string_view one_line(const std::string& text) {
  TOKENPOOL_CHECK(text.ends_with('\n'));
  TOKENPOOL_CHECK(std::count(text.begin(), text.end(), '\n') == 1);
  return std::string_view(text).substr(0, text.size() - 1);
}

void check_refusal(const wire::Refusal& refusal) {
  TOKENPOOL_CHECK(!refusal.message.empty());
  TOKENPOOL_CHECK(!refusal.silent || refusal.id == wire::CallId());
  TOKENPOOL_CHECK(!refusal.silent || !refusal.garbage);
  std::string answer;
  wire::append_error(&answer, refusal.id, refusal.code, refusal.message);
  const std::optional<wire::Answer> read = wire::parse_answer(one_line(answer));
  TOKENPOOL_CHECK(read.has_value());
  TOKENPOOL_CHECK(read->kind == wire::Answer::Kind::error);
  TOKENPOOL_CHECK(read->id == refusal.id);
  TOKENPOOL_CHECK(read->code == refusal.code);
  TOKENPOOL_CHECK(!read->message.empty());
}

void check_request(std::string_view line) {
  const auto parsed = wire::parse_request(line);
  if (const auto* refusal = std::get_if<wire::Refusal>(&parsed)) return check_refusal(*refusal);
  std::string written;
  wire::append_request(&written, std::get<wire::CallRequest>(parsed));
  TOKENPOOL_CHECK(wire::parse_request(one_line(written)) == parsed);
}

void check_answer(std::string_view line) {
  const std::optional<wire::Answer> answer = wire::parse_answer(line);
  if (!answer || answer->kind == wire::Answer::Kind::error) return;
  const bool is_result = answer->kind == wire::Answer::Kind::result;
  const std::string passed_on =
      is_result ? R"({"jsonrpc":"2.0","id":1,"result":)" + answer->body + "}"
                : R"({"jsonrpc":"2.0","method":"event","params":)" + answer->body + "}";
  const std::optional<wire::Answer> again = wire::parse_answer(passed_on);
  // Members of a method that nobody knows may be anything.
  if (!is_result && !again) return;
  TOKENPOOL_CHECK(again.has_value());
  TOKENPOOL_CHECK(again->body == answer->body);
  TOKENPOOL_CHECK(!is_result || again->lease == answer->lease);
  TOKENPOOL_CHECK(!is_result || again->slots == answer->slots);
}

wire::StatusResult pass_on(const wire::StatusResult& status) {
  std::string line;
  wire::append_result(&line, wire::CallId(std::int64_t{1}), status);
  const std::optional<wire::Answer> answer = wire::parse_answer(one_line(line));
  TOKENPOOL_CHECK(answer.has_value());
  const std::optional<wire::StatusResult> read = wire::parse_status(answer->body);
  TOKENPOOL_CHECK(read.has_value());
  return *read;
}

void check_status(std::string_view body) {
  const std::optional<wire::StatusResult> status = wire::parse_status(body);
  if (!status) return;
  // A row may have more than an arbiter writes; what it writes is read as the same.
  const wire::StatusResult once = pass_on(*status);
  TOKENPOOL_CHECK(pass_on(once) == once);
}

}  // namespace

void check_protocol(std::string_view line) {
  check_request(line);
  check_answer(line);
  check_status(line);
  // So that a status is found in an answer, too.
  if (const std::optional<wire::Answer> answer = wire::parse_answer(line)) {
    check_status(answer->body);
  }
}

void check_makeflags(std::string_view value) {
  const Makeflags flags = wire::parse_makeflags(value);
  const std::string stripped = wire::compose_makeflags(flags);
  for (const std::string& word : words_of(stripped)) {
    TOKENPOOL_CHECK(!word.starts_with("--jobserver"));
  }
  const Makeflags again = wire::parse_makeflags(stripped);
  TOKENPOOL_CHECK(again.jobservers.empty());
  TOKENPOOL_CHECK(!again.jobs);
  TOKENPOOL_CHECK(wire::compose_makeflags(again) == stripped);
  TOKENPOOL_CHECK(stripped.empty() || stripped[0] == ' ' || stripped[0] != '-');
  const wire::Jobserver pool{"/run/pool-1/fifo", 900, 901, 4};
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
  const wire::ToolKind kind = wire::tool_kind(words[0]);
  const std::vector<std::string> args(words.begin() + 1, words.end());
  const bool make = kind == wire::ToolKind::make;
  const wire::Tool tool =
      wire::describe_tool(kind, make                            ? "GNU Make 4.3"
                                : kind == wire::ToolKind::ctest ? "ctest version 4.3.1"
                                : kind == wire::ToolKind::cmake ? "cmake version 4.3.1"
                                                                : "1.13.2");
  const wire::Surgery once = wire::strip_jobs(tool, args);
  TOKENPOOL_CHECK(!once.removed.empty() || once.args == args);
  TOKENPOOL_CHECK(once.args.size() <= args.size());
  std::size_t at = 0;
  for (const std::string& word : once.args) {
    // A cluster may have lost its end, ctest's -j its number.
    while (at < args.size() && !args[at].starts_with(word) && word != "-j0") ++at;
    TOKENPOOL_CHECK(at < args.size());
    if (word != "-j0") ++at;
  }
  const wire::Surgery twice = wire::strip_jobs(tool, once.args);
  TOKENPOOL_CHECK(twice.args == once.args);
  TOKENPOOL_CHECK(twice.removed.empty());
}

}  // namespace tokenpool::fuzz
