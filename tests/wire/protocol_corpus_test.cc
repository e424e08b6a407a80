// Replays what the fuzzer of the protocol found worth keeping, and lines of the words that matter.
#include <filesystem>
#include <fstream>
#include <iterator>
#include <string>
#include <vector>

#include <gtest/gtest.h>
#include <rapidcheck.h>

// The fuzz targets are built apart; the properties are the same.
#include "../../fuzz/protocol_properties.cc"  // NOLINT(bugprone-suspicious-include)

namespace tokenpool::wire {
namespace {

TEST(ProtocolCorpus, Replay) {
  const auto folder = std::filesystem::path(__FILE__).parent_path() / "../seeds/fuzz/protocol";
  int files = 0;
  for (const auto& entry : std::filesystem::directory_iterator(folder)) {
    std::ifstream in(entry.path(), std::ios::binary);
    fuzz::check_protocol(std::string(std::istreambuf_iterator<char>(in), {}));
    ++files;
  }
  EXPECT_GT(files, 10);
}

std::string some_value() {
  return *rc::gen::elementOf(std::vector<std::string>{"1",
                                                      "0",
                                                      "-1",
                                                      "-0",
                                                      "2",
                                                      "512",
                                                      "513",
                                                      "1.5",
                                                      "1e2",
                                                      "1e400",
                                                      "9007199254740991",
                                                      "9007199254740992",
                                                      "18446744073709551616",
                                                      "null",
                                                      "true",
                                                      "false",
                                                      R"("")",
                                                      R"("link")",
                                                      R"("2.0")",
                                                      R"("a b")",
                                                      R"("\u0000")",
                                                      R"("\ud800")",
                                                      R"("\udc00")",
                                                      R"("\u00e9")",
                                                      "{}",
                                                      "[]",
                                                      R"({"link":2,"lto":null})",
                                                      R"([{"lease":1,"slots":1}])",
                                                      R"([{"lease":1}])",
                                                      "[1,0]",
                                                      R"("\xff")"});
}

std::string some_object(const std::vector<std::string>& names) {
  std::string text = "{";
  for (int n = *rc::gen::inRange(0, 8); n > 0; --n) {
    if (text.size() > 1) text += ',';
    text += '"' + *rc::gen::elementOf(names) + "\":" + some_value();
  }
  return text + "}";
}

TEST(ProtocolRandom, Requests) {
  const std::vector<std::string> names{
      "protocol", "cookie", "name",       "pid",    "start",       "lease",       "launcher",
      "resume",   "min",    "max",        "type",   "target",      "memory",      "priority",
      "id",       "slots",  "timeout_ms", "exit",   "peak_memory", "cpu_seconds", "limits",
      "paused",   "",       "colour",     "session"};
  EXPECT_TRUE(rc::check([&] {
    const std::string method =
        *rc::gen::element<std::string>("hello", "acquire", "release", "resize", "report", "cancel",
                                       "status", "set", "subscribe", "other");
    std::string line = R"({"jsonrpc":"2.0","method":")" + method + '"';
    if (*rc::gen::arbitrary<bool>()) line += R"(,"id":)" + some_value();
    line += R"(,"params":)" + some_object(names) + "}";
    fuzz::check_protocol(line);
  }));
}

TEST(ProtocolRandom, Answers) {
  const std::vector<std::string> names{"lease",   "slots",  "paid",     "watched", "cancelled",
                                       "session", "server", "protocol", "epoch",   "resumed",
                                       "reason",  "limits", "leases",   "waiting", "counters",
                                       "paused",  "free",   "",         "colour",  "deadline_ms"};
  EXPECT_TRUE(rc::check([&] {
    const std::string member = *rc::gen::element<std::string>("result", "error", "params");
    std::string line = R"({"jsonrpc":"2.0","id":)" + some_value();
    line += ",\"" + member + "\":" + some_object(names) + "}";
    fuzz::check_protocol(line);
    fuzz::check_protocol(some_object(names));
  }));
}

}  // namespace
}  // namespace tokenpool::wire
