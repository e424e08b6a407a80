// What the helpers of the benchmarks share: a plain jobserver client, and the clock.
#pragma once

#include <cerrno>
#include <cstdint>
#include <cstdio>
#include <cstdlib>
#include <cstring>
#include <string>

#include <fcntl.h>
#include <poll.h>
#include <sys/mman.h>
#include <time.h>
#include <unistd.h>

namespace tokenpool::bench {

/// Ends the helper with status 1 and one line on stderr.
[[noreturn]] inline void die(const char* what) {
  std::fprintf(stderr, "bench: %s: %s\n", what, std::strerror(errno));
  std::exit(1);
}

inline std::int64_t now_ns() {
  timespec t{};
  ::clock_gettime(CLOCK_MONOTONIC, &t);
  return static_cast<std::int64_t>(t.tv_sec) * 1'000'000'000 + t.tv_nsec;
}

inline void sleep_ns(std::int64_t ns) {
  timespec t{static_cast<time_t>(ns / 1'000'000'000), static_cast<long>(ns % 1'000'000'000)};
  while (::nanosleep(&t, &t) != 0 && errno == EINTR) {
  }
}

struct Ends {
  int read = -1;
  int write = -1;
};

/// The jobserver of MAKEFLAGS, if there is one: the last word that names one, as "R,W" or
/// "fifo:PATH". Both ends are -1 when there is none.
inline Ends surrounding_pool() {
  const char* flags = std::getenv("MAKEFLAGS");
  const std::string words = flags == nullptr ? "" : flags;
  const auto at = words.rfind("--jobserver-");
  const auto equals = at == std::string::npos ? at : words.find('=', at);
  if (equals == std::string::npos) return {};
  const std::string value = words.substr(equals + 1, words.find(' ', equals) - equals - 1);
  Ends ends;
  if (value.rfind("fifo:", 0) == 0) {
    ends.read = ::open(value.c_str() + 5, O_RDWR | O_CLOEXEC);
    ends.write = ends.read;
  } else if (std::sscanf(value.c_str(), "%d,%d", &ends.read, &ends.write) != 2) {
    return {};
  }
  return ends;
}

/// A pool as plain make has it: a pipe with that many bytes.
inline Ends plain_pool(int tokens) {
  int ends[2];
  if (::pipe(ends) != 0) die("pipe");
  // As inherited descriptors are: where the filter looks.
  const Ends pool{::fcntl(ends[0], F_DUPFD, 100), ::fcntl(ends[1], F_DUPFD, 100)};
  ::close(ends[0]);
  ::close(ends[1]);
  for (int i = 0; i < tokens; ++i) {
    if (::write(pool.write, "+", 1) != 1) die("write");
  }
  return pool;
}

/// Waits for a token, whether somebody (make 4.3 does) made the descriptor non-blocking or not.
inline void take(const Ends& pool) {
  char token = 0;
  while (::read(pool.read, &token, 1) != 1) {
    if (errno != EAGAIN && errno != EINTR) die("read of a token");
    pollfd ready{pool.read, POLLIN, 0};
    ::poll(&ready, 1, -1);
  }
}

inline void give(const Ends& pool) {
  if (::write(pool.write, "+", 1) != 1) die("write of a token");
}

/// Zeroed memory that the helper shares with the processes that it forks.
template <typename T>
T* shared() {
  void* memory =
      ::mmap(nullptr, sizeof(T), PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS, -1, 0);
  if (memory == MAP_FAILED) die("mmap");
  return static_cast<T*>(memory);
}

}  // namespace tokenpool::bench
