// The front's hold on its arbiter: forks it, gives it the build, hears what it says, and puts
// another one in the place of one that has died, which goes on from the board. After
// kMaxArbiterDeaths the next one lets every call through.
#pragma once

#include <array>
#include <optional>

#include <signal.h>
#include <sys/types.h>

#include "board/begin.h"

namespace tokenpool::front {

/// What an arbiter must not inherit of the front.
struct NotInherited {
  std::array<int, 3> descriptors{-1, -1, -1};  ///< -1: none
  sigset_t mask{};                             ///< what it has in place of the front's
};

/// One thread. Neither copies nor moves.
class ArbiterKeeper {
 public:
  ArbiterKeeper();
  ~ArbiterKeeper();
  ArbiterKeeper(const ArbiterKeeper&) = delete;
  ArbiterKeeper& operator=(const ArbiterKeeper&) = delete;

  /// Before the first fork(). Both outlive the keeper; chooses the name of the build's group.
  void serve_with(jobserver::Fifo* fifo, board::Board* board);
  [[nodiscard]] proc::BuildGroup& group() { return config_.group; }
  [[nodiscard]] board::Board& board() const { return *config_.board; }
  [[nodiscard]] const jobserver::Fifo& fifo() const { return *config_.fifo; }

  /// An arbiter that waits for a build, or, where one has served already, takes its place at once.
  /// Error 125 when no process or descriptor is left.
  wire::Result<void> fork(const NotInherited& front);
  /// The build that this arbiter, and each after it, is to serve. The descriptors stay the
  /// caller's, and open.
  void give(const board::Begin& begin, const board::Attached& attached);
  /// Tells the arbiter of it once more.
  void send_begin() const;
  /// See board::kAllEnded and board::kSomeLeft; each arbiter from now on is told.
  void send_verdict(char verdict);

  /// Readable: receive() has something to read. -1: the arbiter has closed it.
  [[nodiscard]] int control() const { return control_; }
  /// One word of the arbiter's, and does what it asks for. Nothing: there is none. Does not block.
  std::optional<char> receive();

  /// 0: none lives.
  [[nodiscard]] pid_t pid() const { return pid_; }
  /// It was reaped; receive() has read what it had to say. True: another one is to be forked now.
  bool ended(int status);
  /// An arbiter has served this build.
  [[nodiscard]] bool is_ready() const { return ready_; }
  /// The board holds the final figures.
  [[nodiscard]] bool has_settled() const { return settled_; }
  /// Another one would not become ready either.
  [[nodiscard]] bool is_hopeless() const;

  /// There is nothing to serve: its end is no death, until forget().
  void expect_end() { settled_ = true; }
  /// There was no build, so that another one can be given.
  void forget();

 private:
  board::ArbiterConfig config_;
  board::Begin begin_;
  board::Attached attached_;
  int control_ = -1;
  pid_t pid_ = 0;
  bool ready_ = false;
  bool settled_ = false;
  bool gave_up_ = false;         ///< the last one that died could not get what it needs
  std::optional<char> verdict_;  ///< what each arbiter is told at the end
};

}  // namespace tokenpool::front
