#include "dialect/tool.h"

#include <gtest/gtest.h>

namespace tokenpool::dialect {
namespace {

TEST(ToolKindOf, Names) {
  EXPECT_EQ(tool_kind("/usr/bin/make"), ToolKind::make);
  EXPECT_EQ(tool_kind("gmake"), ToolKind::make);
  EXPECT_EQ(tool_kind("ninja-build"), ToolKind::ninja);
  EXPECT_EQ(tool_kind("gcc-12"), ToolKind::gcc);
  EXPECT_EQ(tool_kind("x86_64-linux-gnu-g++-12"), ToolKind::gcc);
  EXPECT_EQ(tool_kind("clang++-19"), ToolKind::clang);
  EXPECT_EQ(tool_kind("cargo-make"), ToolKind::unknown);
  EXPECT_EQ(tool_kind("makeinfo"), ToolKind::unknown);
  EXPECT_EQ(tool_kind(""), ToolKind::unknown);
  EXPECT_EQ(tool_kind("make-"), ToolKind::unknown);
}

struct Case {
  ToolKind kind;
  const char* output;
  const char* version;
  std::optional<Dialect> dialect;
};

class DescribeTool : public testing::TestWithParam<Case> {};

TEST_P(DescribeTool, VersionAndDialect) {
  const Tool tool = describe_tool(GetParam().kind, GetParam().output);
  EXPECT_EQ(tool.version_text, GetParam().version);
  EXPECT_EQ(tool.dialect, GetParam().dialect);
  EXPECT_EQ(tool.client, GetParam().dialect.has_value());
  EXPECT_NE(tool.leaves, "");
}

INSTANTIATE_TEST_SUITE_P(
    Tools, DescribeTool,
    testing::Values(
        Case{ToolKind::make, "GNU Make 4.3\nBuilt for x86_64", "4.3", Dialect::fds_auth},
        Case{ToolKind::make, "GNU Make 4.2.1", "4.2.1", Dialect::fds_auth},
        Case{ToolKind::make, "GNU Make 4.1", "4.1", Dialect::fds_old},
        Case{ToolKind::make, "GNU Make 3.81", "3.81", Dialect::fds_old},
        Case{ToolKind::make, "GNU Make 4.4.1", "4.4.1", Dialect::fifo},
        Case{ToolKind::make, "bmake 20200710", "", std::nullopt},
        Case{ToolKind::ninja, "1.13.2\n", "1.13.2", Dialect::fifo},
        Case{ToolKind::ninja, "1.13.0.git", "1.13.0.git", Dialect::fifo},
        Case{ToolKind::ninja, "1.11.1", "1.11.1", std::nullopt},
        Case{ToolKind::ninja, "1.10.2.git.kitware.jobserver-1", "1.10.2.git.kitware.jobserver-1",
             Dialect::fds_auth},
        Case{ToolKind::ctest, "ctest version 3.25.1", "3.25.1", std::nullopt},
        Case{ToolKind::ctest, "ctest version 3.29.0-rc1", "3.29.0-rc1", Dialect::fifo},
        Case{ToolKind::cmake, "cmake version 4.3.1", "4.3.1", std::nullopt},
        Case{ToolKind::cargo, "cargo 1.95.0 (abc 2026-01-01)", "1.95.0", Dialect::fifo},
        Case{ToolKind::cargo, "cargo 1.65.0", "1.65.0", Dialect::fds_auth},
        Case{ToolKind::rustc, "rustc 1.63.0", "1.63.0", Dialect::fds_auth},
        Case{ToolKind::rustc, "rustc 1.78.0 (9b00956e5 2024-04-29)", "1.78.0", Dialect::fifo},
        Case{ToolKind::gcc, "gcc (Debian 12.2.0-14+deb12u1) 12.2.0", "12.2.0", Dialect::fds_auth},
        Case{ToolKind::gcc, "gcc (GCC) 13.2.1 20240912 (Red Hat 13.2.1-3)", "13.2.1",
             Dialect::fifo},
        Case{ToolKind::clang, "Debian clang version 19.1.7 (3~deb12u1)", "19.1.7", std::nullopt},
        Case{ToolKind::make, "", "", std::nullopt}, Case{ToolKind::ninja, "x", "", std::nullopt}));

TEST(DialectFor, AnOldMakeBelowNeedsBothWays) {
  const Tool ninja = describe_tool(ToolKind::ninja, "1.13.2");
  const Tool cmake = describe_tool(ToolKind::cmake, "cmake version 3.25.1");
  const Tool make43 = describe_tool(ToolKind::make, "GNU Make 4.3");
  const Tool make44 = describe_tool(ToolKind::make, "GNU Make 4.4.1");
  EXPECT_EQ(dialect_for(ninja, make43), Dialect::both);
  EXPECT_EQ(dialect_for(ninja, make44), Dialect::fifo);
  EXPECT_EQ(dialect_for(ninja, std::nullopt), Dialect::fifo);
  EXPECT_EQ(dialect_for(cmake, make43), Dialect::both);
  EXPECT_EQ(dialect_for(make43, make43), Dialect::fds_auth);
  EXPECT_EQ(dialect_for(make44, make43), Dialect::fifo);
}

}  // namespace
}  // namespace tokenpool::dialect
