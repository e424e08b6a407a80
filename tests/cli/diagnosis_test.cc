#include "cli/diagnosis.h"

#include <algorithm>
#include <cerrno>
#include <string>

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "cli/doctor_text.h"
#include "cli/json.h"

namespace tokenpool::cli {
namespace {

using ::testing::HasSubstr;
using ::testing::IsEmpty;
using ::testing::Not;

Facts healthy() {
  Facts facts;
  facts.probe.kernel = "6.18";
  facts.probe.sys_admin = true;
  facts.capacity = {8, 3.5, "/sys/fs/cgroup/cpu.max", 4};
  facts.shims_folder = "/opt/shims";
  return facts;
}

void add_tool(Facts* facts, const std::string& name, const std::string& output) {
  facts->tools.push_back(
      {name, "/bin/" + name, dialect::describe_tool(dialect::tool_kind(name), output)});
}

/// The finding about `subject`; one with an empty subject when there is none.
Finding about(const Facts& facts, const std::string& subject) {
  const Diagnosis diagnosis = diagnose(facts);
  const auto found = std::find_if(diagnosis.findings.begin(), diagnosis.findings.end(),
                                  [&](const Finding& one) { return one.subject == subject; });
  return found == diagnosis.findings.end() ? Finding{} : *found;
}

TEST(Diagnosis, AHealthyMachine) {
  Facts facts = healthy();
  add_tool(&facts, "make", "GNU Make 4.4.1\n");
  add_tool(&facts, "ninja", "1.13.2\n");
  add_tool(&facts, "ctest", "ctest version 3.31.0\n");
  const Diagnosis diagnosis = diagnose(facts);
  EXPECT_TRUE(diagnosis.exact);
  EXPECT_TRUE(diagnosis.well());
  EXPECT_THAT(diagnosis.findings, IsEmpty());
  EXPECT_THAT(diagnosis.slots_reason, HasSubstr("8 CPUs"));
  EXPECT_THAT(diagnosis.slots_reason, HasSubstr("cpu.max allows 3.50"));
  EXPECT_THAT(to_text(facts, diagnosis, false, true), HasSubstr("All is well."));
}

TEST(Diagnosis, WhatRunGoesByWithoutOptions) {
  Facts facts = healthy();
  facts.defaults.files = {"/p/.tokenpool.toml", "/u/config.toml"};
  facts.defaults.slots = {1, 4};
  EXPECT_EQ(about(facts, "configuration").text,
            "run and exec go by /p/.tokenpool.toml and /u/config.toml, a build without -j has "
            "1 to 4 slots");
  EXPECT_TRUE(diagnose(facts).well());
  facts.defaults.notes = {"the configuration /x is ignored"};
  EXPECT_EQ(about(facts, "configuration").text, "the configuration /x is ignored");
  facts.defaults.wrong = "the configuration /u/config.toml, line 2: jobs: no";
  EXPECT_EQ(about(facts, "configuration").text, facts.defaults.wrong);
  EXPECT_FALSE(diagnose(facts).well());
}

TEST(Diagnosis, NoListenerMeansInference) {
  Facts facts = healthy();
  facts.probe.listener = {EPERM};
  const Diagnosis diagnosis = diagnose(facts);
  EXPECT_FALSE(diagnosis.exact);
  EXPECT_FALSE(diagnosis.well());
  EXPECT_THAT(about(facts, "tracking").remedy, HasSubstr("--track infer"));
}

TEST(Diagnosis, WithoutProcNothingIsTracked) {
  Facts facts = healthy();
  facts.probe.processes = false;
  EXPECT_FALSE(diagnose(facts).exact);
  EXPECT_FALSE(diagnose(facts).well());
  EXPECT_THAT(about(facts, "tracking").text, HasSubstr("/proc is not mounted"));
  EXPECT_THAT(about(facts, "tracking").remedy, HasSubstr("mount"));
}

TEST(Diagnosis, InsideOfARunTheListenerIsTaken) {
  Facts facts = healthy();
  facts.probe.listener = {EBUSY};
  EXPECT_THAT(diagnose(facts).tracking_reason, HasSubstr("somebody else"));
  EXPECT_FALSE(diagnose(facts).well());
  facts.surroundings = Surroundings{"/f", {}, {}};
  EXPECT_THAT(diagnose(facts).tracking_reason, HasSubstr("tokenpool run surrounds"));
  EXPECT_TRUE(diagnose(facts).well());
}

TEST(Diagnosis, NoNewPrivsIsOnlySaid) {
  Facts facts = healthy();
  facts.probe.no_new_privs = true;
  EXPECT_TRUE(diagnose(facts).well());
  EXPECT_THAT(about(facts, "tracking").text, HasSubstr("sudo"));
}

TEST(Diagnosis, YamaKeepsUsFromAnswering) {
  Facts facts = healthy();
  facts.probe.memory_write = {EPERM};
  facts.probe.ptrace_scope = 2;
  EXPECT_FALSE(diagnose(facts).well());
  EXPECT_THAT(about(facts, "tracking").remedy, HasSubstr("ptrace_scope"));
}

TEST(Diagnosis, MissingShims) {
  Facts facts = healthy();
  facts.shims_folder.clear();
  EXPECT_FALSE(about(facts, "shims").attention);
}

TEST(Diagnosis, OldTools) {
  Facts facts = healthy();
  add_tool(&facts, "ninja", "1.11.1\n");
  add_tool(&facts, "ctest", "ctest version 3.25.1\n");
  EXPECT_TRUE(about(facts, "ninja").attention);
  EXPECT_FALSE(about(facts, "ctest").attention);
  EXPECT_THAT(about(facts, "ctest").text, HasSubstr("3.29"));
  EXPECT_EQ(diagnose(facts).findings.front().subject, "ninja");
}

TEST(Diagnosis, AForeignJobserver) {
  Facts facts = healthy();
  facts.environment = {"MAKEFLAGS= -j4 --jobserver-auth=fifo:/tmp/other"};
  EXPECT_THAT(about(facts, "MAKEFLAGS").text, HasSubstr("a dead jobserver"));
  facts.alive = dialect::parse_makeflags("--jobserver-auth=fifo:/tmp/other").jobservers;
  EXPECT_THAT(about(facts, "MAKEFLAGS").text, HasSubstr("a living jobserver"));
  facts.environment = {"MAKEFLAGS= -j4 --jobserver-auth=3,4"};
  EXPECT_THAT(about(facts, "MAKEFLAGS").text, HasSubstr("a dead jobserver"));
  facts.alive = dialect::parse_makeflags("--jobserver-auth=3,4").jobservers;
  EXPECT_THAT(about(facts, "MAKEFLAGS").text, HasSubstr("a living jobserver"));
  EXPECT_FALSE(diagnose(facts).well());
  facts.environment = {"MAKEFLAGS= -j4 --jobserver-auth=-2,-2"};
  EXPECT_TRUE(diagnose(facts).well());
}

TEST(Diagnosis, OurOwnJobserverIsNoFinding) {
  Facts facts = healthy();
  facts.surroundings = Surroundings{"/f", {}, {}};
  facts.environment = {"MAKEFLAGS= -j --jobserver-auth=fifo:/f --jobserver-f=1000,1001",
                       "CARGO_MAKEFLAGS= -j4 --jobserver-auth=1000,1001", "TOKENPOOL_FDS=1000,1001",
                       "MAKE=/usr/bin/make -j"};
  EXPECT_THAT(diagnose(facts).findings, IsEmpty());
}

TEST(Diagnosis, CargoMakeflagsWithoutAJobserverHidesMakeflags) {
  for (const char* value : {"x", "--foo", "-j8", ""}) {
    Facts facts = healthy();
    facts.environment = {std::string("CARGO_MAKEFLAGS=") + value};
    EXPECT_THAT(about(facts, "CARGO_MAKEFLAGS").text, HasSubstr("hides MAKEFLAGS")) << value;
    EXPECT_FALSE(about(facts, "CARGO_MAKEFLAGS").attention) << "run replaces it";
    facts.surroundings = Surroundings{"/f", {}, {}};
    EXPECT_TRUE(about(facts, "CARGO_MAKEFLAGS").attention) << "nobody replaces it here";
    EXPECT_EQ(diagnose(facts).findings.size(), 1U) << value;
  }
}

TEST(Diagnosis, VariablesThatLeaveThePool) {
  Facts facts = healthy();
  facts.environment = {"GNUMAKEFLAGS=-j9", "CMAKE_BUILD_PARALLEL_LEVEL=8", "MAKE=/usr/bin/make"};
  EXPECT_THAT(about(facts, "GNUMAKEFLAGS").text, HasSubstr("-j9"));
  EXPECT_THAT(about(facts, "CMAKE_BUILD_PARALLEL_LEVEL").text, HasSubstr("leaves the pool"));
  EXPECT_TRUE(about(facts, "MAKE").attention);
  facts.environment = {"MAKE=make", "CMAKE_BUILD_PARALLEL_LEVEL="};
  EXPECT_THAT(diagnose(facts).findings, IsEmpty());
}

TEST(Diagnosis, AnAddressThatCannotBeUsed) {
  Facts facts = healthy();
  facts.environment = {"TOKENPOOL_ADDR=unix:/gone"};
  facts.client = {client::Mode::single, client::Reason::unreachable,
                  client::JobserverReason::no_makeflags, " (there is no such socket)"};
  EXPECT_TRUE(about(facts, "TOKENPOOL_ADDR").attention);
  EXPECT_EQ(about(facts, "TOKENPOOL_ADDR").text,
            "cannot be used: nobody answers at unix:/gone (there is no such socket)");
  EXPECT_THAT(about(facts, "TOKENPOOL_ADDR").remedy, HasSubstr("or unset TOKENPOOL_ADDR"));
  facts.surroundings = Surroundings{"/f", {}, {}};
  EXPECT_TRUE(about(facts, "TOKENPOOL_ADDR").attention) << "inside of a run, too";
  facts.client.reason = client::Reason::ok;
  EXPECT_THAT(diagnose(facts).findings, IsEmpty());
  facts.client.reason = client::Reason::no_address;
  for (const char* none : {"X=", "TOKENPOOL_ADDR="}) {
    facts.environment = {none};
    EXPECT_THAT(diagnose(facts).findings, IsEmpty());
  }
}

TEST(Diagnosis, TellsWhatAClientWouldUse) {
  Facts facts = healthy();
  facts.client = {client::Mode::protocol, client::Reason::ok, client::JobserverReason::ok, ""};
  EXPECT_THAT(to_text(facts, diagnose(facts), false, true),
              HasSubstr("Client here: the arbiter that TOKENPOOL_ADDR names\n"
                        "  protocol: ok, jobserver: ok\n"));
  EXPECT_THAT(to_json(facts, diagnose(facts)),
              HasSubstr("\"client\": {\n    \"mode\": \"protocol\",\n    \"reason\": \"ok\",\n"
                        "    \"jobserver_reason\": \"ok\"\n  }"));
  facts.client = {client::Mode::jobserver, client::Reason::no_address, client::JobserverReason::ok,
                  ""};
  EXPECT_THAT(to_text(facts, diagnose(facts), false, true),
              HasSubstr("Client here: the jobserver that MAKEFLAGS names\n"
                        "  protocol: no-address, jobserver: ok\n"));
  facts.client = {client::Mode::single, client::Reason::bad_cookie,
                  client::JobserverReason::cannot_open, ""};
  EXPECT_THAT(to_text(facts, diagnose(facts), false, true),
              HasSubstr("Client here: one slot\n  protocol: bad-cookie, "
                        "jobserver: cannot-open\n"));
}

TEST(Diagnosis, FindingsComeFirstAndDetailsWhereTheyAreWanted) {
  Facts facts = healthy();
  add_tool(&facts, "make", "GNU Make 4.4.1\n");
  facts.environment = {"MAKE=/bin/ma\033[2Jke -j\n"};
  const std::string text = to_text(facts, diagnose(facts), false, false);
  EXPECT_THAT(text, HasSubstr("One thing needs attention.\n  ! MAKE: is '/bin/ma?[2Jke -j?': "));
  EXPECT_LT(text.find("! MAKE"), text.find("Tracking: exact"));
  EXPECT_THAT(text, Not(HasSubstr("4.4.1")));
  EXPECT_THAT(text, Not(HasSubstr("\033")));
  const std::string details = to_text(facts, diagnose(facts), false, true);
  EXPECT_THAT(details, HasSubstr("4.4.1"));
  EXPECT_THAT(details, HasSubstr("kernel"));
}

TEST(Diagnosis, TextCountsWhatNeedsAttention) {
  Facts facts = healthy();
  facts.probe.listener = {EPERM};
  EXPECT_THAT(to_text(facts, diagnose(facts), false, true),
              HasSubstr("One thing needs attention."));
  EXPECT_THAT(to_text(facts, diagnose(facts), false, true), Not(HasSubstr("\033")));
  EXPECT_THAT(to_text(facts, diagnose(facts), true, true), HasSubstr("\033["));
}

TEST(Diagnosis, JsonHasItsKeys) {
  Facts facts = healthy();
  add_tool(&facts, "make", "GNU Make 4.3\n");
  facts.environment = {"GNUMAKEFLAGS=-j9"};
  const std::string json = to_json(facts, diagnose(facts));
  for (const char* key : {"schema",
                          "version",
                          "tokenpool",
                          "well",
                          "tracking",
                          "slots",
                          "default",
                          "reason",
                          "affinity",
                          "quota",
                          "quota_file",
                          "machine",
                          "kernel",
                          "works",
                          "errno",
                          "no_new_privs",
                          "sync_wake_up",
                          "pidfd_open",
                          "cgroup",
                          "layout",
                          "pressure",
                          "ptrace_scope",
                          "user",
                          "inotify",
                          "tools",
                          "dialect",
                          "leaves",
                          "findings",
                          "attention",
                          "subject",
                          "remedy",
                          "text",
                          "shims",
                          "kind",
                          "client",
                          "fanotify_pids",
                          "memory_write",
                          "tracking_reason",
                          "surrounding_fifo",
                          "seccomp_listener",
                          "pidfd_info_exit"}) {
    EXPECT_THAT(json, HasSubstr("\"" + std::string(key) + "\": "));
  }
}

}  // namespace
}  // namespace tokenpool::cli
