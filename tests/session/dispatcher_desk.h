// Clients of the protocol without sockets: feeds a dispatcher with lines, takes what it sends as
// session/connections.h does, and plays the arbiter around it: one like `serve`, all of whose slots
// are for leases. Time and processes are what the test says.
#pragma once

#include <deque>
#include <map>
#include <optional>
#include <set>
#include <stdexcept>
#include <string>
#include <string_view>
#include <utility>

#include "core/processes.h"
#include "session/dispatcher.h"

namespace tokenpool::session {

using core::Instant;
using core::LeaseId;
using core::process;
using core::ProcessId;
using core::SessionId;
using wire::Answer;
using wire::ErrorCode;

inline const ProcessId kMake = process(10);
inline const ProcessId kNinja = process(20);
inline const ProcessId kJob = process(30);

inline constexpr std::string_view kCookie =
    "0123456789abcdef0123456789abcdef0123456789abcdef0123456789abcdef";

/// The params of a hello, with `more` members behind those that it must have.
inline std::string hello(ProcessId who, std::string_view more = {}, std::string_view name = "make",
                         std::string_view cookie = kCookie) {
  std::string params = R"({"protocol":1,"cookie":")";
  params.append(cookie).append(R"(","name":")").append(name);
  params.append(R"(","pid":)" + std::to_string(who.pid));
  if (who.start != 0) params += R"(,"start":)" + std::to_string(who.start);
  return params.append(more) + "}";
}

/// The members that name a process, for calls that may have others in front.
inline std::string named(ProcessId who) {
  return R"("pid":)" + std::to_string(who.pid) + R"(,"start":)" + std::to_string(who.start);
}

/// The params of what names one lease.
inline std::string of(LeaseId lease, std::string_view more = {}) {
  return (R"({"lease":)" + std::to_string(lease)).append(more) + "}";
}

class DispatcherDesk final : private DispatcherWorld {
 public:
  explicit DispatcherDesk(int slots, LeaseId first_lease = 100)
      : leases(slots, first_lease,
               [this](const core::Payer& payer) {
                 const auto entry = covers.find(payer);
                 return entry == covers.end() ? 0 : entry->second;
               }),
        dispatcher({std::string(kCookie), "tokenpool 0.1.0", "epoch-1", 77, 0}, &leases, this,
                   now) {
    core::LeaseEffects none;
    leases.supply(slots, now, &none);
  }
  DispatcherDesk(const DispatcherDesk&) = delete;
  DispatcherDesk& operator=(const DispatcherDesk&) = delete;
  ~DispatcherDesk() override = default;

  // --- connections ---

  SessionId connect(const Peer& peer) {
    std::string refusal;
    const SessionId session = dispatcher.open(peer, now, &refusal);
    if (session == 0) {
      turned_away = wire::parse_answer(refusal.substr(0, refusal.find('\n')));
    } else {
      connected.insert(session);
      if (peer.process) alive.insert(*peer.process);
    }
    deliver();
    return session;
  }
  /// Over a Unix socket; the kernel tells that `who` is at the other end.
  SessionId connect(ProcessId who) { return connect(Peer{who, true}); }
  /// Has said hello, and has read the answer.
  SessionId join(ProcessId who, std::string_view more = {}, std::string_view name = "make") {
    const SessionId session = connect(who);
    require(call(session, "hello", hello(who, more, name)).kind == Answer::Kind::result,
            "hello was refused");
    return session;
  }
  void feed(SessionId session, std::string_view bytes) {
    dispatcher.receive(session, bytes, now);
    deliver();
  }
  void say(SessionId session, std::string_view line) { feed(session, std::string(line) + "\n"); }
  void hang_up(SessionId session) {
    if (connected.erase(session) != 0) dispatcher.closed(session, now);
    deliver();
  }
  bool drop_stranger() {
    const bool dropped = dispatcher.drop_stranger();
    deliver();
    return dropped;
  }
  [[nodiscard]] bool is_open(SessionId session) const { return connected.contains(session); }

  // --- calls ---

  static std::string line(std::string_view id, std::string_view method, std::string_view params) {
    std::string text = R"({"jsonrpc":"2.0",)";
    if (!id.empty()) text.append(R"("id":)").append(id).append(",");
    text.append(R"("method":")").append(method).append(R"(","params":)").append(params);
    return text + "}";
  }
  /// Answers the id that the call was given.
  std::int64_t ask(SessionId session, std::string_view method, std::string_view params = "{}") {
    say(session, line(std::to_string(++last_id), method, params));
    return last_id;
  }
  void notify(SessionId session, std::string_view method, std::string_view params = "{}") {
    say(session, line({}, method, params));
  }
  /// The answer to a call, once; nothing: it is not there yet.
  std::optional<Answer> reply(SessionId session, std::int64_t id) {
    auto& answers = inbox[session];
    for (auto at = answers.begin(); at != answers.end(); ++at) {
      if (at->id != wire::CallId(id)) continue;
      Answer answer = std::move(*at);
      answers.erase(at);
      return answer;
    }
    return std::nullopt;
  }
  /// A call that is answered at once.
  Answer call(SessionId session, std::string_view method, std::string_view params = "{}") {
    auto answer = reply(session, ask(session, method, params));
    require(answer.has_value(), std::string(method) + " was not answered");
    return *answer;
  }
  /// A lease that is granted at once.
  LeaseId take(SessionId session, std::string_view params = "{}") {
    const LeaseId lease = call(session, "acquire", params).lease;
    require(lease != 0, "nothing was granted");
    return lease;
  }
  /// The oldest message that was not looked at.
  std::optional<Answer> heard(SessionId session) {
    auto& answers = inbox[session];
    if (answers.empty()) return std::nullopt;
    Answer answer = std::move(answers.front());
    answers.pop_front();
    return answer;
  }
  bool is_silent(SessionId session) { return inbox[session].empty(); }
  wire::StatusResult status(SessionId session) {
    const auto status = wire::parse_status(call(session, "status").body);
    require(status.has_value(), "a status that nobody can read");
    return *status;
  }

  // --- what happens ---

  void end(ProcessId who) {
    alive.erase(who);
    if (watched.erase(who) != 0) dispatcher.process_ended(who, now);
    deliver();
  }
  void drain() {
    dispatcher.drain(now);
    deliver();
  }
  /// Time passes; what becomes due on the way happens when it is due.
  void pass(Instant duration) {
    const Instant end = now + duration;
    for (auto due = dispatcher.next_deadline(); due && *due <= end;
         due = dispatcher.next_deadline()) {
      now = std::max(now, *due);
      dispatcher.advance(now);
      deliver();
      require(dispatcher.next_deadline() != due, "a deadline does not go away");
    }
    now = end;
  }

  Instant now = std::chrono::seconds(1);
  std::map<core::Payer, int> covers;
  std::map<ProcessId, Standing> standings;  ///< others stand for themselves
  std::set<ProcessId> alive;
  std::set<ProcessId> strangers;                          ///< that no client has started
  std::set<std::pair<ProcessId, LeaseId>> started_under;  ///< as their environment says
  std::set<ProcessId> watched;
  std::set<SessionId> connected;
  std::set<SessionId> deaf;  ///< they read nothing
  std::map<SessionId, std::deque<Answer>> inbox;
  std::optional<Answer> turned_away;  ///< the last that connect() was told instead of a session
  std::int64_t last_id = 0;
  core::LeasePool leases;
  Dispatcher dispatcher;

 private:
  static void require(bool condition, const std::string& what) {
    // Thrown rather than EXPECTed: GoogleTest takes it for a failure, and the test is over.
    if (!condition) throw std::logic_error(what);
  }
  void deliver() {
    // Closing a session may grant others what it held.
    for (auto listed = dispatcher.outputs(); !listed.empty(); listed = dispatcher.outputs()) {
      for (const SessionId session : listed) send(session);
    }
  }
  void send(SessionId session) {
    if (!is_open(session)) return;
    if (!deaf.contains(session)) {
      std::string sent(dispatcher.outbox(session));
      dispatcher.sent(session, sent.size());
      for (std::size_t end = 0; !sent.empty(); sent.erase(0, end + 1)) {
        end = sent.find('\n');
        require(end != std::string::npos, "a line without its end");
        const auto message = wire::parse_answer(std::string_view(sent).substr(0, end));
        require(message.has_value(), "no message: " + sent.substr(0, end));
        inbox[session].push_back(*message);
      }
    }
    if (!dispatcher.is_closing(session)) return;
    connected.erase(session);
    dispatcher.closed(session, now);
  }

  // A process of another machine, or of a namespace that cannot be seen into, is not `alive`.
  std::optional<ProcessId> find(const Peer& peer, const wire::NamedProcess& named) override {
    if (!peer.local && named.start == 0) return std::nullopt;
    for (const ProcessId who : alive) {
      if (who.pid == named.pid && (named.start == 0 || named.start == who.start)) return who;
    }
    return std::nullopt;
  }
  [[nodiscard]] bool is_below(ProcessId who, ProcessId /*ancestor*/) const override {
    return !strangers.contains(who);
  }
  [[nodiscard]] bool was_started_under(ProcessId who, LeaseId lease) const override {
    return started_under.contains({who, lease});
  }
  bool watch(ProcessId who) override {
    if (alive.contains(who)) watched.insert(who);
    return alive.contains(who);
  }
  Standing standing(std::optional<ProcessId> process, LeaseId under, bool) override {
    if (process && standings.contains(*process)) return standings.at(*process);
    Standing standing;
    if (process) standing.client = *process;
    if (leases.find(under) != nullptr) standing.payer = {core::Payer::Kind::lease, {}, under, {}};
    return standing;
  }
  void asks(const Standing&) override {}
  void offer_for_resize(int) override {}
  [[nodiscard]] SlotCount slots() const override {
    return {leases.ceiling(), {leases.ceiling(), leases.ceiling()}};
  }
  void set_slots(int slots) override {
    core::LeaseEffects effects;
    leases.supply(slots - leases.ceiling(), now, &effects);
    leases.set_ceiling(slots, now, &effects);
    dispatcher.carry_out(&effects, now);
  }
  void set_paused(bool paused) override {
    core::LeaseEffects effects;
    leases.set_paused(paused, now, &effects);
    dispatcher.carry_out(&effects, now);
  }
  [[nodiscard]] int tokens_held() const override { return 0; }
  [[nodiscard]] int free_slots() const override { return std::max(0, leases.free()); }
};

}  // namespace tokenpool::session
