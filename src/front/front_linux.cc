#include <algorithm>
#include <array>
#include <cerrno>
#include <chrono>
#include <cstdio>
#include <cstdlib>
#include <cstring>
#include <span>
#include <utility>
#include <vector>

#include <fcntl.h>
#include <poll.h>
#include <sys/prctl.h>
#include <sys/resource.h>
#include <sys/signalfd.h>
#include <sys/socket.h>
#include <sys/wait.h>
#include <unistd.h>

#include "board/freezer.h"
#include "board/limits.h"
#include "front/front.h"
#include "front/report.h"
#include "proc/descriptor_passing.h"
#include "proc/kill_build.h"
#include "proc/null_device.h"
#include "proc/say.h"
#include "proc/shortage.h"
#include "proc/signal.h"
#include "watch/news.h"
#include "watch/stuck.h"

namespace tokenpool::front {
namespace {

using std::chrono::milliseconds;
using std::chrono::nanoseconds;

// timeout(1) signals its child and then the group that the child is in: one wish, two signals.
constexpr nanoseconds kSameWish = milliseconds(250);
constexpr nanoseconds kKeyboardPatience = std::chrono::seconds(3);

// Processes that end together with the command are waited for this long before they count as left
// on purpose.
constexpr nanoseconds kStragglers = milliseconds(100);

// How long to wait before an arbiter is forked again that could not be.
constexpr int kRetryMs = 100;

constexpr std::array kHandled{SIGCHLD, SIGINT,  SIGTERM, SIGHUP, SIGQUIT,
                              SIGTSTP, SIGCONT, SIGUSR1, SIGUSR2};

std::int64_t now_ns() {
  return nanoseconds(std::chrono::steady_clock::now().time_since_epoch()).count();
}

bool ends_builds(int signal) {
  return signal == SIGINT || signal == SIGTERM || signal == SIGHUP || signal == SIGQUIT;
}

bool is_readable(int fd) {
  pollfd ready{fd, POLLIN, 0};
  return fd >= 0 && ::poll(&ready, 1, 0) == 1;
}

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

}  // namespace

Front::Front() = default;

Front::~Front() {
  for (const int fd : {signals_, control_, terminal_, parent_}) {
    if (fd >= 0) ::close(fd);
  }
}

wire::Result<void> Front::prepare(CommandSpec* spec) {
  ::signal(SIGCHLD, SIG_DFL);
  sigemptyset(&handled_);
  for (const int signal : kHandled) sigaddset(&handled_, signal);
  ::sigprocmask(SIG_BLOCK, &handled_, &old_mask_);
  spec->mask = old_mask_;
  spec->default_sigpipe = ::signal(SIGPIPE, SIG_IGN) != SIG_IGN;
  spec->default_sigxfsz = ::signal(SIGXFSZ, SIG_IGN) != SIG_IGN;
  signals_ = ::signalfd(-1, &handled_, SFD_CLOEXEC | SFD_NONBLOCK);
  if (signals_ < 0) return tl::unexpected(proc::shortage("watch for signals", proc::kMoreFiles));
  ::prctl(PR_SET_CHILD_SUBREAPER, 1);
  for (const auto& process : proc::descendants_of(::getpid())) {
    not_of_build_.push_back(process.id.pid);
  }
  terminal_ = ::open("/dev/tty", O_RDWR | O_CLOEXEC | O_NOCTTY);
  own_group_ = terminal_ < 0;
  was_foreground_ = terminal_ >= 0 && ::tcgetpgrp(terminal_) == ::getpgrp();
  spec->own_group = own_group_;
  termios modes{};
  if (was_foreground_ && ::tcgetattr(terminal_, &modes) == 0) terminal_modes_ = modes;
  return {};
}

wire::Result<void> Front::watch_parent() {
  const pid_t parent = ::getppid();
  parent_ = proc::open_pidfd(parent);
  // Not our parent any more: it ended before it could be watched.
  if (parent_ >= 0 && ::getppid() == parent) return {};
  const bool has_gone = ::getppid() != parent || errno == ESRCH;
  if (!has_gone) return tl::unexpected(proc::shortage("watch the parent", proc::kMoreFiles));
  return tl::unexpected(wire::Error{125,
                                    "--die-with-parent: the process that started this one has "
                                    "ended; no build was started"});
}

wire::Result<void> Front::start_arbiter(jobserver::Fifo* fifo, board::Board* board) {
  config_.fifo = fifo;
  config_.board = board;
  config_.front = ::getpid();
  const std::string& folder = fifo->folder();
  config_.group.choose_name(folder.substr(folder.rfind('/') + 1));
  return fork_arbiter();
}

void Front::make_group(CommandSpec* spec) {
  if (config_.group.create()) spec->group = config_.group.fd();
}

void Front::dismiss_arbiter() {
  settled_ = true;  // its end is no death
  abandon(nullptr);
  verdict_.reset();
  settled_ = false;
}

void Front::restore(const CommandSpec& spec) const {
  if (spec.default_sigpipe) ::signal(SIGPIPE, SIG_DFL);
  if (spec.default_sigxfsz) ::signal(SIGXFSZ, SIG_DFL);
  ::sigprocmask(SIG_SETMASK, &spec.mask, nullptr);
  ::prctl(PR_SET_CHILD_SUBREAPER, 0);
}

wire::Result<void> Front::begin(const StartedCommand& command, const arbiter::Begin& begin,
                                const arbiter::Attached& sockets) {
  begin_ = begin;
  attached_ = sockets;
  attached_.listener = command.listener;
  begin_.tracked = attached_.listener >= 0;
  begin_.unix_sockets = static_cast<int>(attached_.unix_sockets.size());
  begin_.tcp_sockets = static_cast<int>(attached_.tcp_sockets.size());
  if (!command.in_group) config_.group.move_in(command.pid);
  bool forked = true;
  while (forked && !arbiter_gave_up_ && config_.board->arbiter_deaths <= board::kMaxArbiterDeaths) {
    send_begin();
    while (!ready_ && arbiter_ != 0) serve(-1);
    if (ready_) return {};
    forked = arbiter_gave_up_ || fork_arbiter();
  }
  return tl::unexpected(wire::Error{
      125,
      std::string("cannot start the arbiter: it does not get what it needs; ") + proc::kMoreFiles});
}

void Front::send_begin() {
  std::vector<int> descriptors{config_.fifo->fd()};
  if (begin_.tracked) descriptors.push_back(attached_.listener);
  for (const auto* sockets : {&attached_.unix_sockets, &attached_.tcp_sockets}) {
    descriptors.insert(descriptors.end(), sockets->begin(), sockets->end());
  }
  (void)proc::send_message(control_, std::as_bytes(std::span(&begin_, 1)), descriptors);
}

wire::Result<void> Front::fork_arbiter() {
  std::array<int, 2> control{};
  if (::socketpair(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC, 0, control.data()) != 0) {
    return tl::unexpected(proc::shortage("make a socket", proc::kMoreFiles));
  }
  arbiter_ = ::fork();
  if (arbiter_ == 0) {
    ::close(control[0]);
    for (const int fd : {signals_, control_, terminal_, parent_}) {
      if (fd >= 0) ::close(fd);
    }
    detach();
    ::sigprocmask(SIG_SETMASK, &old_mask_, nullptr);
    config_.control = control[1];
    // Not _exit(): a sanitizer looks for leaks at the end.
    std::exit(ready_ ? arbiter::arbiter_main(config_, begin_, attached_)
                     : arbiter::arbiter_main(config_));
  }
  ::close(control[1]);
  if (control_ >= 0) ::close(control_);
  control_ = control[0];
  if (arbiter_ > 0) return {};
  arbiter_ = 0;
  return tl::unexpected(proc::shortage("start the arbiter", proc::kMoreProcesses));
}

void Front::serve(int timeout_ms) {
  std::array<pollfd, 3> ready{pollfd{signals_, POLLIN, 0}, pollfd{control_, POLLIN, 0},
                              pollfd{parent_, POLLIN, 0}};
  if (::poll(ready.data(), ready.size(), timeout_ms) <= 0) return;
  if (ready[2].revents != 0) on_parent_gone();
  // What the arbiter had to say before it died is read before its death is dealt with.
  if (ready[1].revents != 0) on_control();
  signalfd_siginfo info{};
  while (::read(signals_, &info, sizeof info) == static_cast<ssize_t>(sizeof info)) {
    on_signal(static_cast<int>(info.ssi_signo), info.ssi_code);
  }
}

void Front::on_control() {
  std::array<char, 16> message{};
  const ssize_t n = ::recv(control_, message.data(), message.size(), MSG_DONTWAIT);
  if (n <= 0) {
    if (n < 0 && (errno == EAGAIN || errno == EINTR)) return;
    ::close(control_);
    control_ = -1;
    return;
  }
  if (message[0] == arbiter::kReady) ready_ = true;
  if (message[0] == arbiter::kSettled) settled_ = true;
  if (message[0] == arbiter::kNews) tell_news();
  if (message[0] == arbiter::kWrite && attached_.listener >= 0) {
    board::write_for_arbiter(&config_.board->write, jobserver::Listener(attached_.listener));
  }
}

void Front::tell_news() {
  const board::Board& board = *config_.board;
  const auto count =
      std::min<std::uint32_t>(board.uncooperative_count.load(), board.uncooperative.size());
  for (; told_ < count; ++told_) {
    if (!is_quiet_) proc::say("run", watch::uncooperative_line(board.uncooperative[told_]));
  }
  const auto stuck = std::min<std::uint32_t>(board.stuck_count.load(), board.stuck.size());
  if (board.freeze_count.load() > 0 && !std::exchange(told_frozen_, true) && !is_quiet_) {
    proc::say("run", watch::kFrozenLine);
  }
  const bool paused = board.paused.load();
  if (std::exchange(told_paused_, paused) != paused && !is_quiet_) {
    proc::say("run", paused ? watch::kPausedLine : watch::kResumedLine);
  }
  const auto users = std::min<std::uint32_t>(board.user_count.load(), board.users.size());
  for (; told_users_ < users; ++told_users_) {
    const board::OtherUserRow& row = board.users[told_users_];
    if (row.out_of_reach[0] != 0) proc::say("run", watch::outsider_line(row));
  }
  if (board.fifo_gone.load()) tell_fifo_gone();
  for (; told_stuck_ < stuck; ++told_stuck_) {
    proc::say("run", watch::stuck_line(board.stuck[told_stuck_], watch::StuckPlace::run));
  }
}

void Front::tell_fifo_gone() {
  if (std::exchange(told_fifo_gone_, true)) return;
  proc::say("run", "somebody has removed or replaced the FIFO " + config_.fifo->path() +
                       ": tools that look for it from now on run alone; what runs goes on");
}

void Front::on_signal(int signal, int code) {
  const bool from_terminal = code == SI_KERNEL && terminal_ >= 0;
  if (signal == SIGCHLD) {
    reap();
  } else if (signal == SIGTSTP) {
    stop_self(signal, from_terminal);
  } else if (signal == SIGCONT) {
    continue_build();
  } else if (ends_builds(signal)) {
    thaw_for_good();
    const nanoseconds since(now_ns() - last_signal_ns_);
    const bool first = last_signal_ns_ == 0;
    if (!first && since < kSameWish && !from_terminal) return;
    last_signal_ns_ = now_ns();
    if (!first && (!from_terminal || since < kKeyboardPatience)) {
      kill_all();
    } else if (!from_terminal) {
      pass_on(signal);
    }
  } else if (!from_terminal) {
    pass_on(signal);
  }
}

void Front::pass_on(int signal) {
  if (command_ == 0) early_signal_ = signal;
  if (command_ == 0 || wait_status_) return;
  if (own_group_) {
    ::kill(-command_, signal);
    return;
  }
  const pid_t group = ::getpgrp();
  for (const auto& process : proc::descendants_of(::getpid())) {
    if (process.group != group || !is_of_build(process.id.pid)) continue;
    (void)proc::send_signal(process.id, signal);
  }
}

void Front::stop_self(int signal, bool from_terminal) {
  passed_stop_on_ = !from_terminal;
  if (passed_stop_on_) pass_on(signal);
  ::raise(SIGSTOP);
}

// A shell that suspends itself is in a group of its own and has given the terminal back: whoever
// waits for the front has to learn that. In the front's group the terminal stops both.
void Front::stop_with_command() {
  if (own_group_ || ::getpgid(command_) == ::getpgrp()) return;
  stopped_with_command_ = true;
  ::raise(SIGSTOP);
}

// The shell that continues its job does so with the whole group. A second SIGCONT, which the front
// gets round to late, could undo the user's next Ctrl-Z.
void Front::continue_build() {
  if (own_group_ || passed_stop_on_) pass_on(SIGCONT);
  if (stopped_with_command_) {
    const pid_t group = ::getpgid(command_);
    // In the background it waits for the terminal as any job does.
    if (::tcgetpgrp(terminal_) == ::getpgrp()) ::tcsetpgrp(terminal_, group);
    ::kill(-group, SIGCONT);
  }
  passed_stop_on_ = false;
  stopped_with_command_ = false;
}

// Who is to end, or to end others, has to run for it, whoever stopped it. The arbiter may be
// freezing at this moment.
void Front::thaw_for_good() {
  config_.board->freezes_no_more = true;
  board::thaw_all(config_.board, false);
  if (arbiter_ == 0) return;
  // Sent to one that is not stopped it would undo the SIGSTOP that a tracer just sent and waits for
  // (a leak checker is one).
  const auto arbiter = proc::read_process(arbiter_);
  if (arbiter && arbiter->state == 'T') ::kill(arbiter_, SIGCONT);
}

void Front::on_parent_gone() {
  ::close(std::exchange(parent_, -1));
  parent_gone_ = true;
  if (command_ != 0) end_with_parent();
}

void Front::end_with_parent() {
  proc::say("run", "the process that started this build has ended, so the build is ended");
  thaw_for_good();
  kill_all();
}

void Front::end_leftovers() {
  const int count = count_left();
  if (!is_quiet_) {
    proc::say("run", "ended " + std::to_string(count) + (count == 1 ? " process" : " processes") +
                         " that the command left running");
  }
  thaw_for_good();
  kill_all();
}

void Front::kill_all() {
  std::vector<pid_t> exempt = not_of_build_;
  exempt.push_back(arbiter_);
  proc::kill_descendants(exempt, [this] { reap(); });
}

void Front::reap() {
  int status = 0;
  pid_t pid = 0;
  while ((pid = ::waitpid(-1, &status, WNOHANG | WUNTRACED)) > 0) {
    if (WIFSTOPPED(status)) {
      if (pid == command_) stop_with_command();
    } else if (pid == command_) {
      wait_status_ = status;
    } else if (pid == arbiter_) {
      on_arbiter_death(status);
    }
  }
}

void Front::on_arbiter_death(int status) {
  arbiter_ = 0;
  board::thaw_all(config_.board, true);
  while (is_readable(control_)) on_control();
  if (settled_) return;
  ++config_.board->arbiter_deaths;
  config_.board->write.state = board::WriteState::idle;
  arbiter_gave_up_ = WIFEXITED(status);
  if (!ready_) return;  // begin() tries again
  begin_.resume = true;
  begin_.bypass = config_.board->arbiter_deaths > board::kMaxArbiterDeaths;
  const std::string how = WIFSIGNALED(status) ? "signal " + std::to_string(WTERMSIG(status))
                                              : "status " + std::to_string(WEXITSTATUS(status));
  if (config_.board->arbiter_deaths > board::kMaxArbiterDeaths + 1)
    return;  // wait_for() tries on, slowly
  proc::say("run",
            begin_.bypass
                ? "the arbiter died again (" + how + "); the build goes on with a plain jobserver"
                : "the arbiter died (" + how + "); a new one goes on in its place");
  replace_arbiter();
}

// Until it works: without an arbiter the build's calls wait.
void Front::replace_arbiter() {
  if (!fork_arbiter()) return;
  if (verdict_) (void)::send(control_, &*verdict_, 1, MSG_NOSIGNAL);
}

bool Front::is_of_build(pid_t child) const {
  return child != arbiter_ && std::ranges::find(not_of_build_, child) == not_of_build_.end();
}

int Front::others_left() const {
  const auto children = proc::children_of(::getpid());
  return static_cast<int>(std::count_if(
      children.begin(), children.end(),
      [this](const auto& child) { return child.id.pid != command_ && is_of_build(child.id.pid); }));
}

int Front::count_left() const {
  int count = 0;
  for (const auto& child : proc::children_of(::getpid())) {
    if (!is_of_build(child.id.pid)) continue;
    count += 1 + static_cast<int>(proc::descendants_of(child.id.pid).size());
  }
  return count;
}

CommandEnd Front::wait_for(const StartedCommand& command) {
  command_ = command.pid;
  if (early_signal_) pass_on(*early_signal_);
  if (parent_gone_) end_with_parent();
  while (!wait_status_) {
    serve(arbiter_ == 0 ? kRetryMs : -1);
    if (arbiter_ == 0 && !wait_status_) replace_arbiter();
  }
  const std::int64_t deadline = now_ns() + kStragglers.count();
  int left = others_left();
  while (left > 0 && now_ns() < deadline) {
    serve(10);
    left = others_left();
  }
  if (left > 0 && leaves_nothing_) {
    end_leftovers();
    left = others_left();
  }
  CommandEnd end;
  if (!config_.fifo->is_on_disk()) tell_fifo_gone();
  verdict_ = left == 0 ? arbiter::kAllEnded : arbiter::kSomeLeft;
  settle();
  take_terminal_back();
  end.wait_status = *wait_status_;
  if (left > 0) end.left_running = std::max(count_left(), 1);
  return end;
}

void Front::abandon(const StartedCommand* command) {
  if (command != nullptr) {
    command_ = command->pid;
    ::kill(command_, SIGKILL);
    while (!wait_status_) serve(-1);
  }
  verdict_ = arbiter::kAllEnded;
  settle();
  wait_for_arbiter();
  config_.group.remove_when_empty();
}

// The arbiter has the figures ready and removes what is on the disk, as the front does: it may have
// been killed. Its end is not waited for: the kernel takes some 10 ms to take down the watch on the
// FIFO.
void Front::settle() {
  if (control_ >= 0) (void)::send(control_, &*verdict_, 1, MSG_NOSIGNAL);
  while (!settled_ && arbiter_ != 0) serve(-1);
  if (*verdict_ == arbiter::kAllEnded) config_.group.remove_when_empty();
}

void Front::wait_for_arbiter() {
  while (arbiter_ != 0) serve(-1);
}

// A job-control shell that was killed leaves the terminal with a group that is gone, an editor
// leaves it raw. One that ended by itself has put back what it wanted to.
void Front::take_terminal_back() {
  if (!was_foreground_) return;
  sigset_t background;
  sigemptyset(&background);
  sigaddset(&background, SIGTTOU);
  ::sigprocmask(SIG_BLOCK, &background, nullptr);
  if (::tcgetpgrp(terminal_) != ::getpgrp()) ::tcsetpgrp(terminal_, ::getpgrp());
  if (WIFSIGNALED(*wait_status_) && terminal_modes_) {
    ::tcsetattr(terminal_, TCSADRAIN, &*terminal_modes_);
  }
}

}  // namespace tokenpool::front
