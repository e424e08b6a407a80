#include "cli/suggest.h"

#include <string>
#include <vector>

#include <gtest/gtest.h>

namespace tokenpool::cli {
namespace {

const std::vector<std::string> kKnown{"run", "doctor", "env", "help"};

TEST(Suggest, OneSlipOfThePen) {
  EXPECT_EQ(nearest("rnu", kKnown), "run");
  EXPECT_EQ(nearest("ru", kKnown), "run");
  EXPECT_EQ(nearest("docter", kKnown), "doctor");
  EXPECT_EQ(nearest("dcotr", kKnown), "");
  EXPECT_EQ(nearest("envv", kKnown), "env");
}

TEST(Suggest, NothingNear) {
  EXPECT_EQ(nearest("make", kKnown), "");
  EXPECT_EQ(nearest("", kKnown), "");
  EXPECT_EQ(nearest(std::string(100000, 'r'), kKnown), "");
  EXPECT_EQ(nearest("run", {}), "");
}

}  // namespace
}  // namespace tokenpool::cli
