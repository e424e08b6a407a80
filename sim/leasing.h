// The clients of the protocol in a simulated world: sessions that ask for leases, release, resize,
// hand them to processes, lose their connection, die, and come back after a restart of the arbiter.
//
// What is checked, from their own books and not from the pool's:
//  * Slots of leases, less those that somebody has paid for, + free slots of the pool == lent.
//  * A request is answered once, in time, within its range, only while something is granted, within
//    the limit of its type, never beyond what there is or, for the first in line, what the others
//    in line lend, and not before one that came first and needs no more.
//  * Who has been first for kReservationAfter has a reservation: what passes leaves the slots, the
//    payer and the job of its type that it needs; where there are only leases, it waits no longer
//    than those that were there before.
//  * A lease is as it was granted, and of whom; it ends when its owner does, and not before.
//  * Nobody waits beside slots that would do, and nothing is given back that may be declared.
#pragma once

#include <concepts>
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

inline constexpr std::size_t kMostProcesses = 24;  ///< that build at one time

class Leasing {
 public:
  /// What it shares with the rest of the world; all outlive it.
  struct Hub {
    std::mt19937_64* random = nullptr;
    std::function<void(const std::string&)> say;
    std::function<void(const std::string&)> fail;
    std::function<int(core::ProcessId)> tokens;  ///< booked to a client by the pool of tokens
    std::function<std::optional<core::ProcessId>()> somebody;  ///< some process of the build
    std::function<void(int)> offer;  ///< so many slots more could be used: lend what lies about
    bool alone = false;  ///< there are only leases, as in `serve`: what there is, is supplied
    bool verbose = false;
    Fault fault = Fault::none;
  };

  /// `slots`: the ceiling of the pool. Nothing is lent yet, but where it is alone.
  Leasing(int slots, Hub hub);

  /// One client does something, or its operator does.
  void act(core::Instant now);
  /// So many tokens were handed to the pool of leases, or taken back by balance().
  void lend(int count, core::Instant now);
  void repaid(int count, core::Instant now);
  void pay_running();
  /// What clients of tokens hold, and cover for others, is what they hold now.
  void look_at_payers();
  /// A client of tokens got one, which is not to happen for ever while somebody here has nothing.
  void pass(core::Instant now);
  void advance(core::Instant now);
  [[nodiscard]] std::optional<core::Instant> next_deadline() const;
  /// Tells the clients what the pool has decided.
  void collect(core::Instant now);
  void set_paused(bool paused, core::Instant now);
  void set_slots(int slots, core::Instant now);
  /// A new arbiter was left what was lent. The clients will come back.
  void restart(core::Instant now);
  /// The implicit slot comes free for good and nobody asks for more; one client gives back.
  void wind_up(core::Instant now);
  void let_go(core::Instant now);
  void end_all(core::Instant now);
  /// `visible`: bytes in the FIFO that no reader waits for and that are not on offer.
  void audit(int visible, core::Instant now);

  core::LeasePool& pool() { return pool_; }
  core::LeaseEffects* effects() { return &effects_; }
  [[nodiscard]] int lent() const { return lent_; }
  /// Of those that are lent, what the pool of tokens waits for.
  void set_owed(int slots) { owed_ = slots; }
  [[nodiscard]] bool paused() const { return paused_; }
  [[nodiscard]] std::size_t waiting() const;
  /// For whom the next token would be, of those that ask for leases.
  std::optional<core::LeaseDemand> demand(core::Instant now);
  [[nodiscard]] std::uint64_t granted() const { return granted_; }
  [[nodiscard]] std::uint64_t reservations() const { return reservations_; }

 private:
  struct Asked {
    core::LeaseRequest request;
    int passed = 0;  ///< tokens that others got while the next one was for it
  };
  struct Client {
    core::ProcessId id;
    core::SessionId session = 0;  ///< 0: not connected
    std::map<core::Ticket, Asked> asked;
    core::Instant returns{};  ///< when it will connect again
    bool gone = false;        ///< it has, and the arbiter has not yet seen the end of this session
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
  void say(const auto&... words) {
    if (hub_.verbose) hub_.say((word(words) + ...));
  }
  void fail(const auto&... words) { hub_.fail((word(words) + ...)); }
  static std::string word(const std::string& text) { return text; }
  static std::string word(std::integral auto number) { return std::to_string(number); }

  struct First {
    core::Ticket ticket = 0;
    core::Instant since{};
    bool is_reserved = false;
    std::set<core::LeaseId> before;  ///< leases that it may have to wait for
  };

  void act(Client* client, core::Instant now);
  void operate(core::Instant now);
  void connect(Client* client, core::Instant now);
  void ask(Client* client, core::Instant now);
  void release(Client* client, core::Instant now);
  void resize(Client* client, core::Instant now);
  void hand_over(Client* client);
  void cancel(Client* client, core::Ticket ticket, core::Instant now);
  void disconnect(Client* client, bool dies, core::Instant now);
  void move(Client* client, core::Instant now);
  void owner_ends(core::Instant now);
  Held* pick_of(const Client& client);
  core::Payer some_payer();

  void granted(const core::LeaseEffect& effect, core::Instant now);
  void answered(const core::LeaseEffect& effect, core::Instant now);
  void recovered(const core::LeaseEffect& effect);
  void check_grant(const Asked& asked, const core::Lease& lease, core::Instant now);
  void check_order(const core::LeaseRequest& served);
  void check_first(const core::LeaseRequest& borrower);
  void audit_line(int visible, core::Instant now);
  void note_line(core::Instant now);
  void mature(core::Instant now);
  void note_before();
  Asked* find(const core::LeaseEffect& effect);
  [[nodiscard]] const Asked* find(core::Ticket ticket) const;
  Asked* next_asked(core::Instant now);
  [[nodiscard]] int cost_of(core::ProcessId client) const;
  void check_share(const core::LeaseRequest& request, const core::Lease& lease);
  [[nodiscard]] const core::LeaseRequest* reserved() const;
  [[nodiscard]] int needs(const core::LeaseRequest& request) const;
  [[nodiscard]] static bool waits(const Asked& asked);
  /// What others lend that have to wait (or `all`), when `asker` uses `slots` of its own payer.
  [[nodiscard]] int lendable(const core::LeaseRequest& asker, int slots, bool all = false) const;
  [[nodiscard]] bool can_borrow(const core::LeaseRequest& first) const;
  [[nodiscard]] bool is_lent(const core::LeaseRequest& request, int paid) const;
  void shrink(core::LeaseId id, int slots);
  void uncover(core::LeaseId payer, int covered);
  void lose(core::LeaseId id);
  void bury(Client* client);
  [[nodiscard]] int free() const;
  [[nodiscard]] int grantable() const;
  [[nodiscard]] int covered(const core::Payer& payer) const;
  /// Of what a payer covers, what no lease uses and no other request has a `claim` to.
  [[nodiscard]] int unused(const core::Payer& of, const core::LeaseRequest* claim = nullptr) const;
  [[nodiscard]] int used(const core::Payer& payer, bool of_child) const;
  [[nodiscard]] bool blocked(const std::string& type, int more_jobs = 0) const;
  core::LeasePool fresh_pool(core::LeaseId first_id);
  [[nodiscard]] bool grants(core::Instant now) const { return !paused_ && now >= grace_until_; }

  Hub hub_;
  core::LeasePool pool_;
  core::LeaseEffects effects_;
  int slots_;
  int lent_ = 0, owed_ = 0;
  int in_hand_ = 0;  ///< of free(), what may be granted
  bool root_pays_ = false, paused_ = false;
  core::Instant grace_until_{};
  std::size_t expected_ = 0;  ///< leases whose resumption ends the grace; 0: nobody knows
  std::size_t resumed_ = 0;
  bool winds_up_ = false;
  std::optional<First> first_;
  std::map<core::ProcessId, int> tokens_;  ///< of those that may pay, as last looked at
  std::map<std::string, int> limits_;
  std::vector<Client> clients_;
  std::set<core::ProcessId> owners_;  ///< processes that leases belong to, alive
  std::map<core::LeaseId, Held> held_;
  std::set<core::LeaseId> ending_;  ///< their owner has ended just now
  core::SessionId next_session_ = 1;
  core::Ticket next_ticket_ = 1;
  int next_pid_ = 100000;
  std::uint64_t ghosts_ = 1;  ///< sessions that were left behind
  core::LeaseId arbiters_ = 1;
  std::uint64_t granted_ = 0, reservations_ = 0;
};

}  // namespace tokenpool::sim
