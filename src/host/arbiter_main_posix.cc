// The life of the arbiter's process: it waits for a build, serves it, and guards who serves what
// the build leaves.
#include <cerrno>
#include <span>

#include <sys/wait.h>
#include <unistd.h>

#include "core/limits.h"
#include "host/arbiter.h"
#include "proc/descriptor_passing.h"

namespace tokenpool::host {
namespace {

// The front has returned. What it was to the build, this process is from now on.
void guard(const ArbiterConfig& config, Begin begin, int listener) {
  begin.resume = true;
  begin.left = true;
  for (std::uint32_t deaths = 0; deaths <= core::kMaxArbiterDeaths; ++deaths) {
    begin.bypass = begin.bypass || deaths == core::kMaxArbiterDeaths;
    const pid_t arbiter = ::fork();
    bool left = false;
    if (arbiter == 0) {
      const int status = serve_build(config, begin, listener, &left);
      // In case that the guardian was killed.
      if (status == 0) config.group.remove_when_empty();
      ::_exit(status);
    }
    // Better one that nobody guards than none.
    if (arbiter < 0) (void)serve_build(config, begin, listener, &left);
    int status = 0;
    while (arbiter > 0 && ::waitpid(arbiter, &status, 0) < 0 && errno == EINTR) {
    }
    if (status == 0) return;
  }
  config.fifo->remove();
}

}  // namespace

int arbiter_main(const ArbiterConfig& config) {
  Begin begin;
  const auto message =
      proc::receive_message(config.control, std::as_writable_bytes(std::span(&begin, 1)));
  if (message.size <= 0) {
    // The front died while it prepared the build; the command, not yet executed, dies with it.
    config.fifo->remove();
    (void)config.group.kill();
    config.group.remove_when_empty();
  }
  if (message.size != static_cast<ssize_t>(sizeof begin)) return 0;
  if (message.truncated || message.descriptors.empty()) return 3;
  config.fifo->adopt(message.descriptors[0]);
  const int listener = message.descriptors.size() > 1 ? message.descriptors[1] : -1;
  bool left = false;
  if (const int status = serve_build(config, begin, listener, &left); status != 0) return status;
  if (left) guard(config, begin, listener);
  config.group.remove_when_empty();
  return 0;
}

}  // namespace tokenpool::host
