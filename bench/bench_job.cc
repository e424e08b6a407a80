// One job of a build. `bench_job sleep MS` waits, `bench_job burn MS` uses that much CPU time,
// `bench_job half MS` does either for half of it, by turns.
#include <cstdlib>
#include <cstring>

#include "bench_client.h"

namespace {

std::int64_t cpu_ns() {
  timespec t{};
  ::clock_gettime(CLOCK_PROCESS_CPUTIME_ID, &t);
  return static_cast<std::int64_t>(t.tv_sec) * 1'000'000'000 + t.tv_nsec;
}

void burn(std::int64_t ns) {
  const std::int64_t end = cpu_ns() + ns;
  while (cpu_ns() < end) {
  }
}

}  // namespace

int main(int argc, char** argv) {
  if (argc != 3) return 2;
  const std::int64_t ns = std::atoll(argv[2]) * 1'000'000;
  if (std::strcmp(argv[1], "sleep") == 0) {
    tokenpool::bench::sleep_ns(ns);
    return 0;
  }
  if (std::strcmp(argv[1], "half") == 0) {
    constexpr int kTurns = 5;
    for (int i = 0; i < kTurns; ++i) {
      burn(ns / 2 / kTurns);
      tokenpool::bench::sleep_ns(ns / 2 / kTurns);
    }
    return 0;
  }
  burn(ns);
  return 0;
}
