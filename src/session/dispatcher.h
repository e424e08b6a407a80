// What the clients of the protocol say, told to the pool of leases, and what the pool decides, told
// to the clients: sessions, their right to be here, their calls, the answers. Everything but the
// sockets (session/connections.h), so tests and the fuzzer drive it with bytes and a time.
//
// One thread. After every call outputs() names the sessions that have something to be sent or are
// to be closed. The contract with clients is tokenpool-protocol(7).
#pragma once

#include <cstdint>
#include <deque>
#include <optional>
#include <string>
#include <string_view>
#include <unordered_map>
#include <vector>

#include "core/lease_pool.h"
#include "session/client_session.h"
#include "session/dispatcher_world.h"
#include "wire/protocol.h"
#include "wire/protocol_codec.h"

namespace tokenpool::session {

struct DispatcherConfig {
  std::string cookie;  ///< kCookieDigits hexadecimal digits
  std::string server;  ///< "tokenpool 0.1.0"
  std::string epoch;
  std::int32_t pid = 0;
  int implicit = 0;  ///< slots that the command of a run has without a token
};

class Dispatcher {
 public:
  /// Borrows `leases` and `world`.
  Dispatcher(DispatcherConfig config, core::LeasePool* leases, DispatcherWorld* world,
             core::Instant now);

  /// A connection was made. 0: there are too many, close it; `*refusal` may be sent before. Of
  /// those that have not said hello yet, the oldest goes for it where they are too many; those of
  /// this machine and those of others apart, so that a stranger keeps nobody out.
  core::SessionId open(const Peer& peer, core::Instant now, std::string* refusal);
  /// Bytes have come. No-op for a session that is to be closed.
  void receive(core::SessionId session, std::string_view bytes, core::Instant now);
  /// The connection is gone; the session, too.
  void closed(core::SessionId session, core::Instant now);
  void process_ended(core::ProcessId who, core::Instant now);

  void advance(core::Instant now);
  /// Of the sessions and of the pool of leases.
  [[nodiscard]] std::optional<core::Instant> next_deadline() const;

  /// Answers what the pool of leases has decided, also upon calls of others than the dispatcher.
  void carry_out(core::LeaseEffects* effects, core::Instant now);

  /// As if a client had sent it, but that nobody is told. At most kMaxLimits types may then have a
  /// limit.
  void reconfigure(const wire::SetCall& call, core::Instant now);
  /// From now on nothing new is granted; requests that wait are refused.
  void drain(core::Instant now);

  /// The sessions with something to send, or to be closed when that is sent; each once. Empties the
  /// list.
  std::vector<core::SessionId> outputs();
  /// What is to be sent. Valid until the next call.
  [[nodiscard]] std::string_view outbox(core::SessionId session) const;
  /// So much of it has been sent, or will never be.
  void sent(core::SessionId session, std::size_t bytes);
  [[nodiscard]] bool is_closing(core::SessionId session) const;

  /// The session of a process, any of them; 0: it has none.
  [[nodiscard]] core::SessionId session_of(core::ProcessId who) const;
  /// The process of a session, where it is known.
  [[nodiscard]] std::optional<core::ProcessId> process_of(core::SessionId session) const;
  void count_stranger() { ++unauthorized_; }
  /// No descriptor is left: the oldest connection that has not said hello is to be closed, first
  /// one of another machine. False: there is none.
  bool drop_stranger();

  /// The leases that there are, as a status has them.
  [[nodiscard]] wire::StatusResult leases(core::Instant now) const;

  /// Somebody wants to hear of events.
  [[nodiscard]] bool has_subscribers() const { return subscribers_ > 0; }
  void tell_of_tokens(const TokenEvent& tokens);

 private:
  using Session = ClientSession;
  using State = ClientSession::State;
  struct Asked {
    core::SessionId session = 0;
    wire::CallId id;
    bool names_owner = false;
    core::Instant since{};
    int min = 0;
    std::string type;
  };

  void on_line(Session* session, std::string_view line, core::Instant now);
  void on_call(Session* session, const wire::CallRequest& request, core::Instant now);
  void on_refusal(Session* session, const wire::Refusal& refusal);
  void on_hello(Session* session, const wire::CallId& id, const wire::HelloCall& call,
                core::Instant now);
  void on_acquire(Session* session, const wire::CallId& id, const wire::AcquireCall& call,
                  core::Instant now);
  void on_release(Session* session, const wire::CallId& id, const wire::ReleaseCall& call,
                  core::Instant now);
  void on_resize(Session* session, const wire::CallId& id, const wire::ResizeCall& call,
                 core::Instant now);
  void on_report(Session* session, const wire::CallId& id, const wire::ReportCall& call);
  void on_cancel(Session* session, const wire::CallId& id, const wire::CancelCall& call,
                 core::Instant now);
  void on_status(Session* session, const wire::CallId& id, core::Instant now);
  void on_subscribe(Session* session, const wire::CallId& id);
  void on_set(Session* session, const wire::CallId& id, const wire::SetCall& call,
              core::Instant now);
  /// False, and nothing is changed: too many limits. The lease that it names exists.
  bool set(const wire::SetCall& call, core::Instant now);
  std::vector<std::uint64_t> resume(Session* session, const std::vector<wire::ResumedLease>& leases,
                                    core::Instant now);
  [[nodiscard]] bool is_held_by_another(const core::Lease& lease, const Session& session) const;
  /// Whether `session` runs under that lease as it says, as far as can be seen.
  [[nodiscard]] bool runs_under(const Session& session, core::LeaseId lease) const;
  /// The most slots of a lease that this pool does not know that `session` may say it still has.
  [[nodiscard]] int declarable(const Session& session, core::LeaseId lease) const;
  void punish(Session* session, core::Instant now);
  struct Strangers;
  Strangers& strangers_of(const Session& session);
  bool drop_oldest(Strangers* strangers);

  std::optional<core::ProcessId> watched_owner(Session* session,
                                               const std::optional<wire::NamedProcess>& named);
  const core::Lease* own_lease(Session* session, const wire::CallId& id, core::LeaseId lease);
  void answer(const core::LeaseEffect& effect, core::Instant now);
  [[nodiscard]] std::string why_impossible(const Asked& asked) const;
  /// Answers a call with an error; a notification with nothing.
  void refuse(Session* session, const wire::CallId& id, wire::ErrorCode code,
              std::string_view message);
  /// Tells of a line that is no call; the id may be null.
  void complain(Session* session, const wire::CallId& id, wire::ErrorCode code,
                std::string_view message);
  /// Its requests and leases are gone, but for leases that belong to a process.
  void end(Session* session, core::Instant now);
  void close(Session* session);
  void list(Session* session);
  void note_finished(const core::LeaseEffect& effect, core::Instant now);
  void note_recovery(const core::LeaseEffect& effect, core::Instant now);
  void tell(wire::Event event);
  Session* find(core::SessionId session);
  [[nodiscard]] std::vector<wire::LimitUse> limits() const;
  [[nodiscard]] wire::StatusRow row_of(core::SessionId session, const core::Job& job,
                                       core::Instant since, core::Instant now) const;
  /// The process of `session` in our own numbers, where it is known, else as it has named itself.
  [[nodiscard]] static std::int32_t pid_of(const Session& session);
  void add_leases(wire::StatusResult* status, const PidsSeen& pids, core::Instant now) const;
  void add_waiting(wire::StatusResult* status, const PidsSeen& pids, core::Instant now) const;
  [[nodiscard]] PidsSeen pids_seen_by(const Session& session) const;

  struct Recovery {
    wire::RecoveryRow row;
    core::Instant when{};
  };

  DispatcherConfig config_;
  core::LeasePool& leases_;
  DispatcherWorld& world_;
  core::Instant start_;
  core::LeaseEffects effects_;
  std::unordered_map<core::SessionId, Session> sessions_;
  std::unordered_multimap<core::ProcessId, core::SessionId, core::ProcessIdHash> by_process_;
  std::unordered_map<core::Ticket, Asked> tickets_;
  std::vector<core::SessionId> outputs_;
  /// Who has not said hello, or a wrong one.
  struct Strangers {
    std::deque<std::pair<core::Instant, core::SessionId>> due;  ///< of the hello, oldest first
    std::size_t count = 0;                                      ///< of those that are still there
  };
  Strangers local_;
  Strangers remote_;
  std::vector<core::SessionId> punished_;
  std::deque<Recovery> recoveries_;
  std::deque<LostLease> lost_;  ///< the newest kMaxLeasesOfSession
  core::SessionId next_session_ = 1;
  core::Ticket next_ticket_ = 1;
  std::size_t subscribers_ = 0;
  std::uint64_t unauthorized_ = 0;
  std::uint64_t refused_ = 0;
  core::Instant penalty_{};
  bool draining_ = false;
};

}  // namespace tokenpool::session
