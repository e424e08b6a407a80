// Where tokens become slots of leases: what the world shares with the clients of the protocol.
#include <algorithm>
#include <utility>

#include "core/balance.h"
#include "sim/world.h"

namespace tokenpool::sim {

using core::EndCause;
using core::ProcessId;

namespace {

std::string name(ProcessId who) { return std::to_string(who.pid); }

}  // namespace

Leasing::Hub World::hub() {
  Leasing::Hub hub;
  hub.random = &random_;
  hub.say = [this](const std::string& what) { say(what); };
  hub.fail = [this](const std::string& what) { fail(what); };
  hub.tokens = [this](ProcessId who) {
    const core::Account* account = pool_.ledger().find(who);
    return account == nullptr ? 0 : account->held();
  };
  hub.somebody = [this]() -> std::optional<ProcessId> {
    if (living_.empty()) return std::nullopt;
    return pick()->id;
  };
  hub.offer = [this](int more) {
    const int count = std::min(more, pool_.lendable());
    if (count <= 0) return;
    core::Effects effects;
    pool_.lend(count, now_, &effects);
    carry_out(effects);
  };
  hub.alone = mode_ == Mode::leases;
  hub.verbose = verbose_;
  hub.fault = fault_;
  return hub;
}

// What is held is taken for stuck, whoever holds it.
void World::mint() {
  say("one more is minted");
  core::Effects effects;
  pool_.mint(1, true, now_, &effects);
  carry_out(effects);
  audit();
}

void World::operate() {
  if (mode_ != Mode::leases && !leasing_.paused() && pool_.minted() < 4 && chance(25)) {
    return mint();
  }
  if (leasing_.paused() || chance(20)) {
    leasing_.set_paused(!leasing_.paused(), now_);
  } else {
    slots_ = random(9);
    leasing_.set_slots(slots_ + 1, now_);
  }
  issued_ = leasing_.paused() || mode_ == Mode::leases ? 0 : slots_;
  say("there are " + std::to_string(issued_) + " tokens");
  core::Effects effects;
  pool_.set_issued(issued_, now_, &effects);
  carry_out(effects);
  audit();
}

// Moves tokens between both pools until there is nothing to move.
void World::settle() {
  for (int rounds = 0; failure_.empty() && mode_ != Mode::leases; ++rounds) {
    leasing_.look_at_payers();
    if (rounds > 100) return fail("balance() does not come to rest");
    // A shell may be faster than the arbiter that has just decided to take the bytes.
    if (fifo_ > 0 && chance(2)) {
      for (const auto& [id, other] : living_) {
        if (other.kind == Kind::shell) thief_ = {id};
      }
    }
    core::Effects effects;
    int repaid = pool_.lent();
    leasing_.set_owed(pool_.owed());
    core::balance(&pool_, &leasing_.pool(), now_, &effects, leasing_.effects());
    repaid -= pool_.lent();
    for (const core::Effect& effect : effects) {
      const bool lends = effect.kind == core::Effect::Kind::lend_from_fifo ||
                         effect.kind == core::Effect::Kind::lend_direct;
      if (lends) repaid += effect.count;
    }
    leasing_.collect(now_);
    leasing_.repaid(repaid, now_);
    leasing_.set_owed(pool_.owed());
    next_ = leasing_.demand(now_);
    // With what is owed now, which may be for this moment only.
    if (repaid > 0) leasing_.pay_running();
    const bool is_lend =
        effects.size() == 1 && effects[0].kind == core::Effect::Kind::lend_from_fifo;
    const std::vector<ProcessId> thief = is_lend ? thief_ : std::vector<ProcessId>();
    if (!is_lend) thief_.clear();
    carry_out(effects);
    thief_.clear();
    if (!thief.empty()) notice(openers(living_.at(thief.front()), 1));
    if (effects.empty()) return audit_borrowing();
  }
  leasing_.collect(now_);
}

void World::audit_borrowing() {
  const core::Request* borrowing = pool_.borrowing();
  if (next_.has_value() != (borrowing != nullptr)) {
    return fail(next_ ? "a lease does not wait in line" : "a lease waits in line for nothing");
  }
  if (next_ && (borrowing->who != next_->client || borrowing->held != next_->held)) {
    fail("another lease waits in line");
  }
}

// Among those that wait, the one that has the fewest is served first, among equals the oldest.
void World::check_turn(const Process& reader) {
  if (!next_) return;
  const core::Account* account = pool_.ledger().find(reader.id);
  const int held = account == nullptr ? 0 : account->held() - 1;
  if (std::pair(next_->held, next_->since) < std::pair(held, reader.reads_since)) {
    fail(name(reader.id) + " passes a lease that has waited for longer with no more");
  }
}

void World::lend(int count) {
  next_.reset();
  if (!thief_.empty() && fifo_ > 0) {
    --fifo_;
    took_unseen(&living_.at(thief_.front()));
  }
  const int there = std::min(count, fifo_);
  fifo_ -= there;
  if (there < count && thief_.empty()) fail("lent a byte that is not there");
  leasing_.lend(there, now_);
  if (there < count) pool_.lend_failed(count - there);
}

void World::end_builds() {
  while (!living_.empty() && failure_.empty()) {
    end(living_.begin()->first, chance(50) ? EndCause::killed : EndCause::failed);
  }
}

// Everybody but the clients of leases ends, and these ask for no more: then all that was asked for
// is answered, as leases come back one by one.
void World::wind_up() {
  say("no more work comes");
  end_builds();
  leasing_.wind_up(now_);
  audit();
  for (int rounds = 0; leasing_.waiting() > 0 && failure_.empty(); ++rounds) {
    if (rounds > 1000) return fail("a request is never answered");
    leasing_.let_go(now_);
    audit();
    pass_time(std::chrono::milliseconds(10));
  }
}

}  // namespace tokenpool::sim
