// The life of the arbiter's process: it waits for a build, serves it, and guards who serves what
// the build leaves.
#include <cerrno>
#include <span>
#include <vector>

#include <sys/wait.h>
#include <unistd.h>

#include "arbiter/arbiter.h"
#include "board/limits.h"
#include "proc/descriptor_passing.h"

namespace tokenpool::arbiter {
namespace {

// The front has returned. What it was to the build, this process is from now on.
void guard(const board::ArbiterConfig& config, board::Begin begin,
           const board::Attached& attached) {
  begin.resume = true;
  begin.left = true;
  begin.guardian = ::getpid();
  for (std::uint32_t deaths = 0; deaths <= board::kMaxArbiterDeaths; ++deaths) {
    begin.bypass = begin.bypass || deaths == board::kMaxArbiterDeaths;
    const pid_t arbiter = ::fork();
    bool left = false;
    if (arbiter == 0) {
      const int status = serve_build(config, begin, attached, &left);
      // In case that the guardian was killed.
      if (status == 0) config.group.remove_when_empty();
      ::_exit(status);
    }
    // Better one that nobody guards than none.
    if (arbiter < 0) (void)serve_build(config, begin, attached, &left);
    int status = 0;
    while (arbiter > 0 && ::waitpid(arbiter, &status, 0) < 0 && errno == EINTR) {
    }
    if (status == 0) return;
  }
  config.fifo->remove();
}

// False: there are not as many as board::Begin says.
bool unpack(const board::Begin& begin, const std::vector<int>& descriptors,
            board::Attached* attached) {
  const auto fifo_and_listener = static_cast<std::size_t>(begin.tracked ? 2 : 1);
  const auto unix_sockets = static_cast<std::size_t>(begin.unix_sockets);
  const auto tcp_sockets = static_cast<std::size_t>(begin.tcp_sockets);
  if (descriptors.size() != fifo_and_listener + unix_sockets + tcp_sockets) return false;
  if (begin.tracked) attached->listener = descriptors[1];
  const auto sockets = descriptors.begin() + static_cast<std::ptrdiff_t>(fifo_and_listener);
  const auto middle = sockets + begin.unix_sockets;
  attached->unix_sockets.assign(sockets, middle);
  attached->tcp_sockets.assign(middle, descriptors.end());
  return true;
}

}  // namespace

int arbiter_main(const board::ArbiterConfig& config) {
  board::Begin begin;
  const auto message =
      proc::receive_message(config.control, std::as_writable_bytes(std::span(&begin, 1)));
  if (message.size <= 0) {
    // The front died while it prepared the build; the command, not yet executed, dies with it.
    config.fifo->remove();
    (void)config.group.kill();
    config.group.remove_when_empty();
  }
  if (message.size != static_cast<ssize_t>(sizeof begin)) return 0;
  board::Attached attached;
  if (message.truncated || !unpack(begin, message.descriptors, &attached)) return 3;
  config.fifo->adopt(message.descriptors[0]);
  return arbiter_main(config, begin, attached);
}

int arbiter_main(const board::ArbiterConfig& config, const board::Begin& begin,
                 const board::Attached& attached) {
  bool left = false;
  if (const int status = serve_build(config, begin, attached, &left); status != 0) return status;
  if (left) guard(config, begin, attached);
  config.group.remove_when_empty();
  return 0;
}

}  // namespace tokenpool::arbiter
