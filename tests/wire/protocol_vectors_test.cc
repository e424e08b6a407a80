// The golden vectors, which every client runs, too; see tests/vectors/README.md.
#include <filesystem>
#include <fstream>
#include <string>

#include <gtest/gtest.h>
#include <nlohmann/json.hpp>

#include "wire/limits.h"
#include "wire/protocol_codec.h"

namespace tokenpool::wire {
namespace {

using Json = nlohmann::json;

Json vectors(const char* file) {
  const auto path = std::filesystem::path(__FILE__).parent_path() / "../vectors" / file;
  std::ifstream in(path);
  return Json::parse(in);
}

std::string made(const Json& make, std::string_view head) {
  const std::string kind = make["kind"];
  if (kind == "open") return std::string(make["depth"].get<std::size_t>(), '[');
  if (kind == "nest") {
    const std::size_t lists = make["depth"].get<std::size_t>() - 2;
    return std::string(head) + R"({"x":)" + std::string(lists, '[') + std::string(lists, ']') +
           "}}";
  }
  EXPECT_EQ(kind, "long");
  const std::string start = std::string(head) + R"({"pad":")";
  const std::size_t rest = make["bytes"].get<std::size_t>() - start.size() - 4;
  return start + std::string(rest, 'x') + "\"}}";
}

std::string line_of(const Json& vector, std::string_view head) {
  if (vector.contains("line")) return vector["line"];
  if (vector.contains("make")) return made(vector["make"], head);
  const std::string hex = vector["line_hex"];
  std::string line;
  for (std::size_t i = 0; i < hex.size(); i += 2) {
    line += static_cast<char>(std::stoi(hex.substr(i, 2), nullptr, 16));
  }
  return line;
}

constexpr std::string_view kRequestHead = R"({"jsonrpc":"2.0","id":1,"method":"status","params":)";
constexpr std::string_view kAnswerHead = R"({"jsonrpc":"2.0","id":1,"result":)";

/// With a newline it does not fit: for the framing, which sees it first.
bool is_too_long(const std::string& line) { return line.size() >= kMaxLine; }

CallId to_id(const Json& id) {
  if (id.is_number()) return id.get<std::int64_t>();
  if (id.is_string()) return id.get<std::string>();
  return {};
}

Json without_params_if_empty(Json message) {
  if (message.contains("params") && message["params"].empty()) message.erase("params");
  return message;
}

/// What the codec wrote may leave out defaults that the vector states, and what nobody knows.
void expect_part_of(const Json& written, const Json& stated, const std::string& name) {
  for (const auto& [key, value] : written.items()) {
    if (!stated.contains(key)) {
      ADD_FAILURE() << name << ": " << key << " is written but was not read";
    } else if (value.is_object()) {
      expect_part_of(value, stated[key], name);
    } else if (value.is_array()) {
      ASSERT_EQ(value.size(), stated[key].size()) << name;
      for (std::size_t i = 0; i < value.size(); ++i) {
        expect_part_of(value[i], stated[key][i], name);
      }
    } else {
      EXPECT_EQ(value, stated[key]) << name << ": " << key;
    }
  }
}

void expect_read(const Json& vector) {
  const std::string name = vector["name"];
  const std::string line = line_of(vector, kRequestHead);
  const auto parsed = parse_request(line);
  ASSERT_EQ(parsed.index(), 0U) << name << ": " << std::get<Refusal>(parsed).message;
  const CallRequest& request = std::get<CallRequest>(parsed);
  EXPECT_EQ(request.id, to_id(vector["id"])) << name;
  std::string written;
  append_request(&written, request);
  EXPECT_EQ(parse_request(written), parsed) << name;
  const Json message = Json::parse(written);
  EXPECT_EQ(message["method"], vector["method"]) << name;
  if (vector.contains("make")) return;
  if (vector.value("server_only", false)) {
    const auto* hello = std::get_if<HelloCall>(&request.call);
    // Of another protocol nothing but its number is read.
    if (hello != nullptr && hello->protocol != kProtocolVersion) return;
    expect_part_of(message, Json::parse(line), name);
  } else {
    EXPECT_EQ(without_params_if_empty(message), without_params_if_empty(Json::parse(line))) << name;
  }
}

TEST(Vectors, Requests) {
  int read = 0;
  for (const Json& vector : vectors("requests.json")) {
    expect_read(vector);
    ++read;
  }
  EXPECT_GT(read, 50);
}

TEST(Vectors, BadRequests) {
  int refused = 0;
  for (const Json& vector : vectors("bad_requests.json")) {
    // Lines that are right by themselves are for the session.
    if (vector.value("session", false)) continue;
    const std::string name = vector["name"];
    const std::string line = line_of(vector, kRequestHead);
    const auto parsed = parse_request(line);
    if (is_too_long(line)) continue;
    ASSERT_EQ(parsed.index(), 1U) << name;
    const Refusal& refusal = std::get<Refusal>(parsed);
    EXPECT_EQ(refusal.silent, vector["code"].is_null()) << name;
    EXPECT_EQ(refusal.id, to_id(vector["id"])) << name;
    EXPECT_FALSE(refusal.message.empty()) << name;
    if (!refusal.silent) {
      EXPECT_EQ(static_cast<int>(refusal.code), vector["code"].get<int>()) << name;
    }
    ++refused;
  }
  EXPECT_GT(refused, 100);
}

void expect_fields(const Answer& answer, const Json& body, const std::string& name) {
  EXPECT_EQ(answer.session, body.value("session", 0U)) << name;
  EXPECT_EQ(answer.server, body.value("server", "")) << name;
  EXPECT_EQ(answer.protocol, body.value("protocol", 0)) << name;
  EXPECT_EQ(answer.epoch, body.value("epoch", "")) << name;
  EXPECT_EQ(answer.resumed, body.value("resumed", std::vector<std::uint64_t>())) << name;
  EXPECT_EQ(answer.lease, body.value("lease", std::uint64_t{0})) << name;
  EXPECT_EQ(answer.slots.value_or(-1), body.value("slots", -1)) << name;
  EXPECT_EQ(answer.paid, body.value("paid", 0)) << name;
  EXPECT_EQ(answer.watched.has_value(), body.contains("watched")) << name;
  EXPECT_EQ(answer.watched.value_or(false), body.value("watched", false)) << name;
  EXPECT_EQ(answer.cancelled.has_value(), body.contains("cancelled")) << name;
  EXPECT_EQ(answer.cancelled.value_or(false), body.value("cancelled", false)) << name;
  EXPECT_EQ(answer.reason, body.value("reason", "")) << name;
  EXPECT_EQ(answer.deadline_ms, body.value("deadline_ms", 0)) << name;
}

void expect_status(const Answer& answer, const Json& body, const std::string& name) {
  const std::optional<StatusResult> status = parse_status(answer.body);
  ASSERT_TRUE(status) << name;
  std::string written;
  append_result(&written, answer.id, *status);
  EXPECT_EQ(Json::parse(written)["result"], body) << name;
}

void expect_answer(const Json& vector) {
  const std::string name = vector["name"];
  const std::optional<Answer> answer = parse_answer(line_of(vector, kAnswerHead));
  ASSERT_TRUE(answer) << name;
  const std::string kind = vector["kind"];
  if (kind == "error") {
    EXPECT_EQ(answer->kind, Answer::Kind::error) << name;
    EXPECT_EQ(answer->id, to_id(vector["id"])) << name;
    EXPECT_EQ(static_cast<int>(answer->code), vector["code"].get<int>()) << name;
    EXPECT_EQ(answer->message, vector["message"].get<std::string>()) << name;
    return;
  }
  const bool is_result = kind == "result";
  EXPECT_EQ(answer->kind, is_result ? Answer::Kind::result : Answer::Kind::notification) << name;
  const Json& body = is_result ? vector["result"] : vector["params"];
  EXPECT_EQ(Json::parse(answer->body), body) << name;
  if (is_result) {
    EXPECT_EQ(answer->id, to_id(vector["id"])) << name;
  } else {
    EXPECT_EQ(answer->method, vector["method"].get<std::string>()) << name;
  }
  expect_fields(*answer, body, name);
  if (body.contains("uptime_ms")) expect_status(*answer, body, name);
}

TEST(Vectors, Answers) {
  int read = 0;
  for (const Json& vector : vectors("answers.json")) {
    expect_answer(vector);
    ++read;
  }
  EXPECT_GT(read, 40);
}

TEST(Vectors, BadAnswers) {
  int refused = 0;
  for (const Json& vector : vectors("bad_answers.json")) {
    const std::string name = vector["name"];
    const std::string line = line_of(vector, kAnswerHead);
    const bool is_read = parse_answer(line).has_value();
    // Too long or empty ones are for the framing.
    if (is_too_long(line) || line.find_first_not_of('\r') == std::string::npos) continue;
    EXPECT_EQ(is_read, vector.value("ignore", false)) << name;
    ++refused;
  }
  EXPECT_GT(refused, 30);
}

}  // namespace
}  // namespace tokenpool::wire
