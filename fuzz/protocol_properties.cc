#include <algorithm>
#include <optional>
#include <string>
#include <variant>

#include "core/check.h"
#include "properties.h"
#include "wire/protocol_codec.h"

namespace tokenpool::fuzz {
namespace {

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

}  // namespace tokenpool::fuzz
