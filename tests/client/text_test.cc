#include "client/text.h"

#include <string>

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "wire/protocol.h"

namespace tokenpool::client {
namespace {

using testing::ElementsAre;
using testing::IsEmpty;

Address unix_at(const std::string& path) {
  return {.path = path, .host = {}, .v6 = false, .port = 0};
}
Address tcp_at(const std::string& host, bool v6, std::uint16_t port) {
  return {.path = {}, .host = host, .v6 = v6, .port = port};
}

TEST(Text, reads_addresses_in_order) {
  EXPECT_THAT(
      parse_addresses("unix:/a b;tcp:127.0.0.1:80;;tcp:[::1]:65535;"),
      ElementsAre(unix_at("/a b"), tcp_at("127.0.0.1", false, 80), tcp_at("::1", true, 65535)));
  EXPECT_THAT(parse_addresses("tcp:localhost:7"),
              ElementsAre(tcp_at("127.0.0.1", false, 7), tcp_at("::1", true, 7)));
}

TEST(Text, leaves_out_what_it_does_not_understand) {
  EXPECT_THAT(parse_addresses("vsock:3:4;unix:/a"), ElementsAre(unix_at("/a")));
  for (const char* text : {"",
                           ";",
                           "x",
                           "unix:",
                           "unix:a",
                           "tcp:",
                           "tcp::1",
                           "tcp:1.2.3:4",
                           "tcp:1.2.3.4",
                           "tcp:1.2.3.4:",
                           "tcp:1.2.3.4:0",
                           "tcp:1.2.3.4:65536",
                           "tcp:1.2.3.4:+7",
                           "tcp:1.2.3.256:7",
                           "tcp:1.2.3.4.5:7",
                           "tcp:1.2.3.:7",
                           "tcp:host:7",
                           "tcp:::1:7",
                           "tcp:[::1:7",
                           "tcp:[]:7",
                           "tcp:[host]:7"}) {
    EXPECT_THAT(parse_addresses(text), IsEmpty()) << text;
  }
  EXPECT_THAT(parse_addresses("unix:/" + std::string(103, 'x')), IsEmpty());
  EXPECT_THAT(parse_addresses("unix:/" + std::string(102, 'x')), testing::SizeIs(1));
}

TEST(Text, names_addresses_as_they_are_written) {
  EXPECT_EQ(to_string(unix_at("/a")), "unix:/a");
  EXPECT_EQ(to_string(tcp_at("127.0.0.1", false, 80)), "tcp:127.0.0.1:80");
  EXPECT_EQ(to_string(tcp_at("::1", true, 80)), "tcp:[::1]:80");
}

TEST(Text, knows_a_cookie) {
  EXPECT_TRUE(wire::is_cookie(std::string(32, 'a') + std::string(32, 'F')));
  EXPECT_FALSE(wire::is_cookie(std::string(63, 'a')));
  EXPECT_FALSE(wire::is_cookie(std::string(65, 'a')));
  EXPECT_FALSE(wire::is_cookie(std::string(63, 'a') + "g"));
}

TEST(Text, knows_a_lease) {
  EXPECT_EQ(parse_lease("42"), 42U);
  EXPECT_EQ(parse_lease("9007199254740991"), 9007199254740991U);
  for (const char* text :
       {"", "0", "-1", "+1", "7x", " 7", "9007199254740992", "99999999999999999999"}) {
    EXPECT_EQ(parse_lease(text), 0U) << text;
  }
}

TEST(Text, cleans_up_to_a_character) {
  EXPECT_EQ(clean_text("größe", 64), "größe");
  EXPECT_EQ(clean_text("größe", 3), "gr") << "not half an o with dots";
  EXPECT_EQ(clean_text("a\xff\xc3", 64), "a??");
  EXPECT_EQ(clean_text("\xed\xa0\x80", 64), "???") << "half of a surrogate pair";
  EXPECT_EQ(clean_text("\xc0\x80\xe0\x80\x80\xf0\x80\x80\x80", 64), "?????????") << "overlong";
  EXPECT_EQ(clean_text("\xf4\x90\x80\x80", 64), "????") << "beyond Unicode";
  EXPECT_EQ(clean_text("\xf0\x9f\x94\x97", 4), "\xf0\x9f\x94\x97");
  EXPECT_EQ(clean_text("a\tb\x01", 64), "a?b?") << "the protocol takes no control characters";
  EXPECT_EQ(clean_text("abc", 0), "");
}

}  // namespace
}  // namespace tokenpool::client
