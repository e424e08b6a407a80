// The client library of Tokenpool: asks an arbiter for slots, by tokenpool-protocol(7).
//
//   auto pool = tokenpool::client::Pool::connect({});
//   auto lease = pool->acquire({});      // waits for a slot
//   if (lease) compile();                // *lease gives it back when it goes out of scope
//
// connect() never fails: where there is no arbiter, the GNU make jobserver that MAKEFLAGS names
// serves, and where there is none either, one slot. The calls mean the same in all three modes.
//
// C++17, the standard library only. It throws nothing of its own. A Pool and its Leases are used by
// one thread at a time. After a fork the child can do nothing with what it inherited: each call
// answers an Error, destructors give nothing back and close what is the child's copy only. All
// descriptors are close-on-exec, no signal is raised (SIGPIPE) and none disturbs (EINTR).
#pragma once

#include <chrono>
#include <cstdint>
#include <memory>
#include <optional>
#include <string>
#include <utility>

#include "tokenpool/result.hpp"

namespace tokenpool::client {

/// protocol: an arbiter. jobserver: GNU make's. single: one slot in all.
enum class Mode : std::uint8_t { protocol, jobserver, single };
/// Why the protocol is not used. unreachable: no address answers. refused: another's cookie or
/// user. no_answer: connected, but no answer to hello in time, the connection ended before one, or
/// the arbiter has no room just now: whoever listens there lives, so it is worth another try.
enum class Reason : std::uint8_t {
  ok,
  no_address,
  bad_address,
  no_cookie,
  bad_cookie,
  unreachable,
  refused,
  incompatible,
  no_answer
};
/// Why the jobserver is not used; ok as well where it was not needed.
enum class JobserverReason : std::uint8_t {
  ok,
  no_makeflags,
  no_jobserver,
  bad_jobserver,
  cannot_open,
  not_a_pipe,
  unsupported
};
/// The names above with - for _, as all clients of Tokenpool print them.
const char* to_string(Mode mode) noexcept;
const char* to_string(Reason reason) noexcept;
const char* to_string(JobserverReason reason) noexcept;

using Milliseconds = std::chrono::milliseconds;

struct Options {
  std::string name;       ///< of the client, for people; empty: the program's. Cut to 64 bytes
  bool launcher = false;  ///< this process is the parent of one job and does nothing else
  Milliseconds patience{5000};           ///< for each address, to connect and to answer hello
  std::optional<std::string> address;    ///< else of TOKENPOOL_ADDR
  std::optional<std::string> cookie;     ///< else of TOKENPOOL_COOKIE
  std::optional<std::uint64_t> lease;    ///< else of TOKENPOOL_LEASE; 0: none
  std::optional<std::string> makeflags;  ///< else of MAKEFLAGS
  bool protocol_only = false;  ///< no fallback: mode() is then single, and each call fails with 0
};

/// What acquire() asks for; the words are those of the protocol. The arbiter checks them.
struct Wanted {
  int min = 1;
  int max = 0;               ///< 0: as min
  std::string type;          ///< empty: none
  std::string target;        ///< empty: none. Cut to 256 bytes, invalid UTF-8 replaced
  std::uint64_t memory = 0;  ///< bytes; 0: unknown
  int priority = 0;
  std::int32_t pid = 0;     ///< the lease belongs to that process; 0: to this connection
  std::uint64_t start = 0;  ///< of `pid`; 0: looked up here
  std::optional<Milliseconds> timeout;  ///< from now on; none: as long as it takes
};

struct Report {
  std::int32_t pid = 0;     ///< the lease belongs to that process from now on; 0: as it is
  std::uint64_t start = 0;  ///< of `pid`; 0: looked up here
  std::optional<std::uint64_t> peak_memory;  ///< bytes
  std::optional<double> cpu_seconds;
  std::optional<int> exit;  ///< 0..255
};

/// What the arbiter sends unasked; `lost`: found by the client when it resumed, the lease is not
/// held any more.
struct Notice {
  enum class Kind : std::uint8_t { recall, revoke, event, lost };
  Kind kind = Kind::event;
  std::uint64_t lease = 0;   ///< Lease::id()
  int slots = 0;             ///< recall: down to so many
  std::string reason;        ///< revoke
  Milliseconds deadline{0};  ///< revoke
  std::string params;        ///< all of it, a JSON object
};

class Pool;
class Engine;  // the library's own

/// Slots that are held. Gives them back when it is destroyed. Harmless after its Pool.
class Lease {
 public:
  Lease() = default;
  Lease(Lease&& other) noexcept;
  Lease& operator=(Lease&& other) noexcept;  ///< gives back what it held before
  ~Lease();

  /// For TOKENPOOL_LEASE of the job. 0: no arbiter knows it (other modes, the one slot without a
  /// connection), or there is nothing. May change when the client resumes.
  [[nodiscard]] std::uint64_t id() const;
  /// 0: nothing is held, released or lost.
  [[nodiscard]] int slots() const;
  /// Whether it belongs to the process that Wanted, Report or hand_to() named last.
  [[nodiscard]] bool watched() const;

  /// Gives all or `count` slots back, at once and without waiting; answers what is left. Without a
  /// connection it is remembered: the lease is not declared again, or with fewer slots.
  int release();
  int release_some(int count);
  /// To as many slots within the bounds as can be had at once (max 0: as min). Waits for the
  /// answer; an Error leaves it as it was. Answers slots(). Without a connection: code 0.
  Result<int> resize(int min, int max = 0);
  /// Answers watched(). Waits for an answer only with a pid; without a connection that is
  /// remembered, the rest dropped.
  Result<bool> report(const Report& report);
  Result<bool> hand_to(std::int32_t pid, std::uint64_t start = 0);
  /// Lets go of it without giving it back: it ends with its process or with the Pool. Answers id().
  std::uint64_t detach();

 private:
  friend class Pool;
  Lease(std::weak_ptr<Engine> engine, std::uint64_t key) : engine_(std::move(engine)), key_(key) {}
  std::weak_ptr<Engine> engine_;
  std::uint64_t key_ = 0;
};

using Ticket = std::uint64_t;  ///< a request under way, of one Pool; never 0

/// When the connection breaks, leases stay, and the client connects again by itself (in process()
/// and in calls that wait), declares them and asks again for what it waited for. If it is gone for
/// more than 5 s and nothing is held, one request with min 1 is granted with Lease::id() 0.
class Pool {
 public:
  /// Waits at most `patience` for each address.
  static std::unique_ptr<Pool> connect(const Options& options);
  /// Ends the session; what is held and belongs to no other process is given back.
  ~Pool();
  Pool(const Pool&) = delete;
  Pool& operator=(const Pool&) = delete;

  [[nodiscard]] Mode mode() const;
  [[nodiscard]] Reason reason() const;
  /// What the arbiter or the system said, for people; empty where nothing was.
  [[nodiscard]] std::string reason_text() const;
  [[nodiscard]] JobserverReason jobserver_reason() const;
  /// Of the pool: as hello told, as -jN told (1: unknown), or 1.
  [[nodiscard]] int slots() const;
  [[nodiscard]] std::string server() const;     ///< empty outside of mode protocol
  [[nodiscard]] std::uint64_t session() const;  ///< 0 outside of mode protocol
  [[nodiscard]] bool connected() const;         ///< to an arbiter, and leases are declared

  // --- calls that wait ---
  Result<Lease> acquire(const Wanted& wanted);
  /// What can be had at once, else code -32003.
  Result<Lease> try_acquire(Wanted wanted);
  /// The result's JSON text. Fails with 0 without a connection, or when it breaks meanwhile.
  Result<std::string> status();
  /// Any other call; `params` is the text of a JSON object.
  Result<std::string> call(const std::string& method, const std::string& params);
  /// Answers whether it was cancelled (take() then answers -32004), or had been granted before.
  Result<bool> cancel(Ticket ticket);
  /// Until something has happened, but not longer than that (none: without limit); processes it.
  void wait(std::optional<Milliseconds> most);

  // --- calls that never wait: for an event loop ---
  Ticket begin(const Wanted& wanted);
  /// Nothing: it is under way. Answers once; a ticket that is not known: an Error with code 0.
  std::optional<Result<Lease>> take(Ticket ticket);
  /// Cancels it; a lease that was granted meanwhile is given back.
  void drop(Ticket ticket);
  /// To be asked anew before each poll(2): -1 is none; events() are POLLIN and POLLOUT.
  [[nodiscard]] int fd() const;
  [[nodiscard]] short events() const;
  [[nodiscard]] int timeout_ms() const;  ///< process() is due after that; -1: no deadline
  void process();
  std::optional<Notice> take_notice();

 private:
  explicit Pool(std::shared_ptr<Engine> engine);
  std::shared_ptr<Engine> engine_;
};

}  // namespace tokenpool::client
