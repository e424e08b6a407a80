// The protocol as a client speaks it, without a socket: bytes in, bytes out, time as a parameter.
//
// It connects by nothing itself: the transport asks wants_connection(), then tells opened(),
// received() and closed(). Requests and leases live through a lost connection as
// tokenpool-protocol(7) RESUMING says; calls other than acquire fail with code 0 when it is lost.
#pragma once

#include <chrono>
#include <cstdint>
#include <deque>
#include <map>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "client/engine.h"
#include "wire/protocol_codec.h"

namespace tokenpool::client {

/// The first wait before a new connection, the longest, the longest of who holds a lease (so that
/// it is declared while a new arbiter grants nothing), and how long a loss lasts before one request
/// is granted without an arbiter.
inline constexpr Instant kFirstDelay = std::chrono::milliseconds(50);
inline constexpr Instant kMaxDelay = std::chrono::seconds(5);
inline constexpr Instant kMaxHolderDelay = std::chrono::milliseconds(100);
inline constexpr Instant kLonely = std::chrono::seconds(5);
/// Notices that nobody takes: the oldest are dropped.
inline constexpr std::size_t kMaxNotices = 4096;

class Session {
 public:
  /// `hello` has all but what to resume. `patience`: for the answer to it.
  Session(wire::HelloCall hello, Instant patience);

  // --- the transport's side ---
  [[nodiscard]] bool wants_connection(Instant now) const;
  void opened(Instant now);
  void received(std::string_view bytes, Instant now);
  /// The connection is gone, or none could be made.
  void closed(Instant now);
  /// It is of no use any more: the transport is to close it and tell closed().
  [[nodiscard]] bool broken() const { return broken_; }
  /// What is to be sent; the transport takes off what it has sent.
  std::string* output() { return &output_; }
  [[nodiscard]] bool has_output() const { return !output_.empty(); }
  /// When advance() is due, or the next connection unless one is being made.
  [[nodiscard]] std::optional<Instant> deadline(bool connecting) const;
  void advance(Instant now);

  // --- the client's side, as in Engine ---
  [[nodiscard]] bool up() const { return state_ == State::up; }
  /// What the last hello was answered with instead of a result; closed() keeps it.
  [[nodiscard]] const std::optional<Error>& refusal() const { return refusal_; }
  /// Whoever listens there lives, but had no room for one more session.
  [[nodiscard]] bool found_no_room() const;
  [[nodiscard]] const wire::HelloResult& hello() const { return greeted_; }

  Ticket begin(const Wanted& wanted, Instant now);
  std::optional<Result<LeaseKey>> take(Ticket ticket);
  void drop(Ticket ticket);
  Ticket cancel(Ticket ticket);
  [[nodiscard]] LeaseView lease(LeaseKey key) const;
  int release(LeaseKey key, int count, Instant now);
  Ticket resize(LeaseKey key, int min, int max);
  Ticket report(LeaseKey key, const Report& report);
  void detach(LeaseKey key);
  Ticket call(const std::string& method, const std::string& params);
  std::optional<Result<Outcome>> take_answer(Ticket ticket);
  std::optional<Notice> take_notice();

 private:
  enum class State : std::uint8_t { lost, greeting, up };
  struct Request {  ///< an acquire that is not answered
    wire::AcquireCall call;
    std::optional<Instant> deadline;
    bool dropped = false;
    bool cancelled = false;  ///< the arbiter has been asked to
  };
  struct Held {
    std::uint64_t id = 0;  ///< 0: granted without an arbiter
    int slots = 0;
    bool watched = false;
    bool detached = false;
    wire::JobWords job;
  };
  struct Asked {  ///< any other call that is not answered
    enum class Kind : std::uint8_t { resize, report, cancel, call } kind{};
    LeaseKey lease = 0;
    Ticket request = 0;
  };
  struct Declared {
    LeaseKey key = 0;
    int slots = 0;
    std::optional<wire::NamedProcess> process;
  };

  // session.cc
  void send(const wire::Call& call, Ticket id);
  void send_request(Ticket ticket, const Request& request, Instant now);
  void settle(Ticket ticket, Result<LeaseKey> answer);
  Ticket answered(Result<Outcome> outcome);
  [[nodiscard]] bool alone() const;
  void grant_alone(Instant now);
  void expire(Instant now);

  // session_answers.cc
  [[nodiscard]] std::string hello_line();
  void take_line(std::string_view line, Instant now);
  void take_hello(const wire::Answer& answer, Instant now);
  void resume(const std::vector<std::uint64_t>& ids);
  void resume_one(const Declared& declared, std::uint64_t id);
  void take_result(Ticket id, const wire::Answer& answer);
  void take_grant(Ticket ticket, const wire::Answer& answer);
  void take_outcome(const Asked& asked, Ticket id, const wire::Answer& answer);
  void take_notification(const wire::Answer& answer);
  void add_notice(Notice notice);

  wire::HelloCall hello_;
  Instant patience_;
  State state_ = State::lost;
  bool broken_ = false;
  std::string input_;
  std::string output_;
  wire::HelloResult greeted_;
  std::optional<Error> refusal_;
  bool ever_up_ = false;
  Instant greeting_until_{};
  Instant delay_ = kFirstDelay;
  Instant retry_at_{};
  Instant lost_since_{};
  Ticket last_ = 0;
  std::map<Ticket, Request> requests_;
  std::map<Ticket, Result<LeaseKey>> settled_;
  std::map<Ticket, Asked> asked_;
  std::map<Ticket, Result<Outcome>> outcomes_;
  std::map<LeaseKey, Held> held_;
  std::vector<Declared> declared_;
  std::deque<Notice> notices_;
};

}  // namespace tokenpool::client
