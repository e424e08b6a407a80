// Slots without an arbiter: the implicit slot, and the tokens of a GNU make jobserver if there is
// one. The first lease costs no token for its first slot, because the client's parent pays for it.
//
// Requests are served in their order. A request gets all of its `min` at once or waits; while it
// waits it holds nothing, so that two clients that want several cannot wait for each other. To ask
// again it waits for a token to be seen, and after a look that found too few for kFirstPause, each
// time twice as long up to kMaxPause.
#pragma once

#include <chrono>
#include <deque>
#include <map>
#include <memory>
#include <string>
#include <vector>

#include "client/engine.h"
#include "client/token_source.h"

namespace tokenpool::client {

inline constexpr Instant kFirstPause = std::chrono::milliseconds(1);
inline constexpr Instant kMaxPause = std::chrono::milliseconds(64);

class LocalEngine : public Engine {
 public:
  /// `source` none: one slot in all. `slots`: of -jN; 1: unknown, or there is no more.
  /// `barred`: every request fails with code 0 and this message (Options::protocol_only).
  LocalEngine(Why why, std::unique_ptr<TokenSource> source, int slots, std::string barred);
  /// Returns all tokens, but not in a fork.
  ~LocalEngine() override;

  [[nodiscard]] int slots() const override { return slots_; }
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
  [[nodiscard]] int fd() const override;
  [[nodiscard]] short events() const override;
  [[nodiscard]] std::optional<Instant> deadline() const override;
  void process(Instant now) override;

 private:
  struct Request {
    Ticket ticket = 0;
    int min = 1;
    int max = 1;
    std::optional<Instant> deadline;
  };
  struct Held {
    bool implicit = false;  ///< has the slot that costs no token
    std::vector<char> tokens;
    [[nodiscard]] int slots() const { return static_cast<int>(tokens.size()) + (implicit ? 1 : 0); }
  };

  [[nodiscard]] std::optional<Error> refusal(const Request& request) const;
  bool grow(Held* held, int min, int max);
  void shrink(Held* held, int to);
  void serve(Instant now);
  Ticket answered(Result<Outcome> outcome);

  std::unique_ptr<TokenSource> source_;
  int slots_;
  std::string barred_;
  bool implicit_free_ = true;
  Ticket last_ = 0;
  std::deque<Request> requests_;
  std::map<Ticket, Result<LeaseKey>> settled_;
  std::map<Ticket, Result<Outcome>> outcomes_;
  std::map<LeaseKey, Held> held_;
  Instant pause_ = kFirstPause;
  std::optional<Instant> pause_until_;
};

}  // namespace tokenpool::client
