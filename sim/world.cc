#include "sim/world.h"

#include <algorithm>
#include <cstdio>
#include <cstdlib>
#include <utility>

#include "core/limits.h"

namespace tokenpool::sim {
namespace {

using core::EndCause;
using core::ProcessId;

constexpr const char* kKindNames[] = {"poller", "reader", "blind", "shell",
                                      "helper", "lender", "job"};

std::string name(ProcessId who) { return std::to_string(who.pid); }

}  // namespace

World::World(std::uint64_t seed, bool verbose, Fault fault)
    : random_(seed),
      verbose_(verbose),
      fault_(fault),
      loose_(chance(50)),
      mode_(chance(40)   ? Mode::tokens
            : chance(75) ? Mode::both
                         : Mode::leases),
      slow_(chance(30)),
      slots_(1 + random(8)),
      issued_(mode_ == Mode::leases ? 0 : slots_),
      pool_(issued_),
      leasing_(slots_ + 1, hub()),
      fifo_(issued_) {
  const char* kind = mode_ == Mode::leases ? "a serve" : loose_ ? "a loose" : "a strict";
  say(std::string(kind) + " world of " + std::to_string(slots_));
}

void World::say(const std::string& what) {
  if (!verbose_) return;
  std::printf("%10.3f ms  fifo %d  %s\n", static_cast<double>(now_.count()) / 1e6, fifo_,
              what.c_str());
}

void World::fail(const std::string& what) {
  if (failure_.empty()) failure_ = what;
  say("FAILED: " + what);
}

std::optional<std::string> World::run(int steps) {
  for (int i = 0; i < steps && failure_.empty(); ++i) step();
  if (leasing_.paused()) operate();
  if (chance(50)) wind_up();
  leasing_.end_all(now_);
  audit();
  pass_time(core::kResumeGrace + std::chrono::milliseconds(1));
  const int kept = mode_ == Mode::leases ? slots_ + 1 : 0;
  if (failure_.empty() && leasing_.lent() != kept) fail("leases are gone and keep their tokens");
  end_builds();
  if (failure_.empty() && (pool_.free() != issued_ || pool_.owed() + pool_.reserved() != 0)) {
    fail("everybody is dead and the pool is not what it was");
  }
  core::Effects effects;
  pool_.all_ended(now_, &effects);
  carry_out(effects);
  if (failure_.empty() && (pool_.missing() != 0 || fifo_ != issued_)) {
    fail("the FIFO does not hold what was issued");
  }
  if (failure_.empty()) return std::nullopt;
  return failure_;
}

World::Process* World::pick() {
  auto entry = living_.begin();
  std::advance(entry, random(static_cast<int>(living_.size())));
  return &entry->second;
}

std::vector<ProcessId> World::children(ProcessId who) const {
  std::vector<ProcessId> list;
  for (const auto& [id, process] : living_) {
    if (!process.ancestors.empty() && process.ancestors.front() == who) list.push_back(id);
  }
  return list;
}

std::vector<ProcessId> World::openers(const Process& touched, int count) {
  if (!loose_) return {touched.id};
  ambiguous_ += count;
  std::vector<ProcessId> list;
  for (const auto& entry : living_) {
    if (chance(70)) list.push_back(entry.first);
  }
  return list;
}

void World::step() {
  const int longest = slow_ ? 2000000 : 300000;
  pass_time(std::chrono::microseconds(chance(slow_ ? 10 : 5) ? random(longest) : random(2000)));
  if (mode_ == Mode::leases || (mode_ == Mode::both && chance(35))) {
    if (chance(2)) return operate();
    if (mode_ == Mode::leases && chance(1)) return restart();
    leasing_.act(now_);
    return audit();
  }
  if (living_.empty() || (living_.size() < kMostProcesses && chance(8))) return fork(nullptr);
  if (chance(1)) return restart();
  act(pick());
}

void World::act(Process* process) {
  // What blocks can only be signalled or killed.
  if (process->read) {
    if (chance(10)) return signal_read(process);
    if (chance(5)) die(process);
    return;
  }
  if (chance(4)) return die(process);
  if (process->kind != Kind::job && living_.size() < kMostProcesses && chance(8))
    return fork(process);
  switch (process->kind) {
    case Kind::poller:
      // It asks when the kernel woke it: there is a byte, or there just was one.
      if (process->tokens > 0 && chance(40)) return give(process);
      if (fifo_ > 0 || chance(10)) ask(process, false);
      break;
    case Kind::reader:
      if (process->tokens > 0 && chance(50)) return give(process);
      ask(process, true);
      break;
    case Kind::blind:
      // A job of it ended: it gives one back and asks again until it is refused.
      if (process->tokens > 0 && chance(70)) give(process);
      do {
        ask(process, false);
      } while (process->answered && failure_.empty() && chance(80));
      break;
    case Kind::shell:
      shell_touches(process);
      break;
    case Kind::helper:
      if (process->tokens == 0) return ask(process, true);
      // One whose calls are seen and whose end is not known is taken for a client that was killed.
      if (loose_ && chance(20)) {
        ambiguous_ += process->tokens;
        end(process->id, EndCause::unknown);
      } else {
        end(process->id, EndCause::succeeded);
      }
      break;
    case Kind::lender:
      over_return(process);
      break;
    case Kind::job:
      if (chance(30)) end(process->id, EndCause::succeeded);
      break;
  }
}

void World::fork(Process* parent) {
  Process child;
  child.id = {next_pid_++, static_cast<std::uint64_t>(now_.count())};
  child.kind = static_cast<Kind>(random(7));
  if (parent != nullptr && parent->kind == Kind::shell && chance(40)) child.kind = Kind::helper;
  // In a strict world who cheats has no relative whose debt it could settle by mistake.
  if (!loose_ && (child.kind == Kind::lender || (parent && parent->kind == Kind::lender))) {
    if (parent != nullptr) child.kind = Kind::job;
    parent = nullptr;
  }
  if (parent != nullptr) {
    child.ancestors = parent->ancestors;
    child.ancestors.insert(child.ancestors.begin(), parent->id);
  }
  say((parent != nullptr ? name(parent->id) + " forks " : std::string("there is ")) +
      kKindNames[static_cast<int>(child.kind)] + " " + name(child.id));
  pool_.introduce(child.id, child.ancestors);
  living_.emplace(child.id, std::move(child));
}

void World::ask(Process* process, bool blocking) {
  const core::Request request{next_request_++, process->id, blocking};
  open_[request.id] = request;
  process->answered = false;
  if (blocking) {
    process->read = request.id;
    process->reads_since = now_;
    process->passed = 0;
  }
  say(name(process->id) + (blocking ? " reads" : " polls"));
  // A shell may be faster than the arbiter that has just decided to take the byte.
  if (fifo_ == 1 && chance(10)) {
    for (const auto& [id, other] : living_) {
      if (other.kind == Kind::shell && id != process->id) thief_ = {id};
    }
  }
  core::Effects effects;
  pool_.request(request, now_, &effects);
  carry_out(effects);
  const std::vector<ProcessId> thief = std::exchange(thief_, {});
  if (pool_.drift(fifo_) != 0) {
    notice(openers(living_.at(thief.empty() ? request.who : thief.front()), 1));
  }
  audit();
}

void World::give(Process* process) {
  const int count = chance(80) ? 1 : 1 + random(process->tokens);
  process->tokens -= count;
  say(name(process->id) + " returns " + std::to_string(count));
  core::Effects effects;
  pool_.give(process->id, count, now_, &effects);
  carry_out(effects);
  audit();
}

void World::over_return(Process* process) {
  if (process->lent && chance(50)) return ask(process, true);
  // The first is its implicit slot, if the pool has room for that; what is more, it never had.
  const int count = chance(70) ? 1 : 1 + random(20);
  if (loose_) ambiguous_ += count;
  const auto before = pool_.counters().returned;
  say(name(process->id) + " writes " + std::to_string(count) + " that it does not have");
  const int held = process->tokens + process->riding;
  core::Effects effects;
  pool_.give(process->id, count, now_, &effects);
  const auto accepted = static_cast<int>(pool_.counters().returned - before);
  // Tokens of its own are truly returned first; in a strict world it can lend one slot beyond.
  const int paid = std::min(accepted, held);
  process->tokens -= std::min(paid, process->tokens);
  process->riding = held - paid - process->tokens;
  if (accepted > paid) process->lent = true;
  if (!loose_ && accepted > held + 1) fail("more than one slot was lent by one process");
  carry_out(effects);
  audit();
}

// Where the pool is told exactly who it was, the token is on that process's account as any other.
void World::took_unseen(Process* process) { ++(loose_ ? process->unseen : process->tokens); }

void World::shell_touches(Process* process) {
  // In a strict world a shell's returns are unseen only when its takes were.
  const bool returns = process->unseen + process->tokens > 0 && chance(50);
  const int most = returns ? process->unseen + process->tokens : fifo_;
  const int count = std::min(most, chance(80) ? 1 : 1 + random(8));
  if (count == 0) return;
  for (int i = 0; i < count; ++i) returns ? gave_unseen(process) : took_unseen(process);
  if (returns && count == 1 && chance(30)) {
    for (auto& [id, other] : living_) {
      if (other.kind == Kind::shell && id != process->id) return pass_on(*process, &other);
    }
  }
  fifo_ += returns ? count : -count;
  say(name(process->id) + (returns ? " returns " : " takes ") + std::to_string(count) + " unseen");
  notice(openers(*process, count));
  audit();
}

void World::gave_unseen(Process* process) {
  --(process->unseen > 0 ? process->unseen : process->tokens);
}

// Through the FIFO, between two looks of the pool.
void World::pass_on(const Process& giver, Process* taker) {
  took_unseen(taker);
  say(name(giver.id) + " passes one on to " + name(taker->id) + " unseen");
  const std::vector<core::UnseenMove> taken{{1, openers(*taker, 1), true}};
  const std::vector<core::UnseenMove> returned{{1, openers(giver, 1), true}};
  core::Effects effects;
  pool_.unseen(taken, returned, now_, &effects);
  carry_out(effects);
  audit();
}

void World::signal_read(Process* process) {
  const core::RequestId id = *std::exchange(process->read, std::nullopt);
  open_.erase(id);
  say(name(process->id) + " is interrupted");
  core::Effects effects;
  pool_.cancel(id, now_, &effects);
  carry_out(effects);
  audit();
}

void World::die(Process* process) {
  const ProcessId who = process->id;
  const auto is_client = [&] {
    const core::Account* account = pool_.ledger().find(who);
    return account != nullptr && (account->client || account->returns);
  };
  // Who ends well gives everything back before.
  if (process->kind != Kind::helper && !process->read && chance(30)) {
    if (process->kind == Kind::lender || process->unseen > 0) return;
    while (process->tokens > 0) give(process);
    return end(who, EndCause::succeeded);
  }
  const bool known = loose_ || is_client() || !children(who).empty();
  if (known && chance(20)) {
    ambiguous_ += process->tokens + process->riding;
    return end(who, EndCause::unknown);
  }
  end(who, chance(70) ? EndCause::killed : EndCause::failed);
}

void World::end(ProcessId who, EndCause cause) {
  const Process dead = living_.at(who);
  living_.erase(who);
  for (auto entry = open_.begin(); entry != open_.end();) {
    entry = entry->second.who == who ? open_.erase(entry) : std::next(entry);
  }
  const std::vector<ProcessId> survivors = children(who);
  std::optional<ProcessId> heir;
  for (const ProcessId ancestor : dead.ancestors) {
    if (!heir && living_.contains(ancestor)) heir = ancestor;
  }
  say(name(who) + " ends (" + std::to_string(static_cast<int>(cause)) + ") holding " +
      std::to_string(dead.tokens) + "+" + std::to_string(dead.unseen) + "+" +
      std::to_string(dead.riding));
  const core::Account* account = pool_.ledger().find(who);
  const core::Account* above = heir ? pool_.ledger().find(*heir) : nullptr;
  // Only who never returned a token fetched it for somebody, and only for one that asks for none.
  const bool fetched =
      account != nullptr && !account->returns && above != nullptr && !above->client;
  bury(dead, cause, survivors, fetched ? heir : std::nullopt);
  if (fault_ == Fault::death_unseen && account != nullptr && account->held() > 0) return audit();
  core::Effects effects;
  pool_.ended(who, cause, survivors, heir, now_, &effects);
  carry_out(effects);
  if (pool_.drift(fifo_) != 0) fail("the pool is wrong about the FIFO after an end");
  audit();
}

void World::bury(const Process& dead, EndCause cause, const std::vector<ProcessId>& survivors,
                 std::optional<ProcessId> heir) {
  // What becomes of its tokens in truth: a helper's go to who sent it, a client's jobs run on.
  if (cause == EndCause::succeeded) {
    if (heir) living_.at(*heir).tokens += dead.tokens;
    return;
  }
  int left = dead.tokens + dead.riding;
  for (const ProcessId survivor : survivors) {
    if (left-- <= 0) break;
    ++living_.at(survivor).riding;
  }
}

void World::restart() {
  say("the arbiter dies");
  next_.reset();
  std::vector<core::Account> accounts;
  for (const auto& entry : pool_.ledger().accounts()) accounts.push_back(entry.second);
  const std::vector<core::UnseenTake> unseen = pool_.ledger().unseen();
  fifo_ = std::min(pool_.free() + pool_.reserved(), issued_ + pool_.minted() + 1);
  core::Pool next(issued_);
  next.restore(accounts, unseen, pool_.owed(), pool_.lent(), pool_.minted(), pool_.counters());
  pool_ = std::move(next);
  // The calls that waited for an answer are told to the new one, in any order.
  const auto waiting = open_;
  for (const auto& entry : waiting) {
    living_.at(entry.second.who).reads_since = now_;
    core::Effects effects;
    pool_.request(entry.second, now_, &effects);
    carry_out(effects);
  }
  leasing_.restart(now_);
  audit();
}

void World::pass_time(core::Instant duration) {
  const core::Instant end = now_ + duration;
  // A busy arbiter is late for its deadlines.
  const core::Instant late = chance(20) ? std::chrono::microseconds(random(500)) : core::Instant{};
  for (int rounds = 0;; ++rounds) {
    const auto of_leases = leasing_.next_deadline();
    auto due = pool_.next_deadline();
    if (of_leases && (!due || *of_leases < *due)) due = of_leases;
    if (!due || *due + late > end) break;
    if (rounds > 10000) return fail("deadlines without end");
    now_ = std::max(now_, *due + late);
    core::Effects effects;
    pool_.advance(now_, &effects);
    carry_out(effects);
    leasing_.advance(now_);
    audit();
  }
  now_ = std::max(now_, end);
}

void World::notice(const std::vector<ProcessId>& openers) {
  const int drift = pool_.drift(fifo_);
  if (drift == 0) return;
  core::Effects effects;
  pool_.unseen(drift, openers, true, now_, &effects);
  carry_out(effects);
}

void World::carry_out(const core::Effects& effects) {
  for (const core::Effect& effect : effects) carry_out(effect);
}

void World::carry_out(const core::Effect& effect) {
  switch (effect.kind) {
    case core::Effect::Kind::grant_from_fifo:
      return grant(effect, true);
    case core::Effect::Kind::grant_direct:
      return grant(effect, false);
    case core::Effect::Kind::refuse:
      say("  " + name(effect.who) + " is refused");
      if (open_.erase(effect.request) == 0) fail("refused what nobody asked");
      break;
    case core::Effect::Kind::put:
      say("  put " + std::to_string(effect.count));
      fifo_ += effect.count - (fault_ == Fault::byte_lost && effect.count > 0 ? 1 : 0);
      break;
    case core::Effect::Kind::drain:
      say("  drain " + std::to_string(effect.count));
      fifo_ -= effect.count;
      if (fifo_ < 0) fail("drained more than there is");
      break;
    case core::Effect::Kind::lend_from_fifo:
      lend(effect.count);
      break;
    case core::Effect::Kind::lend_direct:
      next_.reset();  // one at a time: settle() sees who is the next
      leasing_.lend(effect.count, now_);
      break;
    case core::Effect::Kind::recovered:
    case core::Effect::Kind::refused:
      break;
  }
}

void World::grant(const core::Effect& effect, bool from_fifo) {
  const auto entry = open_.find(effect.request);
  if (entry == open_.end()) return fail("granted what nobody asked, or twice");
  const core::Request request = entry->second;
  if (from_fifo && !thief_.empty() && fifo_ == 1) {
    --fifo_;
    took_unseen(&living_.at(thief_.front()));
  }
  std::optional<core::GrantFailure> failure;
  if (from_fifo && fifo_ == 0 && !thief_.empty()) {
    failure = core::GrantFailure::byte_missing;
  } else if (chance(3)) {
    failure = core::GrantFailure::caller_gone;
  }
  if (from_fifo && failure != core::GrantFailure::byte_missing && --fifo_ < 0) {
    return fail("granted a byte that is not there");
  }
  Process& process = living_.at(request.who);
  if (failure) {
    say("  grant to " + name(request.who) + " fails");
    if (failure == core::GrantFailure::caller_gone) {
      open_.erase(entry);
      process.read.reset();
    }
    process.reads_since = {};  // a read whose byte was missing is the next
    next_.reset();             // may be served already, by an effect that is yet to come
    core::Effects effects;
    pool_.grant_failed(request, from_fifo, *failure, now_, &effects);
    return carry_out(effects);
  }
  say("  " + name(request.who) + " gets one" + (from_fifo ? "" : " directly"));
  open_.erase(entry);
  if (request.blocking && !from_fifo) check_turn(process);
  process.answered = true;
  if (request.blocking) process.read.reset();
  if (process.lent) {
    process.lent = false;
  } else {
    ++process.tokens;
  }
  count_pass(request.who);
}

void World::count_pass(ProcessId taker) {
  leasing_.pass(now_);
  // Everybody who came before may go first, twice for the offers to pollers, and a grant that
  // failed costs a place.
  const int bound = static_cast<int>(4 * kMostProcesses) + 2 * core::kMaxOfferGap;
  for (auto& [id, process] : living_) {
    const core::Account* account = pool_.ledger().find(id);
    const bool empty = account == nullptr || account->held() == 0;
    if (id == taker || !process.read || !empty) continue;
    if (++process.passed > bound) fail(name(id) + " starves");
  }
}

void World::audit_holders() {
  for (const auto& [id, account] : pool_.ledger().accounts()) {
    if (account.own == 0 && account.inherited == 0) continue;
    if (!living_.contains(id)) fail("tokens are booked to " + name(id) + ", which is dead");
  }
  for (const core::UnseenTake& take : pool_.ledger().unseen()) {
    if (take.suspects.empty()) fail("nobody is left who can have taken what is missing");
    for (const ProcessId suspect : take.suspects) {
      if (!living_.contains(suspect)) fail(name(suspect) + " is suspected, which is dead");
    }
  }
}

void World::audit() {
  settle();
  audit_holders();
  const bool somebody_reads = std::any_of(open_.begin(), open_.end(),
                                          [](const auto& entry) { return entry.second.blocking; });
  // One byte may be on offer to who polls.
  if (failure_.empty()) leasing_.audit(somebody_reads ? 0 : fifo_ - 1, now_);
  int real = fifo_ + pool_.reserved() + (mode_ == Mode::leases ? 0 : leasing_.lent());
  for (const auto& [id, process] : living_) {
    real += process.tokens + process.unseen + process.riding - (process.lent ? 1 : 0);
    if (process.read && !open_.contains(*process.read)) fail(name(id) + " waits for ever");
  }
  const int should = issued_ + pool_.minted() + pool_.owed();
  if (std::abs(real - should) > (loose_ ? ambiguous_ : 0)) {
    fail("there are " + std::to_string(real) + " tokens and should be " + std::to_string(should));
  }
  if (pool_.missing() != 0) fail("the books do not balance");
  if (pool_.owed() > 0 && pool_.free() + pool_.reserved() > 0) fail("a debt is not paid");
  if (pool_.drift(fifo_) != 0) fail("the pool is wrong about the FIFO");
  if (pool_.waiting().empty() || pool_.free() == 0) return;
  if (pool_.free() > 1 || !pool_.next_deadline()) fail("tokens lie about while somebody waits");
}

}  // namespace tokenpool::sim
