#include "arbiter/arbiter.h"

#include <algorithm>
#include <cerrno>
#include <chrono>
#include <exception>
#include <optional>
#include <utility>

#include <poll.h>
#include <sys/socket.h>
#include <unistd.h>

#include "arbiter/carrier.h"
#include "arbiter/conservation.h"
#include "arbiter/kinship.h"
#include "arbiter/leases_desk.h"
#include "arbiter/other_users.h"
#include "arbiter/restore_books.h"
#include "arbiter/stopped_calls.h"
#include "board/board_log.h"
#include "board/freezer.h"
#include "core/pool.h"
#include "jobserver/seccomp.h"
#include "proc/clock.h"
#include "proc/descriptor_look.h"
#include "proc/event_loop.h"
#include "proc/kill_build.h"
#include "proc/null_device.h"
#include "proc/watchlist.h"

namespace tokenpool::arbiter {
namespace {

using core::ProcessId;
using jobserver::Delivery;
using jobserver::Notification;
using jobserver::Received;

// Stopped calls answered at the end of the command before it is said to be over.
constexpr int kLastCalls = 64;

// Between two looks at what nothing tells: a write of more bytes than the FIFO holds wakes no watch
// before it is over, and a process that could not be watched ends without a word.
constexpr auto kLookInterval = std::chrono::seconds(1);

class Arbiter {
 public:
  Arbiter(const board::ArbiterConfig& config, const board::Begin& begin,
          const board::Attached& attached);
  /// Whether there are processes left to serve, without a front. Nothing: it did not get the
  /// descriptors that it needs.
  std::optional<bool> run();

 private:
  // What happens in the world.
  void on_listener(bool readable);
  void on_watch();
  void on_leases();
  void on_fifo();
  /// Whether it was one on the FIFO, or of who becomes a subreaper or ends.
  bool on_call(const Notification& call);
  void on_token_call(const Notification& call);
  void on_exit(const Notification& call);
  void on_subreaper(const Notification& call);
  void publish_books();
  void on_end(const proc::WatchedProcess& process, int pidfd);
  [[nodiscard]] core::EndCause cause_of(const proc::WatchedProcess& process, int pidfd) const;
  void look_at_helpers_of(ProcessId shell);
  void end_holder(const proc::WatchedProcess& process, core::EndCause cause);
  void on_front();
  void on_command_ended(bool all_ended);
  void on_timer();

  void answer_call(const Notification& call, ProcessId who);
  void leave_to_kernel(const Notification& call, ProcessId who);
  void forget_waiting_of(pid_t thread);
  BookKeepers keepers_of(core::Pool& books);
  void resume_from_board();
  void resume_unseeing();
  void publish();
  [[nodiscard]] bool watch_all();
  void arm_fifo();
  void arm_timer();
  void after_event(bool has_changed = true);
  void end_build();
  void finish();

  const board::ArbiterConfig config_;
  const board::Begin begin_;
  const bool sees_calls_;  ///< and keeps books of who holds what
  const jobserver::Fifo& fifo_;
  const FrontLine front_;
  board::BoardLog log_;
  std::optional<jobserver::Listener> listener_;
  proc::EventLoop loop_;
  proc::Watchlist watched_;
  proc::DescriptorLook looks_;
  board::LeftBehind left_behind_;  ///< by the arbiter before this one
  core::Pool pool_;
  Kinship kin_;
  core::Effects effects_;
  Conservation books_;
  LeasesDesk leases_;
  OtherUsers other_users_;
  StoppedCalls waiting_;
  Carrier carrier_;
  core::Instant event_time_{};
  core::Instant next_look_ = proc::now() + kLookInterval;
  bool fifo_armed_ = false;
  bool command_ended_;
  bool left_ = false;
  bool front_gone_ = false;
};

Arbiter::Arbiter(const board::ArbiterConfig& config, const board::Begin& begin,
                 const board::Attached& attached)
    : config_(config),
      begin_(begin),
      sees_calls_(is_tracked(begin)),
      fifo_(*config.fifo),
      front_(config.control),
      log_(config.board),
      watched_(loop_,
               [this](const proc::WatchedProcess& process, int pidfd) { on_end(process, pidfd); }),
      left_behind_(begin.resume ? log_.left_behind() : board::LeftBehind{}),
      pool_(tokens_of(settings_of(begin, left_behind_.settings))),
      kin_(config.front, begin.guardian, watched_, pool_),
      books_(fifo_, {begin.read_end, begin.write_end}, sees_calls_,
             {&pool_, &effects_, [this] { carrier_.carry_out(event_time_); }, &kin_, &watched_,
              &looks_}),
      leases_({.pool = &pool_,
               .effects = &effects_,
               .carrier = &carrier_,
               .kin = &kin_,
               .watched = &watched_,
               .log = &log_,
               .front = &front_,
               .config = &config_,
               .begin = &begin_},
              left_behind_, proc::now()),
      other_users_(fifo_.folder(), &leases_.connections(), &log_, &front_),
      carrier_({.pool = pool_,
                .effects = effects_,
                .fifo = fifo_,
                .listener = listener_,
                .log = log_,
                .books = books_,
                .leases = leases_,
                .waiting = waiting_,
                .tracked = sees_calls_,
                .write = &config.board->write,
                .front = front_}),
      command_ended_(begin.left) {
  if (attached.listener >= 0) listener_.emplace(attached.listener);
  for (const int socket : attached.unix_sockets) leases_.connections().listen_on(socket, true);
  for (const int socket : attached.tcp_sockets) leases_.connections().listen_on(socket, false);
}

std::optional<bool> Arbiter::run() {
  if (!loop_.works()) return std::nullopt;
  if (!sees_calls_ && begin_.resume) resume_unseeing();
  if (listener_ && begin_.resume && sees_calls_) resume_from_board();
  if (!watch_all()) return std::nullopt;
  after_event();
  (void)front_.say(board::kReady);
  loop_.run();
  return left_;
}

bool Arbiter::watch_all() {
  return loop_.watch(config_.control, [this](bool) { on_front(); }) &&
         loop_.watch(leases_.connections().fd(), [this](bool) { on_leases(); }) &&
         (books_.watch_fd() < 0 || !listener_ ||
          loop_.watch(books_.watch_fd(), [this](bool) { on_watch(); })) &&
         (!listener_ ||
          loop_.watch(listener_->fd(), [this](bool readable) { on_listener(readable); }));
}

void Arbiter::on_listener(bool readable) {
  // What is ready in the loop is still there, unless the end of the command took it first.
  const Received received = readable && !command_ended_ ? listener_->receive_ready(log_.receipt())
                                                        : listener_->receive(log_.receipt());
  if (received == Received::hung_up) {
    loop_.forget(listener_->fd());
    if (command_ended_) finish();
    return;
  }
  if (received == Received::nothing) return;
  const auto call = log_.receipt()->call();
  // The call has been published, and without leases there is nothing to balance.
  if (call && on_call(*call)) after_event(!leases_.is_idle());
}

void Arbiter::on_watch() {
  event_time_ = proc::now();
  books_.look();
  after_event();
}

void Arbiter::on_leases() {
  event_time_ = proc::now();
  books_.settle();
  leases_.serve(event_time_, [this] { publish(); });
  after_event();
}

// Where nobody's calls are seen, leases wait for tokens as any client does, and so do we for those
// that are too many.
void Arbiter::arm_fifo() {
  const bool wants = leases_.wants_fifo() || carrier_.owed() > 0;
  if (sees_calls_ || wants == fifo_armed_) return;
  if (wants) {
    fifo_armed_ = loop_.watch(fifo_.fd(), [this](bool) { on_fifo(); });
  } else {
    loop_.forget(fifo_.fd());
    fifo_armed_ = false;
  }
}

void Arbiter::on_fifo() {
  event_time_ = proc::now();
  carrier_.collect_owed();
  after_event();
}

void Arbiter::after_event(bool has_changed) {
  // The watch reports our own accesses as well: read off here, they cost no wake-up of their own.
  if (carrier_.has_touched_fifo()) books_.look_after_own_moves();
  if (has_changed) {
    leases_.settle(event_time_);
    publish();
    leases_.flush();
    arm_fifo();
  }
  arm_timer();
}

void Arbiter::arm_timer() {
  auto due = pool_.next_deadline();
  for (const auto next : {leases_.next_deadline(), books_.due()}) {
    if (next) due = due ? std::min(*due, *next) : next;
  }
  if (!command_ended_ || watched_.needs_sweeping()) {
    due = due ? std::min(*due, next_look_) : next_look_;
  }
  loop_.set_deadline(due, [this] { on_timer(); });
}

void Arbiter::on_timer() {
  event_time_ = proc::now();
  if (event_time_ >= next_look_) {
    next_look_ = event_time_ + kLookInterval;
    if (watched_.needs_sweeping()) watched_.sweep();
    if (!fifo_.is_on_disk() && log_.note_fifo_gone()) front_.tell_news();
  }
  books_.settle();
  pool_.advance(proc::now(), &effects_);
  carrier_.carry_out(event_time_);
  leases_.advance(event_time_);
  after_event();
}

bool Arbiter::on_call(const Notification& call) {
  if (call.call == jobserver::Call::exit) {
    on_exit(call);
    return true;
  }
  if (call.call == jobserver::Call::subreaper) {
    on_subreaper(call);
    return true;
  }
  if (call.call == jobserver::Call::user) {
    if (call.fd >= 0) other_users_.let_in(call.thread, static_cast<uid_t>(call.fd));
    (void)listener_->let_continue(call);
    return true;
  }
  if (!sees_calls_ ||
      !looks_.is(call.thread, call.fd, fifo_.id(), proc::now(), books_.watch_fd())) {
    (void)listener_->let_continue(call);
    return false;
  }
  if (call.call == jobserver::Call::packets) {
    // As who opens a FIFO so is told: who reads less than a packet loses the rest of it (pipe(2)).
    (void)listener_->answer_error(call, EINVAL);
    return true;
  }
  on_token_call(call);
  return true;
}

void Arbiter::on_token_call(const Notification& call) {
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
  event_time_ = proc::now();
  forget_waiting_of(call.thread);
  books_.unseen().read_is_over(call.thread);
  // Who returns a token and holds none may have had it passed on.
  const bool is_strange = call.call == jobserver::Call::write && !pool_.ledger().concerns(*who);
  if (is_strange) look_at_helpers_of(*who);
  is_strange ? books_.look() : books_.settle();
  books_.unseen().forget_read(call.thread);
  answer_call(call, *who);
  publish();
}

void Arbiter::on_exit(const Notification& call) {
  // Whatever it has done is told by now, and who it is can still be seen.
  event_time_ = proc::now();
  const auto before = pool_.counters();
  books_.look();
  if (pool_.counters() != before) publish_books();
  // A thread may end its process; one that the kernel knows as a process is its first.
  const bool is_first = watched_.find(call.thread) != nullptr || proc::is_process(call.thread);
  const pid_t pid = is_first ? call.thread : proc::process_of_thread(call.thread);
  if (listener_->let_continue(call) == Delivery::done) watched_.note_exit(pid, call.fd & 0xff);
}

void Arbiter::on_subreaper(const Notification& call) {
  if (const pid_t pid = proc::process_of_thread(call.thread); pid != 0) {
    kin_.add_subreaper(pid);
    log_.add_subreaper(pid);
  }
  (void)listener_->let_continue(call);
}

// The caller is announced: what the kernel does for it is found by conservation. Whoever died or
// took before is settled first, so that the books are even when this one goes on.
void Arbiter::leave_to_kernel(const Notification& call, ProcessId who) {
  event_time_ = proc::now();
  books_.unseen().read_is_over(call.thread);
  books_.look();
  books_.unseen().forget_read(call.thread);
  if (call.call == jobserver::Call::read) {
    books_.unseen().expect_read(who, call.thread);
  } else {
    const bool takes = call.call == jobserver::Call::duplicate && call.fd == begin_.read_end;
    books_.unseen().expect(who, call.thread, takes, proc::now());
  }
  publish_books();
  (void)listener_->let_continue(call);
}

void Arbiter::answer_call(const Notification& call, ProcessId who) {
  if (call.call == jobserver::Call::read) {
    const bool blocking = pool_.grants_at_once(who, event_time_) ||
                          !proc::descriptor_is_nonblocking(call.thread, call.fd);
    const core::Request request{call.id, who, blocking};
    waiting_.add({call, request});
    pool_.request(request, event_time_, &effects_);
    carrier_.carry_out(event_time_);
    return;
  }
  log_.announce_give({.who = who, .id = call.id});
  // A writer that has been interrupted makes its call again; what one that died had is freed then.
  if (listener_->answer_one(call) != Delivery::done) return log_.revoke_give();
  log_.confirm_give();
  pool_.give(who, 1, event_time_, &effects_);
  carrier_.carry_out(event_time_);
}

// A thread makes one call at a time: an older one of the same thread was interrupted.
void Arbiter::forget_waiting_of(pid_t thread) {
  const auto interrupted = waiting_.take_of_thread(thread);
  if (!interrupted) return;
  pool_.cancel(interrupted->request.id, event_time_, &effects_);
  carrier_.carry_out(event_time_);
}

void Arbiter::on_end(const proc::WatchedProcess& process, int pidfd) {
  look_at_helpers_of(process.info.id);
  event_time_ = proc::now();
  const auto cause = cause_of(process, pidfd);
  const auto who = process.info.id;
  if (cause == core::EndCause::succeeded) books_.unseen().succeeded(who);
  books_.look();
  books_.unseen().forget(who);
  waiting_.forget(who);
  const auto* account = pool_.ledger().find(who);
  const bool client = account != nullptr && (account->client || account->held() > 0);
  if (pool_.ledger().concerns(who)) {
    end_holder(process, cause);
  } else {
    pool_.ended(who, cause, {}, std::nullopt, event_time_, &effects_);
    carrier_.carry_out(event_time_);
  }
  leases_.process_ended(who, client, event_time_);
  after_event();
}

// Both ends, or the end and the call that follows, may be known at once. What a helper fetched is
// its shell's by then.
void Arbiter::look_at_helpers_of(ProcessId shell) {
  for (const ProcessId helper : pool_.ledger().holders_below(shell)) watched_.look_at(helper);
}

// Before Linux 6.15 only the zombie tells, and its parent is about to reap it.
core::EndCause Arbiter::cause_of(const proc::WatchedProcess& process, int pidfd) const {
  using core::EndCause;
  const auto cause = pidfd >= 0 ? proc::end_cause(pidfd, process.info.id.pid) : EndCause::unknown;
  if (cause != EndCause::unknown || !begin_.exits || !sees_calls_) return cause;
  if (!process.exit_status) return EndCause::killed;
  return *process.exit_status == 0 ? EndCause::succeeded : EndCause::failed;
}

void Arbiter::end_holder(const proc::WatchedProcess& process, core::EndCause cause) {
  const auto who = process.info.id;
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
  carrier_.carry_out(event_time_);
}

void Arbiter::on_front() {
  char word = 0;
  const ssize_t n = ::recv(config_.control, &word, 1, MSG_DONTWAIT);
  if (n < 0 && (errno == EAGAIN || errno == EINTR)) return;
  if (n != 1 || word == board::kAllEnded) loop_.forget(config_.control);
  if (n == 1) return on_command_ended(word == board::kAllEnded);
  front_gone_ = true;
  if (!command_ended_) end_build();
}

void Arbiter::on_command_ended(bool all_ended) {
  command_ended_ = true;
  event_time_ = proc::now();
  if (listener_) {
    for (int i = 0; i < kLastCalls; ++i) {
      if (listener_->receive(log_.receipt()) != Received::call) break;
      if (const auto call = log_.receipt()->call()) (void)on_call(*call);
    }
    watched_.sweep();
    books_.settle_at_once();
  }
  leases_.command_ended(all_ended, event_time_);
  if (all_ended) {
    // Without a tracker this is where everything that is missing is found.
    carrier_.collect_owed();
    if (const int drift = pool_.drift(fifo_.level()); drift != 0) {
      pool_.unseen(drift, {}, false, event_time_, &effects_);
      carrier_.carry_out(event_time_);
    }
    pool_.all_ended(event_time_, &effects_);
    carrier_.carry_out(event_time_);
  }
  publish();
  log_.close(pool_, fifo_.level(), all_ended, sees_calls_);
  (void)front_.say(board::kSettled);
  // A pipe behind `tokenpool run` must end with it, not with an arbiter that serves a daemon.
  proc::lead_nowhere(STDERR_FILENO);
  // Without a listener nobody can be served; those who go on share what lies in the FIFO.
  if (all_ended || !listener_ || listener_->hung_up()) return finish();
  left_ = true;
  loop_.stop();
}

// Nobody is left whom the FIFO could serve.
void Arbiter::finish() {
  config_.fifo->remove();
  loop_.stop();
}

void Arbiter::end_build() {
  // Whom the search spares runs on.
  thaw_all(config_.board, true);
  const proc::BuildMarks marks{begin_.mark, "TOKENPOOL_FIFO=" + fifo_.path(), fifo_.id(),
                               begin_.read_end, begin_.write_end};
  proc::kill_build(
      config_.group, marks,
      [this] { return listener_ && listener_->hung_up() && !config_.group.is_populated(); },
      [this](int pause_ms) {
        pollfd hang_up{listener_ ? listener_->fd() : -1, 0, 0};
        ::poll(&hang_up, 1, pause_ms);
      });
  finish();
}

void Arbiter::publish_books() {
  log_.publish(pool_, leases_.settings(), leases_.count(), carrier_.owed(),
               books_.unseen().callers());
  leases_.tell_of_tokens();
}

void Arbiter::publish() {
  publish_books();
  log_.keep_waiting(pool_.waiting(), [this](core::RequestId id) { return waiting_.at(id).call; });
}

BookKeepers Arbiter::keepers_of(core::Pool& books) {
  return {fifo_,
          [this](core::RequestId id) { return listener_->is_waiting(id); },
          [](const Notification& call) { return proc::is_writing(call.thread, call.fd); },
          watched_,
          books,
          kin_.root()};
}

void Arbiter::resume_from_board() {
  event_time_ = proc::now();
  auto& left = left_behind_;
  for (const pid_t pid : left.subreapers) kin_.add_subreaper(pid);
  restore_books(keepers_of(pool_), &left, event_time_, &effects_);
  books_.unseen().restore(left.callers);
  carrier_.carry_out(event_time_);
  books_.settle();
  publish_books();
  // The board keeps the old list until all of them are taken over: should this arbiter die here,
  // the next one still finds every reader that waits.
  for (const auto& call : left.waiting) {
    if (waiting_.contains(call.id) || !listener_->is_waiting(call.id)) continue;
    if (const auto who = kin_.identify(call.thread)) answer_call(call, *who);
  }
  const auto& last = left.received;
  if (last && !waiting_.contains(last->id) && listener_->is_waiting(last->id)) (void)on_call(*last);
}

// Nobody's calls are seen, or no longer: who waits for an answer reads from the FIFO itself, like
// everybody from now on.
void Arbiter::resume_unseeing() {
  event_time_ = proc::now();
  auto& left = left_behind_;
  if (listener_) {
    core::Pool before(pool_.issued());
    core::Effects moves;
    restore_books(keepers_of(before), &left, event_time_, &moves);
    for (const core::Effect& move : moves) {
      if (move.kind == core::Effect::Kind::put) (void)fifo_.put(move.count);
      if (move.kind == core::Effect::Kind::drain) (void)fifo_.take(move.count);
    }
  }
  pool_.restore({}, {}, 0, left.lent, left.minted, left.counters);
  carrier_.take_over_owed(left.owed);
  publish_books();
  if (!listener_) return;
  for (const auto& call : left.waiting) (void)listener_->let_continue(call);
  if (left.received) (void)listener_->let_continue(*left.received);
}

}  // namespace

int serve_build(const board::ArbiterConfig& config, const board::Begin& begin,
                const board::Attached& attached, bool* left) {
  try {
    Arbiter arbiter(config, begin, attached);
    const auto served = arbiter.run();
    if (!served) return 3;
    *left = *served;
  } catch (const std::exception&) {
    return 3;
  }
  return 0;
}

}  // namespace tokenpool::arbiter
