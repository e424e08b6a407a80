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
                      Refused{"8-4", "from more to less"}, Refused{"0-4", "at least one"},
                      Refused{"4-513", "limit is 512"}, Refused{"1-99999999999999999999", "limit"},
                      Refused{"x", "not a number"}, Refused{"8x", "not a number"},
                      Refused{"", "empty"}, Refused{"+4", "not a number"},
                      Refused{" 4", "not a number"}, Refused{"4.5", "not a number"},
                      Refused{"4-", "not a number"}, Refused{"0x10", "not a number"}));

}  // namespace
}  // namespace tokenpool::cli
