#include <array>
#include <cerrno>
#include <cstdint>
#include <cstring>
#include <span>

#include <fcntl.h>
#include <linux/sched.h>
#include <sys/prctl.h>
#include <sys/socket.h>
#include <sys/syscall.h>
#include <unistd.h>

#include "front/build_command.h"
#include "jobserver/seccomp.h"
#include "proc/cannot_execute.h"
#include "proc/descriptor_passing.h"
#include "proc/niceness.h"

namespace tokenpool::front {
namespace {

// What the child says about its filter, with the listener attached if there is one.
struct FilterReport {
  int error = 0;
};

wire::Error no_resources(const char* what, const char* advice) {
  return {125, std::string("cannot ") + what + ": " + std::strerror(errno) + "; " + advice};
}

bool send_filter(int link, int listener, FilterReport report) {
  const std::span<const int> attached(&listener, listener >= 0 ? 1 : 0);
  return proc::send_message(link, std::as_bytes(std::span(&report, 1)), attached);
}

bool receive_filter(int link, StartedCommand* command) {
  FilterReport report;
  const auto message = proc::receive_message(link, std::as_writable_bytes(std::span(&report, 1)));
  if (message.size != static_cast<ssize_t>(sizeof report)) return false;
  command->filter_error = report.error;
  if (!message.descriptors.empty()) command->listener = message.descriptors.front();
  if (message.truncated) errno = EMFILE;
  return !message.truncated;
}

void restore_signals(const CommandSpec& spec) {
  if (spec.default_sigpipe) ::signal(SIGPIPE, SIG_DFL);
  if (spec.default_sigxfsz) ::signal(SIGXFSZ, SIG_DFL);
  ::sigprocmask(SIG_SETMASK, &spec.mask, nullptr);
}

[[noreturn]] void become_command(const CommandSpec& spec, int link, pid_t front) {
  if (spec.own_group) ::setpgid(0, 0);
  // The arbiter ends the build when the front dies; this is for the case that both die at once.
  ::prctl(PR_SET_PDEATHSIG, SIGKILL);
  if (::getppid() != front) ::_exit(125);
  proc::carry_build_mark(spec.mark);
  proc::raise_niceness(spec.nice);
  ::fcntl(spec.read_end, F_SETFD, 0);
  ::fcntl(spec.write_end, F_SETFD, 0);
  FilterReport report;
  int listener = -1;
  if (spec.track) {
    listener = jobserver::install_filter(spec.read_end, spec.write_end, spec.exits);
    if (listener < 0) report.error = errno;
  }
  if (!send_filter(link, listener, report)) ::_exit(125);
  if (listener >= 0) ::close(listener);
  char go = 0;
  if (::recv(link, &go, 1, 0) != 1) ::_exit(125);
  std::vector<char*> argv;
  std::vector<char*> environment;
  for (const auto& word : spec.argv) argv.push_back(const_cast<char*>(word.c_str()));
  for (const auto& entry : spec.environment) {
    environment.push_back(const_cast<char*>(entry.c_str()));
  }
  argv.push_back(nullptr);
  environment.push_back(nullptr);
  ::environ = environment.data();
  restore_signals(spec);
  ::execvp(argv[0], argv.data());
  const int error = errno;
  (void)::send(link, &error, sizeof error, MSG_NOSIGNAL);
  ::_exit(error == ENOENT ? 127 : 126);
}

// A process that is born in its control group need not be moved there. 0 in the child, -1 where the
// kernel cannot do that or does not allow it.
pid_t fork_into(int group) {
  if (group < 0) return -1;
  clone_args args{};
  args.flags = CLONE_INTO_CGROUP;
  args.exit_signal = SIGCHLD;
  args.cgroup = static_cast<std::uint64_t>(group);
  return static_cast<pid_t>(::syscall(SYS_clone3, &args, sizeof args));
}

}  // namespace

wire::Result<StartedCommand> start_command(const CommandSpec& spec) {
  std::array<int, 2> link{};
  if (::socketpair(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC, 0, link.data()) != 0) {
    return tl::unexpected(
        no_resources("make a socket", "raise the limit of open files (ulimit -n)"));
  }
  const pid_t front = ::getpid();
  StartedCommand command;
  command.pid = fork_into(spec.group);
  command.in_group = command.pid >= 0;
  if (!command.in_group) command.pid = ::fork();
  if (command.pid == 0) {
    ::close(link[0]);
    become_command(spec, link[1], front);
  }
  if (command.pid < 0) {
    auto error = no_resources("start a process", "raise the limit of processes (ulimit -u)");
    ::close(link[0]);
    ::close(link[1]);
    return tl::unexpected(std::move(error));
  }
  ::close(link[1]);
  if (spec.own_group) ::setpgid(command.pid, command.pid);
  command.link = link[0];
  if (!receive_filter(link[0], &command)) {
    auto error = no_resources("prepare the build", "raise the limit of open files (ulimit -n)");
    ::kill(command.pid, SIGKILL);
    ::close(link[0]);
    return tl::unexpected(std::move(error));
  }
  return command;
}

wire::Result<void> release_command(const CommandSpec& spec, const StartedCommand& command) {
  const char go = 'g';
  (void)::send(command.link, &go, 1, MSG_NOSIGNAL);
  int error = 0;
  ssize_t n = 0;
  do {
    n = ::recv(command.link, &error, sizeof error, 0);
  } while (n < 0 && errno == EINTR);
  ::close(command.link);
  if (n == static_cast<ssize_t>(sizeof error)) {
    return tl::unexpected(proc::cannot_execute(spec.argv.front(), error));
  }
  return {};
}

}  // namespace tokenpool::front
