// Thousands of clients in a handful of processes, some of which are killed all the time.
//
// bench_crowd COOKIE-FILE CLIENTS GRANTS KILL-MS ADDRESS…
//
// Four steady processes share most of the connections, each on one of the addresses in turn; every
// client takes a slot, returns it and asks again. 64 victims have four connections each, half of
// which keep what they got. Every KILL-MS a victim that holds leases is killed and replaced;
// once, halfway, a steady one with all its connections. Prints "connected" when everybody is there,
// "done GRANTS KILLS LATE SECONDS" when that many were granted (LATE: times when no victim held
// anything yet), and waits for a line on standard input, so that somebody can look at the arbiter
// under load. Then kills everybody and prints
// "free FREE SLOTS GRANTED RELEASED RECOVERED MS": the arbiter's status once all slots are free
// again, and how long that took; after 10 s as it is then.
#include <algorithm>
#include <array>
#include <atomic>
#include <csignal>
#include <cstring>
#include <memory>
#include <vector>

#include <sys/epoll.h>
#include <sys/prctl.h>
#include <sys/wait.h>

#include "bench_net.h"

namespace {

using tokenpool::bench::Address;
using tokenpool::bench::die;
using tokenpool::bench::fail;
using tokenpool::bench::now_ns;
using tokenpool::bench::number_of;

constexpr std::size_t kSteady = 4;
constexpr std::size_t kVictims = 64;
constexpr std::size_t kOfVictim = 4;

struct Counters {
  std::atomic<std::uint64_t> grants;
  std::atomic<std::size_t> connected;
  std::atomic<bool> holding;
};
using Board = std::array<Counters, kSteady + kVictims>;

struct Connection {
  int socket = -1;
  bool keeps = false;
  std::size_t filled = 0;
  std::array<char, 512> buffer{};
};

// Whoever keeps what it has asks first, or it would hold nothing before its time has come.
constexpr std::string_view kAcquireFirst =
    R"({"jsonrpc":"2.0","id":2,"method":"acquire","params":{"min":1,"priority":1}})"
    "\n";

// --- in a worker ---

class Worker {
 public:
  Worker(Counters& counters, std::string hello) : counters_(counters), hello_(std::move(hello)) {
    epoll_ = ::epoll_create1(EPOLL_CLOEXEC);
    if (epoll_ < 0) die("epoll_create1");
  }

  void connect(const Address& address, bool keeps) {
    connections_.push_back(std::make_unique<Connection>());
    Connection& connection = *connections_.back();
    connection.keeps = keeps;
    wanted_ += keeps ? 1 : 0;
    connection.socket = tokenpool::bench::connect_to(address);
    // A killed client of TCP resets its connections; else their ports would be used up in a minute.
    const linger reset{1, 0};
    if (address.tcp()) {
      ::setsockopt(connection.socket, SOL_SOCKET, SO_LINGER, &reset, sizeof reset);
    }
    tokenpool::bench::write_all(connection.socket, hello_);
    while (connection.filled == 0 || connection.buffer[connection.filled - 1] != '\n') {
      fill(connection);
    }
    (void)tokenpool::bench::unasked(std::string_view(connection.buffer.data(), connection.filled));
    connection.filled = 0;
    epoll_event event{};
    event.events = EPOLLIN;
    event.data.ptr = &connection;
    if (::epoll_ctl(epoll_, EPOLL_CTL_ADD, connection.socket, &event) != 0) die("epoll_ctl");
    ++counters_.connected;
  }

  [[noreturn]] void work() {
    for (const auto& one : connections_) {
      tokenpool::bench::write_all(one->socket,
                                  one->keeps ? kAcquireFirst : tokenpool::bench::kAcquire);
    }
    std::array<epoll_event, 512> events{};
    while (true) {
      const int count =
          ::epoll_wait(epoll_, events.data(), static_cast<int>(events.size()), 60'000);
      if (count == 0) fail("no answer from the arbiter for 60 s");
      for (int i = 0; i < count; ++i) {
        serve(*static_cast<Connection*>(events[static_cast<std::size_t>(i)].data.ptr));
      }
    }
  }

 private:
  void fill(Connection& connection) {
    if (connection.filled == connection.buffer.size()) fail("an answer is too long");
    const ssize_t count = ::read(connection.socket, connection.buffer.data() + connection.filled,
                                 connection.buffer.size() - connection.filled);
    if (count < 0) die("no answer from the arbiter");
    if (count == 0) fail("the arbiter has closed a connection");
    connection.filled += static_cast<std::size_t>(count);
  }

  void serve(Connection& connection) {
    fill(connection);
    std::string_view text(connection.buffer.data(), connection.filled);
    while (true) {
      const auto end = text.find('\n');
      if (end == std::string_view::npos) break;
      granted(connection, text.substr(0, end));
      text.remove_prefix(end + 1);
    }
    std::memmove(connection.buffer.data(), text.data(), text.size());
    connection.filled = text.size();
  }

  void granted(Connection& connection, std::string_view line) {
    if (tokenpool::bench::unasked(line)) return;
    const std::string_view lease = number_of(line, R"("lease":)");
    if (lease.empty()) fail("not understood: " + std::string(line));
    ++counters_.grants;
    if (connection.keeps) {
      if (--wanted_ == 0) counters_.holding = true;
      return;
    }
    std::string words = tokenpool::bench::release_line(lease, false);
    words += tokenpool::bench::kAcquire;
    tokenpool::bench::write_all(connection.socket, words);
  }

  Counters& counters_;
  std::string hello_;
  int epoll_ = -1;
  std::size_t wanted_ = 0;
  std::vector<std::unique_ptr<Connection>> connections_;
};

// --- above the workers ---

class Crowd {
 public:
  Crowd(std::string cookie, std::size_t clients, std::vector<Address> addresses)
      : cookie_(std::move(cookie)),
        clients_(clients),
        addresses_(std::move(addresses)),
        board_(*tokenpool::bench::shared<Board>()) {
    if (::pipe2(gate_.data(), O_CLOEXEC) != 0) die("pipe");
    for (std::size_t slot = 0; slot < pids_.size(); ++slot) begin(slot);
  }

  void wait_until_connected() {
    while (sum([](const Counters& one) { return one.connected.load(); }) < clients_) {
      tokenpool::bench::sleep_ns(1'000'000);
      check_alive();
    }
  }

  // Lets everybody begin; who comes later finds the gate open.
  void open_gate() {
    ::close(gate_[1]);
    gate_[1] = -1;
  }

  [[nodiscard]] std::uint64_t grants() const {
    return sum([](const Counters& one) { return one.grants.load(); });
  }

  /// Whether there was one that holds something.
  bool kill_a_victim() {
    for (std::size_t i = 0; i < kVictims; ++i) {
      const std::size_t slot = kSteady + next_++ % kVictims;
      if (!board_[slot].holding) continue;
      end(slot);
      begin(slot);
      return true;
    }
    return false;
  }

  void kill_a_steady_one() {
    end(0);
    begin(0);
  }

  // A worker that ended by itself has said why.
  void check_alive() {
    if (::waitpid(-1, nullptr, WNOHANG) == 0) return;
    end_all();
    fail("a process of the crowd has ended; its message is above");
  }

  void end_all() {
    for (const pid_t pid : pids_) ::kill(pid, SIGKILL);
    while (::waitpid(-1, nullptr, 0) > 0) {
    }
  }

 private:
  template <typename Value>
  [[nodiscard]] std::uint64_t sum(Value value) const {
    std::uint64_t total = 0;
    for (const Counters& one : board_) total += value(one);
    return total;
  }

  void begin(std::size_t slot) {
    board_[slot].connected = 0;
    board_[slot].holding = false;
    const pid_t above = ::getpid();
    pids_[slot] = ::fork();
    if (pids_[slot] < 0) die("fork");
    if (pids_[slot] > 0) return;
    ::prctl(PR_SET_PDEATHSIG, SIGKILL);
    if (::getppid() != above) ::_exit(1);
    work(slot);
  }

  void end(std::size_t slot) {
    ::kill(pids_[slot], SIGKILL);
    ::waitpid(pids_[slot], nullptr, 0);
  }

  [[noreturn]] void work(std::size_t slot) {
    const bool victim = slot >= kSteady;
    const std::size_t steady = clients_ - kVictims * kOfVictim;
    const std::size_t count =
        victim ? kOfVictim : steady / kSteady + (slot < steady % kSteady ? 1 : 0);
    Worker worker(board_[slot], tokenpool::bench::hello_line(cookie_, victim ? "victim" : "crowd"));
    const Address& address = addresses_[slot % addresses_.size()];
    for (std::size_t i = 0; i < count; ++i) worker.connect(address, victim && i % 2 == 0);
    if (gate_[1] >= 0) ::close(gate_[1]);
    char nothing = 0;
    (void)!::read(gate_[0], &nothing, 1);
    worker.work();
  }

  std::string cookie_;
  std::size_t clients_;
  std::vector<Address> addresses_;
  Board& board_;
  std::array<int, 2> gate_{};
  std::array<pid_t, kSteady + kVictims> pids_{};
  std::size_t next_ = 0;
};

void run(Crowd& crowd, std::uint64_t wanted, std::int64_t kill_ns) {
  crowd.wait_until_connected();
  std::puts("connected");
  std::fflush(stdout);
  crowd.open_gate();
  const std::int64_t begin = now_ns();
  std::int64_t tick = begin;
  int kills = 0;
  int late = 0;
  bool halfway = false;
  while (crowd.grants() < wanted) {
    tick = std::max(tick + kill_ns, now_ns() - kill_ns);
    tokenpool::bench::sleep_ns(std::max<std::int64_t>(tick - now_ns(), 0));
    crowd.check_alive();
    if (!halfway && crowd.grants() >= wanted / 2) {
      halfway = true;
      crowd.kill_a_steady_one();
      ++kills;
    } else if (crowd.kill_a_victim()) {
      ++kills;
    } else {
      ++late;
    }
  }
  std::printf("done %llu %d %d %.2f\n", static_cast<unsigned long long>(crowd.grants()), kills,
              late, static_cast<double>(now_ns() - begin) / 1e9);
  std::fflush(stdout);
}

void print_status(std::string_view line, std::int64_t ended) {
  std::string words = "free";
  for (const char* key :
       {R"("free":)", R"("slots":)", R"("granted":)", R"("released":)", R"("recovered":)"}) {
    words += ' ';
    words += number_of(line, key);
  }
  std::printf("%s %.1f\n", words.c_str(), static_cast<double>(now_ns() - ended) / 1e6);
}

}  // namespace

int main(int argc, char** argv) {
  if (argc < 6) return 2;
  const std::string cookie = tokenpool::bench::read_cookie(argv[1]);
  const auto clients = static_cast<std::size_t>(std::atoll(argv[2]));
  const auto grants = static_cast<std::uint64_t>(std::atoll(argv[3]));
  const std::int64_t kill_ns = std::atoll(argv[4]) * 1'000'000;
  if (clients < 2 * kVictims * kOfVictim || kill_ns <= 0) return 2;
  std::vector<Address> addresses;
  for (int i = 5; i < argc; ++i) addresses.push_back(tokenpool::bench::parse_address(argv[i]));
  tokenpool::bench::raise_descriptors();
  Crowd crowd(cookie, clients, addresses);
  run(crowd, grants, kill_ns);
  char line[64];
  (void)!std::fgets(line, sizeof line, stdin);
  crowd.end_all();
  const std::int64_t ended = now_ns();
  tokenpool::bench::Client client(addresses.front(), cookie, "bench");
  std::string status = client.call(tokenpool::bench::kStatus);
  while (number_of(status, R"("free":)") != number_of(status, R"("slots":)") &&
         now_ns() - ended < 10'000'000'000) {
    tokenpool::bench::sleep_ns(1'000'000);
    status = client.call(tokenpool::bench::kStatus);
  }
  print_status(status, ended);
  return 0;
}
