#include <algorithm>
#include <array>
#include <cerrno>
#include <chrono>
#include <cstdio>
#include <utility>
#include <vector>

#include <poll.h>
#include <sys/prctl.h>
#include <sys/signalfd.h>
#include <sys/wait.h>
#include <unistd.h>

#include "board/freezer.h"
#include "board/limits.h"
#include "front/front.h"
#include "proc/kill_build.h"
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

}  // namespace

Front::Front() = default;

Front::~Front() {
  for (const int fd : {signals_, parent_}) {
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
  own_group_ = !terminal_.open();
  spec->own_group = own_group_;
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
  keeper_.serve_with(fifo, board);
  return fork_arbiter();
}

void Front::make_group(CommandSpec* spec) {
  if (keeper_.group().create()) spec->group = keeper_.group().fd();
}

void Front::dismiss_arbiter() {
  keeper_.expect_end();
  abandon(nullptr);
  keeper_.forget();
}

void Front::restore(const CommandSpec& spec) const {
  if (spec.default_sigpipe) ::signal(SIGPIPE, SIG_DFL);
  if (spec.default_sigxfsz) ::signal(SIGXFSZ, SIG_DFL);
  ::sigprocmask(SIG_SETMASK, &spec.mask, nullptr);
  ::prctl(PR_SET_CHILD_SUBREAPER, 0);
}

wire::Result<void> Front::begin(const StartedCommand& command, const board::Begin& begin,
                                const board::Attached& sockets) {
  board::Attached attached = sockets;
  attached.listener = command.listener;
  keeper_.give(begin, attached);
  if (!command.in_group) keeper_.group().move_in(command.pid);
  do {
    keeper_.send_begin();
    while (!keeper_.is_ready() && keeper_.pid() != 0) serve(-1);
    if (keeper_.is_ready()) return {};
  } while (!keeper_.is_hopeless() && fork_arbiter());
  return tl::unexpected(wire::Error{
      125,
      std::string("cannot start the arbiter: it does not get what it needs; ") + proc::kMoreFiles});
}

wire::Result<void> Front::fork_arbiter() {
  return keeper_.fork({.descriptors = {signals_, terminal_.fd(), parent_}, .mask = old_mask_});
}

void Front::serve(int timeout_ms) {
  std::array<pollfd, 3> ready{pollfd{signals_, POLLIN, 0}, pollfd{keeper_.control(), POLLIN, 0},
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
  if (keeper_.receive() == board::kNews) tell_news();
}

void Front::tell_news() {
  const board::Board& board = keeper_.board();
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
  proc::say("run", "somebody has removed or replaced the FIFO " + keeper_.fifo().path() +
                       ": tools that look for it from now on run alone; what runs goes on");
}

void Front::on_signal(int signal, int code) {
  const bool from_terminal = code == SI_KERNEL && terminal_.is_there();
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
    terminal_.give_to(group);
    ::kill(-group, SIGCONT);
  }
  passed_stop_on_ = false;
  stopped_with_command_ = false;
}

// Who is to end, or to end others, has to run for it, whoever stopped it. The arbiter may be
// freezing at this moment.
void Front::thaw_for_good() {
  keeper_.board().freezes_no_more = true;
  board::thaw_all(&keeper_.board(), false);
  if (keeper_.pid() == 0) return;
  // Sent to one that is not stopped it would undo the SIGSTOP that a tracer just sent and waits for
  // (a leak checker is one).
  const auto arbiter = proc::read_process(keeper_.pid());
  if (arbiter && arbiter->state == 'T') ::kill(keeper_.pid(), SIGCONT);
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
  exempt.push_back(keeper_.pid());
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
    } else if (pid == keeper_.pid()) {
      on_arbiter_death(status);
    }
  }
}

void Front::on_arbiter_death(int status) {
  while (is_readable(keeper_.control())) on_control();
  if (keeper_.ended(status)) (void)fork_arbiter();
}

bool Front::is_of_build(pid_t child) const {
  return child != keeper_.pid() && std::ranges::find(not_of_build_, child) == not_of_build_.end();
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
    serve(keeper_.pid() == 0 ? kRetryMs : -1);
    // Until it works: without an arbiter the build's calls wait.
    if (keeper_.pid() == 0 && !wait_status_) (void)fork_arbiter();
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
  if (!keeper_.fifo().is_on_disk()) tell_fifo_gone();
  settle(left == 0 ? board::kAllEnded : board::kSomeLeft);
  // One that ended by itself has put back what it wanted to.
  terminal_.take_back(WIFSIGNALED(*wait_status_));
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
  settle(board::kAllEnded);
  while (keeper_.pid() != 0) serve(-1);
  keeper_.group().remove_when_empty();
}

// The arbiter has the figures ready and removes what is on the disk, as the front does: it may have
// been killed. Its end is not waited for: the kernel takes some 10 ms to take down the watch on the
// FIFO.
void Front::settle(char verdict) {
  keeper_.send_verdict(verdict);
  while (!keeper_.has_settled() && keeper_.pid() != 0) serve(-1);
  if (verdict == board::kAllEnded) keeper_.group().remove_when_empty();
}

}  // namespace tokenpool::front
