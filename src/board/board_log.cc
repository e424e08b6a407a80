#include "board/board_log.h"

#include <algorithm>

#include "core/check.h"

namespace tokenpool::board {
namespace {

void write_accounts(const core::Ledger& ledger, AccountPage* page) {
  page->count = 0;
  for (const auto& [who, account] : ledger.accounts()) {
    if (!account.client && !account.returns && !ledger.concerns(who)) continue;
    if (page->count == page->rows.size()) break;
    page->rows[page->count++] = {who, account.own, account.inherited, account.client,
                                 account.returns};
  }
}

void write_takes(const core::Ledger& ledger, AccountPage* page) {
  page->unseen = 0;
  page->suspect_count = 0;
  std::int32_t number = 0;
  for (const core::UnseenTake& take : ledger.unseen()) {
    page->unseen += take.count;
    ++number;
    // Half of those that may have them would be the wrong ones.
    if (take.suspects.size() > page->suspects.size() - page->suspect_count) continue;
    for (const core::ProcessId who : take.suspects) {
      page->suspects[page->suspect_count++] = {.who = who, .take = number, .count = take.count};
    }
  }
}

core::Account account_in(const AccountRow& row) {
  core::Account account;
  account.who = row.who;
  account.own = row.own;
  account.inherited = row.inherited;
  account.client = row.client;
  account.returns = row.returns;
  return account;
}

std::vector<core::UnseenTake> takes_of(const AccountPage& page) {
  std::vector<core::UnseenTake> takes;
  std::int32_t last = 0;
  for (std::uint32_t i = 0; i < page.suspect_count; ++i) {
    const SuspectRow& row = page.suspects[i];
    if (row.take != last) takes.push_back({.count = row.count, .suspects = {}});
    last = row.take;
    takes.back().suspects.push_back(row.who);
  }
  return takes;
}

}  // namespace

void copy_text(std::string_view text, std::span<char> field) {
  const std::size_t n = std::min(text.size(), field.size() - 1);
  std::copy_n(text.begin(), n, field.begin());
  field[n] = '\0';
}

void BoardLog::publish(const core::Pool& pool, const Settings& settings, std::size_t leases,
                       int owed, std::span<const UnseenCaller> callers) {
  const std::uint32_t next = 1 - board_->current.load(std::memory_order_relaxed);
  AccountPage& page = board_->pages[next];
  page.owed = pool.owed() + owed;
  page.issued = pool.issued();
  page.reserved = pool.reserved();
  page.lent = pool.lent();
  page.minted = pool.minted();
  page.leases = leases;
  page.settings = settings;
  page.counters = pool.counters();
  write_accounts(pool.ledger(), &page);
  write_takes(pool.ledger(), &page);
  page.caller_count = static_cast<std::uint32_t>(std::min(callers.size(), page.callers.size()));
  std::copy_n(callers.begin(), page.caller_count, page.callers.begin());
  page.announced.gives.store(false, std::memory_order_relaxed);
  page.announced.grant_count.store(0, std::memory_order_relaxed);
  page.announced.moving.store(0, std::memory_order_relaxed);
  board_->current.store(next, std::memory_order_release);
}

void BoardLog::announce_give(const AnnouncedCall& call) {
  Announced& announced = page().announced;
  announced.given = call;
  announced.answered.store(false, std::memory_order_relaxed);
  announced.gives.store(true, std::memory_order_release);
}

void BoardLog::confirm_give() { page().announced.answered.store(true, std::memory_order_release); }

void BoardLog::revoke_give() { page().announced.gives.store(false, std::memory_order_release); }

void BoardLog::announce_grant(const AnnouncedCall& call) {
  Announced& announced = page().announced;
  const auto count = announced.grant_count.load(std::memory_order_relaxed);
  TOKENPOOL_CHECK(count < announced.grants.size());  // there are no more tokens
  announced.grants[count] = call;
  announced.grant_count.store(count + 1, std::memory_order_release);
}

void BoardLog::revoke_grant() {
  page().announced.grant_count.fetch_sub(1, std::memory_order_release);
}

void BoardLog::announce_move(const core::Pool& pool) {
  AccountPage& now = page();
  // Until something is published, nothing has changed.
  const int before = now.issued + now.minted;
  const int fewer = now.settings.slots > 0 ? before - pool.issued() - pool.minted() : 0;
  now.announced.moving.store(pool.lent() - now.lent + fewer, std::memory_order_release);
}

void BoardLog::keep_waiting(
    const std::deque<core::Request>& requests,
    const std::function<jobserver::Notification(core::RequestId)>& call_of) {
  std::uint32_t count = 0;
  for (const auto& request : requests) {
    if (count == board_->waiting.size()) break;
    if (request.lease) continue;
    board_->waiting[count++] = call_of(request.id);
  }
  board_->waiting_count.store(count, std::memory_order_release);
}

void BoardLog::add_subreaper(pid_t pid) {
  const auto count = board_->subreaper_count.load(std::memory_order_relaxed);
  if (count == board_->subreapers.size()) return;
  board_->subreapers[count] = pid;
  board_->subreaper_count.store(count + 1, std::memory_order_release);
}

void BoardLog::keep_limits(const std::map<std::string, int>& limits) {
  const std::uint32_t next = 1 - board_->current_limits.load(std::memory_order_relaxed);
  LimitTable& table = board_->limits[next];
  table.count = 0;
  for (const auto& [type, limit] : limits) {
    if (table.count == table.rows.size()) break;
    LimitRow& row = table.rows[table.count++];
    copy_text(type, row.type);
    row.limit = limit;
  }
  board_->current_limits.store(next, std::memory_order_release);
}

std::map<std::string, int> BoardLog::limits() const {
  const LimitTable& table = board_->limits[board_->current_limits.load(std::memory_order_acquire)];
  std::map<std::string, int> limits;
  for (std::uint32_t i = 0; i < table.count; ++i) {
    limits[table.rows[i].type.data()] = table.rows[i].limit;
  }
  return limits;
}

void BoardLog::name_dead(core::ProcessId who, const std::string& command) {
  named_ = who;
  name_ = command;
}

void BoardLog::add_recovery(const core::Effect& effect, std::int64_t after_us) {
  if (effect.end.freed == 0 && effect.end.moved_to.empty()) return;
  const std::string command = effect.who == named_ ? name_ : std::string();
  // The job of a client that is dead ran on with its token, and has ended.
  const bool has_lost = effect.end.held > effect.end.inherited || effect.end.unseen > 0;
  if (has_lost && board_->loser_count++ == 0) copy_text(command, board_->first_loser);
  const std::uint32_t index = board_->recovery_count++;
  if (index >= board_->recoveries.size()) return;
  RecoveryRow& row = board_->recoveries[index];
  row.pid = effect.who.pid;
  row.held = effect.end.held;
  row.recovered = effect.end.freed;
  row.moved = static_cast<std::int32_t>(effect.end.moved_to.size());
  if (effect.end.passed_to) row.moved = effect.end.held - effect.end.freed;
  row.cause = effect.cause;
  row.after_us = after_us;
  copy_text(command, row.command);
}

void BoardLog::add_refusal(core::ProcessId who, int count, const std::string& command) {
  // One line for each offender: a client that writes 10 000 bytes one by one is one refusal of 10
  // 000.
  const std::uint32_t known =
      std::min<std::uint32_t>(board_->refusal_count, board_->refusals.size());
  for (std::uint32_t i = 0; i < known; ++i) {
    if (board_->refusals[i].pid == who.pid) {
      board_->refusals[i].count += count;
      return;
    }
  }
  const std::uint32_t index = board_->refusal_count++;
  if (index >= board_->refusals.size()) return;
  board_->refusals[index].pid = who.pid;
  board_->refusals[index].count = count;
  copy_text(command, board_->refusals[index].command);
}

std::size_t BoardLog::accuse(const control::Accusation& accusation, const std::string& command) {
  const std::uint32_t index = board_->uncooperative_count.load(std::memory_order_relaxed);
  if (index < board_->uncooperative.size()) {
    UncooperativeRow& row = board_->uncooperative[index];
    row = {};
    row.pid = accusation.who.pid;
    row.cores = accusation.cores;
    row.since_ns = accusation.since.count();
    copy_text(command, row.command);
  }
  board_->uncooperative_count.store(index + 1, std::memory_order_release);
  return index;
}

void BoardLog::accuse_more(std::size_t row, double cores) {
  if (row >= board_->uncooperative.size()) return;
  board_->uncooperative[row].cores = std::max(board_->uncooperative[row].cores, cores);
}

void BoardLog::release(std::size_t row, core::Instant now) {
  if (row < board_->uncooperative.size()) board_->uncooperative[row].until_ns = now.count();
}

void BoardLog::add_stuck(const StuckRow& stuck) {
  const std::uint32_t index = board_->stuck_count.load(std::memory_order_relaxed);
  if (index >= board_->stuck.size()) return;
  for (std::uint32_t i = 0; i < index; ++i) {
    StuckRow& row = board_->stuck[i];
    // It has been named.
    if (stuck.held == 0 && row.halted == stuck.halted) return;
    if (row.pid != stuck.pid || row.halted != stuck.halted || row.type != stuck.type) continue;
    row.held = std::max(row.held, stuck.held);
    return;
  }
  board_->stuck[index] = stuck;
  board_->stuck_count.store(index + 1, std::memory_order_release);
}

bool BoardLog::add_user(const OtherUserRow& user) {
  const std::uint32_t index = board_->user_count.load(std::memory_order_relaxed);
  if (index >= board_->users.size()) return false;
  board_->users[index] = user;
  board_->user_count.store(index + 1, std::memory_order_release);
  return true;
}

std::vector<uid_t> BoardLog::users() const {
  std::vector<uid_t> users;
  for (std::uint32_t i = 0; i < board_->user_count.load(); ++i) {
    users.push_back(board_->users[i].user);
  }
  return users;
}

void BoardLog::close(const core::Pool& pool, int in_fifo, bool all_ended, bool tracked) {
  board_->issued = pool.issued();
  board_->in_fifo = in_fifo;
  if (all_ended) {
    board_->still_held = 0;
  } else {
    board_->still_held = tracked ? pool.ledger().outstanding() + pool.lent() + pool.reserved()
                                 : pool.issued() + pool.minted() - in_fifo;
  }
  board_->missing =
      board_->issued + pool.minted() + pool.owed() - board_->in_fifo - board_->still_held;
}

LeftBehind BoardLog::left_behind() const {
  LeftBehind left;
  const AccountPage& page = board_->pages[board_->current.load(std::memory_order_acquire)];
  for (std::uint32_t i = 0; i < page.count; ++i) left.accounts.push_back(account_in(page.rows[i]));
  left.owed = page.owed;
  left.reserved = page.reserved;
  left.lent = page.lent;
  left.minted = page.minted;
  left.unseen = page.unseen;
  left.takes = takes_of(page);
  left.callers.assign(page.callers.begin(), page.callers.begin() + page.caller_count);
  left.leases = page.leases;
  left.settings = page.settings;
  left.counters = page.counters;
  const Announced& announced = page.announced;
  if (announced.gives.load(std::memory_order_acquire)) left.given = announced.given;
  left.answered = announced.answered.load(std::memory_order_acquire);
  const auto granted = announced.grant_count.load(std::memory_order_acquire);
  left.grants.assign(announced.grants.begin(), announced.grants.begin() + granted);
  left.moving = announced.moving.load(std::memory_order_acquire);
  left.received = board_->receipt.call();
  const auto subreapers = board_->subreaper_count.load(std::memory_order_acquire);
  left.subreapers.assign(board_->subreapers.begin(), board_->subreapers.begin() + subreapers);
  const auto waiting = board_->waiting_count.load(std::memory_order_acquire);
  left.waiting.assign(board_->waiting.begin(), board_->waiting.begin() + waiting);
  return left;
}

}  // namespace tokenpool::board
