#include "host/serve.h"

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
#include "host/clock.h"
#include "host/connections.h"
#include "host/dispatcher.h"
#include "host/dispatcher_config.h"
#include "host/elastic.h"
#include "host/event_loop.h"
#include "host/named_process.h"
#include "host/say.h"
#include "host/serve_rescue.h"
#include "host/shortage.h"
#include "host/watchlist.h"
#include "host/who_holds.h"
#include "proc/capacity.h"
#include "proc/passed_sockets.h"
#include "proc/served_socket.h"

namespace tokenpool::host {
namespace {

using core::Instant;
using core::ProcessId;

/// Slots at first.
int start_of(core::SlotRange range) {
  return std::clamp(proc::usable_cpus(), range.min, range.max);
}

std::string text_of(core::SlotRange range) {
  const std::string min = range.is_elastic() ? std::to_string(range.min) + "-" : "";
  return min + std::to_string(range.max);
}

class Server final : private DispatcherWorld {
 public:
  Server(const ServeConfig& config, const DispatcherConfig& protocol, bool grace)
      : slots_(start_of(config.slots)),
        leases_(config.slots.max, first_lease_of(protocol.epoch),
                [](const core::Payer&) { return 0; }),
        dispatcher_(protocol, &leases_, this, now()),
        connections_(&dispatcher_, ::geteuid()),
        watched_(loop_, [this](const WatchedProcess& process, int) { on_end(process.info.id); }),
        quiet_(config.quiet) {
    core::LeaseEffects none;
    leases_.supply(slots_, now(), &none);
    if (grace) leases_.set_grace(now() + core::kResumeGrace);
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
  std::optional<ProcessId> find(const Peer& peer, const wire::NamedProcess& named) override {
    return find_named(peer, named);
  }
  [[nodiscard]] bool is_below(ProcessId who, ProcessId ancestor) const override {
    return is_below_process(who, ancestor);
  }
  [[nodiscard]] bool was_started_under(ProcessId who, core::LeaseId lease) const override {
    return environment_names(who, lease);
  }
  bool watch(ProcessId who) override { return watched_.add(who); }
  Standing standing(std::optional<ProcessId> process, core::LeaseId under, bool) override {
    Standing standing;
    if (process) standing.client = *process;
    if (leases_.find(under) != nullptr) standing.payer = {core::Payer::Kind::lease, {}, under};
    return standing;
  }
  [[nodiscard]] PidsSeen pids_seen_by(ProcessId viewer) const override {
    return pids_of_viewer(viewer);
  }
  void asks(const Standing&) override {}
  void offer_for_resize(int) override {}
  [[nodiscard]] SlotCount slots() const override {
    return {slots_, elastic_ ? range_ : core::SlotRange{slots_, slots_}};
  }
  void set_slots(int slots) override {
    elastic_.reset();
    change_slots(slots, slots);
  }
  void set_paused(bool paused) override {
    core::LeaseEffects effects;
    leases_.set_paused(paused, now(), &effects);
    dispatcher_.carry_out(&effects, now());
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
      elastic_.emplace(range_, slots, std::string(), now());
      change_slots(slots, range_.max);
    } else {
      call.slots = config.slots.max;
    }
    for (const auto& [type, limit] : leases_.limits()) call.limits.emplace_back(type, std::nullopt);
    for (const auto& [type, limit] : config.limits) call.limits.emplace_back(type, limit);
    dispatcher_.reconfigure(call, now());
  }
  void start_rescue(std::chrono::nanoseconds patience) {
    const auto holder_of = [this](const core::Lease& lease) {
      if (lease.owner) return *lease.owner;
      return dispatcher_.process_of(lease.session).value_or(lease.client);
    };
    rescue_.emplace(ServeRescueContext{.leases = &leases_,
                                       .holder_of = holder_of,
                                       .say = [](const std::string& text) { say("serve", text); },
                                       .patience = patience},
                    now());
  }
  void supply(int slots) {
    if (slots == 0) return;
    core::LeaseEffects effects;
    leases_.supply(slots, now(), &effects);
    dispatcher_.carry_out(&effects, now());
  }
  void change_slots(int slots, int ceiling) {
    core::LeaseEffects effects;
    leases_.supply(slots - std::exchange(slots_, slots), now(), &effects);
    leases_.set_ceiling(ceiling, now(), &effects);
    dispatcher_.carry_out(&effects, now());
  }
  // While nobody asks for anything, nobody looks at the machine.
  [[nodiscard]] bool follows_the_machine() const {
    const bool idle = leases_.leases().empty() && leases_.waiting_count() == 0;
    return elastic_ && !idle && !leases_.paused();
  }
  void follow_the_machine() {
    if (!follows_the_machine() || elastic_->due() > now()) return;
    PoolUse use{.in_use = leases_.leased(), .exhausted = leases_.free() <= 0};
    for (const core::LeaseRequest* request : leases_.waiting()) {
      use.needed = std::max(use.needed, request->min);
    }
    const int slots = elastic_->step(use, now());
    if (slots != slots_) change_slots(slots, range_.max);
  }
  void look_for_stuck() {
    if (!rescue_) return;
    if (const auto due = rescue_->due(); due && *due <= now()) supply(rescue_->step(now()));
  }
  void on_end(ProcessId who) {
    dispatcher_.process_ended(who, now());
    after_event();
  }
  void on_connections() {
    connections_.serve([] {});
    after_event();
  }
  void after_event() {
    if (rescue_) supply(-rescue_->take_back());
    connections_.flush();
    if (draining_ && leases_.leases().empty()) return loop_.stop();
    auto due = dispatcher_.next_deadline();
    if (follows_the_machine()) due = due ? std::min(*due, elastic_->due()) : elastic_->due();
    if (const auto look = rescue_ ? rescue_->due() : std::nullopt) {
      due = due ? std::min(*due, *look) : look;
    }
    loop_.set_deadline(due, [this] {
      dispatcher_.advance(now());
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
        dispatcher_.drain(now());
        tell_of_draining();
      }
    }
    after_event();
  }
  void tell_of_draining() {
    if (quiet_ || leases_.leases().empty()) return;
    say("serve", "ends when the last lease does, and grants nothing new: " +
                     who_holds(dispatcher_.leases(now())) + "; a second signal ends it at once");
  }
  void on_reload(const wire::Result<ServeConfig>& config) {
    if (!config) return say("serve", config.error().sentence + " (nothing is changed)");
    apply(*config);
  }

  EventLoop loop_;
  int slots_;
  core::SlotRange range_;           ///< while elastic_
  std::optional<Elastic> elastic_;  ///< while the slots follow the machine
  core::LeasePool leases_;
  Dispatcher dispatcher_;
  Connections connections_;
  Watchlist watched_;
  std::optional<ServeRescue> rescue_;
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
    say("serve", opened.error().sentence);
    return opened.error().status;
  }
  bool restarted = false;
  const auto cookie = proc::read_or_make_cookie(sockets.cookie_file, &restarted);
  if (!cookie) {
    say("serve", cookie.error().sentence);
    return cookie.error().status;
  }
  Server server(config, own_config(*cookie, 0), restarted);
  for (const auto& passed : sockets.passed) server.listen_on(passed.fd, is_unix(passed.address));
  for (const auto& served : sockets.served) server.listen_on(served->fd(), true);
  for (const int fd : sockets.tcp) server.listen_on(fd, false);
  if (!config.quiet) {
    say("serve", text_of(config.slots) + (config.slots.max == 1 ? " slot" : " slots") + " on " +
                     sockets.addresses + " (cookie in " + sockets.cookie_file + ")");
  }
  const bool served = server.run(reload);
  if (!served) say("serve", shortage("wait for clients", kMoreFiles).sentence);
  for (const int fd : sockets.tcp) ::close(fd);
  return served ? 0 : 125;
}

}  // namespace tokenpool::host
