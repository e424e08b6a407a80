// The protocol in a run: leases beside tokens, out of one pool.
#pragma once

#include <cstdint>
#include <functional>
#include <optional>
#include <string>
#include <vector>

#include "arbiter/payers.h"
#include "arbiter/run_parts.h"
#include "arbiter/slot_keeper.h"
#include "core/balance.h"
#include "session/connections.h"
#include "session/dispatcher.h"
#include "session/token_news.h"

namespace tokenpool::arbiter {

/// One thread, the arbiter's. Neither copies nor moves.
class LeasesDesk final : private session::DispatcherWorld {
 public:
  /// `left`: by the arbiter before this one; leases in it are about to be declared.
  LeasesDesk(const RunParts& parts, const board::LeftBehind& left, core::Instant now);

  session::Connections& connections() { return connections_; }
  /// There is something on the sockets. `publish` is called before anything is answered.
  void serve(core::Instant now, const std::function<void()>& publish);
  /// The arbiter has carried out a lend.
  void supply(int slots, core::Instant now);
  /// After every event of the pool of tokens: moves tokens between both. Where holders are not
  /// known nobody tells when a token comes back: then wants_fifo() is to be asked.
  void settle(core::Instant now);
  /// Settles when the FIFO has something to read.
  [[nodiscard]] bool wants_fifo() const { return wants_fifo_; }
  /// Sends what is decided; call it when the books are published.
  void flush();

  /// A watched process has ended; `client`: it took tokens for its children.
  void process_ended(core::ProcessId who, bool client, core::Instant now);
  void advance(core::Instant now);
  [[nodiscard]] std::optional<core::Instant> next_deadline() const;
  /// Tells those who watch what became of tokens; call it when the books are published.
  void tell_of_tokens();
  /// Nobody holds or wants a lease, nor watches: settle() and flush() would do nothing.
  [[nodiscard]] bool is_idle() const;
  /// See SlotKeeper::command_ended(). `all_ended`: no process is left who could ask.
  void command_ended(bool all_ended, core::Instant now);
  [[nodiscard]] const board::Settings& settings() const { return slots_.settings(); }
  [[nodiscard]] std::size_t count() const { return leases_.leases().size(); }

 private:
  std::optional<core::ProcessId> find(const session::Peer& peer,
                                      const wire::NamedProcess& named) override;
  [[nodiscard]] bool is_below(core::ProcessId who, core::ProcessId ancestor) const override;
  [[nodiscard]] bool was_started_under(core::ProcessId who, core::LeaseId lease) const override;
  bool watch(core::ProcessId who) override;
  session::Standing standing(std::optional<core::ProcessId> process, core::LeaseId under,
                             bool launcher) override;
  void asks(const session::Standing& standing) override;
  void offer_for_resize(int slots) override;
  [[nodiscard]] session::SlotCount slots() const override;
  void set_slots(int slots) override;
  void set_paused(bool paused) override;
  [[nodiscard]] int tokens_held() const override;
  [[nodiscard]] int free_slots() const override;
  [[nodiscard]] std::vector<wire::UncooperativeRow> uncooperative() const override;
  [[nodiscard]] int frozen_jobs() const override;
  void describe_build(wire::StatusResult* status) const override;
  [[nodiscard]] session::PidsSeen pids_seen_by(core::ProcessId viewer) const override;

  void answer();
  void close(core::Instant now);

  RunParts parts_;
  /// The ledger knows who holds what.
  bool tracked_;
  session::DispatcherConfig config_;
  Payers payers_;
  core::LeasePool leases_;
  session::Dispatcher dispatcher_;
  session::Connections connections_;
  SlotKeeper slots_;
  core::LeaseEffects lease_effects_;
  std::map<std::string, int> kept_limits_;  ///< as they stand on the board
  core::Instant now_{};
  session::TokenNews news_;
  bool over_;  ///< the command has ended
  bool wants_fifo_ = false;
};

}  // namespace tokenpool::arbiter
