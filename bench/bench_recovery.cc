// How long after SIGKILL to its holder a token is in the hands of a client that waits for it.
//
// bench_recovery pool KILLS blocking|poll   under `tokenpool run -j2`: one token
// bench_recovery plain KILLS                the same on make's own pipe; gives up after 100 ms each
// bench_recovery bare KILLS                 the floor: wait for a pidfd, write a byte into a pipe
//
// Prints one line per kill: nanoseconds from kill(2) to the waiter's return from read(2), or
// "lost".
#include <atomic>
#include <csignal>
#include <cstring>

#include <sys/syscall.h>
#include <sys/wait.h>

#include "bench_client.h"

namespace {

using tokenpool::bench::die;
using tokenpool::bench::Ends;
using tokenpool::bench::now_ns;

struct Shared {
  std::atomic<std::int64_t> got_at;
};

struct Channel {
  int from = -1;
  int to = -1;
  Channel() {
    int ends[2];
    if (::pipe2(ends, O_CLOEXEC) != 0) die("pipe");
    from = ends[0];
    to = ends[1];
  }
  // Two bytes, because calls of one byte are what the filter stops.
  void tell() const {
    if (::write(to, "go", 2) != 2) die("write");
  }
  bool hear(int timeout_ms) const {
    pollfd ready{from, POLLIN, 0};
    char word[2];
    return ::poll(&ready, 1, timeout_ms) == 1 && ::read(from, word, 2) == 2;
  }
};

// Whether `pid` sleeps in the system call `number`.
bool sleeps_in(pid_t pid, long number) {
  char path[64];
  std::snprintf(path, sizeof path, "/proc/%d/syscall", pid);
  std::FILE* file = std::fopen(path, "re");
  if (file == nullptr) return false;
  long in = -1;
  const bool sleeps = std::fscanf(file, "%ld", &in) == 1 && in == number;
  std::fclose(file);
  return sleeps;
}

void wait_until_asleep(pid_t pid, long number) {
  while (!sleeps_in(pid, number)) tokenpool::bench::sleep_ns(100'000);
}

pid_t fork_holder(const Ends& pool, const Channel& holding) {
  const pid_t pid = ::fork();
  if (pid == 0) {
    if (pool.read >= 0) tokenpool::bench::take(pool);
    holding.tell();
    while (true) ::pause();
  }
  return pid;
}

pid_t fork_waiter(const Ends& pool, bool blocking, Shared* shared, const Channel& go,
                  const Channel& done) {
  const pid_t pid = ::fork();
  if (pid != 0) return pid;
  while (go.hear(-1)) {
    if (!blocking) {
      pollfd ready{pool.read, POLLIN, 0};
      while (::poll(&ready, 1, -1) != 1) {
      }
    }
    tokenpool::bench::take(pool);
    shared->got_at = now_ns();
    if (pool.write >= 0) tokenpool::bench::give(pool);
    done.tell();
  }
  ::_exit(0);
}

// The floor: what the arbiter cannot do without. Waits for the holder's end, then writes.
pid_t fork_bare(pid_t holder, int to, const Channel& ready) {
  const pid_t pid = ::fork();
  if (pid != 0) return pid;
  pollfd end{static_cast<int>(::syscall(SYS_pidfd_open, holder, 0)), POLLIN, 0};
  ready.tell();
  ::poll(&end, 1, -1);
  if (::write(to, "+", 1) != 1) die("write");
  ::_exit(0);
}

}  // namespace

int main(int argc, char** argv) {
  if (argc < 3) return 2;
  const bool bare = std::strcmp(argv[1], "bare") == 0;
  const bool plain = std::strcmp(argv[1], "plain") == 0;
  const int kills = std::atoi(argv[2]);
  const bool blocking = argc < 4 || std::strcmp(argv[3], "blocking") == 0;
  auto* shared = tokenpool::bench::shared<Shared>();
  Ends pool = bare || plain ? tokenpool::bench::plain_pool(bare ? 0 : 1)
                            : tokenpool::bench::surrounding_pool();
  if (pool.read < 0) die("MAKEFLAGS names no jobserver");
  const Channel holding, go, done, watching;
  const Ends waiter_pool{pool.read, bare ? -1 : pool.write};
  const pid_t waiter = fork_waiter(waiter_pool, blocking, shared, go, done);
  for (int i = 0; i < kills; ++i) {
    const pid_t holder = fork_holder(bare ? Ends{} : pool, holding);
    holding.hear(-1);
    pid_t helper = 0;
    if (bare) {
      helper = fork_bare(holder, pool.write, watching);
      watching.hear(-1);
      wait_until_asleep(helper, SYS_poll);
    }
    go.tell();
    wait_until_asleep(waiter, blocking ? SYS_read : SYS_poll);
    // Everybody involved is asleep now; this lets what the waiter's call set off end, too.
    tokenpool::bench::sleep_ns(2'000'000);
    const std::int64_t killed_at = now_ns();
    ::kill(holder, SIGKILL);
    const bool back = done.hear(plain ? 100 : 10'000);
    if (back) {
      std::printf("%lld\n", static_cast<long long>(shared->got_at - killed_at));
    } else {
      std::puts("lost");
      // So that the next round has a token to lose.
      tokenpool::bench::give(pool);
      done.hear(-1);
    }
    ::waitpid(holder, nullptr, 0);
    if (helper != 0) ::waitpid(helper, nullptr, 0);
  }
  ::kill(waiter, SIGKILL);
  return 0;
}
