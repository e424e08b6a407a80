// A world in one number: build processes that fork, ask, return, cheat and die at random around the
// real core, on a FIFO that is a counter. The same seed is the same history, always.
//
// What is checked after every event, from the world's own books and not from the pool's:
//  * Conservation: bytes in the FIFO + kept back by the arbiter + really in somebody's hands, less
//    implicit slots lent + lent to the leases == issued + owed. So never do more jobs run than
//    there are slots. A token counts while its holder lives, and after it for each of its jobs that
//    live on. A token whose holder took it unseen and died counts no more: the pool cannot know
//    which children ran on it.
//  * Nothing is booked to the dead: what the pool takes for held, somebody living can bring back.
//  * A read is answered once, and nobody is granted a byte that is not there.
//  * No token lies about while somebody blocks, but for an offer that has a deadline.
//  * A blocked reader that holds nothing is passed a bounded number of times.
// Beside them live clients of the protocol (sim/leasing.h), out of the same pool, and an operator
// who changes the number of slots and pauses. balance() comes to rest after every event. In a serve
// world there are only those. At the end everybody dies, and the FIFO holds what was issued; in one
// half of the worlds the clients of the protocol live longest and are all answered.
//
// In a loose world attribution is ambiguous on purpose (everybody has the FIFO open, strangers
// write what they never took, the cause of an end is unknown): there the equation may be off by at
// most the number of tokens in such events, because a token that was booked to the wrong process
// may be recovered twice, or only when that process ends. A strict world has the same actors
// without the ambiguity, and no tolerance.
#pragma once

#include <cstdint>
#include <deque>
#include <map>
#include <optional>
#include <random>
#include <string>
#include <vector>

#include "core/pool.h"
#include "sim/fault.h"
#include "sim/leasing.h"

namespace tokenpool::sim {

class World {
 public:
  /// `verbose`: prints every event on stdout.
  World(std::uint64_t seed, bool verbose, Fault fault);

  /// Lives through `steps` random events, then ends everybody. Answers what went wrong, or nothing.
  std::optional<std::string> run(int steps);

  [[nodiscard]] std::uint64_t granted() const { return pool_.counters().taken; }
  [[nodiscard]] std::uint64_t recovered() const { return pool_.counters().recovered; }
  [[nodiscard]] std::uint64_t leases() const { return leasing_.granted(); }
  [[nodiscard]] std::uint64_t reservations() const { return leasing_.reservations(); }

 private:
  enum class Mode : std::uint8_t { tokens, both, leases };
  enum class Kind : std::uint8_t { poller, reader, blind, shell, helper, lender, job };

  struct Process {
    core::ProcessId id;
    Kind kind{};
    std::vector<core::ProcessId> ancestors;  // nearest first, dead or alive
    int tokens = 0;                          // really in its hands
    int unseen = 0;                          // ... and nobody saw it take them
    int riding = 0;                          // runs on tokens of a dead client
    bool lent = false;
    std::optional<core::RequestId> read;  // blocks
    core::Instant reads_since{};
    bool answered = false;  // its last ask was granted
    int passed = 0;         // grants to others while it blocks and holds nothing
  };
  using Living = std::map<core::ProcessId, Process>;

  int random(int below) { return static_cast<int>(random_() % static_cast<unsigned>(below)); }
  bool chance(int percent) { return random(100) < percent; }
  void say(const std::string& what);
  void fail(const std::string& what);
  Process* pick();
  std::vector<core::ProcessId> children(core::ProcessId who) const;
  std::vector<core::ProcessId> openers(const Process& touched, int count);

  void step();
  void act(Process* process);
  void fork(Process* parent);
  void ask(Process* process, bool blocking);
  void give(Process* process);
  void over_return(Process* process);
  void took_unseen(Process* process);
  void shell_touches(Process* process);
  static void gave_unseen(Process* process);
  void pass_on(const Process& giver, Process* taker);
  void signal_read(Process* process);
  void end(core::ProcessId who, core::EndCause cause);
  void bury(const Process& dead, core::EndCause cause,
            const std::vector<core::ProcessId>& survivors, std::optional<core::ProcessId> heir);
  void die(Process* process);
  void restart();
  void pass_time(core::Instant duration);
  void notice(const std::vector<core::ProcessId>& openers);
  void mint();
  void operate();
  void settle();
  void lend(int count);
  void audit_borrowing();
  Leasing::Hub hub();
  void end_builds();
  void wind_up();

  void carry_out(const core::Effects& effects);
  void carry_out(const core::Effect& effect);
  void grant(const core::Effect& effect, bool from_fifo);
  void count_pass(core::ProcessId taker);
  void check_turn(const Process& reader);
  void audit();
  void audit_holders();

  std::mt19937_64 random_;
  bool verbose_;
  Fault fault_;
  bool loose_;
  Mode mode_;
  bool slow_;  // its waits are longer
  int slots_;  // of the pool when it is not paused, without the implicit one
  int issued_;
  core::Pool pool_;
  Leasing leasing_;
  core::Instant now_ = std::chrono::seconds(1);
  int fifo_;
  int ambiguous_ = 0;  // tokens of a loose world that may be booked to somebody else
  int next_pid_ = 100;
  core::RequestId next_request_ = 1;
  Living living_;
  std::map<core::RequestId, core::Request> open_;  // asked and not yet answered
  std::optional<core::LeaseDemand> next_;          // lease that waits in line with the readers
  std::vector<core::ProcessId> thief_;             // takes the byte of the next grant first, unseen
  std::string failure_;
};

}  // namespace tokenpool::sim
