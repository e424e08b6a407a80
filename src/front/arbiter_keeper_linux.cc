#include <cerrno>
#include <csignal>
#include <cstdlib>
#include <span>
#include <string>
#include <vector>

#include <sys/prctl.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <sys/wait.h>
#include <unistd.h>

#include "arbiter/arbiter.h"
#include "board/freezer.h"
#include "board/limits.h"
#include "front/arbiter_keeper.h"
#include "proc/descriptor_passing.h"
#include "proc/null_device.h"
#include "proc/say.h"
#include "proc/shortage.h"

namespace tokenpool::front {
namespace {

// The arbiter leaves the terminal, the session and the standard descriptors to the build: a pipe
// behind `tokenpool run` must end with the build, not with an arbiter that serves a daemon of it.
void detach() {
  ::setsid();
  ::prctl(PR_SET_NAME, "tokenpool-arb");
  for (int fd = 0; fd <= 1; ++fd) proc::lead_nowhere(fd);
  for (const int signal : {SIGINT, SIGTERM, SIGHUP, SIGQUIT, SIGTSTP, SIGUSR1, SIGUSR2, SIGPIPE}) {
    ::signal(signal, SIG_IGN);
  }
  rlimit files{};
  ::getrlimit(RLIMIT_NOFILE, &files);
  files.rlim_cur = files.rlim_max;
  ::setrlimit(RLIMIT_NOFILE, &files);
}

std::string words_of(int status) {
  return WIFSIGNALED(status) ? "signal " + std::to_string(WTERMSIG(status))
                             : "status " + std::to_string(WEXITSTATUS(status));
}

}  // namespace

ArbiterKeeper::ArbiterKeeper() = default;

ArbiterKeeper::~ArbiterKeeper() {
  if (control_ >= 0) ::close(control_);
}

void ArbiterKeeper::serve_with(jobserver::Fifo* fifo, board::Board* board) {
  config_.fifo = fifo;
  config_.board = board;
  config_.front = ::getpid();
  const std::string& folder = fifo->folder();
  config_.group.choose_name(folder.substr(folder.rfind('/') + 1));
}

wire::Result<void> ArbiterKeeper::fork(const NotInherited& front) {
  std::array<int, 2> control{};
  if (::socketpair(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC, 0, control.data()) != 0) {
    return tl::unexpected(proc::shortage("make a socket", proc::kMoreFiles));
  }
  pid_ = ::fork();
  if (pid_ == 0) {
    ::close(control[0]);
    if (control_ >= 0) ::close(control_);
    for (const int fd : front.descriptors) {
      if (fd >= 0) ::close(fd);
    }
    detach();
    ::sigprocmask(SIG_SETMASK, &front.mask, nullptr);
    config_.control = control[1];
    // Not _exit(): a sanitizer looks for leaks at the end.
    std::exit(ready_ ? arbiter::arbiter_main(config_, begin_, attached_)
                     : arbiter::arbiter_main(config_));
  }
  ::close(control[1]);
  if (control_ >= 0) ::close(control_);
  control_ = control[0];
  if (pid_ < 0) {
    pid_ = 0;
    return tl::unexpected(proc::shortage("start the arbiter", proc::kMoreProcesses));
  }
  if (verdict_) send_verdict(*verdict_);
  return {};
}

void ArbiterKeeper::give(const board::Begin& begin, const board::Attached& attached) {
  begin_ = begin;
  attached_ = attached;
  begin_.tracked = attached_.listener >= 0;
  begin_.unix_sockets = static_cast<int>(attached_.unix_sockets.size());
  begin_.tcp_sockets = static_cast<int>(attached_.tcp_sockets.size());
}

void ArbiterKeeper::send_begin() const {
  std::vector<int> descriptors{config_.fifo->fd()};
  if (begin_.tracked) descriptors.push_back(attached_.listener);
  for (const auto* sockets : {&attached_.unix_sockets, &attached_.tcp_sockets}) {
    descriptors.insert(descriptors.end(), sockets->begin(), sockets->end());
  }
  (void)proc::send_message(control_, std::as_bytes(std::span(&begin_, 1)), descriptors);
}

void ArbiterKeeper::send_verdict(char verdict) {
  verdict_ = verdict;
  if (control_ >= 0) (void)::send(control_, &verdict, 1, MSG_NOSIGNAL);
}

std::optional<char> ArbiterKeeper::receive() {
  std::array<char, 16> message{};
  const ssize_t n =
      control_ < 0 ? 0 : ::recv(control_, message.data(), message.size(), MSG_DONTWAIT);
  if (n <= 0) {
    const bool is_closed = n == 0 || (errno != EAGAIN && errno != EINTR);
    if (is_closed && control_ >= 0) {
      ::close(control_);
      control_ = -1;
    }
    return std::nullopt;
  }
  const char word = message[0];
  if (word == board::kReady) ready_ = true;
  if (word == board::kSettled) settled_ = true;
  if (word == board::kWrite && attached_.listener >= 0) {
    board::write_for_arbiter(&config_.board->write, jobserver::Listener(attached_.listener));
  }
  return word;
}

bool ArbiterKeeper::ended(int status) {
  pid_ = 0;
  board::thaw_all(config_.board, true);
  if (settled_) return false;
  const auto deaths = ++config_.board->arbiter_deaths;
  config_.board->write.state = board::WriteState::idle;
  gave_up_ = WIFEXITED(status);
  if (!ready_) return false;
  begin_.resume = true;
  begin_.bypass = deaths > board::kMaxArbiterDeaths;
  // From then on they are tried slowly, and nothing more is said.
  if (deaths > board::kMaxArbiterDeaths + 1) return false;
  proc::say("run", begin_.bypass ? "the arbiter died again (" + words_of(status) +
                                       "); the build goes on with a plain jobserver"
                                 : "the arbiter died (" + words_of(status) +
                                       "); a new one goes on in its place");
  return true;
}

bool ArbiterKeeper::is_hopeless() const {
  return gave_up_ || config_.board->arbiter_deaths > board::kMaxArbiterDeaths;
}

void ArbiterKeeper::forget() {
  verdict_.reset();
  settled_ = false;
}

}  // namespace tokenpool::front
