#include <algorithm>
#include <array>
#include <chrono>
#include <csignal>
#include <cstdio>
#include <cstdlib>
#include <memory>
#include <optional>
#include <utility>

#include <poll.h>
#include <unistd.h>

#include "launcher/launcher.h"
#include "launcher/launcher_notice.h"
#include "launcher/launcher_process.h"
#include "launcher/opam_pipes.h"
#include "proc/say.h"
#include "session/who_holds.h"
#include "wire/limits.h"
#include "wire/protocol_codec.h"

namespace tokenpool::launcher {
namespace {

using client::Mode;
using client::Reason;

// As a client that has lost its connection waits, tokenpool-protocol(7).
constexpr int kFirstPauseMs = 50;
constexpr int kMaxPauseMs = 1000;
// A short --timeout is for slots: an arbiter that is well answers sooner than this.
constexpr client::Milliseconds kLeastPatience{1000};

// When it is told who is waited for, and how much later again.
constexpr auto kPatience = std::chrono::seconds(5);
constexpr auto kSeldom = std::chrono::minutes(1);

void say_in_one_line(const std::string& sentence) {
  // A reader of stderr that has gone away ends neither this process nor its job.
  const auto was = std::signal(SIGPIPE, SIG_IGN);
  proc::say("exec", sentence);
  std::signal(SIGPIPE, was);
}

std::string why_no_arbiter(const client::Pool& pool) {
  const std::string said = pool.reason_text();
  switch (pool.reason()) {
    case Reason::ok:
    case Reason::no_address:
      break;
    case Reason::bad_address:
      return "TOKENPOOL_ADDR is not to be understood";
    case Reason::no_cookie:
      return "TOKENPOOL_COOKIE is not set";
    case Reason::bad_cookie:
      return "TOKENPOOL_COOKIE is not 64 hexadecimal digits";
    case Reason::unreachable:
      return "TOKENPOOL_ADDR cannot be reached" + (said.empty() ? "" : ": " + said);
    case Reason::refused:
      return "the arbiter at TOKENPOOL_ADDR refuses: " + said;
    case Reason::incompatible:
      return "the one at TOKENPOOL_ADDR speaks another version of the protocol";
    case Reason::no_answer:
      return "the one at TOKENPOOL_ADDR does not answer" + (said.empty() ? "" : ": " + said);
  }
  return "TOKENPOOL_ADDR is not set";
}

wire::Error no_lease(const client::Wanted& wanted, const client::Error& error) {
  const std::string slots = std::to_string(wanted.min) + (wanted.min == 1 ? " slot" : " slots");
  const std::string why = "cannot get " + slots + ": ";
  switch (error.code) {
    case -32003:
      return {125, why + "the time of --timeout is over; give it more, or try again later"};
    case -32005:
      return {125, why + error.message + "; ask for fewer with --slots, or see the limits in " +
                       "tokenpool status"};
    case -32007:
      return {125, why + error.message + "; start fewer at one time"};
    case -32008:
      return {125, why + error.message + "; start it in another run"};
    default:
      return {125, why + error.message + "; see tokenpool status"};
  }
}

std::string command_line(const std::vector<std::string>& words) {
  std::string line;
  for (const std::string& word : words) {
    line += (line.empty() ? "" : " ") + word;
    if (line.size() >= wire::kMaxTargetBytes) break;
  }
  line.resize(std::min(line.size(), wire::kMaxTargetBytes));
  return line;
}

// What the user has set stays.
void tell_width(std::string_view rest, int slots, JobSpec* spec) {
  while (!rest.empty()) {
    const std::string name(rest.substr(0, rest.find(',')));
    rest.remove_prefix(std::min(rest.size(), name.size() + 1));
    const bool is_name = !name.empty() && name.find('=') == std::string::npos;
    if (!is_name || std::getenv(name.c_str()) != nullptr) continue;
    spec->environment.emplace_back(name, std::to_string(slots));
  }
}

/// Whether nobody in this process's group waits for longer than it does: on a terminal one of them
/// tells.
bool is_first_of_group(const wire::StatusResult& status) {
  for (const wire::StatusRow& row : status.waiting) {
    if (row.pid == ::getpid()) return true;
    if (row.pid > 0 && ::getpgid(row.pid) == ::getpgrp()) return false;
  }
  return false;
}

/// One job and its lease.
class Launch {
 public:
  explicit Launch(const LaunchConfig& config) : config_(config) {}
  wire::Result<int> run();

 private:
  wire::Result<void> connect();
  wire::Result<void> wait_for_arbiter(const client::Options& options);
  wire::Result<void> start();
  client::Result<client::Lease> acquire();
  void tell_of_waiting();
  [[nodiscard]] bool may_tell() const;
  [[nodiscard]] JobSpec spec(const JobTerms& terms) const;
  JobEnd serve();
  void serve_opam();

  const LaunchConfig& config_;
  client::Wanted wanted_;
  std::unique_ptr<client::Pool> pool_;
  client::Lease lease_;
  std::unique_ptr<OpamPipes> opam_;
  std::unique_ptr<JobProcess> job_;
  std::chrono::steady_clock::time_point since_;  ///< when slots were asked for
  bool has_told_ = false;                        ///< that it waits
};

// An arbiter that dies before it has answered is started anew: its place is taken within moments.
// Where a jobserver serves as well, the job is in a pool all the same.
wire::Result<void> Launch::wait_for_arbiter(const client::Options& options) {
  const auto begin = std::chrono::steady_clock::now();
  int pause_ms = kFirstPauseMs;
  bool told = false;
  while (true) {
    pool_ = client::Pool::connect(options);
    if (pool_->reason() != Reason::no_answer) return {};
    const auto waited = std::chrono::steady_clock::now() - begin;
    if (pool_->mode() == Mode::jobserver && waited >= options.patience) return {};
    if (config_.alone_after && waited >= *config_.alone_after) return {};
    if (config_.wanted.timeout && waited >= *config_.wanted.timeout) {
      return tl::make_unexpected(
          wire::Error{125, "cannot get a slot: " + why_no_arbiter(*pool_) +
                               ", and the time of --timeout is over; see whether it is stopped"});
    }
    if (!told && waited >= options.patience) {
      told = true;
      if (!config_.quiet && is_first_to_tell(2)) {
        say_in_one_line(why_no_arbiter(*pool_) + "; " + config_.command.front() +
                        " waits for it (--alone-after SECONDS would run it outside of the pool)");
      }
    }
    ::poll(nullptr, 0, pause_ms);
    pause_ms = std::min(2 * pause_ms, kMaxPauseMs);
  }
}

wire::Result<void> Launch::connect() {
  client::Options options;
  options.name = "tokenpool exec";
  options.launcher = true;
  for (const auto& limit : {config_.alone_after, config_.wanted.timeout}) {
    if (limit) options.patience = std::min(options.patience, std::max(*limit, kLeastPatience));
  }
  if (auto waited = wait_for_arbiter(options); !waited) return waited;
  wanted_ = config_.wanted;
  // For people: a row without it says that somebody runs something.
  if (wanted_.target.empty()) wanted_.target = command_line(config_.command);
  if (pool_->mode() != Mode::single) return {};
  wanted_.min = 1;
  wanted_.max = 1;
  const bool outside = pool_->reason() == Reason::no_answer;
  if (outside || (!config_.quiet && is_first_to_tell(2))) {
    say_in_one_line("no arbiter (" + why_no_arbiter(*pool_) + "); " + config_.command.front() +
                    " runs with one slot");
  }
  return {};
}

JobSpec Launch::spec(const JobTerms& terms) const {
  JobSpec spec;
  spec.argv.push_back(config_.command.front());
  for (std::size_t i = 1; i < config_.command.size(); ++i) {
    const std::string& word = config_.command[i];
    spec.argv.push_back(config_.verbatim ? word : with_slots(word, terms.slots));
  }
  spec.nice = config_.nice;
  spec.environment.emplace_back("TOKENPOOL_SLOTS", std::to_string(terms.slots));
  // The lease under which the launcher itself runs is no longer the job's.
  std::optional<std::string> id;
  if (terms.lease != 0) id = std::to_string(terms.lease);
  spec.environment.emplace_back("TOKENPOOL_LEASE", id);
  spec.environment.emplace_back("TOKENPOOL_WRAPPED", config_.whole ? id : std::nullopt);
  if (opam_) spec.environment.emplace_back("OPAMJOBSERVER", opam_->variable());
  if (config_.tells_width) tell_width(config_.width_for, terms.slots, &spec);
  return spec;
}

client::Result<client::Lease> Launch::acquire() {
  since_ = std::chrono::steady_clock::now();
  auto due = since_ + kPatience;
  const client::Ticket ticket = pool_->begin(wanted_);
  while (true) {
    if (auto taken = pool_->take(ticket)) return std::move(*taken);
    const auto now = std::chrono::steady_clock::now();
    if (now >= due) {
      tell_of_waiting();
      due = now + kSeldom;
    }
    pool_->wait(std::chrono::ceil<std::chrono::milliseconds>(due - now));
    while (pool_->take_notice()) {
    }
  }
}

bool Launch::may_tell() const { return !config_.quiet && (has_told_ || is_first_to_tell(2)); }

void Launch::tell_of_waiting() {
  if (config_.quiet || config_.waits_silently) return;
  if (pool_->mode() == Mode::jobserver) {
    has_told_ = may_tell();
    if (has_told_) {
      say_in_one_line(
          "waits for a token of the jobserver in MAKEFLAGS, which tells nobody who has "
          "them");
    }
    return;
  }
  const auto result = pool_->connected() ? pool_->status() : client::Error{};
  const auto status = result ? wire::parse_status(*result) : std::nullopt;
  if (!status) return;
  has_told_ = ::isatty(2) == 1 ? is_first_of_group(*status) : may_tell();
  if (!has_told_) return;
  const auto waited = std::chrono::steady_clock::now() - since_;
  say_in_one_line(
      session::waiting_line(*status, wanted_.min, wanted_.type,
                            std::chrono::duration_cast<std::chrono::milliseconds>(waited).count()));
}

// The job is there, and waits, before its slots are asked for: so the lease is its own from the
// first moment, and whoever frees a slot waits for no fork. Where the arbiter cannot see the job,
// the lease is this session's.
wire::Result<void> Launch::start() {
  std::vector<int> inherited;
  if (opam_) inherited = {opam_->job_ends().first, opam_->job_ends().second};
  auto job = JobProcess::start([this](const JobTerms& terms) { return spec(terms); }, inherited);
  if (!job) return tl::unexpected(job.error());
  job_ = std::move(*job);
  wanted_.pid = job_->pid();
  auto lease = acquire();
  if (!lease) return tl::unexpected(no_lease(wanted_, lease.error()));
  lease_ = std::move(*lease);
  if (pool_->mode() == Mode::protocol && lease_.id() == 0 && may_tell()) {
    say_in_one_line("the arbiter has gone while " + config_.command.front() +
                    " waited for it; it runs with one slot");
  }
  return job_->execute(config_.command.front(), {lease_.slots(), lease_.id()});
}

void Launch::serve_opam() {
  if (!opam_) return;
  client::Wanted one = wanted_;
  one.min = 1;
  one.max = 1;
  one.memory = 0;
  one.timeout.reset();
  one.pid = job_->pid();
  for (const std::string& sentence : opam_->serve(pool_.get(), one)) say_in_one_line(sentence);
}

JobEnd Launch::serve() {
  if (opam_) opam_->close_job_ends();
  while (true) {
    if (const auto end = job_->on_signals()) return *end;
    std::array<pollfd, 3> ready{pollfd{job_->fd(), POLLIN, 0},
                                pollfd{pool_->fd(), pool_->events(), 0},
                                pollfd{opam_ ? opam_->fd() : -1, POLLIN, 0}};
    ::poll(ready.data(), ready.size(), pool_->timeout_ms());
    pool_->process();
    // A job of one parent can neither be made smaller nor run again here.
    while (pool_->take_notice()) {
    }
    serve_opam();
  }
}

wire::Result<int> Launch::run() {
  if (auto connected = connect(); !connected) return tl::unexpected(connected.error());
  if (config_.opam) {
    auto pipes = OpamPipes::open();
    if (!pipes) return tl::unexpected(pipes.error());
    opam_ = std::move(*pipes);
  }
  if (const auto started = start(); !started) return tl::unexpected(started.error());
  const JobEnd end = serve();
  // A connection that has just come back is to be known, or the report would be dropped.
  pool_->process();
  if (opam_) opam_->end(pool_.get());
  client::Report report;
  report.exit = end.status;
  report.cpu_seconds = end.cpu_seconds;
  report.peak_memory = end.peak_memory;
  (void)lease_.report(report);
  lease_.release();
  return end.status;
}

}  // namespace

wire::Result<int> launch(const LaunchConfig& config) { return Launch(config).run(); }

}  // namespace tokenpool::launcher
