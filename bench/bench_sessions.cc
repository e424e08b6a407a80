// Clients of the protocol that do little.
//
// bench_sessions hold COOKIE-FILE ADDRESS N    N connections, each of which has taken and returned
// a
//   slot and then lives on, until a line comes on standard input. Prints "ready" when all have.
// bench_sessions recovery COOKIE-FILE ADDRESS KILLS   with a pool of one slot: a process with a
//   connection of its own takes it and is killed while another waits in `acquire`. Prints one line
//   per kill: nanoseconds from kill(2) until the one that waits has its answer, or "lost".
#include <atomic>
#include <csignal>
#include <cstring>
#include <memory>
#include <vector>

#include <sys/prctl.h>
#include <sys/wait.h>

#include "bench_net.h"

namespace {

using tokenpool::bench::Address;
using tokenpool::bench::Client;
using tokenpool::bench::die;
using tokenpool::bench::now_ns;
using tokenpool::bench::number_of;

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
  void tell() const {
    if (::write(to, "+", 1) != 1) die("write");
  }
  bool hear(int timeout_ms) const {
    pollfd ready{from, POLLIN, 0};
    char word = 0;
    return ::poll(&ready, 1, timeout_ms) == 1 && ::read(from, &word, 1) == 1;
  }
};

void hold(const Address& address, const std::string& cookie, int count) {
  std::vector<std::unique_ptr<Client>> clients;
  for (int i = 0; i < count; ++i) {
    clients.push_back(std::make_unique<Client>(address, cookie, "bench"));
    const std::string lease = clients.back()->acquire();
    (void)clients.back()->call(tokenpool::bench::release_line(lease, true));
  }
  std::puts("ready");
  std::fflush(stdout);
  char line[64];
  (void)!std::fgets(line, sizeof line, stdin);
}

template <typename Work>
pid_t fork_child(Work work) {
  const pid_t above = ::getpid();
  const pid_t pid = ::fork();
  if (pid < 0) die("fork");
  if (pid > 0) return pid;
  ::prctl(PR_SET_PDEATHSIG, SIGKILL);
  if (::getppid() == above) work();
  ::_exit(1);
}

void recovery(const Address& address, const std::string& cookie, int kills) {
  auto* shared = tokenpool::bench::shared<Shared>();
  const Channel holding, go, done;
  const pid_t waiter = fork_child([&] {
    Client client(address, cookie, "waiter");
    while (go.hear(-1)) {
      const std::string lease = client.acquire();
      shared->got_at = now_ns();
      (void)client.call(tokenpool::bench::release_line(lease, true));
      done.tell();
    }
  });
  Client watcher(address, cookie, "watcher");
  for (int i = 0; i < kills; ++i) {
    const pid_t holder = fork_child([&] {
      Client client(address, cookie, "holder");
      (void)client.acquire();
      holding.tell();
      while (true) ::pause();
    });
    if (!holding.hear(10'000)) tokenpool::bench::fail("the holder got no slot within 10 s");
    go.tell();
    while (number_of(watcher.call(tokenpool::bench::kStatus), R"("waiting_total":)") != "1") {
      tokenpool::bench::sleep_ns(100'000);
    }
    // Everybody involved is asleep now; this lets what the last calls set off end, too.
    tokenpool::bench::sleep_ns(2'000'000);
    const std::int64_t killed_at = now_ns();
    ::kill(holder, SIGKILL);
    const bool back = done.hear(10'000);
    ::waitpid(holder, nullptr, 0);
    if (!back) {
      std::puts("lost");
      break;
    }
    std::printf("%lld\n", static_cast<long long>(shared->got_at - killed_at));
  }
  ::kill(waiter, SIGKILL);
  ::waitpid(waiter, nullptr, 0);
}

}  // namespace

int main(int argc, char** argv) {
  if (argc != 5) return 2;
  const std::string cookie = tokenpool::bench::read_cookie(argv[2]);
  const Address address = tokenpool::bench::parse_address(argv[3]);
  tokenpool::bench::raise_descriptors();
  if (std::strcmp(argv[1], "hold") == 0) {
    hold(address, cookie, std::atoi(argv[4]));
  } else {
    recovery(address, cookie, std::atoi(argv[4]));
  }
  return 0;
}
