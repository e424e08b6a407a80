// Mode protocol: a Session, and the Link that carries its bytes.
#pragma once

#include <memory>
#include <string>
#include <vector>

#include "client/engine.h"
#include "client/link.h"
#include "client/session.h"

namespace tokenpool::client {

class ArbiterEngine : public Engine {
 public:
  /// `addresses` is not empty. Connects to nothing yet.
  ArbiterEngine(std::vector<Address> addresses, const wire::HelloCall& hello, Instant patience);
  /// Sends what is left if that does not have to wait; not in a fork.
  ~ArbiterEngine() override;

  /// The first connection: waits for an arbiter that answers, at most the patience for each
  /// address. ok, or why there is none; not to be used then.
  Reason connect();
  /// In words what the last address answered or the system said of it; empty: nothing.
  [[nodiscard]] std::string reason_text() const;

  [[nodiscard]] int slots() const override { return session_.hello().slots; }
  [[nodiscard]] std::string server() const override { return session_.hello().server; }
  [[nodiscard]] std::uint64_t session() const override { return session_.hello().session; }
  [[nodiscard]] bool connected() const override { return session_.up(); }
  Ticket begin(const Wanted& wanted, Instant now) override;
  std::optional<Result<LeaseKey>> take(Ticket ticket) override;
  void drop(Ticket ticket, Instant now) override;
  Ticket cancel(Ticket ticket, Instant now) override;
  [[nodiscard]] LeaseView lease(LeaseKey key) const override;
  int release(LeaseKey key, int count, Instant now) override;
  Ticket resize(LeaseKey key, int min, int max, Instant now) override;
  Ticket report(LeaseKey key, const Report& report, Instant now) override;
  void detach(LeaseKey key) override;
  Ticket call(const std::string& method, const std::string& params, Instant now) override;
  std::optional<Result<Outcome>> take_answer(Ticket ticket) override;
  std::optional<Notice> take_notice() override;
  [[nodiscard]] int fd() const override { return link_.fd(); }
  [[nodiscard]] short events() const override;
  [[nodiscard]] std::optional<Instant> deadline() const override;
  void process(Instant now) override;
  void flush() override;

 private:
  void connect_next(Instant now);
  void go_on_connecting(Instant now);
  bool carry(Instant now);
  void lose(Instant now);
  Reason connect_one(Instant until);
  Reason greet(Instant until);

  Link link_;
  Session session_;
  Instant patience_;
  Instant connect_until_{};
};

}  // namespace tokenpool::client
