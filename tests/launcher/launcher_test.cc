#include "launcher/launcher.h"

#include <csignal>
#include <string>
#include <vector>

#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <nlohmann/json.hpp>
#include <sys/prctl.h>

#include "launcher/launcher_kit.h"
#include "proc/process.h"

namespace tokenpool::launcher {
namespace {

using nlohmann::json;
using ::testing::AllOf;
using ::testing::HasSubstr;
using ::testing::IsEmpty;
using ::testing::StartsWith;

LaunchConfig shell(const std::string& script, std::vector<std::string> arguments = {}) {
  LaunchConfig config;
  config.command = {"/bin/sh", "-c", script, "sh"};
  for (auto& word : arguments) config.command.push_back(std::move(word));
  return config;
}

class LauncherTest : public ::testing::Test {
 protected:
  void SetUp() override { ::prctl(PR_SET_CHILD_SUBREAPER, 1); }

  Outside outside() const {
    return {{{"TOKENPOOL_ADDR", arbiter_.address()}, {"TOKENPOOL_COOKIE", arbiter_.cookie()}}};
  }

  json receive(const std::string& method) {
    const std::string line = arbiter_.line();
    EXPECT_THAT(line, HasSubstr('"' + method + '"'));
    json message = json::parse(line, nullptr, false);
    if (message.is_discarded()) return {{"id", 0}, {"params", json::object()}};
    EXPECT_EQ(message["method"], method);
    if (!message.contains("params")) message["params"] = json::object();
    return message;
  }
  void answer(const json& request, const json& result) {
    arbiter_.send(json{{"jsonrpc", "2.0"}, {"id", request["id"]}, {"result", result}}.dump());
  }
  void refuse(const json& request, int code, const std::string& message) {
    const json error{{"code", code}, {"message", message}};
    arbiter_.send(json{{"jsonrpc", "2.0"}, {"id", request["id"]}, {"error", error}}.dump());
  }
  /// Lets a client in; answers its hello.
  json greet(const json& more = json::object()) {
    arbiter_.accept();
    const json hello = receive("hello");
    json result{{"session", 1}, {"server", "test"}, {"protocol", 1},
                {"slots", 4},   {"epoch", "a"},     {"features", json::array()}};
    result.update(more);
    answer(hello, result);
    return hello["params"];
  }
  /// ... and grants what it asks for: the job may begin. Answers the request.
  json grant(int lease, int slots, bool watched = true) {
    const json request = receive("acquire");
    answer(request, {{"lease", lease}, {"slots", slots}, {"watched", watched}});
    return request["params"];
  }

  Folder folder_;
  ScriptedArbiter arbiter_{folder_.path("arbiter")};
};

TEST_F(LauncherTest, TakesALeaseRunsTheJobAndGivesItBack) {
  LaunchConfig config = shell(R"(echo "$TOKENPOOL_SLOTS $TOKENPOOL_LEASE $1 $2" > "$3"; exit 5)",
                              {"-T{slots}", "{{slots}}", folder_.path("out")});
  config.wanted.min = 2;
  config.wanted.max = 4;
  config.wanted.type = "link";
  config.wanted.target = "app";
  config.wanted.priority = 9;
  config.wanted.memory = 77;
  const pid_t launcher = start_launcher(config, outside());
  const json hello = greet();
  EXPECT_EQ(hello["name"], "tokenpool exec");
  EXPECT_EQ(hello["launcher"], true);
  EXPECT_EQ(hello["pid"], launcher);
  const json wanted = grant(7, 3);
  EXPECT_EQ(wanted["min"], 2);
  EXPECT_EQ(wanted["max"], 4);
  EXPECT_EQ(wanted["type"], "link");
  EXPECT_EQ(wanted["target"], "app");
  EXPECT_EQ(wanted["priority"], 9);
  EXPECT_EQ(wanted["memory"], 77);
  EXPECT_GT(wanted["pid"], 0);
  EXPECT_FALSE(wanted.contains("timeout_ms"));

  const json report = receive("report");
  EXPECT_FALSE(report.contains("id"));
  EXPECT_EQ(report["params"]["lease"], 7);
  EXPECT_EQ(report["params"]["exit"], 5);
  EXPECT_GE(report["params"]["cpu_seconds"].get<double>(), 0);
  EXPECT_GE(report["params"]["peak_memory"].get<std::uint64_t>(), 4096U);
  const json release = receive("release");
  EXPECT_FALSE(release.contains("id"));
  EXPECT_EQ(release["params"]["lease"], 7);
  EXPECT_THAT(arbiter_.line(), IsEmpty());
  const int status = status_of(launcher);
  EXPECT_EQ(WEXITSTATUS(status), 5);
  EXPECT_EQ(text_of(folder_.path("out")), "3 7 -T3 {slots}\n");
}

TEST_F(LauncherTest, TheJobWaitsUntilItHasTheLeaseAndEndsWithoutALauncher) {
  const pid_t launcher =
      start_launcher(shell("echo ran > \"$1\"", {folder_.path("out")}), outside());
  greet();
  const json wanted = receive("acquire")["params"];
  const pid_t job = wanted.value("pid", 0);
  ASSERT_GT(job, 0);
  const auto process = proc::read_process(job);
  ASSERT_TRUE(process);
  EXPECT_EQ(process->id.start, wanted["start"].get<std::uint64_t>());
  ASSERT_EQ(::kill(launcher, SIGKILL), 0);
  status_of(launcher);
  EXPECT_EQ(WEXITSTATUS(status_of(job)), 125);
  EXPECT_FALSE(std::filesystem::exists(folder_.path("out")));
}

TEST_F(LauncherTest, AKilledLauncherLeavesTheJobAlone) {
  const std::string in = folder_.fifo("in");
  const std::string out = folder_.fifo("out");
  const pid_t launcher =
      start_launcher(shell("echo in > \"$1\"; read line < \"$2\"; exit 6", {in, out}), outside());
  greet();
  const pid_t job = grant(7, 1).value("pid", 0);
  EXPECT_EQ(text_of(in), "in\n");
  ::kill(launcher, SIGKILL);
  status_of(launcher);
  EXPECT_THAT(arbiter_.line(), IsEmpty());
  let_go(out);
  EXPECT_EQ(WEXITSTATUS(status_of(job)), 6);
}

TEST_F(LauncherTest, ALeaseThatIsNotWatchedServesAsWell) {
  const pid_t launcher = start_launcher(shell("exit 0"), outside());
  greet();
  grant(7, 1, false);
  receive("report");
  receive("release");
  EXPECT_EQ(status_of(launcher), 0);
}

TEST_F(LauncherTest, SignalsArePassedOn) {
  for (const int signal : {SIGTERM, SIGINT, SIGHUP, SIGQUIT, SIGUSR1}) {
    const std::string in = folder_.fifo("in" + std::to_string(signal));
    const std::string never = folder_.fifo("never" + std::to_string(signal));
    const std::string script =
        "trap 'exit 42' " + std::to_string(signal) +
        "; exec 2> /dev/null; echo in > \"$1\"; while :; do read line < \"$2\"; done";
    const pid_t launcher = start_launcher(shell(script, {in, never}), outside());
    greet();
    grant(7, 1);
    EXPECT_EQ(text_of(in), "in\n");
    ::kill(launcher, signal);
    EXPECT_EQ(receive("report")["params"]["exit"], 42);
    receive("release");
    const int status = status_of(launcher);
    EXPECT_EQ(WEXITSTATUS(status), 42);
  }
}

TEST_F(LauncherTest, ASignalEndsTheWaitForSlots) {
  const pid_t launcher =
      start_launcher(shell("echo ran > \"$1\"", {folder_.path("out")}), outside());
  greet();
  const pid_t job = receive("acquire")["params"].value("pid", 0);
  ::kill(launcher, SIGTERM);
  EXPECT_THAT(arbiter_.line(), IsEmpty());
  const int status = status_of(launcher);
  ASSERT_TRUE(WIFSIGNALED(status));
  EXPECT_EQ(WTERMSIG(status), SIGTERM);
  EXPECT_EQ(WEXITSTATUS(status_of(job)), 125);
  EXPECT_FALSE(std::filesystem::exists(folder_.path("out")));
}

TEST_F(LauncherTest, AJobThatASignalEnds) {
  const pid_t launcher = start_launcher(shell("kill -9 $$"), outside());
  greet();
  grant(7, 1);
  EXPECT_EQ(receive("report")["params"]["exit"], 137);
  receive("release");
  EXPECT_EQ(WEXITSTATUS(status_of(launcher)), 137);
}

TEST_F(LauncherTest, AStoppedJobIsWaitedFor) {
  const std::string in = folder_.fifo("in");
  const pid_t launcher = start_launcher(shell("kill -STOP $$; echo in > \"$1\"", {in}), outside());
  greet();
  const pid_t job = grant(7, 1).value("pid", 0);
  auto process = proc::read_process(job);
  while (process && process->state != 'T') process = proc::read_process(job);
  ::kill(job, SIGCONT);
  EXPECT_EQ(text_of(in), "in\n");
  receive("report");
  receive("release");
  EXPECT_EQ(status_of(launcher), 0);
}

TEST_F(LauncherTest, ACommandThatCannotRunGivesTheLeaseBack) {
  struct Case {
    const char* command;
    int status;
  };
  for (const auto& [command, expected] :
       {Case{"no-such-command-anywhere", 127}, Case{"/", 126}, Case{"/dev/null", 126}}) {
    LaunchConfig config;
    config.command = {command};
    const pid_t launcher = start_launcher(config, outside());
    greet();
    grant(7, 1);
    const std::string last = arbiter_.line();
    EXPECT_TRUE(last.empty() || last.find("\"release\"") != std::string::npos) << last;
    EXPECT_EQ(WEXITSTATUS(status_of(launcher)), expected) << command;
  }
}

TEST_F(LauncherTest, TheJobHasTheSignalsOfItsLauncher) {
  const std::string look = "grep -E '^Sig(Blk|Ign)' /proc/self/status > \"$1\"";
  Outside signals = outside();
  signals.before = [] {
    sigset_t set;
    sigemptyset(&set);
    sigaddset(&set, SIGUSR2);
    sigaddset(&set, SIGRTMIN + 1);
    ::sigprocmask(SIG_BLOCK, &set, nullptr);
    ::signal(SIGHUP, SIG_IGN);
    ::signal(SIGCHLD, SIG_IGN);
    ::signal(SIGXFSZ, SIG_IGN);
    ::signal(SIGPIPE, SIG_DFL);
  };
  const pid_t plain = ::fork();
  if (plain == 0) {
    signals.before();
    ::execl("/bin/sh", "sh", "-c", look.c_str(), "sh", folder_.path("plain").c_str(), nullptr);
    ::_exit(1);
  }
  status_of(plain);
  const pid_t launcher = start_launcher(shell(look, {folder_.path("launched")}), signals);
  greet();
  grant(7, 1);
  receive("report");
  receive("release");
  EXPECT_EQ(status_of(launcher), 0);
  EXPECT_THAT(text_of(folder_.path("plain")), HasSubstr("SigBlk"));
  EXPECT_EQ(text_of(folder_.path("launched")), text_of(folder_.path("plain")));
}

TEST_F(LauncherTest, ALostConnectionDoesNotDisturbTheJob) {
  const std::string in = folder_.fifo("in");
  const std::string out = folder_.fifo("out");
  const pid_t launcher =
      start_launcher(shell("echo in > \"$1\"; read line < \"$2\"; exit 6", {in, out}), outside());
  greet();
  const pid_t job = grant(7, 1).value("pid", 0);
  EXPECT_EQ(text_of(in), "in\n");
  arbiter_.close();
  const json hello = greet({{"epoch", "b"}, {"resumed", {9}}});
  ASSERT_EQ(hello["resume"].size(), 1U);
  EXPECT_EQ(hello["resume"][0]["lease"], 7);
  EXPECT_EQ(hello["resume"][0]["slots"], 1);
  EXPECT_EQ(hello["resume"][0]["pid"], job);
  let_go(out);
  EXPECT_EQ(receive("report")["params"]["lease"], 9);
  EXPECT_EQ(receive("release")["params"]["lease"], 9);
  EXPECT_EQ(WEXITSTATUS(status_of(launcher)), 6);
}

TEST_F(LauncherTest, AnArbiterThatDiesBeforeItsHelloIsMetAgain) {
  const pid_t launcher = start_launcher(shell("test $TOKENPOOL_LEASE = 7"), outside());
  for (int i = 0; i < 3; ++i) {
    arbiter_.accept();
    receive("hello");
  }
  greet();
  grant(7, 1);
  receive("report");
  receive("release");
  EXPECT_EQ(status_of(launcher), 0);
}

TEST_F(LauncherTest, WhatTheArbiterRefuses) {
  struct Case {
    int code;
    const char* advice;
  };
  for (const auto& [code, advice] :
       {Case{-32003, "--timeout"}, Case{-32005, "--slots"}, Case{-32007, "fewer at one time"},
        Case{-32008, "another run"}}) {
    const std::string err = folder_.fifo("err" + std::to_string(code));
    const int hold = ::open(err.c_str(), O_RDWR | O_CLOEXEC);
    LaunchConfig config = shell("echo ran > \"$1\"", {folder_.path("out")});
    config.wanted.timeout = std::chrono::hours(1);
    Outside where = outside();
    where.error = hold;
    const pid_t launcher = start_launcher(config, where);
    greet();
    const json request = receive("acquire");
    EXPECT_EQ(request["params"]["timeout_ms"], 3600000);
    refuse(request, code, "because");
    EXPECT_EQ(WEXITSTATUS(status_of(launcher)), 125);
    std::array<char, 4096> text{};
    const ssize_t got = ::read(hold, text.data(), text.size());
    ::close(hold);
    EXPECT_THAT(std::string(text.data(), static_cast<std::size_t>(got)),
                AllOf(StartsWith("cannot get 1 slot: "), HasSubstr(advice)));
    EXPECT_FALSE(std::filesystem::exists(folder_.path("out")));
  }
}

class WithoutAnArbiter : public LauncherTest {
 protected:
  /// The stderr of so many launchers, which share it or have one each that is added up.
  std::string say(int launchers, const Outside& where, bool shared) {
    const std::string err = folder_.path("err");
    int fd = -1;
    for (int i = 0; i < launchers; ++i) {
      if (fd < 0 || !shared)
        fd = ::open(err.c_str(), O_WRONLY | O_CREAT | O_APPEND | O_CLOEXEC, 0600);
      Outside own = where;
      own.error = fd;
      LaunchConfig config = shell("test $TOKENPOOL_SLOTS = 1 -a -z \"$TOKENPOOL_LEASE\"");
      config.wanted.min = 3;
      EXPECT_EQ(status_of(start_launcher(config, own)), 0);
      if (!shared || i + 1 == launchers) ::close(fd);
    }
    return text_of(err);
  }
};

TEST_F(WithoutAnArbiter, TheJobHasOneSlotAndItIsSaidOncePerOpenFile) {
  const std::string line =
      "tokenpool exec: no arbiter (TOKENPOOL_ADDR is not set); /bin/sh runs with one slot\n";
  EXPECT_EQ(say(3, {}, true), line);
  EXPECT_EQ(say(2, {}, false), line + line + line);
}

TEST_F(WithoutAnArbiter, WhyThereIsNone) {
  Outside where = outside();
  where.environment[0].second = "unix:" + folder_.path("nobody");
  EXPECT_THAT(say(1, where, true),
              HasSubstr("(TOKENPOOL_ADDR cannot be reached: No such file or directory)"));
  where.environment[1].second = "short";
  EXPECT_THAT(say(1, where, true), HasSubstr("TOKENPOOL_COOKIE is not 64"));
  where.environment.pop_back();
  EXPECT_THAT(say(1, where, true), HasSubstr("TOKENPOOL_COOKIE is not set"));
  where.environment[0].second = "nonsense";
  where.environment.emplace_back("TOKENPOOL_COOKIE", arbiter_.cookie());
  EXPECT_THAT(say(1, where, true), HasSubstr("TOKENPOOL_ADDR is not to be understood"));
}

TEST_F(WithoutAnArbiter, AJobserverServesInSilence) {
  const std::string fifo = folder_.fifo("jobserver");
  const int hold = ::open(fifo.c_str(), O_RDWR | O_CLOEXEC);
  EXPECT_EQ(::write(hold, "+++", 3), 3);
  const std::string err = folder_.path("err");
  const std::string out = folder_.path("out");
  Outside where;
  where.environment = {{"MAKEFLAGS", " -j4 --jobserver-auth=fifo:" + fifo}};
  where.error = ::open(err.c_str(), O_WRONLY | O_CREAT | O_CLOEXEC, 0600);
  LaunchConfig config = shell("echo $TOKENPOOL_SLOTS > \"$1\"", {out});
  config.wanted.min = 2;
  config.wanted.max = 4;
  EXPECT_EQ(status_of(start_launcher(config, where)), 0);
  ::close(where.error);
  EXPECT_THAT(text_of(err), IsEmpty());
  EXPECT_EQ(text_of(out), "4\n");
  std::array<char, 8> tokens{};
  EXPECT_EQ(::read(hold, tokens.data(), tokens.size()), 3);
  ::close(hold);
}

}  // namespace
}  // namespace tokenpool::launcher
