// The clients of the protocol in a simulated world: sessions that ask for leases, release, resize,
// hand them to processes, lose their connection, die, and come back after the arbiter was
// restarted.
//
// What is checked, from their own books and not from the pool's:
//  * Slots of leases, less those that somebody has paid for, + free slots of the pool == lent.
//  * A request is answered once, in time, within its range, only while something is granted, within
//    the limit of its type, never beyond what there is, and not before one that came first and
//    needs no more.
//  * A lease ends when its owner does, and not before.
//  * Nobody waits beside slots that would do.
#pragma once

#include <functional>
#include <map>
#include <optional>
#include <random>
#include <set>
#include <string>
#include <vector>

#include "core/lease_pool.h"
#include "sim/fault.h"

namespace tokenpool::sim {

class Leasing {
 public:
  /// What it shares with the rest of the world; all outlive it.
  struct Hub {
    std::mt19937_64* random = nullptr;
    std::function<void(const std::string&)> say;
    std::function<void(const std::string&)> fail;
    bool verbose = false;
    Fault fault = Fault::none;
  };

  /// `slots`: the ceiling of the pool. Nothing is lent yet.
  Leasing(int slots, Hub hub);

  /// One client does something, or its operator does.
  void act(core::Instant now);
  /// So many tokens were handed to the pool of leases ...
  void lend(int count, core::Instant now);
  /// ... or taken back by balance().
  void repaid(int count) { lent_ -= count; }
  void advance(core::Instant now);
  [[nodiscard]] std::optional<core::Instant> next_deadline() const;
  /// Tells the clients what the pool has decided.
  void collect(core::Instant now);

  void set_paused(bool paused, core::Instant now);
  void set_slots(int slots, core::Instant now);
  /// There is a new arbiter, which was left what was lent. The clients will come back.
  void restart(core::Instant now);
  void end_all(core::Instant now);

  /// `visible`: bytes in the FIFO that no reader waits for and that are not on offer.
  void audit(int visible, core::Instant now);

  core::LeasePool& pool() { return pool_; }
  core::LeaseEffects* effects() { return &effects_; }
  [[nodiscard]] int lent() const { return lent_; }
  [[nodiscard]] bool paused() const { return paused_; }
  [[nodiscard]] std::uint64_t granted() const { return granted_; }

 private:
  struct Asked {
    core::LeaseRequest request;
    core::Instant since{};
  };
  struct Client {
    core::ProcessId id;
    core::SessionId session = 0;  ///< 0: not connected
    std::map<core::Ticket, Asked> asked;
    core::Instant returns{};  ///< when it will connect again
  };
  struct Held {
    core::Lease lease;
    core::ProcessId client;  ///< whose it is; pid 0: it is dead, and a process owns the lease
    bool known = true;       ///< to the arbiter
  };

  int random(int below) {
    return static_cast<int>((*hub_.random)() % static_cast<unsigned>(below));
  }
  bool chance(int percent) { return random(100) < percent; }
  template <typename... Words>
  void say(const Words&... words) {
    if (hub_.verbose) hub_.say((word(words) + ...));
  }
  template <typename... Words>
  void fail(const Words&... words) {
    hub_.fail((word(words) + ...));
  }
  static std::string word(const std::string& text) { return text; }
  static std::string word(std::uint64_t number) { return std::to_string(number); }
  static std::string word(int number) { return std::to_string(number); }

  void act(Client* client, core::Instant now);
  void operate(core::Instant now);
  void connect(Client* client, core::Instant now);
  void ask(Client* client, core::Instant now);
  void release(Client* client, core::Instant now);
  void resize(Client* client, core::Instant now);
  void hand_over(Client* client);
  void cancel(Client* client, core::Instant now);
  void disconnect(Client* client, bool dies, core::Instant now);
  void owner_ends(core::Instant now);
  Held* pick_of(const Client& client);
  core::Payer some_payer();

  void granted(const core::LeaseEffect& effect, core::Instant now);
  void answered(const core::LeaseEffect& effect, core::Instant now);
  void recovered(const core::LeaseEffect& effect);
  void check_order(const Asked& served, const core::Lease& lease, core::Instant now);
  Asked* find(const core::LeaseEffect& effect);
  void shrink(core::LeaseId id, int slots);
  void uncover(core::LeaseId payer, int covered);
  void lose(core::LeaseId id);
  void bury(Client* client);
  [[nodiscard]] int free() const;
  [[nodiscard]] int unused(const core::Payer& payer) const;
  [[nodiscard]] int used(const core::Payer& payer) const;
  [[nodiscard]] bool blocked(const std::string& type) const;
  [[nodiscard]] bool grants(core::Instant now) const { return !paused_ && now >= grace_until_; }

  Hub hub_;
  core::LeasePool pool_;
  core::LeaseEffects effects_;
  int slots_;
  int lent_ = 0;
  bool root_pays_ = false;
  bool paused_ = false;
  core::Instant grace_until_{};
  std::map<std::string, int> limits_;
  std::vector<Client> clients_;
  std::set<core::ProcessId> owners_;  ///< processes that leases belong to, alive
  std::map<core::LeaseId, Held> held_;
  std::set<core::LeaseId> ending_;  ///< their owner has ended just now
  core::SessionId next_session_ = 1;
  core::Ticket next_ticket_ = 1;
  int next_pid_ = 100000;
  core::LeaseId arbiters_ = 1;
  std::uint64_t granted_ = 0;
};

}  // namespace tokenpool::sim
