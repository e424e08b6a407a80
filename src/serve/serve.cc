#include "serve/serve.h"

#include <algorithm>
#include <chrono>
#include <csignal>
#include <cstdio>
#include <memory>
#include <optional>
#include <utility>

#include <sys/resource.h>
#include <sys/signalfd.h>
#include <unistd.h>

#include "core/limits.h"
#include "proc/capacity.h"
#include "proc/clock.h"
#include "proc/event_loop.h"
#include "proc/passed_sockets.h"
#include "proc/say.h"
#include "proc/served_socket.h"
#include "proc/shortage.h"
#include "proc/watchlist.h"
#include "session/connections.h"
#include "session/dispatcher.h"
#include "session/identity.h"
#include "session/named_process.h"
#include "session/who_holds.h"
#include "watch/elastic.h"
#include "watch/serve_watch.h"
#include "watch/stuck.h"

namespace tokenpool::serve {
namespace {

using core::Instant;
using core::ProcessId;

// Parent of all that lives in this pid namespace.
constexpr pid_t kFirstProcess = 1;

/// Slots at first.
int start_of(core::SlotRange range) {
  return std::clamp(proc::usable_cpus(), range.min, range.max);
}

std::string text_of(core::SlotRange range) {
  const std::string min = range.is_elastic() ? std::to_string(range.min) + "-" : "";
  return min + std::to_string(range.max);
}

class Server final : private session::DispatcherWorld {
 public:
  Server(const ServeConfig& config, const session::DispatcherConfig& protocol, bool grace)
      : slots_(start_of(config.slots)),
        leases_(config.slots.max, session::first_lease_of(protocol.epoch),
                [](const core::Payer&) { return 0; }),
        dispatcher_(protocol, &leases_, this, proc::now()),
        connections_(&dispatcher_, ::geteuid()),
        watched_(loop_,
                 [this](const proc::WatchedProcess& process, int) { on_end(process.info.id); }),
        quiet_(config.quiet) {
    core::LeaseEffects none;
    leases_.supply(slots_, proc::now(), &none);
    if (grace) leases_.set_grace(proc::now() + core::kResumeGrace);
    if (config.standstill.count() > 0) start_rescue(config.standstill);
    apply(config);
    // Whoever is told that it serves may end it.
    sigset_t handled;
    sigemptyset(&handled);
    for (const int signal : {SIGHUP, SIGTERM, SIGINT}) sigaddset(&handled, signal);
    ::sigprocmask(SIG_BLOCK, &handled, nullptr);
    signals_ = ::signalfd(-1, &handled, SFD_CLOEXEC | SFD_NONBLOCK);
  }
  ~Server() override {
    if (signals_ >= 0) ::close(signals_);
  }
  Server(const Server&) = delete;
  Server& operator=(const Server&) = delete;

  void listen_on(int fd, bool is_unix) { connections_.listen_on(fd, is_unix); }
  /// False: there are no descriptors left for what it needs.
  bool run(const std::function<wire::Result<ServeConfig>()>& reload) {
    const bool watches = loop_.works() &&
                         loop_.watch(signals_, [this, reload](bool) { on_signals(reload); }) &&
                         loop_.watch(connections_.fd(), [this](bool) { on_connections(); });
    if (!watches) return false;
    after_event();
    loop_.run();
    return true;
  }

 private:
  std::optional<ProcessId> find(const session::Peer& peer,
                                const wire::NamedProcess& named) override {
    return session::find_named(peer, named);
  }
  [[nodiscard]] bool is_below(ProcessId who, ProcessId ancestor) const override {
    return session::is_below_process(who, ancestor);
  }
  [[nodiscard]] bool was_started_under(ProcessId who, core::LeaseId lease) const override {
    return session::environment_names(who, lease);
  }
  bool watch(ProcessId who) override { return watched_.add(who); }
  session::Standing standing(std::optional<ProcessId> process, core::LeaseId under, bool) override {
    session::Standing standing;
    if (process) standing.client = *process;
    if (leases_.find(under) != nullptr) standing.payer = {core::Payer::Kind::lease, {}, under};
    return standing;
  }
  [[nodiscard]] session::PidsSeen pids_seen_by(ProcessId viewer) const override {
    return session::pids_of_viewer(viewer);
  }
  void asks(const session::Standing&) override {}
  void offer_for_resize(int) override {}
  [[nodiscard]] session::SlotCount slots() const override {
    return {slots_, elastic_ ? range_ : core::SlotRange{slots_, slots_}};
  }
  void set_slots(int slots) override {
    elastic_.reset();
    change_slots(slots, slots);
  }
  void set_paused(bool paused) override {
    core::LeaseEffects effects;
    leases_.set_paused(paused, proc::now(), &effects);
    dispatcher_.carry_out(&effects, proc::now());
  }
  [[nodiscard]] int tokens_held() const override { return 0; }
  [[nodiscard]] int free_slots() const override {
    return leases_.paused() ? 0 : std::max(0, leases_.free());
  }

  void apply(const ServeConfig& config) {
    wire::SetCall call;
    if (config.slots.is_elastic()) {
      range_ = config.slots;
      const int slots = std::clamp(slots_, range_.min, range_.max);
      elastic_.emplace(range_, slots, std::string(), proc::now());
      change_slots(slots, range_.max);
    } else {
      call.slots = config.slots.max;
    }
    for (const auto& [type, limit] : leases_.limits()) call.limits.emplace_back(type, std::nullopt);
    for (const auto& [type, limit] : config.limits) call.limits.emplace_back(type, limit);
    dispatcher_.reconfigure(call, proc::now());
  }
  void start_rescue(std::chrono::nanoseconds patience) { rescue_.emplace(patience, proc::now()); }
  void supply(int slots) {
    if (slots == 0) return;
    core::LeaseEffects effects;
    leases_.supply(slots, proc::now(), &effects);
    dispatcher_.carry_out(&effects, proc::now());
  }
  void change_slots(int slots, int ceiling) {
    core::LeaseEffects effects;
    leases_.supply(slots - std::exchange(slots_, slots), proc::now(), &effects);
    leases_.set_ceiling(ceiling, proc::now(), &effects);
    dispatcher_.carry_out(&effects, proc::now());
  }
  // While nobody asks for anything, nobody looks at the machine.
  [[nodiscard]] bool follows_the_machine() const {
    const bool idle = leases_.leases().empty() && leases_.waiting_count() == 0;
    return elastic_ && !idle && !leases_.paused();
  }
  void follow_the_machine() {
    if (!follows_the_machine() || elastic_->due() > proc::now()) return;
    watch::BuildView view{.now = proc::now(), .leases = &leases_};
    view.in_use = leases_.leased();
    view.exhausted = leases_.free() <= 0;
    for (const core::LeaseRequest* request : leases_.waiting()) {
      view.needed = std::max(view.needed, request->min);
    }
    const int slots = elastic_->step(view);
    if (slots != slots_) change_slots(slots, range_.max);
  }
  void look_for_stuck() {
    const Instant now = proc::now();
    const auto due = rescue_ ? rescue_->due(leases_) : std::nullopt;
    if (!due || *due > now) return;
    walks_.begin(kFirstProcess, now);
    watch::BuildView view = watch::view_of(
        leases_, now, [this](core::SessionId session) { return dispatcher_.process_of(session); });
    view.walks = &walks_;
    const watch::Verdict verdict = rescue_->look(view);
    for (const board::StuckRow& row : verdict.stuck) {
      proc::say("serve", watch::stuck_line(row, watch::StuckPlace::serve));
    }
    supply(verdict.mint);
  }
  void on_end(ProcessId who) {
    dispatcher_.process_ended(who, proc::now());
    after_event();
  }
  void on_connections() {
    connections_.serve([] {});
    after_event();
  }
  void after_event() {
    if (rescue_) supply(-rescue_->take_back(leases_));
    connections_.flush();
    if (draining_ && leases_.leases().empty()) return loop_.stop();
    auto due = dispatcher_.next_deadline();
    if (follows_the_machine()) due = due ? std::min(*due, elastic_->due()) : elastic_->due();
    if (const auto look = rescue_ ? rescue_->due(leases_) : std::nullopt) {
      due = due ? std::min(*due, *look) : look;
    }
    loop_.set_deadline(due, [this] {
      dispatcher_.advance(proc::now());
      follow_the_machine();
      look_for_stuck();
      after_event();
    });
  }
  void on_signals(const std::function<wire::Result<ServeConfig>()>& reload) {
    signalfd_siginfo info{};
    while (::read(signals_, &info, sizeof info) == static_cast<ssize_t>(sizeof info)) {
      if (info.ssi_signo == SIGHUP) {
        on_reload(reload());
      } else if (draining_) {
        return loop_.stop();
      } else {
        draining_ = true;
        dispatcher_.drain(proc::now());
        tell_of_draining();
      }
    }
    after_event();
  }
  void tell_of_draining() {
    if (quiet_ || leases_.leases().empty()) return;
    proc::say("serve", "ends when the last lease does, and grants nothing new: " +
                           session::who_holds(dispatcher_.leases(proc::now())) +
                           "; a second signal ends it at once");
  }
  void on_reload(const wire::Result<ServeConfig>& config) {
    if (!config) return proc::say("serve", config.error().sentence + " (nothing is changed)");
    apply(*config);
  }

  proc::EventLoop loop_;
  int slots_;
  core::SlotRange range_;                  ///< while elastic_
  std::optional<watch::Elastic> elastic_;  ///< while the slots follow the machine
  core::LeasePool leases_;
  session::Dispatcher dispatcher_;
  session::Connections connections_;
  proc::Watchlist watched_;
  std::optional<watch::ServeWatch> rescue_;
  watch::BuildWalks walks_;  ///< of the whole pid namespace
  int signals_ = -1;
  const bool quiet_;
  bool draining_ = false;
};

// A session costs two descriptors.
void raise_file_limit() {
  rlimit files{};
  ::getrlimit(RLIMIT_NOFILE, &files);
  files.rlim_cur = files.rlim_max;
  ::setrlimit(RLIMIT_NOFILE, &files);
}

struct Sockets {
  std::vector<std::unique_ptr<proc::ServedSocket>> served;
  std::vector<proc::ListeningSocket> passed;
  std::vector<int> tcp;
  std::string addresses;
  std::string cookie_file;
  void add(const std::string& address) { addresses += (addresses.empty() ? "" : ";") + address; }
};

bool is_unix(const wire::Address& address) {
  return address.kind == wire::Address::Kind::unix_socket;
}

wire::Result<void> open_sockets(const ServeConfig& config, Sockets* sockets) {
  if (config.cookie_file) sockets->cookie_file = *config.cookie_file;
  auto taken = proc::take_passed_sockets();
  if (!taken) return tl::make_unexpected(taken.error());
  sockets->passed = *std::move(taken);
  for (const auto& [fd, address] : sockets->passed) {
    if (!wire::is_loopback(address) && !config.allow_remote) {
      return tl::make_unexpected(wire::Error{
          125, "cannot serve " + wire::to_string(address) +
                   " of the service manager: others than this machine could connect, and nothing "
                   "is encrypted; give its unit a loopback address, or --allow-remote"});
    }
    sockets->add(wire::to_string(address));
    if (is_unix(address) && sockets->cookie_file.empty()) {
      sockets->cookie_file = address.path + ".cookie";
    }
  }
  for (const auto& address : config.listen) {
    if (is_unix(address)) {
      auto socket = std::make_unique<proc::ServedSocket>();
      if (auto opened = socket->open(address); !opened) return opened;
      sockets->served.push_back(std::move(socket));
      sockets->add(wire::to_string(address));
      if (sockets->cookie_file.empty()) sockets->cookie_file = address.path + ".cookie";
    } else {
      const auto socket = proc::listen_on(address);
      if (!socket) return tl::unexpected(socket.error());
      sockets->tcp.push_back(socket->fd);
      sockets->add(wire::to_string(socket->address));
    }
  }
  if (!sockets->cookie_file.empty()) return {};
  return tl::make_unexpected(wire::Error{
      2, "there is no Unix socket beside which the cookie could be kept; give --cookie-file FILE"});
}

}  // namespace

int serve(const ServeConfig& config, const std::function<wire::Result<ServeConfig>()>& reload) {
  ::signal(SIGPIPE, SIG_IGN);
  raise_file_limit();
  Sockets sockets;
  if (const auto opened = open_sockets(config, &sockets); !opened) {
    proc::say("serve", opened.error().sentence);
    return opened.error().status;
  }
  bool restarted = false;
  const auto cookie = proc::read_or_make_cookie(sockets.cookie_file, &restarted);
  if (!cookie) {
    proc::say("serve", cookie.error().sentence);
    return cookie.error().status;
  }
  Server server(config, session::own_config(*cookie, 0), restarted);
  for (const auto& passed : sockets.passed) server.listen_on(passed.fd, is_unix(passed.address));
  for (const auto& served : sockets.served) server.listen_on(served->fd(), true);
  for (const int fd : sockets.tcp) server.listen_on(fd, false);
  if (!config.quiet) {
    proc::say("serve", text_of(config.slots) + (config.slots.max == 1 ? " slot" : " slots") +
                           " on " + sockets.addresses + " (cookie in " + sockets.cookie_file + ")");
  }
  const bool served = server.run(reload);
  if (!served) proc::say("serve", proc::shortage("wait for clients", proc::kMoreFiles).sentence);
  for (const int fd : sockets.tcp) ::close(fd);
  return served ? 0 : 125;
}

}  // namespace tokenpool::serve
