// A crowd of clients in the surrounding pool, each of which is one process: takes a token, works (a
// sleep), gives the token back; every K-th is killed instead while it holds it. As in make, one job
// at a time runs on the implicit slot, so that the crowd comes to its end when all tokens are lost.
//
// bench_pool SLOTS JOBS MS K     K = 0: nobody is killed
//
// Prints "wall BUSY-SECONDS WALL-SECONDS KILLED".
#include <atomic>
#include <csignal>
#include <vector>

#include <sys/wait.h>

#include "bench_client.h"

namespace {

using tokenpool::bench::Ends;
using tokenpool::bench::now_ns;

struct Shared {
  std::atomic<int> begun;
  std::atomic<int> ended;
  std::atomic<int> killed;
  std::atomic<std::int64_t> busy_ns;
  std::atomic<std::int64_t> last_end;
};

struct Plan {
  int jobs = 0;
  std::int64_t job_ns = 0;
  int kill_every = 0;
};

// Runs one job and tells whether there was one left.
bool work(const Plan& plan, Shared* shared, bool holds_token) {
  const int number = shared->begun.fetch_add(1);
  if (number >= plan.jobs) return false;
  const std::int64_t begin = now_ns();
  tokenpool::bench::sleep_ns(plan.job_ns);
  const std::int64_t end = now_ns();
  shared->busy_ns += end - begin;
  shared->last_end = end;
  const bool killed =
      holds_token && plan.kill_every > 0 && number % plan.kill_every == plan.kill_every - 1;
  if (killed) ++shared->killed;
  ++shared->ended;
  if (killed) ::raise(SIGKILL);
  return true;
}

// One client after the other, each a process of its own.
[[noreturn]] void lane(const Ends& pool, const Plan& plan, Shared* shared) {
  while (shared->begun < plan.jobs) {
    const pid_t client = ::fork();
    if (client == 0) {
      tokenpool::bench::take(pool);
      work(plan, shared, true);
      tokenpool::bench::give(pool);
      ::_exit(0);
    }
    ::waitpid(client, nullptr, 0);
  }
  ::_exit(0);
}

}  // namespace

int main(int argc, char** argv) {
  if (argc != 5) return 2;
  const int slots = std::atoi(argv[1]);
  const Plan plan{std::atoi(argv[2]), std::atoll(argv[3]) * 1'000'000, std::atoi(argv[4])};
  auto* shared = tokenpool::bench::shared<Shared>();
  const Ends pool = tokenpool::bench::surrounding_pool();
  if (pool.read < 0) tokenpool::bench::die("MAKEFLAGS names no jobserver");
  const std::int64_t begin = now_ns();
  std::vector<pid_t> lanes;
  // Two more than there are tokens, so that somebody always waits.
  for (int i = 0; i < slots + 1; ++i) {
    const pid_t pid = ::fork();
    if (pid == 0) {
      // A group of its own, to end a lane together with its client.
      ::setpgid(0, 0);
      lane(pool, plan, shared);
    }
    ::setpgid(pid, pid);
    lanes.push_back(pid);
  }
  while (work(plan, shared, false)) {
  }
  while (shared->ended < plan.jobs) tokenpool::bench::sleep_ns(1'000'000);
  std::printf("wall %.6f %.6f %d\n", static_cast<double>(shared->busy_ns) * 1e-9,
              static_cast<double>(shared->last_end - begin) * 1e-9, shared->killed.load());
  std::fflush(stdout);
  // Those who got a token have ended; in a drained pool the others never will.
  tokenpool::bench::sleep_ns(50'000'000);
  for (const pid_t pid : lanes) ::kill(-pid, SIGKILL);
  for (const pid_t pid : lanes) ::waitpid(pid, nullptr, 0);
  return 0;
}
