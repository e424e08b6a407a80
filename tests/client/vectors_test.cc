// tests/vectors/answers.json and bad_answers.json, as a session takes them.
#include <fstream>
#include <sstream>
#include <string>

#include <nlohmann/json.hpp>

#include "client/session_desk.h"

namespace tokenpool::client {
namespace {

using nlohmann::json;

json vectors(const std::string& name) {
  std::ifstream file(std::string(TOKENPOOL_VECTORS) + "/" + name);
  std::stringstream text;
  text << file.rdbuf();
  return json::parse(text.str());
}

std::string line_of(const json& vector) {
  if (vector.contains("line")) return vector["line"];
  std::string line;
  if (vector.contains("line_hex")) {
    const std::string hex = vector["line_hex"];
    for (std::size_t i = 0; i < hex.size(); i += 2) {
      line += static_cast<char>(std::stoi(hex.substr(i, 2), nullptr, 16));
    }
    return line;
  }
  const std::string head = R"({"jsonrpc":"2.0","id":1,"result":)";
  const json& make = vector["make"];
  if (make["kind"] == "open") return std::string(make["depth"].get<std::size_t>(), '[');
  if (make["kind"] == "nest") {
    const std::size_t brackets = make["depth"].get<std::size_t>() - 2;
    return head + "{\"x\":" + std::string(brackets, '[') + std::string(brackets, ']') + "}}";
  }
  return head + "{\"pad\":\"" +
         std::string(make["bytes"].get<std::size_t>() - head.size() - 12, 'x') + "\"}}";
}

TEST(SessionVectors, answers_do_no_harm) {
  const json all = vectors("answers.json");
  ASSERT_GT(all.size(), 50U);
  for (const json& vector : all) {
    SessionDesk desk;
    desk.connect();
    desk.say(line_of(vector));
    EXPECT_FALSE(desk.session.broken()) << vector["name"];
  }
}

TEST(SessionVectors, bad_answers_break_the_connection_or_are_ignored) {
  const json all = vectors("bad_answers.json");
  ASSERT_GT(all.size(), 40U);
  for (const json& vector : all) {
    SessionDesk desk;
    desk.connect();
    const Ticket ticket = desk.session.begin({}, desk.now);
    ASSERT_EQ(ticket, 1U) << "the vectors answer the request 1";
    desk.say(line_of(vector));
    EXPECT_EQ(desk.session.broken(), !vector.value("ignore", false)) << vector["name"];
    EXPECT_EQ(desk.session.take(ticket), std::nullopt) << vector["name"];
    EXPECT_FALSE(desk.session.take_notice()) << vector["name"];
  }
}

}  // namespace
}  // namespace tokenpool::client
