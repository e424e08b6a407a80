// A host without a world: tells a pool what happened, carries out its effects on a FIFO that is a
// number, and keeps the answers. Every event ends with the checks that hold whatever the policy.
#pragma once

#include <functional>
#include <map>
#include <stdexcept>
#include <string>

#include <gtest/gtest.h>

#include "core/pool.h"
#include "core/processes.h"

namespace tokenpool::core {

class PoolDesk {
 public:
  enum class Answer : std::uint8_t { none, granted, refused };

  explicit PoolDesk(int issued) : pool(issued), fifo(issued) {}

  void introduce(ProcessId who, const Processes& ancestors = {}) { pool.introduce(who, ancestors); }

  RequestId ask(ProcessId who, bool blocking) {
    const Request request{++last_id, who, blocking};
    requests[request.id] = request;
    const bool leaves = next_grant_fails == GrantFailure::caller_gone;
    Effects effects;
    pool.request(request, now, &effects);
    carry_out(effects);
    require(blocking || leaves || answers.contains(request.id), "keeps waiting who does not wait");
    return request.id;
  }
  RequestId read(ProcessId who) { return ask(who, true); }
  bool poll(ProcessId who) { return answer(ask(who, false)) == Answer::granted; }
  Answer answer(RequestId id) const {
    const auto entry = answers.find(id);
    return entry == answers.end() ? Answer::none : entry->second;
  }
  bool granted(RequestId id) const { return answer(id) == Answer::granted; }

  void cancel(RequestId id) {
    Effects effects;
    pool.cancel(id, now, &effects);
    carry_out(effects);
  }
  void give(ProcessId who, int count = 1) {
    Effects effects;
    pool.give(who, count, now, &effects);
    carry_out(effects);
  }
  /// The FIFO was touched by somebody whom nobody saw.
  void unseen(int drift, const Processes& openers) {
    fifo += drift;
    notice(openers);
  }
  void notice(const Processes& openers, bool certain = true) {
    const int drift = pool.drift(fifo);
    if (drift == 0) return;
    Effects effects;
    pool.unseen(drift, openers, certain, now, &effects);
    carry_out(effects);
  }
  /// The same by several, of whom it is known who it was.
  void moves(const std::vector<UnseenMove>& taken, const std::vector<UnseenMove>& returned) {
    for (const UnseenMove& move : taken) fifo -= move.count;
    for (const UnseenMove& move : returned) fifo += move.count;
    Effects effects;
    pool.unseen(taken, returned, now, &effects);
    carry_out(effects);
  }
  void end(ProcessId who, EndCause cause, const Processes& survivors = {},
           std::optional<ProcessId> heir = std::nullopt) {
    Effects effects;
    pool.ended(who, cause, survivors, heir, now, &effects);
    carry_out(effects);
  }
  void end_all() {
    Effects effects;
    pool.all_ended(now, &effects);
    lent_out = 0;
    carry_out(effects);
  }
  void advance() {
    Effects effects;
    pool.advance(now, &effects);
    carry_out(effects);
  }
  /// Effects of pool events that others caused (balance()).
  void apply(const Effects& effects) { carry_out(effects); }
  /// Time passes; what becomes due on the way happens when it is due.
  void pass(Instant duration) {
    const Instant end = now + duration;
    for (auto due = pool.next_deadline(); due && *due <= end; due = pool.next_deadline()) {
      now = std::max(now, *due);
      advance();
    }
    now = end;
  }
  void lend(int count) {
    Effects effects;
    pool.lend(count, now, &effects);
    carry_out(effects);
  }
  void repay(int count) {
    Effects effects;
    lent_out -= count;
    pool.repay(count, now, &effects);
    carry_out(effects);
  }
  void borrow(ProcessId who, int held, Instant since) {
    Effects effects;
    pool.borrow(who, held, since, now, &effects);
    carry_out(effects);
  }
  void stop_borrowing() {
    Effects effects;
    pool.stop_borrowing(now, &effects);
    carry_out(effects);
  }
  void set_issued(int issued) {
    Effects effects;
    pool.set_issued(issued, now, &effects);
    carry_out(effects);
  }
  void mint(int count, bool tracked = true) {
    Effects effects;
    pool.mint(count, tracked, now, &effects);
    carry_out(effects);
  }
  void unmint(int count) {
    Effects effects;
    pool.unmint(count, now, &effects);
    carry_out(effects);
  }
  int held(ProcessId who) const {
    const Account* account = pool.ledger().find(who);
    return account == nullptr ? 0 : account->held();
  }

  Pool pool;
  int fifo;
  Instant now = std::chrono::seconds(1);
  Effects last;  ///< of the last event
  /// What becomes of the next grant: nothing, unless a test says so.
  std::optional<GrantFailure> next_grant_fails;
  /// So many bytes are gone when the next lend is carried out.
  int next_lend_lacks = 0;
  /// What was lent goes there; without, it is only counted.
  std::function<void(int)> on_lent;
  int lent_out = 0;  ///< less what was repaid: the test's to keep
  std::map<RequestId, Request> requests;
  std::map<RequestId, Answer> answers;
  std::vector<std::pair<ProcessId, bool>> grants;  ///< to whom, and whether it arrived
  RequestId last_id = 0;

 private:
  static void require(bool condition, const std::string& what) {
    // Thrown rather than EXPECTed: both GoogleTest and rapidcheck take it for a failure.
    if (!condition) throw std::logic_error(what);
  }
  void carry_out(const Effects& effects) {
    last = effects;
    for (const Effect& effect : effects) carry_out(effect);
    if (std::exchange(inside_failure, false)) return;
    require(pool.lent() == lent_out, "the pool is wrong about what it lent");
    require(pool.missing() == 0, "a token is missing");
    require(pool.drift(fifo) == 0, "the pool is wrong about the FIFO");
    require(pool.free() <= pool.issued() + pool.minted() + 1,
            "the pool holds more than it issued and one implicit slot");
    require(pool.waiting().empty() || pool.free() <= 1, "tokens lie about while somebody waits");
    require(pool.waiting().empty() || pool.free() == 0 || pool.next_deadline().has_value(),
            "a token lies about and nobody will look at it");
  }
  void carry_out(const Effect& effect) {
    switch (effect.kind) {
      case Effect::Kind::grant_from_fifo:
        grant(effect, true);
        break;
      case Effect::Kind::grant_direct:
        grant(effect, false);
        break;
      case Effect::Kind::refuse:
        require(effect.count == 0, "refused with a token");
        answer_once(effect, Answer::refused);
        break;
      case Effect::Kind::put:
        fifo += effect.count;
        break;
      case Effect::Kind::drain:
        fifo -= effect.count;
        require(fifo >= 0, "drained more than there is");
        break;
      case Effect::Kind::lend_from_fifo:
        lend_from_fifo(effect.count);
        break;
      case Effect::Kind::lend_direct:
        lent_out += effect.count;
        if (on_lent) on_lent(effect.count);
        break;
      case Effect::Kind::recovered:
        require(effect.count == effect.end.freed, "recovered another number than were freed");
        break;
      case Effect::Kind::refused:
        break;
    }
  }
  void lend_from_fifo(int count) {
    const int stolen = std::min(std::exchange(next_lend_lacks, 0), fifo);
    fifo -= stolen;  // somebody unseen was faster
    const int there = std::min(count, fifo);
    fifo -= there;
    lent_out += there;
    if (on_lent && there > 0) on_lent(there);
    require(there == count || stolen > 0, "lent a byte that is not there");
    if (there == count && stolen == 0) return;
    pool.lend_failed(count - there);
    inside_failure = true;
  }
  void answer_once(const Effect& effect, Answer answer) {
    require(requests.contains(effect.request), "answered what nobody asked");
    require(requests[effect.request].who == effect.who, "answered somebody else");
    require(answers.emplace(effect.request, answer).second, "answered twice");
  }
  void grant(const Effect& effect, bool from_fifo) {
    require(effect.count == 1, "granted without a token");
    const auto failure = std::exchange(next_grant_fails, std::nullopt);
    if (failure == GrantFailure::byte_missing && from_fifo) {
      --fifo;  // somebody unseen was faster
    } else if (from_fifo) {
      require(--fifo >= 0, "granted a byte that is not there");
    }
    const bool arrives = !failure || (failure == GrantFailure::byte_missing && !from_fifo);
    grants.emplace_back(effect.who, arrives);
    if (arrives) {
      answer_once(effect, Answer::granted);
      return;
    }
    Effects more;
    pool.grant_failed(requests[effect.request], from_fifo, *failure, now, &more);
    for (const Effect& next : more) carry_out(next);
    inside_failure = failure == GrantFailure::byte_missing;
  }

  bool inside_failure = false;  ///< the drift that a missing byte leaves is not yet noticed
};

}  // namespace tokenpool::core
