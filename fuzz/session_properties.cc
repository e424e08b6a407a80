#include "session_properties.h"

#include <map>
#include <optional>
#include <set>
#include <utility>

#include "core/balance.h"
#include "core/check.h"
#include "core/limits.h"
#include "session/dispatcher.h"
#include "session/limits.h"
#include "session_client.h"
#include "session_input.h"
#include "wire/limits.h"

namespace tokenpool::fuzz {
namespace {

using core::Instant;
using core::LeaseId;
using core::Payer;
using core::ProcessId;
using core::SessionId;

constexpr int kClients = 6;  ///< processes that speak the protocol, and jobs of theirs
constexpr int kReaders = 3;  ///< processes that take tokens
constexpr int kMaxWorldSlots = 9;
constexpr std::size_t kMaxConnections = 6;
constexpr int kMaxRounds = 1000;

/// The arbiter around the dispatcher: like `serve`, or like `run` with clients of tokens beside.
class World final : private session::DispatcherWorld {
 public:
  World(Bytes* bytes, bool runs, bool resumes, int slots)
      : bytes_(*bytes),
        runs_(runs),
        slots_(slots),
        tokens_(slots - 1),
        fifo_(slots - 1),
        leases_(slots, 1, [this](const Payer& payer) { return covered(payer); }),
        dispatcher_({std::string(kCookie), "tokenpool", "epoch", 1, runs ? 1 : 0}, &leases_, this,
                    now_) {
    for (int i = 0; i < kClients; ++i) names_.processes.push_back({10 + i, 1});
    for (int i = 0; i < kReaders; ++i) readers_.push_back({50 + i, 1});
    for (const ProcessId reader : readers_) tokens_.introduce(reader, {}, true);
    if (resumes) leases_.set_grace(now_ + core::kResumeGrace);
    if (runs_) {
      leases_.share();
    } else {
      leases_.supply(slots, now_, &lease_effects_);
    }
    settle();
  }
  World(const World&) = delete;
  World& operator=(const World&) = delete;
  ~World() override = default;

  void step();
  void end_all();

 private:
  // --- what happens ---
  void connect();
  void speak();
  void say_any_bytes(SessionId session);
  void say(SessionId session, std::string_view bytes);
  void read(SessionId session);
  void hang_up(SessionId session);
  void end_process(std::size_t index);
  void use_tokens();
  void end_reader(ProcessId* reader);
  void drain();
  void pass(Instant duration);
  [[nodiscard]] std::optional<Instant> next_deadline() const;

  // --- what follows ---
  void settle();
  void balance();
  void apply(const core::Effects& effects);
  void deliver();
  void check();
  void check_grants();

  [[nodiscard]] std::optional<SessionId> some_session();
  [[nodiscard]] int covered(const Payer& payer) const;
  void adjust_issued();

  // --- DispatcherWorld ---
  std::optional<ProcessId> find(const session::Peer& peer,
                                const wire::NamedProcess& named) override;
  [[nodiscard]] bool is_below(ProcessId /*who*/, ProcessId /*ancestor*/) const override {
    return true;
  }
  [[nodiscard]] bool was_started_under(ProcessId /*who*/, LeaseId /*lease*/) const override {
    return false;
  }
  bool watch(ProcessId who) override;
  session::Standing standing(std::optional<ProcessId> process, LeaseId under,
                             bool launcher) override;
  void asks(const session::Standing& /*standing*/) override {}
  void offer_for_resize(int slots) override;
  [[nodiscard]] session::SlotCount slots() const override { return {slots_, {slots_, slots_}}; }
  void set_slots(int slots) override;
  void set_paused(bool paused) override;
  [[nodiscard]] int tokens_held() const override { return tokens_.ledger().outstanding(); }
  [[nodiscard]] int free_slots() const override;

  Bytes& bytes_;
  bool runs_;
  int slots_;
  bool paused_ = false;
  bool root_is_free_ = true;
  std::optional<std::uint64_t> drained_;  ///< so many leases were granted until then
  Instant now_ = std::chrono::seconds(1);
  core::Pool tokens_;
  int fifo_;  ///< bytes in it
  core::RequestId last_request_ = 0;
  std::vector<ProcessId> readers_;
  std::map<ProcessId, core::RequestId> reading_;  ///< blocked readers
  core::Effects effects_;
  core::LeaseEffects lease_effects_;
  core::LeasePool leases_;
  session::Dispatcher dispatcher_;
  std::map<SessionId, Client> clients_;
  std::set<SessionId> closed_now_;  ///< in this event
  std::set<LeaseId> known_;         ///< leases before this event
  std::uint64_t resumed_ = 0;       ///< leases before this event
  bool is_single_ = true;           ///< this event is one for the pool of leases, too
  Names names_;
  std::set<ProcessId> watched_;
};

// --- what happens ---

void World::step() {
  closed_now_.clear();
  is_single_ = true;
  names_.leases.clear();
  for (const auto& [id, lease] : leases_.leases()) names_.leases.push_back(id);
  std::sort(names_.leases.begin(), names_.leases.end());
  const unsigned what = bytes_.next() % 32;
  if (what < 3) {
    connect();
  } else if (what < 20) {
    speak();
  } else if (what < 22) {
    if (const auto session = some_session()) hang_up(*session);
  } else if (what < 24) {
    end_process(bytes_.below(kClients));
  } else if (what < 26) {
    pass(std::chrono::milliseconds(10 * bytes_.next()));
  } else if (what == 26) {
    if (const auto session = some_session()) {
      Client& client = clients_.at(*session);
      client.reads = !client.reads;
      if (client.reads) read(*session);
    }
  } else if (what == 27) {
    root_is_free_ = !root_is_free_;
  } else if (what < 31) {
    use_tokens();
  } else if (bytes_.below(16) == 15) {
    drain();
  } else {
    pass(core::kReservationAfter);
  }
  settle();
}

void World::connect() {
  if (clients_.size() >= kMaxConnections) return;
  const auto which = bytes_.below(2 * kClients);
  const ProcessId process = names_.processes[which % kClients];
  session::Peer peer;
  peer.local = which < kClients;
  if (peer.local) peer.process = process;
  std::string refusal;
  const SessionId session = dispatcher_.open(peer, now_, &refusal);
  TOKENPOOL_CHECK(session != 0 && refusal.empty() && !clients_.contains(session));
  clients_[session].process = process;
  // Mostly it says hello at once.
  if (bytes_.below(8) != 7) say(session, Lines(&bytes_, &names_).hello(process));
}

void World::speak() {
  const auto session = some_session();
  if (!session) return;
  Lines lines(&bytes_, &names_);
  std::string many;
  switch (bytes_.below(16)) {
    case 0:
    case 1:
    case 2:
    case 3:
      return say(*session, lines.acquire());
    case 4:
    case 5:
      return say(*session, lines.release());
    case 6:
      return say(*session, lines.resize());
    case 7:
      return say(*session, lines.report());
    case 8:
      return say(*session, lines.cancel());
    case 9:
      return say(*session, lines.plain("status"));
    case 10:
      return say(*session, lines.set());
    case 11:
      return say(*session, lines.plain("subscribe"));
    case 12:
      return say(*session, lines.hello(clients_.at(*session).process));
    case 13:
      many = lines.acquire();
      many += lines.release();
      many += lines.acquire();
      return say(*session, many);
    case 14:
      // Enough of these for a client that does not read are too many.
      many = lines.plain("status");
      for (int doubled = bytes_.below(4) == 0 ? 6 : 0; doubled > 0; --doubled) many += many;
      return say(*session, many);
    default:
      return say_any_bytes(*session);
  }
}

void World::say_any_bytes(SessionId session) {
  const unsigned how = bytes_.next();
  if (how == 255) return say(session, std::string(wire::kMaxLine / 2, 'x'));
  std::string text(bytes_.take(how % 64));
  if (how >= 128) text += '\n';
  say(session, text);
}

void World::say(SessionId session, std::string_view bytes) {
  is_single_ = std::count(bytes.begin(), bytes.end(), '\n') <= 1;
  clients_.at(session).say(bytes);
  // In one piece or two.
  const auto cut = std::min<std::size_t>(bytes.size(), bytes_.next());
  dispatcher_.receive(session, bytes.substr(0, cut), now_);
  dispatcher_.receive(session, bytes.substr(cut), now_);
}

void World::hang_up(SessionId session) {
  clients_.erase(session);
  closed_now_.insert(session);
  dispatcher_.closed(session, now_);
}

// Another one gets its number.
void World::end_process(std::size_t index) {
  const ProcessId who = names_.processes[index];
  ++names_.processes[index].start;
  is_single_ = false;
  if (watched_.erase(who) != 0) dispatcher_.process_ended(who, now_);
}

void World::use_tokens() {
  if (!runs_) return;
  ProcessId& reader = readers_[bytes_.below(kReaders)];
  const auto how = bytes_.below(8);
  if (how == 7) return end_reader(&reader);
  const auto* account = tokens_.ledger().find(reader);
  if (how >= 4) {
    if (account != nullptr && account->held() > 0) tokens_.give(reader, 1, now_, &effects_);
  } else if (!reading_.contains(reader)) {
    const core::Request request{++last_request_, reader, how >= 1};
    if (request.blocking) reading_[reader] = request.id;
    tokens_.request(request, now_, &effects_);
  }
  apply(std::exchange(effects_, {}));
}

void World::end_reader(ProcessId* reader) {
  reading_.erase(*reader);
  tokens_.ended(*reader, core::EndCause::killed, {}, std::nullopt, now_, &effects_);
  apply(std::exchange(effects_, {}));
  ++reader->start;
  tokens_.introduce(*reader, {}, true);
}

void World::drain() {
  if (!drained_) drained_ = leases_.counters().granted;
  dispatcher_.drain(now_);
}

std::optional<Instant> World::next_deadline() const {
  auto next = dispatcher_.next_deadline();
  const auto of_tokens = tokens_.next_deadline();
  if (of_tokens && (!next || *of_tokens < *next)) next = of_tokens;
  return next;
}

void World::pass(Instant duration) {
  const Instant end = now_ + duration;
  int rounds = 0;
  for (auto due = next_deadline(); due && *due <= end; due = next_deadline()) {
    rounds = *due > now_ ? 0 : rounds + 1;
    TOKENPOOL_CHECK(rounds < kMaxRounds);
    now_ = std::max(now_, *due);
    tokens_.advance(now_, &effects_);
    apply(std::exchange(effects_, {}));
    dispatcher_.advance(now_);
    settle();
  }
  now_ = end;
}

void World::end_all() {
  closed_now_.clear();
  pass(core::kResumeGrace + session::kMaxCookiePenalty);
  for (auto& [session, client] : clients_) client.reads = true;
  while (true) {
    const auto unread = std::find_if(clients_.begin(), clients_.end(), [this](const auto& entry) {
      return !dispatcher_.outbox(entry.first).empty();
    });
    if (unread == clients_.end()) break;
    read(unread->first);
  }
  settle();
  if (bytes_.below(2) != 0) {
    drain();
    settle();
    for (const auto& [session, client] : clients_) {
      TOKENPOOL_CHECK(!client.is_member() || client.unanswered() == 0);
    }
  }
  while (!clients_.empty()) {
    hang_up(clients_.begin()->first);
    settle();
  }
  for (std::size_t i = 0; i < kClients; ++i) {
    end_process(i);
    settle();
  }
  for (ProcessId& reader : readers_) {
    if (runs_) end_reader(&reader);
    settle();
  }
  pass(std::chrono::hours(1));
  const auto& counters = leases_.counters();
  TOKENPOOL_CHECK(leases_.leases().empty() && leases_.waiting_count() == 0);
  TOKENPOOL_CHECK(counters.granted + counters.resumed == counters.released + counters.recovered);
  TOKENPOOL_CHECK(leases_.free() == (runs_ ? 0 : slots_));
  TOKENPOOL_CHECK(tokens_.lent() == 0);
  TOKENPOOL_CHECK(tokens_.free() + tokens_.reserved() == tokens_.issued());
  TOKENPOOL_CHECK(!next_deadline());
}

// --- what follows ---

void World::settle() {
  if (runs_) balance();
  dispatcher_.carry_out(&lease_effects_, now_);
  deliver();
  // Whoever was closed has left something.
  if (runs_) balance();
  dispatcher_.carry_out(&lease_effects_, now_);
  deliver();
  check();
}

void World::balance() {
  for (int rounds = 0;; ++rounds) {
    TOKENPOOL_CHECK(rounds < kMaxRounds);
    core::balance(&tokens_, &leases_, now_, &effects_, &lease_effects_);
    const auto effects = std::exchange(effects_, {});
    if (effects.empty()) return;
    apply(effects);
  }
}

void World::apply(const core::Effects& effects) {
  using Kind = core::Effect::Kind;
  for (const auto& effect : effects) {
    switch (effect.kind) {
      case Kind::grant_from_fifo:
        --fifo_;
        reading_.erase(effect.who);
        break;
      case Kind::grant_direct:
      case Kind::refuse:
        reading_.erase(effect.who);
        break;
      case Kind::put:
        fifo_ += effect.count;
        break;
      case Kind::drain:
        fifo_ -= effect.count;
        break;
      case Kind::lend_from_fifo:
        fifo_ -= effect.count;
        leases_.supply(effect.count, now_, &lease_effects_);
        break;
      case Kind::lend_direct:
        leases_.supply(effect.count, now_, &lease_effects_);
        break;
      case Kind::recovered:
      case Kind::refused:
        break;
    }
    TOKENPOOL_CHECK(fifo_ >= 0);
  }
}

void World::deliver() {
  for (auto listed = dispatcher_.outputs(); !listed.empty(); listed = dispatcher_.outputs()) {
    for (const SessionId session : listed) {
      if (clients_.contains(session)) {
        read(session);
      } else {
        TOKENPOOL_CHECK(closed_now_.contains(session));
      }
    }
  }
}

void World::read(SessionId session) {
  const std::string outbox(dispatcher_.outbox(session));
  TOKENPOOL_CHECK(outbox.size() <= session::kMaxUnread);
  const bool closes = dispatcher_.is_closing(session);
  Client& client = clients_.at(session);
  if (client.reads) {
    dispatcher_.sent(session, outbox.size());
    client.hear(outbox, closes);
  }
  if (closes) hang_up(session);
}

void World::check() {
  const int supplied = runs_ ? tokens_.lent() : slots_;
  int cost = 0;
  for (const auto& [id, lease] : leases_.leases()) {
    TOKENPOOL_CHECK(lease.id == id && lease.paid >= 0 && lease.paid <= lease.slots);
    // Somebody must be left for it to end with.
    TOKENPOOL_CHECK(clients_.contains(lease.session) ||
                    (lease.owner && watched_.contains(*lease.owner)));
    cost += lease.cost();
  }
  TOKENPOOL_CHECK(leases_.leased() == cost && leases_.free() + cost == supplied);
  TOKENPOOL_CHECK(tokens_.missing() == 0 && tokens_.drift(fifo_) == 0);
  TOKENPOOL_CHECK(!drained_ || leases_.counters().granted == *drained_);
  check_grants();
  std::map<SessionId, std::size_t> waiting;
  for (const auto* request : leases_.waiting()) {
    TOKENPOOL_CHECK(clients_.contains(request->session));
    ++waiting[request->session];
  }
  for (const auto& [session, client] : clients_) {
    if (!client.is_member() || !client.reads) continue;
    TOKENPOOL_CHECK(client.unanswered() == waiting[session]);
  }
}

// Where more is out than there is, what was granted just now is paid for, or others that wait and
// have a payer lend it.
void World::check_grants() {
  const std::uint64_t resumed = std::exchange(resumed_, leases_.counters().resumed);
  const bool is_over = is_single_ && resumed == resumed_ && leases_.free() < 0;
  int lent = 0;
  for (const auto* request : leases_.waiting()) lent += request->payer.kind != Payer::Kind::nobody;
  const bool is_lent = -leases_.free() <= lent;
  std::set<LeaseId> leases;
  for (const auto& [id, lease] : leases_.leases()) {
    TOKENPOOL_CHECK(!is_over || known_.contains(id) || lease.cost() == 0 || is_lent);
    leases.insert(id);
  }
  known_ = std::move(leases);
}

std::optional<SessionId> World::some_session() {
  if (clients_.empty()) return std::nullopt;
  auto at = clients_.begin();
  std::advance(at, static_cast<std::ptrdiff_t>(bytes_.below(clients_.size())));
  return at->first;
}

int World::covered(const Payer& payer) const {
  switch (payer.kind) {
    case Payer::Kind::root:
      return root_is_free_ ? 1 : 0;
    case Payer::Kind::process: {
      const auto* account = tokens_.ledger().find(payer.process);
      return 1 + (account == nullptr ? 0 : account->held());
    }
    case Payer::Kind::nobody:
    case Payer::Kind::lease:
      return 0;
  }
  return 0;
}

void World::adjust_issued() {
  tokens_.set_issued(paused_ ? 0 : slots_ - 1, now_, &effects_);
  apply(std::exchange(effects_, {}));
}

// --- DispatcherWorld ---

std::optional<ProcessId> World::find(const session::Peer& peer, const wire::NamedProcess& named) {
  if (!peer.local && named.start == 0) return std::nullopt;
  for (const ProcessId who : names_.processes) {
    if (who.pid == named.pid && (named.start == 0 || named.start == who.start)) return who;
  }
  return std::nullopt;
}

bool World::watch(ProcessId who) {
  const auto& alive = names_.processes;
  if (std::find(alive.begin(), alive.end(), who) == alive.end()) return false;
  watched_.insert(who);
  return true;
}

session::Standing World::standing(std::optional<ProcessId> process, LeaseId under, bool launcher) {
  session::Standing standing;
  if (leases_.find(under) != nullptr) standing.payer = {Payer::Kind::lease, {}, under, {}};
  if (!process) return standing;
  standing.client = launcher ? readers_[0] : *process;
  if (!runs_ || standing.payer.kind == Payer::Kind::lease) return standing;
  const bool has_parent = process->pid % 2 == 0;
  standing.payer.kind = has_parent ? Payer::Kind::process : Payer::Kind::root;
  if (has_parent) {
    standing.payer.process = readers_[0];
    standing.payer.child = *process;
  }
  return standing;
}

void World::offer_for_resize(int slots) {
  if (!runs_ || leases_.waiting_count() > 0 || slots <= leases_.free()) return;
  const int more = std::min(slots - std::max(0, leases_.free()), tokens_.lendable());
  if (more <= 0) return;
  tokens_.lend(more, now_, &effects_);
  apply(std::exchange(effects_, {}));
}

void World::set_slots(int slots) {
  TOKENPOOL_CHECK(slots >= 1 && slots <= kMaxWorldSlots);
  if (!runs_) leases_.supply(slots - slots_, now_, &lease_effects_);
  slots_ = slots;
  if (runs_) adjust_issued();
  leases_.set_ceiling(slots, now_, &lease_effects_);
  if (!runs_) dispatcher_.carry_out(&lease_effects_, now_);
}

void World::set_paused(bool paused) {
  paused_ = paused;
  if (runs_) adjust_issued();
  leases_.set_paused(paused, now_, &lease_effects_);
  if (!runs_) dispatcher_.carry_out(&lease_effects_, now_);
}

int World::free_slots() const {
  return std::max(0, leases_.free() + (runs_ ? tokens_.free() + tokens_.reserved() : 0));
}

}  // namespace

void check_session(std::string_view input) {
  Bytes bytes(input);
  const unsigned kind = bytes.next();
  const int slots = 1 + static_cast<int>((kind >> 2U) % kMaxWorldSlots);
  World world(&bytes, (kind & 1U) != 0, (kind & 2U) != 0, slots);
  while (!bytes.is_empty()) world.step();
  world.end_all();
}

}  // namespace tokenpool::fuzz
