// The golden vectors, as a whole session answers them; see tests/vectors/README.md. What the codec
// alone makes of them: tests/wire/protocol_vectors_test.cc.
#include <filesystem>
#include <fstream>
#include <string>

#include <gtest/gtest.h>
#include <nlohmann/json.hpp>

#include "core/limits.h"
#include "session/dispatcher_desk.h"
#include "session/limits.h"

namespace tokenpool::session {
namespace {

using Json = nlohmann::json;

const ProcessId kClient = process(4711);
constexpr std::string_view kHead = R"({"jsonrpc":"2.0","id":1,"method":"status","params":)";

Json vectors(const char* file) {
  const auto path = std::filesystem::path(__FILE__).parent_path() / "../vectors" / file;
  std::ifstream in(path);
  return Json::parse(in);
}

std::string made(const Json& make) {
  const std::string kind = make["kind"];
  if (kind == "open") return std::string(make["depth"].get<std::size_t>(), '[');
  std::string line(kHead);
  if (kind == "nest") {
    const std::size_t lists = make["depth"].get<std::size_t>() - 2;
    return line + R"({"x":)" + std::string(lists, '[') + std::string(lists, ']') + "}}";
  }
  line += R"({"pad":")";
  return line + std::string(make["bytes"].get<std::size_t>() - line.size() - 4, 'x') + "\"}}";
}

std::string line_of(const Json& vector) {
  if (vector.contains("line")) return vector["line"];
  if (vector.contains("make")) return made(vector["make"]);
  const std::string hex = vector["line_hex"];
  std::string line;
  for (std::size_t i = 0; i < hex.size(); i += 2) {
    line += static_cast<char>(std::stoi(hex.substr(i, 2), nullptr, 16));
  }
  return line;
}

wire::CallId to_id(const Json& id) {
  if (id.is_null()) return {};
  if (id.is_string()) return id.get<std::string>();
  return id.get<std::int64_t>();
}

TEST(DispatcherVectorsTest, BadRequestsAreAnsweredAsTheySay) {
  for (const Json& vector : vectors("bad_requests.json")) {
    const std::string name = vector["name"];
    DispatcherDesk desk(4);
    const SessionId session = vector["after_hello"] ? desk.join(kClient) : desk.connect(kClient);
    desk.say(session, line_of(vector));
    // A wrong cookie is answered later.
    if (vector["closes"]) desk.pass(kMaxCookiePenalty);
    const auto answer = desk.heard(session);
    EXPECT_EQ(answer.has_value(), !vector["code"].is_null()) << name;
    if (answer && !vector["code"].is_null()) {
      EXPECT_EQ(static_cast<int>(answer->code), vector["code"].get<int>()) << name;
      EXPECT_EQ(answer->id, to_id(vector["id"])) << name;
      EXPECT_FALSE(answer->message.empty()) << name;
    }
    EXPECT_TRUE(desk.is_silent(session)) << name << ": one answer";
    EXPECT_EQ(desk.is_open(session), !vector["closes"].get<bool>()) << name;
    EXPECT_EQ(desk.leases.free(), 4) << name;
  }
}

TEST(DispatcherVectorsTest, RequestsAreUnderstood) {
  for (const Json& vector : vectors("requests.json")) {
    const std::string name = vector["name"];
    DispatcherDesk desk(core::kMaxSlots);
    const bool is_hello = vector["method"] == "hello";
    const SessionId session = is_hello ? desk.connect(kClient) : desk.join(kClient);
    desk.say(session, line_of(vector));
    desk.pass(kMaxCookiePenalty);
    const auto answer = desk.heard(session);
    EXPECT_EQ(answer.has_value(), !vector["id"].is_null()) << name;
    if (!answer) continue;
    EXPECT_EQ(answer->id, to_id(vector["id"])) << name;
    if (answer->kind == Answer::Kind::result) continue;
    // Right by itself, and refused only for what this arbiter has.
    EXPECT_TRUE(answer->code == ErrorCode::no_such_lease ||
                answer->code == ErrorCode::unsupported_protocol ||
                answer->code == ErrorCode::not_authorized)
        << name << ": " << answer->message;
    EXPECT_EQ(answer->code == ErrorCode::no_such_lease, !is_hello) << name;
  }
}

}  // namespace
}  // namespace tokenpool::session
