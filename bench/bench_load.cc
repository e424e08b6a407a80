// Takes one of many equal things and gives it back, again and again, in one epoll loop that is the
// same for every server.
//
// bench_load grants PEER HOW ADDRESS CONNECTIONS MS [COOKIE-FILE]   prints pairs a second
// bench_load latency PEER HOW ADDRESS CONNECTIONS PAIRS [COOKIE-FILE]   nanoseconds of each pair
//
// PEER: tokenpool (acquire, release), redis (BLPOP, RPUSH), beanstalkd (reserve, release), gearmand
// (take a job and complete it, submit another) or echo (the lines of tokenpool, sent back as they
// are). HOW: `apart`, each waits for the other's answer, or `joined`, a release and the next
// acquire leave in one write; to tokenpool that release is a notification.
//
// `latency` uses blocking reads and no epoll, so that the client adds as little as can be; it takes
// one connection only. At the end every connection has given back what it had.
#include <algorithm>
#include <array>
#include <memory>
#include <vector>

#include <sys/epoll.h>

#include "bench_net.h"

namespace {

using tokenpool::bench::die;
using tokenpool::bench::fail;
using tokenpool::bench::now_ns;
using tokenpool::bench::number_of;

enum class Peer { tokenpool, redis, beanstalkd, gearmand, echo };
// What an answer says.
enum class Word { none, greeted, taken, given };
enum class State { greeting, taking, giving, idle };

struct Connection {
  int socket = -1;
  State state = State::greeting;
  std::size_t filled = 0;
  std::size_t awaited = 0;  // bytes of an echo that are still to come
  std::string held;
  std::array<char, 2048> buffer{};
};

struct Plan {
  Peer peer = Peer::echo;
  bool joined = false;
  std::string cookie;
};

// --- what each server is told ---

// The least that an echo of the protocol's lines has to carry: a lease as long as a real one.
constexpr std::string_view kEchoedLease = "12345";

std::string frame(int type, std::string_view data) {
  std::string text("\0REQ\0\0\0\0\0\0\0\0", 12);
  text[7] = static_cast<char>(type);
  text[10] = static_cast<char>(data.size() >> 8);
  text[11] = static_cast<char>(data.size() & 0xff);
  text += data;
  return text;
}

constexpr int kCanDo = 1, kJobCreated = 8, kGrabJob = 9, kJobAssign = 11, kWorkComplete = 13,
              kSubmitJobBackground = 18;

std::string submit_job() { return frame(kSubmitJobBackground, std::string_view("slot\0\0x", 7)); }

std::string greeting(const Plan& plan) {
  switch (plan.peer) {
    case Peer::tokenpool:
      return tokenpool::bench::hello_line(plan.cookie, "bench");
    case Peer::gearmand:
      return frame(kCanDo, "slot") + submit_job();
    case Peer::redis:
    case Peer::beanstalkd:
    case Peer::echo:
      return {};
  }
  return {};
}

std::string_view take_words(Peer peer) {
  static const std::string grab = frame(kGrabJob, "");
  switch (peer) {
    case Peer::tokenpool:
    case Peer::echo:
      return tokenpool::bench::kAcquire;
    case Peer::redis:
      return "*3\r\n$5\r\nBLPOP\r\n$5\r\nslots\r\n$1\r\n0\r\n";
    case Peer::beanstalkd:
      return "reserve\r\n";
    case Peer::gearmand:
      return grab;
  }
  return {};
}

// `alone`: it is answered by itself; `last`: nothing is taken afterwards.
std::string give_words(Peer peer, const std::string& held, bool alone, bool last) {
  switch (peer) {
    case Peer::tokenpool:
    case Peer::echo:
      return tokenpool::bench::release_line(held, alone);
    case Peer::redis:
      return "*3\r\n$5\r\nRPUSH\r\n$5\r\nslots\r\n$1\r\nx\r\n";
    case Peer::beanstalkd:
      return "release " + held + " 0 0\r\n";
    case Peer::gearmand:
      return frame(kWorkComplete, held + std::string("\0", 1)) + (last ? "" : submit_job());
  }
  return {};
}

// --- what each server answers; every reader returns how many bytes it has used, 0: not all there
// ---

std::size_t line_end(std::string_view text) {
  const auto end = text.find('\n');
  return end == std::string_view::npos ? 0 : end + 1;
}

std::size_t read_tokenpool(std::string_view text, Word& word, std::string& held) {
  const std::size_t size = line_end(text);
  if (size == 0) return 0;
  const std::string_view line = text.substr(0, size);
  if (tokenpool::bench::unasked(line)) return size;
  const std::string_view id = number_of(line, R"("id":)");
  word = id == "1" ? Word::greeted : id == "2" ? Word::taken : Word::given;
  if (word == Word::taken) held = number_of(line, R"("lease":)");
  if (id.empty() || (word == Word::taken && held.empty())) {
    fail("not understood: " + std::string(line));
  }
  return size;
}

std::size_t read_redis(std::string_view text, Word& word) {
  constexpr std::string_view popped = "*2\r\n$5\r\nslots\r\n$1\r\nx\r\n";
  if (text[0] == ':') {
    word = Word::given;
    return line_end(text);
  }
  if (text[0] != '*') fail("redis answered " + std::string(text));
  word = Word::taken;
  return text.size() < popped.size() ? 0 : popped.size();
}

std::size_t read_beanstalkd(std::string_view text, Word& word, std::string& held) {
  const std::size_t size = line_end(text);
  if (size == 0) return 0;
  if (text.rfind("RELEASED", 0) == 0) {
    word = Word::given;
    return size;
  }
  if (text.rfind("RESERVED ", 0) != 0) fail("beanstalkd answered " + std::string(text));
  word = Word::taken;
  held = number_of(text, "RESERVED ");
  // The job itself is one byte and a line's end.
  return text.size() < size + 3 ? 0 : size + 3;
}

std::size_t read_gearmand(std::string_view text, Word& word, std::string& held) {
  if (text.size() < 12) return 0;
  const auto byte = [&](std::size_t at) {
    return static_cast<std::size_t>(static_cast<unsigned char>(text[at]));
  };
  const std::size_t size = 12 + (byte(10) << 8 | byte(11));
  if (text.size() < size) return 0;
  switch (byte(7)) {
    case kJobCreated:
      word = Word::given;
      break;
    case kJobAssign:
      word = Word::taken;
      held = text.substr(12, text.find('\0', 12) - 12);
      break;
    default:
      fail("gearmand answered with type " + std::to_string(byte(7)));
  }
  return size;
}

std::size_t read_echo(std::string_view text, Connection& connection, Word& word) {
  const std::size_t used = std::min(text.size(), connection.awaited);
  connection.awaited -= used;
  if (connection.awaited > 0) return used;
  word = connection.state == State::giving ? Word::given : Word::taken;
  if (connection.held.empty()) connection.held = kEchoedLease;
  return used;
}

std::size_t read_answer(const Plan& plan, std::string_view text, Connection& connection,
                        Word& word) {
  switch (plan.peer) {
    case Peer::tokenpool:
      return read_tokenpool(text, word, connection.held);
    case Peer::redis:
      return read_redis(text, word);
    case Peer::beanstalkd:
      return read_beanstalkd(text, word, connection.held);
    case Peer::gearmand:
      return read_gearmand(text, word, connection.held);
    case Peer::echo:
      return read_echo(text, connection, word);
  }
  return 0;
}

// --- the loop of one connection ---

class Load {
 public:
  explicit Load(Plan plan) : plan_(std::move(plan)) {}

  [[nodiscard]] std::uint64_t pairs() const { return pairs_; }
  void stop() { stopping_ = true; }

  void start(Connection& connection) {
    const std::string words = greeting(plan_);
    if (words.empty()) {
      connection.state = State::idle;
    } else {
      send(connection, words);
    }
  }

  void begin(Connection& connection) {
    connection.state = State::taking;
    send(connection, take_words(plan_.peer));
  }

  // Reads what is there and acts upon it.
  void serve(Connection& connection) {
    char* const begin = connection.buffer.data();
    const ssize_t count = ::read(connection.socket, begin + connection.filled,
                                 connection.buffer.size() - connection.filled);
    if (count < 0) die("no answer from the server");
    if (count == 0) fail("the server has closed a connection");
    std::string_view text(begin, connection.filled + static_cast<std::size_t>(count));
    while (!text.empty()) {
      Word word = Word::none;
      const std::size_t used = read_answer(plan_, text, connection, word);
      if (used == 0) break;
      text.remove_prefix(used);
      act(connection, word);
    }
    if (text.size() == connection.buffer.size()) fail("an answer is too long");
    std::memmove(begin, text.data(), text.size());
    connection.filled = text.size();
  }

 private:
  void send(Connection& connection, std::string_view words) {
    if (plan_.peer == Peer::echo) connection.awaited += words.size();
    tokenpool::bench::write_all(connection.socket, words);
  }

  void act(Connection& connection, Word word) {
    switch (word) {
      case Word::none:
        return;
      case Word::greeted:
        connection.state = State::idle;
        return;
      case Word::taken:
        if (plan_.joined) ++pairs_;
        give(connection);
        return;
      case Word::given:
        given(connection);
        return;
    }
  }

  void give(Connection& connection) {
    const bool on = plan_.joined && !stopping_;
    // Nobody waits for the last answer of gearmand, there is none.
    const bool silent = stopping_ && plan_.peer == Peer::gearmand;
    std::string words = give_words(plan_.peer, connection.held, !on, stopping_);
    if (on) words += take_words(plan_.peer);
    connection.state = on ? State::taking : silent ? State::idle : State::giving;
    send(connection, words);
  }

  void given(Connection& connection) {
    switch (connection.state) {
      case State::greeting:
        connection.state = State::idle;
        return;
      case State::giving:
        if (!plan_.joined) ++pairs_;
        if (stopping_) {
          connection.state = State::idle;
        } else {
          begin(connection);
        }
        return;
      // The answer to the release that left with the acquire that is still open.
      case State::taking:
      case State::idle:
        return;
    }
  }

  Plan plan_;
  bool stopping_ = false;
  std::uint64_t pairs_ = 0;
};

using Connections = std::vector<std::unique_ptr<Connection>>;

bool all_idle(const Connections& connections) {
  return std::all_of(connections.begin(), connections.end(),
                     [](const auto& one) { return one->state == State::idle; });
}

Connections connect_all(Load& load, const tokenpool::bench::Address& address, std::size_t count) {
  Connections connections;
  for (std::size_t i = 0; i < count; ++i) {
    connections.push_back(std::make_unique<Connection>());
    Connection& connection = *connections.back();
    connection.socket = tokenpool::bench::connect_to(address);
    load.start(connection);
    while (connection.state != State::idle) load.serve(connection);
  }
  return connections;
}

class Poller {
 public:
  explicit Poller(const Connections& connections) : epoll_(::epoll_create1(EPOLL_CLOEXEC)) {
    for (const auto& connection : connections) {
      epoll_event event{};
      event.events = EPOLLIN;
      event.data.ptr = connection.get();
      if (::epoll_ctl(epoll_, EPOLL_CTL_ADD, connection->socket, &event) != 0) die("epoll_ctl");
    }
  }
  Poller(const Poller&) = delete;
  Poller& operator=(const Poller&) = delete;
  ~Poller() { ::close(epoll_); }

  void turn(Load& load) {
    const int count = ::epoll_wait(epoll_, events_.data(), static_cast<int>(events_.size()), 10000);
    if (count == 0) fail("no answer from the server for 10 s");
    for (int i = 0; i < count; ++i) {
      load.serve(*static_cast<Connection*>(events_[static_cast<std::size_t>(i)].data.ptr));
    }
  }

 private:
  int epoll_;
  std::array<epoll_event, 512> events_{};
};

void measure_grants(Load& load, const Connections& connections, std::int64_t ms) {
  Poller poller(connections);
  for (const auto& connection : connections) load.begin(*connection);
  // Until everything has come into its stride.
  const std::int64_t warm = now_ns() + ms * 1'000'000 / 5;
  while (now_ns() < warm) poller.turn(load);
  const std::int64_t begin = now_ns();
  const std::uint64_t before = load.pairs();
  std::int64_t now = begin;
  while (now - begin < ms * 1'000'000) {
    poller.turn(load);
    now = now_ns();
  }
  const auto pairs = static_cast<double>(load.pairs() - before);
  load.stop();
  while (!all_idle(connections)) poller.turn(load);
  std::printf("%.1f\n", pairs * 1e9 / static_cast<double>(now - begin));
}

void measure_latency(Load& load, Connection& connection, std::uint64_t pairs) {
  std::vector<std::int64_t> samples;
  samples.reserve(pairs);
  const std::uint64_t warm = pairs / 10;
  load.begin(connection);
  std::int64_t last = now_ns();
  std::uint64_t seen = 0;
  while (seen < pairs + warm) {
    load.serve(connection);
    if (load.pairs() == seen) continue;
    const std::int64_t now = now_ns();
    if (++seen > warm) samples.push_back(now - last);
    last = now;
  }
  load.stop();
  while (connection.state != State::idle) load.serve(connection);
  for (const std::int64_t sample : samples) std::printf("%lld\n", static_cast<long long>(sample));
}

Peer parse_peer(const std::string& name) {
  if (name == "tokenpool") return Peer::tokenpool;
  if (name == "redis") return Peer::redis;
  if (name == "beanstalkd") return Peer::beanstalkd;
  if (name == "gearmand") return Peer::gearmand;
  if (name == "echo") return Peer::echo;
  fail("no such peer: " + name);
}

}  // namespace

int main(int argc, char** argv) {
  if (argc < 7) return 2;
  const std::string what = argv[1];
  Plan plan{parse_peer(argv[2]), std::strcmp(argv[3], "joined") == 0, {}};
  if (plan.peer == Peer::tokenpool) {
    if (argc < 8) return 2;
    plan.cookie = tokenpool::bench::read_cookie(argv[7]);
  }
  const auto width = static_cast<std::size_t>(std::atoll(argv[5]));
  const std::int64_t amount = std::atoll(argv[6]);
  if (width == 0 || amount <= 0) return 2;
  tokenpool::bench::raise_descriptors();
  Load load(plan);
  const Connections connections =
      connect_all(load, tokenpool::bench::parse_address(argv[4]), width);
  if (what == "latency") {
    measure_latency(load, *connections.front(), static_cast<std::uint64_t>(amount));
  } else {
    measure_grants(load, connections, amount);
  }
  return 0;
}
