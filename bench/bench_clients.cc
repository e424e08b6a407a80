// `bench_clients N`: N processes that have taken and returned a token each and then live on, until
// a line comes on standard input. Prints "ready" when all have done so.
#include <csignal>
#include <vector>

#include <sys/wait.h>

#include "bench_client.h"

int main(int argc, char** argv) {
  if (argc != 2) return 2;
  const auto pool = tokenpool::bench::surrounding_pool();
  if (pool.read < 0) tokenpool::bench::die("MAKEFLAGS names no jobserver");
  int ready[2];
  if (::pipe2(ready, O_CLOEXEC) != 0) tokenpool::bench::die("pipe");
  std::vector<pid_t> clients(static_cast<std::size_t>(std::atoi(argv[1])));
  for (auto& client : clients) {
    client = ::fork();
    if (client < 0) tokenpool::bench::die("fork");
    if (client == 0) {
      tokenpool::bench::take(pool);
      tokenpool::bench::give(pool);
      // Two bytes: a single one would be stopped by the filter, and is not what is counted here.
      if (::write(ready[1], "ok", 2) != 2) tokenpool::bench::die("write");
      while (true) ::pause();
    }
  }
  for (std::size_t i = 0; i < clients.size(); ++i) {
    char word[2];
    if (::read(ready[0], word, 2) != 2) tokenpool::bench::die("read");
  }
  std::puts("ready");
  std::fflush(stdout);
  char line[64];
  (void)std::fgets(line, sizeof line, stdin);
  for (const pid_t client : clients) ::kill(client, SIGKILL);
  for (const pid_t client : clients) ::waitpid(client, nullptr, 0);
  return 0;
}
