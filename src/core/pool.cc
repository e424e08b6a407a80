#include "core/pool.h"

#include <algorithm>
#include <cstdlib>
#include <utility>

#include "core/check.h"
#include "core/limits.h"

namespace tokenpool::core {
namespace {

using Kind = Effect::Kind;

void emit(Effects* effects, Kind kind, int count) {
  if (count == 0) return;
  Effect effect;
  effect.kind = kind;
  effect.count = count;
  effects->push_back(std::move(effect));
}

void emit_answer(Effects* effects, Kind kind, const Request& request) {
  Effect effect;
  effect.kind = kind;
  effect.count = kind == Kind::refuse ? 0 : 1;
  effect.request = request.id;
  effect.who = request.who;
  effects->push_back(std::move(effect));
}

void emit_recovered(Effects* effects, ProcessId who, EndCause cause, EndOutcome end) {
  Effect effect;
  effect.kind = Kind::recovered;
  effect.count = end.freed;
  effect.who = who;
  effect.cause = cause;
  effect.end = std::move(end);
  effects->push_back(std::move(effect));
}

void emit_refused(Effects* effects, ProcessId who, int count) {
  if (count == 0) return;
  Effect effect;
  effect.kind = Kind::refused;
  effect.count = count;
  effect.who = who;
  effects->push_back(std::move(effect));
}

std::uint64_t unsigned_count(int count) { return static_cast<std::uint64_t>(count); }

}  // namespace

Pool::Pool(int issued) : issued_(issued), free_(issued) {
  TOKENPOOL_CHECK(issued >= 0 && issued < kMaxSlots);
}

void Pool::introduce(ProcessId who, std::span<const ProcessId> ancestors, bool client) {
  ledger_.introduce(who, ancestors, client);
}

void Pool::request(const Request& request, Instant now, Effects* effects) {
  begin(now);
  Asker& asker = note_ask(request, now);
  if (take_reservation(request.who)) {
    grant(request, false, effects);
  } else if (request.blocking) {
    if (free_ > 0 && waiting_.empty()) {
      grant(request, true, effects);
    } else if (waiting_.size() >= kMaxWaiting) {
      emit_answer(effects, Kind::refuse, request);
    } else {
      waiting_.push_back(request);
      since_.push_back(now);
    }
  } else if (free_ == 0) {
    emit_answer(effects, Kind::refuse, request);
    note_refusal(request.who, &asker, now);
  } else if (const auto reader = next_reader()) {
    if (held(request.who) > held(waiting_[*reader])) {
      emit_answer(effects, Kind::refuse, request);
      close_offer(false);  // finish() serves the reader
    } else {
      close_offer(true);
      grant(request, true, effects);
    }
  } else if (polite(request.who, &asker, now)) {
    emit_answer(effects, Kind::refuse, request);
  } else {
    grant(request, true, effects);
  }
  finish(now, effects);
}

void Pool::cancel(RequestId id, Instant now, Effects* effects) {
  begin(now);
  for (std::size_t i = 0; i < waiting_.size(); ++i) {
    if (waiting_[i].id != id) continue;
    take_waiting(i);
    break;
  }
  finish(now, effects);
}

void Pool::grant_failed(const Request& request, bool from_fifo, GrantFailure failure, Instant now,
                        Effects* effects) {
  begin(now);
  if (ledger_.knows(request.who)) {
    ledger_.untake(request.who);
    --counters_.taken;
    if (failure == GrantFailure::caller_gone) {
      place(1, now, effects);
    } else {
      TOKENPOOL_CHECK(from_fifo);
      ++free_;
      if (!request.blocking) {
        emit_answer(effects, Kind::refuse, request);
      } else {
        since_.push_front(since_.empty() ? now : since_.front());
        waiting_.push_front(request);
      }
      // No finish(): it would grant the byte that is not there, again and again.
      recheck_at_ = now;
      TOKENPOOL_CHECK(missing() == 0);
      return;
    }
  }
  finish(now, effects);
}

void Pool::give(ProcessId who, int count, Instant now, Effects* effects) {
  TOKENPOOL_CHECK(count >= 0);
  begin(now);
  int refused = 0;
  for (int i = 0; i < count; ++i) {
    if (ledger_.give(who, may_lend()) == GiveOutcome::refused) {
      // Nothing changed, so the rest would be refused as well.
      refused = count - i;
      break;
    }
    ++counters_.returned;
    place(1, now, effects);
  }
  counters_.refused += unsigned_count(refused);
  emit_refused(effects, who, refused);
  if (const auto asker = askers_.find(who); asker != askers_.end()) {
    asker->second.last_give = now;
    asker->second.was_polite = false;
  }
  finish(now, effects);
}

void Pool::unseen(std::span<const UnseenMove> taken, std::span<const UnseenMove> returned,
                  Instant now, Effects* effects) {
  begin(now);
  // What one returned another may have taken, or itself before: first all of them have it.
  int nobodys = 0;
  for (const UnseenMove& move : taken) {
    nobodys += ledger_.unseen_take(move.count, move.who, move.certain);
    counters_.unseen_taken += unsigned_count(move.count);
    free_ -= move.count;
  }
  int refused = 0;
  for (const UnseenMove& move : returned) {
    const int surplus = ledger_.unseen_return(move.count, move.who, move.certain, may_lend());
    counters_.unseen_returned += unsigned_count(move.count - surplus);
    free_ += move.count;
    refused += surplus;
    emit_refused(effects, move.who.size() == 1 ? move.who.front() : ProcessId{}, surplus);
  }
  TOKENPOOL_CHECK(free_ >= 0);
  if (!taken.empty() && free_ == 0) close_offer(true);
  counters_.refused += unsigned_count(refused);
  // A surplus that somebody has taken already ends with a token that is elsewhere.
  const int there = std::min(refused, free_);
  free_ -= there;
  for (int elsewhere = refused - there; elsewhere > 0; --elsewhere) withdraw(effects);
  const int paid = std::min(owed_, free_);
  owed_ -= paid;
  free_ -= paid;
  emit(effects, Kind::drain, there + paid);
  counters_.recovered += unsigned_count(nobodys);
  if (nobodys > 0) {
    emit_recovered(effects, ProcessId{}, EndCause::unknown,
                   {.freed = nobodys, .unseen = nobodys, .moved_to = {}, .passed_to = {}});
    place(nobodys, now, effects);
  }
  finish(now, effects);
}

void Pool::unseen(int drift, const std::vector<ProcessId>& openers, bool certain, Instant now,
                  Effects* effects) {
  const std::vector<UnseenMove> moves{
      {.count = std::abs(drift), .who = openers, .certain = certain}};
  if (drift < 0) unseen(moves, {}, now, effects);
  if (drift > 0) unseen({}, moves, now, effects);
}

void Pool::ended(ProcessId who, EndCause cause, std::span<const ProcessId> survivors,
                 std::optional<ProcessId> heir, Instant now, Effects* effects) {
  begin(now);
  forget(who);
  int loose = 0;
  while (take_reservation(who)) ++loose;
  EndOutcome outcome = ledger_.end(who, cause, survivors, heir);
  counters_.recovered += unsigned_count(outcome.freed);
  loose += outcome.freed;
  const bool lent = outcome.withdraw > 0;
  if (outcome.held > 0 || outcome.unseen > 0 || lent) {
    emit_recovered(effects, who, cause, std::move(outcome));
  }
  if (lent && loose > 0) {
    --loose;
  } else if (lent) {
    withdraw(effects);
  }
  place(loose, now, effects);
  finish(now, effects);
}

void Pool::all_ended(Instant now, Effects* effects) {
  begin(now);
  std::vector<ProcessId> holders;
  for (const auto& [who, account] : ledger_.accounts()) {
    if (account.held() > 0) holders.push_back(who);
  }
  std::sort(holders.begin(), holders.end());
  for (const ProcessId who : holders) {
    const int count = held(who);
    emit_recovered(effects, who, EndCause::unknown,
                   {.held = count, .freed = count, .moved_to = {}, .passed_to = {}});
  }
  int unseen = 0;
  for (const UnseenTake& take : ledger_.unseen()) unseen += take.count;
  if (unseen > 0) {
    emit_recovered(effects, ProcessId{}, EndCause::unknown,
                   {.freed = unseen, .unseen = unseen, .moved_to = {}, .passed_to = {}});
  }
  counters_.recovered += unsigned_count(ledger_.end_all());
  waiting_.clear();
  since_.clear();
  wanting_.clear();
  active_.clear();
  askers_.clear();
  reservations_.clear();
  owed_ = 0;
  spare_ = 0;
  lent_ = 0;
  minted_ = 0;
  emit(effects, Kind::put, std::max(0, issued_ - free_));
  emit(effects, Kind::drain, std::max(0, free_ - issued_));
  free_ = issued_;
  finish(now, effects);
}

void Pool::advance(Instant now, Effects* effects) {
  begin(now);
  if (offer_until_ && *offer_until_ <= now) {
    offer_gap_ = std::min(offer_gap_ * 2, kMaxOfferGap);
    close_offer(false);
    if (!waiting_.empty()) serve_reader_from_fifo(effects);
  }
  const auto lapsed = std::erase_if(
      reservations_, [now](const Reservation& reservation) { return reservation.until <= now; });
  place(static_cast<int>(lapsed), now, effects);
  finish(now, effects);
}

std::optional<Instant> Pool::next_deadline() const {
  std::optional<Instant> next = recheck_at_;
  if (offer_until_ && (!next || *offer_until_ < *next)) next = offer_until_;
  for (const Reservation& reservation : reservations_) {
    if (!next || reservation.until < *next) next = reservation.until;
  }
  return next;
}

int Pool::missing() const {
  return capacity() + owed_ - free_ - reserved() - lent_ - ledger_.outstanding();
}

void Pool::restore(std::span<const Account> accounts, std::span<const UnseenTake> unseen, int owed,
                   int lent, int minted, const PoolCounters& counters) {
  TOKENPOOL_CHECK(ledger_.accounts().empty() && free_ == issued_);
  for (const Account& account : accounts) {
    ledger_.introduce(account.who, account.ancestors);
    ledger_.restore(account.who, account.own, account.inherited, account.client, account.returns);
  }
  for (const UnseenTake& take : unseen) ledger_.restore_unseen(take);
  owed_ = std::max(owed, 0);
  lent_ = std::clamp(lent, 0, kMaxSlots);
  minted_ = std::clamp(minted, 0, kMaxSlots);
  counters_ = counters;
  // The records of a killed process may be torn: whatever they say, the equation has to hold.
  free_ = capacity() + owed_ - lent_ - ledger_.outstanding();
  if (free_ < 0) owed_ += -std::exchange(free_, 0);
  if (free_ > most_free()) spare_ = std::exchange(free_, most_free()) - most_free();
  // Where nobody has an account, nobody is tracked.
  stuck_.note(ledger_, lent_, ledger_.accounts().empty() ? minted_ : 0);
  check();
}

void Pool::grant(const Request& request, bool from_fifo, Effects* effects) {
  if (from_fifo) {
    TOKENPOOL_CHECK(free_ > 0);
    --free_;
  }
  if (request.lease) return lend_one(from_fifo, effects);
  ledger_.take(request.who);
  ++counters_.taken;
  counters_.peak_outstanding = std::max(counters_.peak_outstanding, out());
  stop_wanting(request.who);
  emit_answer(effects, from_fifo ? Kind::grant_from_fifo : Kind::grant_direct, request);
}

bool Pool::pay_debt() {
  if (owed_ == 0) return false;
  --owed_;
  return true;
}

void Pool::place(int count, Instant now, Effects* effects) {
  int put = 0;
  for (; count > 0; --count) {
    if (pay_debt()) continue;
    const auto reader = next_reader();
    const auto wanter = next_wanter();
    const bool to_wanter = wanter && (!reader || before(wanting_[*wanter], *reader));
    if (to_wanter) {
      reserve(*wanter, now);
    } else if (reader && !(offer_is_due() && free_ + put < most_free())) {
      ++offer_skip_;
      grant(take_waiting(*reader), false, effects);
    } else if (free_ + put < most_free()) {
      ++put;
      if (reader) {
        offer_until_ = now + kOfferWindow;
        offer_skip_ = 0;
      }
    } else {
      ++spare_;
    }
  }
  free_ += put;
  emit(effects, Kind::put, put);
}

void Pool::withdraw(Effects* effects) {
  if (spare_ > 0) {
    --spare_;
  } else if (free_ > 0) {
    --free_;
    emit(effects, Kind::drain, 1);
  } else if (!reservations_.empty()) {
    reservations_.pop_back();
  } else {
    ++owed_;
  }
}

void Pool::begin(Instant now) {
  recheck_at_.reset();
  if (free_ > 0) last_visible_ = now;
}

void Pool::finish(Instant now, Effects* effects) {
  if (minted_ > 0) take_out_minted(effects);
  // When leases were served, balance() says whether more of them wait, for whom the offer goes on.
  const bool in_vain = waiting_.empty() && lent_ == 0;
  if (in_vain || free_ == 0) close_offer(false);
  while (!waiting_.empty() && free_ > (offer_until_ ? 1 : 0)) serve_reader_from_fifo(effects);
  if (free_ > most_free()) {
    const int excess = free_ - most_free();
    spare_ += excess;
    free_ = most_free();
    emit(effects, Kind::drain, excess);
  }
  while (spare_ > 0 && (free_ < most_free() || !waiting_.empty())) {
    --spare_;
    place(1, now, effects);
  }
  if (free_ == 0 || (waiting_.empty() && lent_ == 0)) close_offer(false);
  if (free_ > 0) last_visible_ = now;
  counters_.peak_outstanding = std::max(counters_.peak_outstanding, out());
  check();
}

void Pool::check() const {
  TOKENPOOL_CHECK(missing() == 0);
  TOKENPOOL_CHECK(free_ >= (offer_until_ ? 1 : 0) && free_ <= most_free());
  TOKENPOOL_CHECK(owed_ >= 0 && spare_ >= 0 && lent_ >= 0);
  TOKENPOOL_CHECK(waiting_.size() == since_.size());
}

Request Pool::take_waiting(std::size_t index) {
  const auto offset = static_cast<std::ptrdiff_t>(index);
  const Request request = waiting_[index];
  waiting_.erase(waiting_.begin() + offset);
  since_.erase(since_.begin() + offset);
  return request;
}

void Pool::forget(ProcessId who) {
  for (std::size_t i = waiting_.size(); i-- > 0;) {
    if (waiting_[i].who == who && !waiting_[i].lease) take_waiting(i);
  }
  forget_asker(who);
}

}  // namespace tokenpool::core
