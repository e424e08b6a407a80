#include "host/arbiter.h"

#include <algorithm>
#include <array>
#include <cerrno>
#include <chrono>
#include <cstdlib>
#include <cstring>
#include <exception>
#include <optional>
#include <span>

#include <asio/io_context.hpp>
#include <asio/posix/stream_descriptor.hpp>
#include <asio/steady_timer.hpp>
#include <poll.h>
#include <sys/socket.h>
#include <unistd.h>

#include "core/check.h"
#include "core/pool.h"
#include "host/board_log.h"
#include "host/kill_build.h"
#include "host/kinship.h"
#include "host/memory_proxy.h"
#include "host/stopped_calls.h"
#include "host/unseen_calls.h"
#include "host/watchlist.h"
#include "jobserver/fifo_watch.h"
#include "jobserver/seccomp.h"
#include "proc/null_device.h"

namespace tokenpool::host {
namespace {

using asio::posix::stream_descriptor;
using core::Effect;
using core::ProcessId;
using jobserver::Delivery;
using jobserver::Notification;
using jobserver::Received;

// Stopped calls answered before deaths and timers get their turn.
constexpr int kBatch = 64;

// Between two looks at what nothing tells: a write of more bytes than the FIFO holds wakes no watch
// before it is over, and a process that could not be watched ends without a word.
constexpr auto kLookInterval = std::chrono::seconds(1);

core::Instant now() {
  return std::chrono::duration_cast<core::Instant>(
      std::chrono::steady_clock::now().time_since_epoch());
}

class Arbiter {
 public:
  Arbiter(const ArbiterConfig& config, const Begin& begin, int listener);
  /// Whether there are processes left to serve, without a front.
  bool run();

 private:
  // What happens in the world.
  Received on_calls();
  void on_call(const Notification& call);
  void on_end(const WatchedProcess& process, int pidfd);
  void on_front();
  void on_command_ended(bool all_ended);
  void on_timer();

  // What the pool decided.
  void apply();
  void apply(const Effect& effect);
  void grant(const Effect& effect, bool from_fifo);
  Delivery deliver(const Notification& call);
  void refuse(const Effect& effect);

  // Conservation.
  void settle_drift();
  void clear_watch();
  void explain(int drift, const std::vector<pid_t>& touched);

  void answer_call(const Notification& call, ProcessId who);
  void leave_to_kernel(const Notification& call, ProcessId who);
  void forget_waiting_of(pid_t thread);
  void resume_from_board();
  void resume_step(const Notification& call, Step step);
  void publish();
  void arm_listener();
  void arm_watch();
  void arm_front();
  void arm_timer();
  bool say(char word);
  [[nodiscard]] bool has_front() const;
  void end_build();
  void finish();

  const ArbiterConfig config_;
  const Begin begin_;
  const jobserver::Fifo& fifo_;
  BoardLog log_;
  std::optional<jobserver::Listener> listener_;
  jobserver::FifoWatch watch_;
  UnseenCalls unseen_;
  asio::io_context io_{1};
  stream_descriptor listener_ready_{io_};
  stream_descriptor watch_ready_{io_};
  stream_descriptor front_ready_{io_};
  asio::steady_timer timer_{io_};
  std::optional<core::Instant> timer_due_;
  Watchlist watched_;
  core::Pool pool_;
  Kinship kin_;
  core::Effects effects_;
  std::size_t next_effect_ = 0;
  StoppedCalls waiting_;
  std::vector<StoppedCall>
      unwritable_;  ///< reads that go on as soon as all effects are carried out
  core::Instant event_time_{};
  core::Instant next_look_ = now() + kLookInterval;
  bool fifo_touched_ = false;  ///< by us, since the watch was read
  bool command_ended_;
  bool left_ = false;
  bool front_gone_ = false;
};

Arbiter::Arbiter(const ArbiterConfig& config, const Begin& begin, int listener)
    : config_(config),
      begin_(begin),
      fifo_(*config.fifo),
      log_(config.board),
      watch_(listener >= 0 ? config.fifo->path() : std::string()),
      unseen_(fifo_.id(), begin.read_end),
      watched_(io_, [this](const WatchedProcess& process, int pidfd) { on_end(process, pidfd); }),
      pool_(begin.issued),
      kin_(config.front, watched_, pool_),
      command_ended_(begin.left) {
  if (listener >= 0) listener_.emplace(listener);
}

bool Arbiter::run() {
  front_ready_.assign(config_.control);
  arm_front();
  if (listener_) {
    listener_ready_.assign(listener_->fd());
    if (begin_.resume && !begin_.bypass) resume_from_board();
    arm_listener();
    if (watch_.fd() >= 0 && !begin_.bypass) {
      watch_ready_.assign(watch_.fd());
      arm_watch();
    }
  }
  publish();
  (void)say(kReady);
  arm_timer();
  io_.run();
  // They belong to others, who close them.
  for (auto* borrowed : {&watch_ready_, &listener_ready_, &front_ready_}) {
    if (borrowed->is_open()) borrowed->release();
  }
  return left_;
}

void Arbiter::arm_listener() {
  listener_ready_.async_wait(stream_descriptor::wait_read, [this](const asio::error_code& error) {
    if (error) return;
    if (on_calls() != Received::hung_up) {
      arm_listener();
    } else if (command_ended_) {
      finish();
    }
  });
}

void Arbiter::arm_watch() {
  watch_ready_.async_wait(stream_descriptor::wait_read, [this](const asio::error_code& error) {
    if (error) return;
    event_time_ = now();
    clear_watch();
    publish();
    arm_timer();
    arm_watch();
  });
}

void Arbiter::arm_front() {
  front_ready_.async_wait(stream_descriptor::wait_read, [this](const asio::error_code& error) {
    if (!error) on_front();
  });
}

void Arbiter::arm_timer() {
  auto due = pool_.next_deadline();
  const bool looks = listener_ && !begin_.bypass && !command_ended_;
  if (looks || watched_.needs_sweeping()) {
    due = due ? std::min(*due, next_look_) : next_look_;
  }
  if (due == timer_due_) return;
  timer_due_ = due;
  if (!due) {
    timer_.cancel();
    return;
  }
  timer_.expires_at(std::chrono::steady_clock::time_point(*due));
  timer_.async_wait([this](const asio::error_code& error) {
    if (!error) on_timer();
  });
}

void Arbiter::on_timer() {
  timer_due_.reset();
  event_time_ = now();
  if (event_time_ >= next_look_) {
    next_look_ = event_time_ + kLookInterval;
    if (watched_.needs_sweeping()) watched_.sweep();
  }
  settle_drift();
  pool_.advance(now(), &effects_);
  apply();
  publish();
  arm_timer();
}

Received Arbiter::on_calls() {
  Notification call;
  Received received = Received::call;
  for (int i = 0; i < kBatch; ++i) {
    received = listener_->receive(&call);
    if (received != Received::call) break;
    on_call(call);
  }
  // The watch reports our own accesses as well: read off here, they cost no wake-up of their own.
  if (fifo_touched_) clear_watch();
  fifo_touched_ = false;
  arm_timer();
  return received;
}

void Arbiter::on_call(const Notification& call) {
  if (begin_.bypass || !proc::descriptor_is(call.thread, call.fd, fifo_.id())) {
    (void)listener_->let_continue(call);
    return;
  }
  const auto who = kin_.identify(call.thread);
  if (!who) {
    // It died while it was looked at, or there is no descriptor left to look with: the kernel then
    // does what was asked for and conservation finds it.
    (void)listener_->let_continue(call);
    return;
  }
  if (call.call == jobserver::Call::duplicate || call.count != 1) {
    leave_to_kernel(call, *who);
    return;
  }
  log_.begin(Step::received, call);
  event_time_ = now();
  forget_waiting_of(call.thread);
  settle_drift();
  unseen_.forget_read(call.thread);
  answer_call(call, *who);
  publish();
  log_.end_step();
}

// The caller is announced: what the kernel does for it is found by conservation. Whoever died or
// took before is settled first, so that the books are even when this one goes on.
void Arbiter::leave_to_kernel(const Notification& call, ProcessId who) {
  event_time_ = now();
  settle_drift();
  unseen_.forget_read(call.thread);
  if (call.call == jobserver::Call::read) {
    unseen_.expect_read(who, call.thread);
  } else {
    const bool takes = call.call == jobserver::Call::duplicate && call.fd == begin_.read_end;
    unseen_.expect(who, takes, now());
  }
  (void)listener_->let_continue(call);
}

void Arbiter::answer_call(const Notification& call, ProcessId who) {
  fifo_touched_ = true;
  if (call.call == jobserver::Call::read) {
    const bool blocking = !proc::descriptor_is_nonblocking(call.thread, call.fd);
    const core::Request request{call.id, who, blocking};
    waiting_.add({call, request});
    log_.begin(Step::taking, call);
    pool_.request(request, event_time_, &effects_);
    apply();
    return;
  }
  log_.begin(Step::putting, call);
  pool_.give(who, 1, event_time_, &effects_);
  // The writer goes on first: what its token sets free can wait for the length of one system call,
  // and a writer that died meanwhile has returned its token all the same.
  (void)listener_->answer_one(call);
  apply();
}

// A thread makes one call at a time: an older one of the same thread was interrupted.
void Arbiter::forget_waiting_of(pid_t thread) {
  const auto interrupted = waiting_.take_of_thread(thread);
  if (!interrupted) return;
  pool_.cancel(interrupted->request.id, event_time_, &effects_);
  apply();
}

void Arbiter::apply() {
  // Carrying out one effect may append more, or lead back here; each is carried out once, in order.
  while (next_effect_ < effects_.size()) {
    const Effect effect = effects_[next_effect_++];
    apply(effect);
  }
  effects_.clear();
  next_effect_ = 0;
  for (const auto& [call, request] : unwritable_) {
    unseen_.expect_read(request.who, call.thread);
    (void)listener_->let_continue(call);
  }
  unwritable_.clear();
}

void Arbiter::apply(const Effect& effect) {
  switch (effect.kind) {
    case Effect::Kind::grant_from_fifo:
      grant(effect, true);
      break;
    case Effect::Kind::grant_direct:
      grant(effect, false);
      break;
    case Effect::Kind::refuse:
      refuse(effect);
      break;
    case Effect::Kind::put:
      (void)fifo_.put(effect.count);
      break;
    case Effect::Kind::drain:
      (void)fifo_.take(effect.count);
      break;
    case Effect::Kind::recovered: {
      const auto micros =
          std::chrono::duration_cast<std::chrono::microseconds>(now() - event_time_).count();
      log_.add_recovery(effect, micros);
      break;
    }
    case Effect::Kind::refused:
      log_.add_refusal(effect.who, effect.count,
                       effect.who.pid == 0 ? std::string() : proc::command_of(effect.who.pid));
      break;
  }
}

void Arbiter::grant(const Effect& effect, bool from_fifo) {
  TOKENPOOL_CHECK(waiting_.contains(effect.request));
  const StoppedCall waiting = waiting_.at(effect.request);
  if (from_fifo && fifo_.take(1) == 0) {
    pool_.grant_failed(waiting.request, true, core::GrantFailure::byte_missing, now(), &effects_);
    settle_drift();
    return;
  }
  const Delivery delivery = deliver(waiting.call);
  (void)waiting_.take(effect.request);
  if (delivery == Delivery::done) return;
  // The kernel can write where nobody else can; what it takes for the reader is found as any call
  // that was announced and not seen.
  if (delivery == Delivery::unwritable) unwritable_.push_back(waiting);
  pool_.grant_failed(waiting.request, from_fifo, core::GrantFailure::caller_gone, now(), &effects_);
}

Delivery Arbiter::deliver(const Notification& call) {
  Delivery written = listener_->write_token(call);
  if (written == Delivery::unwritable) {
    written = write_through_front(
        &config_.board->write, call, [this] { return say(kWrite); },
        [this] { return has_front(); });
  }
  return written == Delivery::done ? listener_->answer_one(call) : written;
}

void Arbiter::refuse(const Effect& effect) {
  const auto refused = waiting_.take(effect.request);
  if (!refused) return;
  // A reader that wants to wait and cannot (core::kMaxWaiting) asks again, as after a signal.
  (void)listener_->answer_error(refused->call, refused->request.blocking ? EINTR : EAGAIN);
}

void Arbiter::settle_drift() {
  const int drift = pool_.drift(fifo_.level());
  explain(drift, drift != 0 ? watch_.collect() : std::vector<pid_t>());
}

// Reads what the watch has reported, too, so that it wakes nobody again.
void Arbiter::clear_watch() {
  const auto touched = watch_.collect();
  if (!touched.empty() || !watch_.names_processes()) explain(pool_.drift(fifo_.level()), touched);
}

void Arbiter::explain(int drift, const std::vector<pid_t>& touched) {
  if (!listener_) return;
  if (drift == 0) {
    unseen_.forget_idle(now());
    return;
  }
  std::vector<ProcessId> named;
  for (const pid_t pid : touched) {
    if (const auto id = kin_.adopt(pid)) named.push_back(*id);
  }
  auto suspects = unseen_.suspects(drift, named);
  const bool certain = !suspects.empty();
  if (!certain) suspects = kin_.likely_callers(fifo_.id(), {begin_.read_end, begin_.write_end});
  for (const auto& who : suspects) {
    if (drift < 0) watched_.look_again(who);
  }
  if (certain && static_cast<int>(suspects.size()) == std::abs(drift)) {
    // One call each: nobody is suspected, all are known.
    const int call = drift < 0 ? -1 : 1;
    for (const auto& who : suspects) pool_.unseen(call, {&who, 1}, true, now(), &effects_);
  } else {
    pool_.unseen(drift, suspects, certain, now(), &effects_);
  }
  apply();
}

void Arbiter::on_end(const WatchedProcess& process, int pidfd) {
  event_time_ = now();
  // Before Linux 6.15 only the zombie tells, and its parent is about to reap it.
  const auto cause =
      pidfd >= 0 ? proc::end_cause(pidfd, process.info.id.pid) : core::EndCause::unknown;
  const auto who = process.info.id;
  if (cause == core::EndCause::succeeded) unseen_.succeeded(who);
  settle_drift();
  unseen_.forget(who);
  waiting_.forget(who);
  if (!pool_.ledger().concerns(who)) {
    pool_.ended(who, cause, {}, std::nullopt, event_time_, &effects_);
    apply();
    return;
  }
  std::vector<ProcessId> survivors;
  std::optional<ProcessId> heir;
  if (const auto* account = pool_.ledger().find(who); account != nullptr) {
    const bool holds = account->own > 0;
    const auto ancestors = account->ancestors;  // bringing others into view moves the account
    if (holds && cause != core::EndCause::succeeded) survivors = kin_.orphans_of(process);
    heir = kin_.living_of(ancestors);
  }
  log_.name_dead(who, process.command);
  pool_.ended(who, cause, survivors, heir, event_time_, &effects_);
  apply();
  publish();
  arm_timer();
}

void Arbiter::on_front() {
  char word = 0;
  const ssize_t n = ::recv(config_.control, &word, 1, MSG_DONTWAIT);
  if (n < 0 && (errno == EAGAIN || errno == EINTR)) {
    arm_front();
    return;
  }
  if (n == 1) {
    on_command_ended(word == kAllEnded);
    if (word != kAllEnded) arm_front();
    return;
  }
  front_gone_ = true;
  if (!command_ended_) end_build();
}

void Arbiter::on_command_ended(bool all_ended) {
  command_ended_ = true;
  event_time_ = now();
  if (listener_) {
    (void)on_calls();
    watched_.sweep();
    settle_drift();
  }
  if (all_ended) {
    // Without a tracker this is where everything that is missing is found.
    if (const int drift = pool_.drift(fifo_.level()); drift != 0) {
      pool_.unseen(drift, {}, false, event_time_, &effects_);
      apply();
    }
    pool_.all_ended(event_time_, &effects_);
    apply();
  }
  publish();
  log_.close(pool_, fifo_.level(), all_ended, listener_.has_value());
  (void)say(kSettled);
  // A pipe behind `tokenpool run` must end with it, not with an arbiter that serves a daemon.
  proc::lead_nowhere(STDERR_FILENO);
  // Without a listener nobody can be served; those who go on share what lies in the FIFO.
  if (all_ended || !listener_ || listener_->hung_up()) return finish();
  left_ = true;
  io_.stop();
}

// Nobody is left whom the FIFO could serve.
void Arbiter::finish() {
  config_.fifo->remove();
  io_.stop();
}

void Arbiter::end_build() {
  BuildMarks marks;
  marks.mark = begin_.mark;
  marks.assignment = "TOKENPOOL_FIFO=" + fifo_.path();
  marks.fifo = fifo_.id();
  marks.read_end = begin_.read_end;
  marks.write_end = begin_.write_end;
  kill_build(
      config_.group, marks,
      [this] { return listener_ && listener_->hung_up() && !config_.group.is_populated(); },
      [this](int pause_ms) {
        pollfd hang_up{listener_ ? listener_->fd() : -1, 0, 0};
        ::poll(&hang_up, 1, pause_ms);
      });
  finish();
}

void Arbiter::publish() {
  log_.publish(pool_);
  log_.keep_waiting(pool_.waiting(), [this](core::RequestId id) { return waiting_.at(id).call; });
}

bool Arbiter::has_front() const {
  pollfd hang_up{config_.control, 0, 0};
  return ::poll(&hang_up, 1, 0) == 0;
}

bool Arbiter::say(char word) {
  return ::send(config_.control, &word, 1, MSG_NOSIGNAL | MSG_DONTWAIT) == 1;
}

void Arbiter::resume_from_board() {
  event_time_ = now();
  auto left = log_.left_behind();
  // What the dead one kept back for somebody was in neither FIFO nor ledger.
  (void)fifo_.put(left.reserved);
  std::vector<ProcessId> dead;
  for (auto& account : left.accounts) {
    const auto info = proc::read_process(account.who.pid);
    if (info && info->id == account.who && watched_.add(*info)) {
      account.ancestors = proc::ancestors_below(*info, config_.front);
    } else {
      dead.push_back(account.who);
    }
  }
  pool_.restore(left.accounts, {}, left.owed, left.counters);
  for (const auto& who : dead) {
    pool_.ended(who, core::EndCause::unknown, {}, std::nullopt, event_time_, &effects_);
  }
  if (left.step != Step::none) resume_step(left.under_way, left.step);
  apply();
  settle_drift();
  // The board keeps the old list until all of them are taken over: should this arbiter die here,
  // the next one still finds every reader that waits.
  if (left.step != Step::none) left.waiting.push_back(left.under_way);
  for (const auto& call : left.waiting) {
    if (waiting_.contains(call.id) || !listener_->is_waiting(call.id)) continue;
    if (const auto who = kin_.identify(call.thread)) answer_call(call, *who);
  }
  log_.end_step();
}

// The dead arbiter may have moved the byte of the call that it was answering without booking it.
void Arbiter::resume_step(const Notification& call, Step step) {
  const int drift = pool_.drift(fifo_.level());
  const bool unanswered = listener_->is_waiting(call.id);
  if (step == Step::taking && drift == -1) {
    if (unanswered) {
      (void)fifo_.put(1);
    } else if (const auto who = kin_.identify(call.thread)) {
      const std::array<ProcessId, 1> taker{*who};
      pool_.unseen(-1, taker, true, event_time_, &effects_);
    }
  } else if (step == Step::putting && drift == 1 && unanswered) {
    (void)fifo_.take(1);
  }
}

}  // namespace

// Asio throws where it cannot have a descriptor or memory.
int serve_build(const ArbiterConfig& config, const Begin& begin, int listener, bool* left) {
  try {
    Arbiter arbiter(config, begin, listener);
    *left = arbiter.run();
  } catch (const std::exception&) {
    return 3;
  }
  return 0;
}

}  // namespace tokenpool::host
