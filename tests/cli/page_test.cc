#include "cli/page.h"

#include <sstream>
#include <string>
#include <vector>

#include <gmock/gmock.h>
#include <gtest/gtest.h>

namespace tokenpool::cli {
namespace {

using ::testing::ElementsAre;
using ::testing::HasSubstr;
using ::testing::Not;

std::vector<std::string> lines_of(const Page& page) {
  std::vector<std::string> lines;
  std::istringstream text(page.text());
  for (std::string line; std::getline(text, line);) lines.push_back(line);
  return lines;
}

/// A head of one line and tables of so many rows, with as many that nobody told of.
Page page_of(std::size_t rows, const std::vector<std::size_t>& tables, std::size_t untold = 0) {
  Page page({80, false, rows});
  page.field("Name", "value");
  for (std::size_t t = 0; t < tables.size(); ++t) {
    std::vector<std::vector<std::string>> cells;
    for (std::size_t i = 0; i < tables[t]; ++i) {
      cells.push_back({std::string(1, static_cast<char>('a' + t)) + std::to_string(i)});
    }
    page.table("Table " + std::to_string(t), Worth::rows, {{"WHO"}}, cells, tables[t] + untold);
  }
  return page;
}

TEST(Page, WhatFitsIsShown) {
  EXPECT_THAT(lines_of(page_of(0, {2})),
              ElementsAre("Name      value", "", "Table 0", "  WHO", "  a0", "  a1"));
  EXPECT_EQ(page_of(6, {2}).text(), page_of(0, {2}).text());
  EXPECT_THAT(page_of(0, {0}).text(), Not(HasSubstr("Table")));
}

TEST(Page, TheLongestTableIsMadeShorterAndTheRestIsTold) {
  EXPECT_THAT(lines_of(page_of(12, {9, 2})),
              ElementsAre("Name      value", "", "Table 0", "  WHO", "  a0", "  a1", "  and 7 more",
                          "", "Table 1", "  WHO", "  b0", "  b1"));
  EXPECT_THAT(page_of(7, {4}, 30).text(), HasSubstr("  a1\n  and 32 more\n"));
}

TEST(Page, NoPageIsHigherThanTheScreen) {
  for (std::size_t rows = 1; rows < 40; ++rows) {
    const auto lines = lines_of(page_of(rows, {10, 10, 10}));
    EXPECT_LE(lines.size(), rows);
    const std::string text = page_of(rows, {10, 10, 10}).text();
    if (lines.size() < 41) {
      EXPECT_THAT(text, HasSubstr("more")) << rows;
    }
  }
}

TEST(Page, SectionsOfLittleWorthGoFirst) {
  Page page({80, false, 7});
  page.line("head");
  page.words("Counters", Worth::least, {"granted 1", "lost 2"});
  page.table("Recovered", Worth::less, {{"WHO"}}, {{"x"}}, 1);
  page.table("Limits", Worth::all, {{"TYPE"}}, {{"link"}, {"test"}}, 2);
  EXPECT_THAT(lines_of(page), ElementsAre("head", "", "Limits", "  TYPE", "  link", "  test",
                                          "  and more: Counters, Recovered"));
}

TEST(Page, AFieldKeepsItsTail) {
  Page page({40, false, 0});
  page.named("Run", std::string(60, 'c') + "end", ", pid 7");
  EXPECT_THAT(page.text(), HasSubstr("end, pid 7\n"));
  EXPECT_EQ(columns_of(page.text()), 41U);  // and the newline
}

TEST(Page, TheMiddleIsCutBetweenCharacters) {
  EXPECT_EQ(cut_middle("abcdefghij", 10), "abcdefghij");
  EXPECT_EQ(cut_middle("abcdefghijk", 10), "ab...ghijk");
  EXPECT_EQ(cut_middle("abcdefghijk", 5), "ab...");
  EXPECT_EQ(cut_middle("\u5efa\u5efa\u5efa\u5efa\u5efa\u5efa", 10), "\u5efa...\u5efa\u5efa");
  EXPECT_EQ(cut_middle("aaaaaaaaaaaae\u0301bbbb", 10), "aa...\u0065\u0301bbbb");
  EXPECT_EQ(cut_middle("aaaaaaaaaaaaae\u0301bbbbb", 10), "aa...bbbbb");
}

}  // namespace
}  // namespace tokenpool::cli
