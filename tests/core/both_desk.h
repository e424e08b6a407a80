// Both pools, balanced, on a FIFO that is a number: PoolDesk for the clients of tokens, LeaseDesk
// for those of leases. After every event balance() has to come to rest, and what nobody wants lies
// in the FIFO.
#pragma once

#include "core/balance.h"
#include "core/lease_desk.h"
#include "core/pool_desk.h"

namespace tokenpool::core {

class BothDesk {
 public:
  /// `issued` tokens; the implicit slot of the command makes one slot more.
  explicit BothDesk(int issued) : tokens(issued), leases(issued + 1, 100, 0) { connect(); }
  BothDesk(const BothDesk&) = delete;
  BothDesk& operator=(const BothDesk&) = delete;

  // What happens, and what follows from it.
  RequestId ask(ProcessId who, bool blocking) { return after(tokens.ask(who, blocking)); }
  RequestId read(ProcessId who) { return ask(who, true); }
  bool poll(ProcessId who) { return tokens.answer(ask(who, false)) == PoolDesk::Answer::granted; }
  void give(ProcessId who, int count = 1) {
    tokens.give(who, count);
    settle();
  }
  Ticket lease(const Ask& what) { return after(leases.ask(what)); }
  int release(LeaseId id, int slots = 0) { return after(leases.release(id, slots)); }
  /// As the host does: what is free is lent before.
  std::optional<int> resize(LeaseId id, int min, int max) {
    const int more = std::min(max - leases.pool.find(id)->slots, tokens.pool.lendable());
    if (leases.pool.waiting_count() == 0 && more > 0) {
      tokens.lend(more);
      notice();
    }
    return after(leases.resize(id, min, max));
  }
  void set_issued(int issued) {
    tokens.set_issued(issued);
    leases.set_ceiling(issued + 1);
    settle();
  }
  /// The arbiter dies; its successor is told what it published, and in the grace what `declared`
  /// say.
  void restart(const std::vector<Lease>& declared, Instant grace) {
    const Pool& old = tokens.pool;
    std::vector<Account> accounts;
    for (const auto& entry : old.ledger().accounts()) accounts.push_back(entry.second);
    const std::vector<UnseenTake> unseen = old.ledger().unseen();
    const LeaseId next_id = 1000 * (++restarts + 1);
    LeasePool fresh(leases.pool.ceiling(), next_id, leases.cover());
    fresh.share();
    fresh.set_grace(tokens.now + grace);
    // As the host does: what was kept back goes into the FIFO, as far as there is room.
    tokens.fifo = std::min(old.free() + old.reserved(), old.issued());
    Pool next(old.issued());
    next.restore(accounts, unseen, old.owed(), old.lent(), old.minted(), old.counters());
    tokens.pool = std::move(next);
    tokens.requests.clear();
    leases.pool = std::move(fresh);
    leases.pool.supply(tokens.pool.lent(), tokens.now, &leases.effects);
    for (const Lease& lease : declared) {
      leases.pool.resume(lease, tokens.now, &leases.effects);
    }
    settle();
  }
  void advance() {
    tokens.advance();
    leases.now = tokens.now;
    leases.advance();
    settle();
  }
  void pass(Instant duration) {
    const Instant end = tokens.now + duration;
    for (auto due = next_deadline(); due && *due <= end; due = next_deadline()) {
      tokens.now = leases.now = std::max(tokens.now, *due);
      advance();
    }
    tokens.now = leases.now = end;
  }
  [[nodiscard]] std::optional<Instant> next_deadline() const {
    const auto of_leases = leases.pool.next_deadline();
    auto next = tokens.pool.next_deadline();
    if (of_leases && (!next || *of_leases < *next)) next = of_leases;
    return next;
  }
  /// The FIFO is not as it should be: somebody who was not seen.
  void notice() {
    if (tokens.pool.drift(tokens.fifo) != 0) tokens.notice(thieves);
  }
  /// Until balance() has nothing to add.
  void settle() {
    notice();
    leases.collect();
    for (int rounds = 0;; ++rounds) {
      require(rounds < 8 + 4 * kMaxRounds, "balance() does not come to rest");
      Effects effects;
      const int before = tokens.pool.lent();
      balance(&tokens.pool, &leases.pool, tokens.now, &effects, &leases.effects);
      int repaid = before - tokens.pool.lent();
      for (const Effect& effect : effects) {
        const bool lends =
            effect.kind == Effect::Kind::lend_from_fifo || effect.kind == Effect::Kind::lend_direct;
        if (lends) repaid += effect.count;
      }
      tokens.lent_out -= repaid;
      leases.supplied -= repaid;
      if (effects.empty()) break;
      most_rounds = std::max(most_rounds, rounds + 1);
      tokens.apply(effects);
      notice();
    }
    leases.collect();
    check();
  }
  void check() const {
    const Pool& pool = tokens.pool;
    const Instant now = tokens.now;
    require(leases.supplied == pool.lent(), "what was lent is not what was supplied");
    const int lendable = pool.lendable();
    require(lendable == 0 || leases.pool.useful(lendable, now) == 0, "what is of use lies about");
    require(leases.pool.surplus(now) == 0, "what nobody uses is kept");
    const auto demand = leases.pool.demand(now);
    const Request* borrowing = pool.borrowing();
    require(demand.has_value() == (borrowing != nullptr), "waits for nobody, or not at all");
    require(!demand || demand->client == borrowing->who, "waits for somebody else");
  }

  PoolDesk tokens;
  LeaseDesk leases;
  Processes thieves;  ///< who has the FIFO open when something is missing
  int most_rounds = 0;
  LeaseId restarts = 0;
  static constexpr int kMaxRounds = 16;

 private:
  static void require(bool condition, const std::string& what) {
    if (!condition) throw std::logic_error(what);
  }
  void connect() {
    tokens.on_lent = [this](int count) {
      leases.supplied += count;
      leases.pool.supply(count, tokens.now, &leases.effects);
    };
    leases.now = tokens.now;
    settle();
  }
  template <typename Value>
  Value after(Value value) {
    settle();
    return value;
  }
};

}  // namespace tokenpool::core
