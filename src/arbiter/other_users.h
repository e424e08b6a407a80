// Processes of root's build that go on as another user (setpriv, su, gosu): the pool is opened to
// him, and to nobody else.
#pragma once

#include <functional>
#include <string>

#include <sys/types.h>

#include "board/board_log.h"

namespace tokenpool::arbiter {

class OtherUsers {
 public:
  /// `folder`: of the run. `admit` lets a user connect to the sockets; those whom an arbiter before
  /// this one has let in are admitted at once. `tell`: the log has one who cannot reach the FIFO,
  /// or the shims that his process has on its PATH.
  OtherUsers(std::string folder, std::function<void(uid_t)> admit, board::BoardLog* log,
             std::function<void()> tell);

  /// The stopped `thread` is about to go on as `user`, by its own numbers. A build has a few such
  /// users: kBoardUsers at most.
  void let_in(pid_t thread, uid_t user);

 private:
  [[nodiscard]] std::string out_of_reach(pid_t thread, uid_t user) const;

  std::string folder_;
  std::function<void(uid_t)> admit_;
  board::BoardLog* log_;
  std::function<void()> tell_;
};

}  // namespace tokenpool::arbiter
