#include <poll.h>
#include <sys/socket.h>

#include "arbiter/front_line.h"
#include "board/begin.h"

namespace tokenpool::arbiter {

bool FrontLine::say(char word) const {
  return ::send(control_, &word, 1, MSG_NOSIGNAL | MSG_DONTWAIT) == 1;
}

void FrontLine::tell_news() const { (void)say(board::kNews); }

bool FrontLine::is_open() const {
  pollfd hang_up{control_, 0, 0};
  return ::poll(&hang_up, 1, 0) == 0;
}

}  // namespace tokenpool::arbiter
