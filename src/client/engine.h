// What stands behind a Pool: one engine per mode, behind one face.
//
// Nothing here waits but wait(). `now` is of core::Instant's kind; now() tells it. What needs an
// answer gets a Ticket at once and the answer from take_answer() later, perhaps immediately.
#pragma once

#include <cstdint>
#include <optional>
#include <string>

#include <sys/types.h>

#include "core/effect.h"
#include "tokenpool/client.hpp"

namespace tokenpool::client {

using core::Instant;
using LeaseKey = std::uint64_t;  ///< names a lease inside of one engine; never 0, never used twice

/// The protocol's number may change while a lease is held, its key does not.
struct LeaseView {
  std::uint64_t id = 0;
  int slots = 0;  ///< 0: there is none
  bool watched = false;
  friend bool operator==(const LeaseView&, const LeaseView&) = default;
};

/// What came back: the slots of a resize, 1 or 0 for watched and cancelled, the text of a call.
struct Outcome {
  int number = 0;
  std::string body;
  friend bool operator==(const Outcome&, const Outcome&) = default;
};

class Engine {
 public:
  struct Why {
    Mode mode = Mode::single;
    Reason reason = Reason::no_address;
    JobserverReason jobserver = JobserverReason::no_makeflags;
    std::string said = {};  ///< see Pool::reason_text()
  };
  explicit Engine(Why why);
  virtual ~Engine() = default;
  Engine(const Engine&) = delete;
  Engine& operator=(const Engine&) = delete;

  [[nodiscard]] const Why& why() const { return why_; }
  /// We are a fork of the process that made it: nothing may be written to what is shared.
  [[nodiscard]] bool foreign() const;
  [[nodiscard]] static Instant now();

  [[nodiscard]] virtual int slots() const = 0;
  [[nodiscard]] virtual std::string server() const { return {}; }
  [[nodiscard]] virtual std::uint64_t session() const { return 0; }
  [[nodiscard]] virtual bool connected() const { return false; }

  virtual Ticket begin(const Wanted& wanted, Instant now) = 0;
  virtual std::optional<Result<LeaseKey>> take(Ticket ticket) = 0;
  virtual void drop(Ticket ticket, Instant now) = 0;
  virtual Ticket cancel(Ticket ticket, Instant now) = 0;

  /// All zero where there is no such lease (any more).
  [[nodiscard]] virtual LeaseView lease(LeaseKey key) const = 0;
  /// `count` 0: all. Answers what is left.
  virtual int release(LeaseKey key, int count, Instant now) = 0;
  virtual Ticket resize(LeaseKey key, int min, int max, Instant now) = 0;
  virtual Ticket report(LeaseKey key, const Report& report, Instant now) = 0;
  virtual void detach(LeaseKey key) = 0;

  virtual Ticket call(const std::string& method, const std::string& params, Instant now) = 0;
  /// Answers once; an Error with code 0 for a ticket that is not known.
  virtual std::optional<Result<Outcome>> take_answer(Ticket ticket) = 0;
  virtual std::optional<Notice> take_notice() { return std::nullopt; }

  [[nodiscard]] virtual int fd() const = 0;
  [[nodiscard]] virtual short events() const = 0;
  [[nodiscard]] virtual std::optional<Instant> deadline() const = 0;
  /// Takes what has come, sends what can be sent, does what is due.
  virtual void process(Instant now) = 0;
  /// Only sends what can be sent.
  virtual void flush() {}

  /// Until fd() is ready, deadline() or `until` has come. False: nothing could ever happen.
  bool wait(std::optional<Instant> until) const;

 protected:
  /// Until `fd` (-1: none) is ready or that time; a signal ends it early.
  static void sleep(int fd, short events, std::optional<Instant> until);

 private:
  Why why_;
  pid_t owner_;
};

}  // namespace tokenpool::client
