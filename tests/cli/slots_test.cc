#include "cli/slots.h"

#include <string>

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "core/limits.h"

namespace tokenpool::cli {
namespace {

using ::testing::HasSubstr;
using ::testing::Not;

TEST(Slots, CpusIsWhatTheMachineOffers) {
  EXPECT_EQ(parse_slots("cpus", 7).value(), (core::SlotRange{7, 7}));
}

TEST(Slots, AutoIsUpToThreeForEachCpu) {
  EXPECT_EQ(parse_slots("auto", 7).value(), (core::SlotRange{1, 21}));
  EXPECT_EQ(parse_slots("auto", 500).value(), (core::SlotRange{1, core::kMaxSlots}));
}

TEST(Slots, TakesRanges) {
  EXPECT_EQ(parse_slots("4-16", 1).value(), (core::SlotRange{4, 16}));
  EXPECT_EQ(parse_slots("1-512", 1).value(), (core::SlotRange{1, 512}));
  EXPECT_FALSE(parse_slots("4-4", 1).value().is_elastic());
}

TEST(Slots, GoesByTheCpus) {
  const auto fixed = [](const char* text, int usable) {
    const auto slots = parse_slots(text, usable).value();
    EXPECT_FALSE(slots.is_elastic()) << text;
    return slots.max;
  };
  EXPECT_EQ(fixed("cpus-1", 8), 7);
  EXPECT_EQ(fixed("cpus-0", 8), 8);
  EXPECT_EQ(fixed("cpus-8", 8), 1) << "a build needs one";
  EXPECT_EQ(fixed("cpus-99999999999999999999", 8), 1);
  EXPECT_EQ(fixed("50%", 8), 4);
  EXPECT_EQ(fixed("50%", 1), 1);
  EXPECT_EQ(fixed("150%", 4), 6);
  EXPECT_EQ(parse_slots("1-cpus", 8).value(), (core::SlotRange{1, 8}));
  EXPECT_EQ(parse_slots("cpus-2-cpus", 8).value(), (core::SlotRange{6, 8}));
  EXPECT_EQ(parse_slots("2-cpus-1", 8).value(), (core::SlotRange{2, 7}));
  EXPECT_EQ(parse_slots("50%-100%", 8).value(), (core::SlotRange{4, 8}));
}

TEST(Slots, TakesEveryNumberOfThePool) {
  for (int slots = 1; slots <= core::kMaxSlots; ++slots) {
    const core::SlotRange exactly{slots, slots};
    EXPECT_EQ(parse_slots(std::to_string(slots), 1).value(), exactly);
  }
}

struct Refused {
  const char* text;
  const char* says;
};

class RefusedSlots : public ::testing::TestWithParam<Refused> {};

TEST_P(RefusedSlots, SaysWhyInOneLine) {
  const auto answer = parse_slots(GetParam().text, 4);
  ASSERT_FALSE(answer.has_value());
  EXPECT_EQ(answer.error().status, 2);
  EXPECT_THAT(answer.error().sentence, HasSubstr(GetParam().says));
  EXPECT_THAT(answer.error().sentence, HasSubstr(std::string("-j ") + GetParam().text));
  EXPECT_THAT(answer.error().sentence, HasSubstr("give"));
  EXPECT_THAT(answer.error().sentence, Not(HasSubstr("\n")));
}

INSTANTIATE_TEST_SUITE_P(
    All, RefusedSlots,
    ::testing::Values(Refused{"0", "at least one"}, Refused{"-1", "at least one"},
                      Refused{"513", "limit is 512"}, Refused{"5000", "limit is 512"},
                      Refused{"99999999999999999999", "limit is 512"},
                      Refused{"-99999999999999999999", "no pool is that small"},
                      Refused{"8-4", "from more (8) to less (4)"}, Refused{"0-4", "at least one"},
                      Refused{"4-513", "limit is 512"}, Refused{"1-99999999999999999999", "limit"},
                      Refused{"x", "not a number"}, Refused{"8x", "not a number"},
                      Refused{"", "empty"}, Refused{"+4", "not a number"},
                      Refused{" 4", "not a number"}, Refused{"4.5", "not a number"},
                      Refused{"4-", "not a number"}, Refused{"0x10", "not a number"},
                      Refused{"0%", "at least one"}, Refused{"-5%", "at least one"},
                      Refused{"%", "not a number"}, Refused{"100001%", "limit is 512"},
                      Refused{"20000%", "limit is 512"}, Refused{"cpus+1", "not a number"},
                      Refused{"cpus-", "not a number"}, Refused{"cpus-x", "not a number"},
                      Refused{"cpus--1", "at least one"}, Refused{"cpu", "not a number"}));

}  // namespace
}  // namespace tokenpool::cli
