#include <array>
#include <cerrno>
#include <csignal>
#include <cstring>

#include <fcntl.h>
#include <sys/resource.h>
#include <sys/signalfd.h>
#include <sys/socket.h>
#include <sys/wait.h>
#include <unistd.h>

#include "launcher/launcher_process.h"
#include "proc/cannot_execute.h"
#include "proc/niceness.h"
#include "proc/shortage.h"

namespace tokenpool::launcher {
namespace {

/// All but what tells of a fault of this process, what stops it and what nobody can block.
sigset_t signals_to_take() {
  sigset_t set;
  sigfillset(&set);
  for (const int signal : {SIGSEGV, SIGBUS, SIGFPE, SIGILL, SIGTRAP, SIGSYS, SIGTSTP, SIGTTIN,
                           SIGTTOU, SIGCONT, SIGKILL, SIGSTOP}) {
    sigdelset(&set, signal);
  }
  return set;
}

/// What a process passes to its job.
struct Inheritance {
  sigset_t mask{};
  std::array<std::pair<int, void (*)(int)>, 3> dispositions{
      {{SIGCHLD, SIG_DFL}, {SIGPIPE, SIG_DFL}, {SIGXFSZ, SIG_DFL}}};

  /// This process waits for its child, and a reader that is gone or a full disk must not end it.
  void take_over() {
    for (auto& [signal, was] : dispositions) {
      was = ::signal(signal, signal == SIGCHLD ? SIG_DFL : SIG_IGN);
    }
  }
  void restore() const {
    for (const auto& [signal, was] : dispositions) ::signal(signal, was);
    ::sigprocmask(SIG_SETMASK, &mask, nullptr);
  }
};

struct Words {
  std::vector<std::string> texts;  ///< what `environment` points to, for entries of our own
  std::vector<char*> argv;
  std::vector<char*> environment;
};

bool is_entry_of(const char* entry, const std::string& name) {
  return std::strncmp(entry, name.c_str(), name.size()) == 0 && entry[name.size()] == '=';
}

Words words_of(const JobSpec& spec) {
  Words words;
  for (const std::string& word : spec.argv) words.argv.push_back(const_cast<char*>(word.c_str()));
  words.argv.push_back(nullptr);
  for (char** entry = ::environ; entry != nullptr && *entry != nullptr; ++entry) {
    bool replaced = false;
    for (const auto& [name, value] : spec.environment) replaced |= is_entry_of(*entry, name);
    if (!replaced) words.environment.push_back(*entry);
  }
  for (const auto& [name, value] : spec.environment) {
    if (value) words.texts.push_back(name + "=" + *value);
  }
  for (std::string& text : words.texts) words.environment.push_back(text.data());
  words.environment.push_back(nullptr);
  return words;
}

[[noreturn]] void become_job(int link, const std::function<JobSpec(const JobTerms&)>& spec_of,
                             const std::vector<int>& inherited, const Inheritance& inheritance) {
  JobTerms terms;
  // The other end's last holder is the launcher: nothing comes when it has died.
  ssize_t got = 0;
  do {
    got = ::recv(link, &terms, sizeof terms, 0);
  } while (got < 0 && errno == EINTR);
  if (got != static_cast<ssize_t>(sizeof terms)) ::_exit(125);
  const JobSpec spec = spec_of(terms);
  const Words words = words_of(spec);
  for (const int fd : inherited) ::fcntl(fd, F_SETFD, 0);
  proc::raise_niceness(spec.nice);
  ::environ = const_cast<char**>(words.environment.data());
  inheritance.restore();
  ::execvp(words.argv[0], words.argv.data());
  const int error = errno;
  (void)::send(link, &error, sizeof error, MSG_NOSIGNAL);
  ::_exit(error == ENOENT ? 127 : 126);
}

}  // namespace

wire::Result<std::unique_ptr<JobProcess>> JobProcess::start(
    const std::function<JobSpec(const JobTerms&)>& spec_of, const std::vector<int>& inherited) {
  std::unique_ptr<JobProcess> job(new JobProcess);
  const sigset_t taken = signals_to_take();
  job->signals_ = ::signalfd(-1, &taken, SFD_CLOEXEC | SFD_NONBLOCK);
  if (job->signals_ < 0)
    return tl::unexpected(proc::shortage("watch for signals", proc::kMoreFiles));
  std::array<int, 2> link{};
  if (::socketpair(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC, 0, link.data()) != 0) {
    return tl::unexpected(proc::shortage("make a socket", proc::kMoreFiles));
  }
  job->link_ = link[0];
  Inheritance inheritance;
  inheritance.take_over();
  ::sigprocmask(SIG_SETMASK, nullptr, &inheritance.mask);
  job->pid_ = ::fork();
  if (job->pid_ == 0) {
    ::close(link[0]);
    become_job(link[1], spec_of, inherited, inheritance);
  }
  const int error = errno;
  ::close(link[1]);
  errno = error;
  if (job->pid_ < 0) {
    job->pid_ = 0;
    return tl::unexpected(proc::shortage("start a process", proc::kMoreProcesses));
  }
  return job;
}

JobProcess::~JobProcess() {
  const bool waits = link_ >= 0;
  for (const int fd : {link_, signals_}) {
    if (fd >= 0) ::close(fd);
  }
  while (waits && pid_ > 0 && ::waitpid(pid_, nullptr, 0) < 0 && errno == EINTR) {
  }
}

wire::Result<void> JobProcess::execute(const std::string& name, const JobTerms& terms) {
  const sigset_t taken = signals_to_take();
  ::sigprocmask(SIG_BLOCK, &taken, nullptr);
  (void)::send(link_, &terms, sizeof terms, MSG_NOSIGNAL);
  int error = 0;
  ssize_t got = 0;
  do {
    got = ::recv(link_, &error, sizeof error, 0);
  } while (got < 0 && errno == EINTR);
  ::close(link_);
  link_ = -1;
  if (got != static_cast<ssize_t>(sizeof error)) return {};
  while (::waitpid(pid_, nullptr, 0) < 0 && errno == EINTR) {
  }
  pid_ = 0;
  return tl::unexpected(proc::cannot_execute(name, error));
}

std::optional<JobEnd> JobProcess::on_signals() {
  signalfd_siginfo info{};
  while (::read(signals_, &info, sizeof info) == static_cast<ssize_t>(sizeof info)) {
    const int signal = static_cast<int>(info.ssi_signo);
    // Positive codes are the kernel's: the terminal's reach the whole group, and the others are
    // about this process (its timers, its limits).
    if (signal != SIGCHLD && info.ssi_code <= 0 && pid_ != 0) ::kill(pid_, signal);
  }
  return reap();
}

std::optional<JobEnd> JobProcess::reap() {
  if (pid_ == 0) return std::nullopt;
  int status = 0;
  rusage usage{};
  if (::wait4(pid_, &status, WNOHANG, &usage) != pid_) return std::nullopt;
  pid_ = 0;
  JobEnd end;
  end.status = WIFSIGNALED(status) ? 128 + WTERMSIG(status) : WEXITSTATUS(status);
  const auto seconds = [](const timeval& time) {
    return static_cast<double>(time.tv_sec) + static_cast<double>(time.tv_usec) / 1e6;
  };
  end.cpu_seconds = seconds(usage.ru_utime) + seconds(usage.ru_stime);
  end.peak_memory = static_cast<std::uint64_t>(usage.ru_maxrss) * 1024;
  return end;
}

}  // namespace tokenpool::launcher
