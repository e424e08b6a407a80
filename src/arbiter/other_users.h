// Processes of root's build that go on as another user (setpriv, su, gosu): the pool is opened to
// him, and to nobody else.
#pragma once

#include <string>

#include <sys/types.h>

#include "arbiter/front_line.h"
#include "board/board_log.h"
#include "session/connections.h"

namespace tokenpool::arbiter {

class OtherUsers {
 public:
  /// `folder`: of the run. Whom an arbiter before this one has let in is admitted to the sockets of
  /// `connections` at once. `front` is told when the log has one who cannot reach the FIFO,
  /// or the shims that his process has on its PATH.
  OtherUsers(std::string folder, session::Connections* connections, board::BoardLog* log,
             const FrontLine* front);

  /// The stopped `thread` is about to go on as `user`, by its own numbers. A build has a few such
  /// users: kBoardUsers at most.
  void let_in(pid_t thread, uid_t user);

 private:
  [[nodiscard]] std::string out_of_reach(pid_t thread, uid_t user) const;

  std::string folder_;
  session::Connections& connections_;
  board::BoardLog* log_;
  const FrontLine& front_;
};

}  // namespace tokenpool::arbiter
