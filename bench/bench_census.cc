// What the census of a build costs.
//
// bench_census PROCESSES
//
// Starts so many processes that sleep, says "ready", and for each line on standard input ("walk N",
// "glance N") does that N times and prints the mean CPU time in nanoseconds. Ends with the input.
#include <chrono>
#include <cstdio>
#include <cstdlib>
#include <cstring>
#include <ctime>

#include <signal.h>
#include <sys/prctl.h>
#include <sys/wait.h>
#include <unistd.h>

#include "proc/build_load.h"
#include "proc/census.h"

namespace {

using tokenpool::core::Instant;

double cpu_ns() {
  timespec time{};
  ::clock_gettime(CLOCK_PROCESS_CPUTIME_ID, &time);
  return static_cast<double>(time.tv_sec) * 1e9 + static_cast<double>(time.tv_nsec);
}

Instant clock_now() {
  return std::chrono::duration_cast<Instant>(std::chrono::steady_clock::now().time_since_epoch());
}

// In groups of fifty, as the jobs of a build have parents of their own.
void start_sleepers(int count) {
  const pid_t root = ::getpid();
  for (int done = 0; done < count; done += 50) {
    const pid_t parent = ::fork();
    if (parent < 0) std::exit(1);
    if (parent != 0) continue;
    ::prctl(PR_SET_PDEATHSIG, SIGKILL);
    const int children = done + 50 <= count ? 49 : count - done - 1;
    for (int i = 0; i < children; ++i) {
      if (::fork() == 0) {
        ::prctl(PR_SET_PDEATHSIG, SIGKILL);
        ::pause();
      }
    }
    if (::getppid() == root) ::pause();
    ::_exit(0);
  }
}

}  // namespace

int main(int argc, char** argv) {
  const int count = argc > 1 ? std::atoi(argv[1]) : 100;
  ::signal(SIGCHLD, SIG_IGN);
  start_sleepers(count);
  tokenpool::proc::Census census(::getpid());
  tokenpool::proc::BuildLoad load("");
  // Until all are there, and the files that stay open are open.
  for (int i = 0; i < 3 || census.walk(clock_now()).rows.size() <= static_cast<std::size_t>(count);
       ++i) {
    ::usleep(10000);
  }
  std::puts("ready");
  std::fflush(stdout);
  char word[16];
  int rounds = 0;
  while (std::scanf("%15s %d", word, &rounds) == 2) {
    const double begin = cpu_ns();
    for (int i = 0; i < rounds; ++i) {
      if (std::strcmp(word, "walk") == 0) {
        (void)census.walk(clock_now());
      } else {
        (void)load.glance(clock_now());
      }
    }
    std::printf("%.0f\n", (cpu_ns() - begin) / rounds);
    std::fflush(stdout);
  }
  return 0;
}
