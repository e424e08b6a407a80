#include "wire/plain_text.h"

#include <gtest/gtest.h>

namespace tokenpool::wire {
namespace {

TEST(PlainText, CannotControlATerminal) {
  EXPECT_EQ(clean_line("a\033[2J\r\n\x7f\t\u009b\u202e\xffz"), "a?[2J???????z");
  EXPECT_EQ(clean_line("\u00e4\u5efa"), "\u00e4\u5efa");
}

TEST(PlainText, JsonMeansTheSame) {
  EXPECT_EQ(clean_json("{\n \"a\": \"\\u001b \u009b\x7f\u202e\u00e4\"\n}"),
            "{\n \"a\": \"\\u001b \\u009b\\u007f\\u202e\u00e4\"\n}");
  EXPECT_EQ(clean_json(""), "");
}

}  // namespace
}  // namespace tokenpool::wire
