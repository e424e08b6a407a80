#include "cli/status_text.h"

#include <algorithm>
#include <sstream>
#include <string>
#include <string_view>

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "cli/table.h"

namespace tokenpool::cli {
namespace {

using ::testing::HasSubstr;
using ::testing::Not;

wire::StatusRow row(const std::string& name, int pid, int slots, const std::string& target) {
  wire::StatusRow one;
  one.name = name;
  one.pid = pid;
  one.slots = slots;
  one.target = target;
  return one;
}

wire::StatusResult busy() {
  wire::StatusResult status;
  status.server = "tokenpool 0.1.0";
  status.pid = 4000;
  status.uptime_ms = 123456;
  status.slots = 8;
  status.free = 1;
  status.leased = 5;
  status.tokens = 2;
  status.limits = {{"link", 2, 1}};
  status.leases = {row("make", 4711, 3, "bin/app"), row("b\u00e4cker", 4712, 2, "")};
  status.leases[0].lease = 8123;
  status.leases[0].paid = 1;
  status.leases[0].type = "link";
  status.leases[0].age_ms = 185'000;
  status.leases_total = 2;
  status.waiting = {row("cc", 4713, 0, "\u5efa\u7269.o")};
  status.waiting[0].min = 1;
  status.waiting[0].max = 4;
  status.waiting[0].priority = -7;
  status.waiting[0].age_ms = 1999;
  status.waiting_total = 3;
  status.sessions = 1;
  status.recoveries = {{8000, 1, "cc", 4600, "x.o", "process", 900},
                       {8001, 2, "ninja", 4601, "", "session", 7'500'000}};
  status.counters = {17, 14, 1, 2, 3, 4, 5, 6};
  return status;
}

/// Without the newline that only begins the literal.
std::string page(std::string_view literal) { return std::string(literal.substr(1)); }

TEST(StatusText, Golden) {
  EXPECT_EQ(to_text(busy(), "unix:/run/user/1000/tokenpool/socket", {}), page(R"(
Server    tokenpool 0.1.0, pid 4000, up 2m03s
Address   unix:/run/user/1000/tokenpool/socket
Slots     8: 1 free, 5 held by leases, 2 by make's tokens
Waiting   3 requests; 1 session

Leases (2)
  WHO          SLOTS       SINCE  TYPE  TARGET
  make 4711    3 (1 paid)  3m05s  link  bin/app
  bäcker 4712  2              0s

Waiting (3)
  WHO      SLOTS  SINCE  PRIORITY  TARGET
  cc 4713  1-4       1s        -7  建物.o
  and 2 more

Limits
  TYPE  LIMIT  USED
  link      2     1

Recovered
  WHO         SLOTS    AGO  CAUSE             TARGET
  cc 4600     1         0s  process ended     x.o
  ninja 4601  2      2h05m  connection ended

Counters
  granted 17      released 14     recovered 1     timed out 2     cancelled 3
  refused 4       unauthorized 5  resumed 6
)"));
}

wire::StatusResult build() {
  wire::StatusResult status;
  status.server = "tokenpool 0.1.0";
  status.pid = 4000;
  status.slots = 4;
  status.tokens = 3;
  status.implicit = 1;
  status.run = wire::RunStatus{
      "make -j4 \033[2J", "/home/me/src", 3999, 65'000, false, "exact", 1, 17, 13, 1, 0, 0};
  status.holders = {{0, 1, "", 0}, {4711, 2, "make -C lib", 60'000}};
  status.jobs = {{4711, 4712, "cc -c a.c", 1000}, {4711, 4713, "cc -c \xff.c", 999}};
  return status;
}

TEST(StatusText, ABuild) {
  const std::string text = to_text(build(), "unix:/x", {});
  EXPECT_EQ(text.substr(0, text.find("\nCounters")), page(R"(
Run       make -j4 ?[2J, pid 3999, since 1m05s
Folder    /home/me/src
Server    tokenpool 0.1.0, pid 4000, up 0s
Address   unix:/x
Slots     4: 0 free, 0 held by leases, 3 by make's tokens, 1 implicit
Tracking  exact; tokens: 1 recovered, 17 taken, 13 returned
Waiting   0 requests; 1 reader of tokens; 0 sessions

Tokens (3)
   PID  TOKENS  SINCE  COMMAND
     ?       1         taken unseen, by one of several
  4711       2  1m00s  make -C lib
  4712             1s    cc -c a.c
  4713             0s    cc -c ?.c
)"));
}

TEST(StatusText, JobsThatHaveJustEnded) {
  EXPECT_THAT(to_text(build(), "unix:/x", {}, {{4711, "cc -c \033b.c", 61'000}}),
              HasSubstr("\nJust ended\n   PID    RAN  JOB\n  4711  1m01s  cc -c ?b.c\n"));
  EXPECT_THAT(to_text(build(), "unix:/x", {}), Not(HasSubstr("Just ended")));
}

TEST(StatusText, ABuildThatIsOver) {
  wire::StatusResult status = build();
  status.run->over = true;
  status.run->pid = 0;
  status.holders.clear();
  status.jobs = {{0, 4712, "sccache", 1000}};
  const std::string text = to_text(status, "unix:/x", {});
  EXPECT_THAT(text, HasSubstr("Run       make -j4 ?[2J, since 1m05s\n"));
  EXPECT_THAT(text, HasSubstr("\nOver      its command has ended; "));
  EXPECT_THAT(text,
              HasSubstr("\nLeft running (1)\n   PID  SINCE  COMMAND\n  4712     1s  sccache\n"));
}

TEST(StatusText, HoldersThatAreNotKnown) {
  wire::StatusResult status = build();
  status.run->tracking = "infer";
  status.holders.clear();
  status.jobs.clear();
  EXPECT_THAT(to_text(status, "unix:/x", {}),
              HasSubstr("\nTracking  infer, so holders are not known; tokens: 1 recovered, "));
}

TEST(StatusText, WhatDoesNotFitIsTold) {
  wire::StatusResult status = busy();
  for (int i = 0; i < 30; ++i) status.waiting.push_back(row("cc", 100 + i, 1, "x.o"));
  status.waiting_total = 40;
  status.uncooperative = {{7, "make -j8", 4000, 0}};
  const std::string text = to_text(status, "unix:/x", {80, false, 23});
  EXPECT_LE(std::count(text.begin(), text.end(), '\n'), 23);
  EXPECT_THAT(text, HasSubstr("make -j8"));
  EXPECT_THAT(text, HasSubstr(" more\n"));
}

TEST(StatusText, SlotsThatNobodyGets) {
  wire::StatusResult status;
  status.slots = 4;
  status.implicit = 1;
  const std::string text = to_text(status, "unix:/x", {});
  EXPECT_NE(text.find("Withheld  3 slots that nobody gets\n"), std::string::npos) << text;
}

TEST(StatusText, AHeadingThatFitsIsNotCut) {
  EXPECT_THAT(lay_out({{"A"}, {"B"}}, {{"a", "a long cell"}}, 8),
              ::testing::ElementsAre("  A  B", "  a  ..."));
}

TEST(StatusText, AnIdlePool) {
  wire::StatusResult status;
  status.server = "tokenpool 0.1.0";
  status.pid = 1;
  status.slots = 1;
  status.free = 1;
  EXPECT_EQ(to_text(status, "tcp:[::1]:7", {}), page(R"(
Server    tokenpool 0.1.0, pid 1, up 0s
Address   tcp:[::1]:7
Slots     1: 1 free, 0 held by leases, 0 by make's tokens
Waiting   0 requests; 0 sessions

Counters
  granted 0       released 0      recovered 0     timed out 0     cancelled 0
  refused 0       unauthorized 0  resumed 0
)"));
}

TEST(StatusText, PausedAndEnding) {
  wire::StatusResult status;
  EXPECT_THAT(to_text(status, "a", {}), Not(HasSubstr("nothing new")));
  status.paused = true;
  EXPECT_THAT(to_text(status, "a", {}), HasSubstr("\nPaused    nothing new is granted\n"));
  status.draining = true;
  EXPECT_THAT(to_text(status, "a", {}), HasSubstr("\nEnding    nothing new is granted\n"));
}

TEST(StatusText, WhoIgnoresThePool) {
  wire::StatusResult status;
  EXPECT_THAT(to_text(status, "a", {}), Not(HasSubstr("Not following")));
  status.uncooperative = {{4711, "make -j4 -f \033x.mk", 2960, 61'000}, {12, "ld", 949, 900}};
  EXPECT_THAT(to_text(status, "a", {}), HasSubstr("\nNot following the pool\n"));
  EXPECT_THAT(to_text(status, "a", {}), HasSubstr("4711"));
  EXPECT_THAT(to_text(status, "a", {}), HasSubstr("3.0"));
  EXPECT_THAT(to_text(status, "a", {}), HasSubstr("make -j4 -f ?x.mk"));
  EXPECT_THAT(to_text(status, "a", {}), HasSubstr("0.9"));
}

TEST(StatusText, FrozenJobs) {
  wire::StatusResult status;
  EXPECT_THAT(to_text(status, "a", {}), Not(HasSubstr("Frozen")));
  status.frozen = 3;
  EXPECT_THAT(to_text(status, "a", {}), HasSubstr("\nFrozen    3 jobs until "));
}

TEST(StatusText, NoLineIsWiderThanTheTerminal) {
  wire::StatusResult status = busy();
  status.leases.push_back(row(std::string(64, 'n'), 2147483647, 512, std::string(256, 't')));
  status.leases.back().type = std::string(32, 'y');
  status.leases.back().paid = 512;
  status.leases.back().priority = -100;
  status.leases.push_back(row("\u5efa\u5efa", 1, 1, ""));
  for (int i = 0; i < 100; ++i) status.leases.back().target += "\u5efa";
  status.recoveries.push_back({1, 512, std::string(64, 'n'), 2147483647, std::string(256, 't'),
                               std::string(200, 'c'), 1LL << 50});
  status.uncooperative.push_back({2147483647, std::string(120, 'u'), 1LL << 50, 1LL << 50});
  for (const std::size_t columns : {1U, 2U, 3U, 10U, 40U, 79U, 80U, 200U, 500U}) {
    std::istringstream lines(to_text(status, "unix:/" + std::string(100, 'p'), {columns, false}));
    for (std::string line; std::getline(lines, line);) EXPECT_LE(columns_of(line), columns) << line;
  }
  EXPECT_THAT(to_text(status, "a", {80, false}), HasSubstr("t...tt"));
  EXPECT_THAT(to_text(status, "a", {600, false}), HasSubstr(std::string(256, 't')));
}

TEST(StatusText, WhoeverWritesItCannotControlTheTerminal) {
  wire::StatusResult status = busy();
  status.server = "a\033[2Jb\n";
  status.leases[0].name = "\033]0;x\007";
  status.leases[0].target = "a\nb\tc\u009bd\u202ee\xff";
  status.leases[0].type = "\r";
  const std::string text = to_text(status, "unix:/\033", {});
  EXPECT_THAT(text, Not(HasSubstr("\033")));
  EXPECT_THAT(text, HasSubstr("a?[2Jb?, pid"));
  EXPECT_THAT(text, HasSubstr("?]0;x? 4711"));
  EXPECT_THAT(text, HasSubstr("a?b?c?d?e?\n"));
}

TEST(StatusText, ColoursOnlyWhereWanted) {
  wire::StatusResult status = busy();
  status.paused = true;
  EXPECT_THAT(to_text(status, "a", {80, false}), Not(HasSubstr("\033")));
  EXPECT_THAT(to_text(status, "a", {80, true}), HasSubstr("\033[1mLeases (2)\033[0m\n"));
  EXPECT_THAT(to_text(status, "a", {80, true}), HasSubstr("\033[33mPaused"));
}

TEST(StatusJson, TheMembersAsTheyAre) {
  EXPECT_EQ(status_json(R"({"slots":4,"new":{"a":[1,null]},"epoch":"\u00e4"})").value(),
            "{\n  \"schema\": \"tokenpool-status\",\n  \"version\": 1,\n  \"slots\": 4,\n"
            "  \"new\": {\n    \"a\": [\n      1,\n      null\n    ]\n  },\n"
            "  \"epoch\": \"\u00e4\"\n}\n");
  for (const char* none : {"", "[]", "3", "{"}) {
    EXPECT_EQ(status_json(none).error().status, 1) << none;
  }
}

TEST(EventText, Golden) {
  EXPECT_EQ(event_text(R"({"kind":"granted","lease":12,"session":3,"name":"cc","target":"bin/a b",)"
                       R"("type":"link","slots":2,"free":3})"),
            "granted lease=12 slots=2 type=link free=3 session=3 name=cc target=bin/a b\n");
  EXPECT_EQ(event_text(R"({"kind":"set","slots":4,"free":0,"lost":7})"),
            "set slots=4 free=0 lost=7\n");
  EXPECT_EQ(event_text(R"({"kind":"queued","target":"a\nb\u001b","free":0})"),
            "queued free=0 target=a?b?\n");
  EXPECT_EQ(event_text(R"({"kind":"taken","tokens":1,"pid":7,"command":"make x","free":0})"),
            "taken tokens=1 free=0 pid=7 command=make x\n");
  EXPECT_EQ(event_text("{}"), "event\n");
  EXPECT_EQ(event_text("nonsense"), "event\n");
}

TEST(StateOfAWatch, OneLine) {
  EXPECT_EQ(state_text(build()),
            "status slots=4 free=0 leased=0 tokens=3 waiting=0 pid=3999 command=make -j4 ?[2J\n");
  EXPECT_EQ(state_json("{\n \"slots\": 4}"), "{\"kind\":\"status\",\"slots\":4}\n");
}

TEST(EventJson, OneLine) {
  EXPECT_EQ(event_json("{ \"kind\": \"set\",\n\"x\": \"a\\nb\" }"),
            "{\"kind\":\"set\",\"x\":\"a\\nb\"}\n");
}

TEST(AgeText, TwoUnitsAtMost) {
  EXPECT_EQ(age_text(-5), "0s");
  EXPECT_EQ(age_text(999), "0s");
  EXPECT_EQ(age_text(59'999), "59s");
  EXPECT_EQ(age_text(60'000), "1m00s");
  EXPECT_EQ(age_text(3'599'000), "59m59s");
  EXPECT_EQ(age_text(3'600'000), "1h00m");
  EXPECT_EQ(age_text(86'399'000), "23h59m");
  EXPECT_EQ(age_text(86'400'000), "1d00h");
}

TEST(Table, CutsBetweenCharacters) {
  EXPECT_EQ(cut("abcdef", 6), "abcdef");
  EXPECT_EQ(cut("abcdefg", 6), "abc...");
  EXPECT_EQ(cut("abcdefg", 2), "..");
  EXPECT_EQ(cut("abc", 0), "");
  EXPECT_EQ(cut("\u5efa\u5efa\u5efa\u5efa", 8), "\u5efa\u5efa\u5efa\u5efa");
  EXPECT_EQ(cut("\u5efa\u5efa\u5efa\u5efa", 6), "\u5efa...");
  EXPECT_EQ(columns_of("e\u0301\u5efa\u00e4"), 4U);
}

TEST(Table, CleanTextStays) {
  EXPECT_EQ(clean_line("a \u00e4 \u5efa \U0001f600"), "a \u00e4 \u5efa \U0001f600");
  EXPECT_EQ(clean_line("\xc0\x80"), "??");
  EXPECT_EQ(clean_line("\xed\xa0\x80"), "???");
  EXPECT_EQ(clean_line("\xf4\x90\x80\x80"), "????");
  EXPECT_EQ(clean_line("\xe5\xbb"), "??");
}

TEST(Table, LeavesEmptyColumnsOut) {
  EXPECT_THAT(lay_out({{"A"}, {"B"}, {"C", 0, true}}, {{"a", "", "1"}, {"aaa", "", "22"}}, 80),
              ::testing::ElementsAre("  A     C", "  a     1", "  aaa  22"));
  EXPECT_THAT(lay_out({{"A"}}, {}, 80), ::testing::IsEmpty());
}

}  // namespace
}  // namespace tokenpool::cli
