// The part of the pool that decides who is next; the policy is stated in pool.h.
#include <algorithm>
#include <utility>

#include "core/check.h"
#include "core/limits.h"
#include "core/pool.h"

namespace tokenpool::core {

int Pool::held(ProcessId who) const {
  const Account* account = ledger_.find(who);
  return account == nullptr ? 0 : account->held();
}

int Pool::held(const Request& request) const {
  return request.lease ? request.held : held(request.who);
}

bool Pool::before(const Waiter& wanter, std::size_t reader) const {
  const int wanter_held = held(wanter.who);
  const int reader_held = held(waiting_[reader]);
  return wanter_held != reader_held ? wanter_held < reader_held : wanter.since < since_[reader];
}

std::optional<std::size_t> Pool::next_reader() const {
  std::optional<std::size_t> best;
  int fewest = 0;
  for (std::size_t i = 0; i < waiting_.size(); ++i) {
    const int count = held(waiting_[i]);
    if (!best || count < fewest) {
      best = i;
      fewest = count;
    }
    // Nobody holds less than nothing, and the oldest comes first.
    if (fewest == 0) break;
  }
  return best;
}

std::optional<std::size_t> Pool::next_wanter() const {
  std::optional<std::size_t> best;
  for (std::size_t i = 0; i < wanting_.size(); ++i) {
    const auto rank = [this](const Waiter& one) { return std::pair(held(one.who), one.since); };
    if (!best || rank(wanting_[i]) < rank(wanting_[*best])) best = i;
  }
  return best;
}

Asker& Pool::note_ask(const Request& request, Instant now) {
  if (askers_.size() >= kMaxAccounts && !askers_.contains(request.who)) {
    forget_asker(askers_.begin()->first);
  }
  const auto [entry, is_new] = askers_.try_emplace(request.who);
  Asker& asker = entry->second;
  if (!is_new) asker.interval = now - asker.last_ask;
  asker.last_ask = now;
  if (!asker.active) {
    asker.active = true;
    active_.push_back(request.who);
  }
  if (free_ == 0 && request.blocking) return asker;
  if (free_ == 0 && now - last_visible_ >= kBlindAfter) {
    asker.blind = std::min(asker.blind + 1, kMaxPassed);
    if (asker.blind >= 2) asker.ever_blind = true;
  } else if (free_ > 0 || !asker.ever_blind) {
    // Who is known to be blind does not become a poller by asking just after a token was taken.
    asker.blind = 0;
  }
  return asker;
}

bool Pool::grants_at_once(ProcessId who, Instant now) const {
  if (free_ == 0 || !waiting_.empty()) return false;
  const auto asker = askers_.find(who);
  return asker == askers_.end() || !may_be_polite(asker->second, now);
}

void Pool::note_refusal(ProcessId who, Asker* asker, Instant now) {
  asker->passed = std::min(asker->passed + 1, kMaxPassed);
  const bool passed_over = asker->blind >= 2 || asker->passed >= kMaxPassed;
  if (!passed_over || held(who) > 0 || out() <= 0) return;
  const bool wants = std::any_of(wanting_.begin(), wanting_.end(),
                                 [who](const Waiter& waiter) { return waiter.who == who; });
  if (!wants) wanting_.push_back({who, now});
}

bool Pool::may_be_polite(const Asker& asker, Instant now) const {
  const std::size_t active = active_.size() + (asker.active ? 0 : 1);
  if (asker.ever_blind || asker.was_polite || active < 2) return false;
  return asker.last_give && now - *asker.last_give < kPolite;
}

bool Pool::polite(ProcessId who, Asker* asker, Instant now) {
  if (!may_be_polite(*asker, now)) return false;
  std::erase_if(active_, [this, now](ProcessId other) {
    const auto entry = askers_.find(other);
    const bool idle = entry == askers_.end() || now - entry->second.last_ask > kActive;
    if (idle && entry != askers_.end()) entry->second.active = false;
    return idle;
  });
  const int mine = held(who);
  const bool is_ahead = std::any_of(active_.begin(), active_.end(), [&](ProcessId other) {
    return other != who && held(other) < mine;
  });
  if (is_ahead) asker->was_polite = true;
  return is_ahead;
}

void Pool::stop_wanting(ProcessId who) {
  std::erase_if(wanting_, [who](const Waiter& waiter) { return waiter.who == who; });
  if (const auto asker = askers_.find(who); asker != askers_.end()) asker->second.passed = 0;
}

void Pool::forget_asker(ProcessId who) {
  stop_wanting(who);
  std::erase(active_, who);
  askers_.erase(who);
}

void Pool::reserve(std::size_t wanter, Instant now) {
  const ProcessId who = wanting_[wanter].who;
  wanting_.erase(wanting_.begin() + static_cast<std::ptrdiff_t>(wanter));
  const auto asker = askers_.find(who);
  TOKENPOOL_CHECK(asker != askers_.end());
  const Instant interval = asker->second.interval;
  const Instant kept = interval == Instant::zero()
                           ? kFirstReservation
                           : std::clamp(2 * interval, kMinReservation, kMaxReservation);
  reservations_.push_back({who, now + kept});
}

bool Pool::take_reservation(ProcessId who) {
  const auto found =
      std::find_if(reservations_.begin(), reservations_.end(),
                   [who](const Reservation& reservation) { return reservation.who == who; });
  if (found == reservations_.end()) return false;
  reservations_.erase(found);
  return true;
}

bool Pool::offer_is_due() const { return !offer_until_ && offer_skip_ >= offer_gap_; }

void Pool::close_offer(bool claimed) {
  if (claimed && offer_until_) offer_gap_ = 1;
  offer_until_.reset();
}

void Pool::serve_reader_from_fifo(Effects* effects) {
  const auto reader = next_reader();
  TOKENPOOL_CHECK(reader.has_value());
  grant(take_waiting(*reader), true, effects);
}

}  // namespace tokenpool::core
