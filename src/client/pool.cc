// Pool and Lease: the calls that wait, made of those that do not.
#include <algorithm>
#include <climits>
#include <utility>

#include "client/engine.h"
#include "proc/process.h"
#include "tokenpool/client.hpp"

namespace tokenpool::client {
namespace {

constexpr int kUnavailable = -32003;

Error fork_error(const char* what) {
  return {.code = 0,
          .message = std::string(what) +
                     ": this process is a fork of the one that connected; connect() anew in it"};
}

Error ended(const char* what) {
  return {.code = 0, .message = std::string(what) + ": the lease has ended, or its pool has"};
}

void look_up(std::int32_t pid, std::uint64_t* start) {
  if (pid == 0 || *start != 0) return;
  if (const auto process = proc::read_process(pid)) *start = process->id.start;
}

// Until `take` has something.
template <typename Take>
auto await(Engine& engine, Take take) -> typename decltype(take())::value_type {
  while (true) {
    if (auto taken = take()) return *std::move(taken);
    if (!engine.wait(std::nullopt)) {
      return Error{.code = kUnavailable,
                   .message = "it would wait for itself: what it waits for is held by this client"};
    }
    engine.process(Engine::now());
  }
}

Result<Outcome> await_answer(Engine& engine, Ticket ticket) {
  engine.flush();
  return await(engine, [&] { return engine.take_answer(ticket); });
}

}  // namespace

// --- Lease ---

Lease::Lease(Lease&& other) noexcept
    : engine_(std::move(other.engine_)), key_(std::exchange(other.key_, 0)) {}

Lease& Lease::operator=(Lease&& other) noexcept {
  if (this == &other) return *this;
  release();
  engine_ = std::move(other.engine_);
  key_ = std::exchange(other.key_, 0);
  return *this;
}

Lease::~Lease() { release(); }

std::uint64_t Lease::id() const {
  const auto engine = engine_.lock();
  return engine ? engine->lease(key_).id : 0;
}

int Lease::slots() const {
  const auto engine = engine_.lock();
  return engine ? engine->lease(key_).slots : 0;
}

bool Lease::watched() const {
  const auto engine = engine_.lock();
  return engine && engine->lease(key_).watched;
}

int Lease::release() { return release_some(INT_MAX); }

int Lease::release_some(int count) {
  const auto engine = engine_.lock();
  if (!engine || key_ == 0) return 0;
  if (engine->foreign() || count < 1) return engine->lease(key_).slots;
  const int left = engine->release(key_, count, Engine::now());
  engine->flush();
  if (left == 0) key_ = 0;
  return left;
}

Result<int> Lease::resize(int min, int max) {
  const auto engine = engine_.lock();
  if (!engine || key_ == 0) return ended("resize");
  if (engine->foreign()) return fork_error("resize");
  const auto outcome = await_answer(*engine, engine->resize(key_, min, max, Engine::now()));
  if (!outcome) return outcome.error();
  return outcome->number;
}

Result<bool> Lease::report(const Report& report) {
  const auto engine = engine_.lock();
  if (!engine || key_ == 0) return ended("report");
  if (engine->foreign()) return fork_error("report");
  Report known = report;
  look_up(known.pid, &known.start);
  const auto outcome = await_answer(*engine, engine->report(key_, known, Engine::now()));
  if (!outcome) return outcome.error();
  return outcome->number == 1;
}

Result<bool> Lease::hand_to(std::int32_t pid, std::uint64_t start) {
  Report hand;
  hand.pid = pid;
  hand.start = start;
  return report(hand);
}

std::uint64_t Lease::detach() {
  const std::uint64_t number = id();
  const auto engine = engine_.lock();
  if (engine && !engine->foreign()) engine->detach(key_);
  key_ = 0;
  return number;
}

// --- Pool ---

Pool::Pool(std::shared_ptr<Engine> engine) : engine_(std::move(engine)) {}
Pool::~Pool() = default;

Mode Pool::mode() const { return engine_->why().mode; }
Reason Pool::reason() const { return engine_->why().reason; }
std::string Pool::reason_text() const { return engine_->why().said; }
JobserverReason Pool::jobserver_reason() const { return engine_->why().jobserver; }
int Pool::slots() const { return engine_->slots(); }
std::string Pool::server() const { return engine_->server(); }
std::uint64_t Pool::session() const { return engine_->session(); }
bool Pool::connected() const { return !engine_->foreign() && engine_->connected(); }

Result<Lease> Pool::acquire(const Wanted& wanted) {
  if (engine_->foreign()) return fork_error("acquire");
  const Ticket ticket = begin(wanted);
  auto result = await(*engine_, [&] { return take(ticket); });
  if (!result) engine_->drop(ticket, Engine::now());
  return result;
}

Result<Lease> Pool::try_acquire(Wanted wanted) {
  wanted.timeout = Milliseconds(0);
  return acquire(wanted);
}

Result<std::string> Pool::status() { return call("status", "{}"); }

Result<std::string> Pool::call(const std::string& method, const std::string& params) {
  if (engine_->foreign()) return fork_error(method.c_str());
  auto outcome = await_answer(*engine_, engine_->call(method, params, Engine::now()));
  if (!outcome) return outcome.error();
  return std::move(outcome->body);
}

Result<bool> Pool::cancel(Ticket ticket) {
  if (engine_->foreign()) return fork_error("cancel");
  const auto outcome = await_answer(*engine_, engine_->cancel(ticket, Engine::now()));
  if (!outcome) return outcome.error();
  return outcome->number == 1;
}

void Pool::wait(std::optional<Milliseconds> most) {
  if (engine_->foreign()) return;
  std::optional<Instant> until;
  if (most) until = Engine::now() + *most;
  if (engine_->wait(until)) engine_->process(Engine::now());
}

Ticket Pool::begin(const Wanted& wanted) {
  if (engine_->foreign()) return 1;  // take() tells why
  Wanted known = wanted;
  look_up(known.pid, &known.start);
  const Ticket ticket = engine_->begin(known, Engine::now());
  engine_->flush();
  return ticket;
}

std::optional<Result<Lease>> Pool::take(Ticket ticket) {
  if (engine_->foreign()) return fork_error("acquire");
  auto taken = engine_->take(ticket);
  if (!taken) return std::nullopt;
  if (!*taken) return taken->error();
  return Result<Lease>(Lease(engine_, **taken));
}

void Pool::drop(Ticket ticket) {
  if (engine_->foreign()) return;
  engine_->drop(ticket, Engine::now());
  engine_->flush();
}

int Pool::fd() const { return engine_->foreign() ? -1 : engine_->fd(); }

short Pool::events() const { return engine_->foreign() ? short{0} : engine_->events(); }

int Pool::timeout_ms() const {
  const std::optional<Instant> deadline = engine_->deadline();
  if (!deadline || engine_->foreign()) return -1;
  const auto left =
      std::chrono::ceil<Milliseconds>(std::max(*deadline - Engine::now(), Instant(0)));
  return static_cast<int>(std::min<Milliseconds::rep>(left.count(), INT_MAX));
}

void Pool::process() {
  if (!engine_->foreign()) engine_->process(Engine::now());
}

std::optional<Notice> Pool::take_notice() {
  if (engine_->foreign()) return std::nullopt;
  return engine_->take_notice();
}

}  // namespace tokenpool::client
