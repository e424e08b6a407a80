// tokenpool.h over client.hpp: handles, sizes, and no exception across the border.
#include <algorithm>
#include <cstring>
#include <memory>
#include <new>
#include <optional>
#include <string>
#include <utility>

#include "tokenpool/client.hpp"
#include "tokenpool/tokenpool.h"

namespace client = tokenpool::client;

namespace {

constexpr int kInvalid = -32602;

struct Shared {
  std::unique_ptr<client::Pool> pool;  // none: it has been freed
  client::Error error;
  std::string text;  // what was answered last
  client::Notice notice;
};

}  // namespace

struct tokenpool_pool {
  std::shared_ptr<Shared> shared;
};

struct tokenpool_lease {
  std::shared_ptr<Shared> shared;
  client::Lease lease;
};

namespace {

int fail(Shared* shared, int code, const char* message) noexcept {
  try {
    shared->error = {.code = code, .message = message};
  } catch (...) {
    shared->error.code = code;
    shared->error.message.clear();
  }
  return TOKENPOOL_FAILED;
}

int fail(Shared* shared, const client::Error& error) {
  shared->error = error;
  return TOKENPOOL_FAILED;
}

// Whatever is thrown below us can only be for want of memory.
template <typename Act>
int guarded(Shared* shared, Act act) noexcept {
  try {
    return act();
  } catch (...) {
    return fail(shared, 0, "no memory is left");
  }
}

// The caller's struct as far as its size goes, `defaults` beyond. False: no size that ever was.
template <typename Struct>
bool copy_in(const Struct* given, Struct* defaults, std::size_t first_size) {
  if (given == nullptr) return true;
  if (given->size < first_size) return false;
  std::memcpy(defaults, given, std::min(given->size, sizeof *defaults));
  return true;
}

std::optional<std::string> text(const char* given) {
  if (given == nullptr) return std::nullopt;
  return std::string(given);
}

std::string plain(const char* given) { return given == nullptr ? std::string() : given; }

std::optional<client::Wanted> wanted_of(const tokenpool_wanted* given) {
  tokenpool_wanted words = TOKENPOOL_WANTED_INIT;
  if (!copy_in(given, &words, sizeof words)) return std::nullopt;
  client::Wanted wanted;
  wanted.min = words.min;
  wanted.max = words.max;
  wanted.type = plain(words.type);
  wanted.target = plain(words.target);
  wanted.memory = words.memory;
  wanted.priority = words.priority;
  wanted.pid = words.pid;
  wanted.start = words.start;
  if (words.timeout_ms >= 0) wanted.timeout = client::Milliseconds(words.timeout_ms);
  return wanted;
}

int hand_out(Shared* shared, const std::shared_ptr<Shared>& owner,
             client::Result<client::Lease> result, tokenpool_lease** lease) {
  if (!result) return fail(shared, result.error());
  *lease = new tokenpool_lease{owner, std::move(*result)};
  return TOKENPOOL_OK;
}

int acquire(tokenpool_pool* pool, const tokenpool_wanted* given, bool at_once,
            tokenpool_lease** lease) noexcept {
  if (pool == nullptr) return TOKENPOOL_FAILED;
  Shared* shared = pool->shared.get();
  return guarded(shared, [&] {
    auto wanted = wanted_of(given);
    if (!wanted || lease == nullptr) {
      return fail(shared, kInvalid, "acquire: lease is NULL, or wanted has no size of its own");
    }
    if (at_once) wanted->timeout = client::Milliseconds(0);
    return hand_out(shared, pool->shared, shared->pool->acquire(*wanted), lease);
  });
}

int answer_text(Shared* shared, client::Result<std::string> result, const char** json) {
  if (!result) return fail(shared, result.error());
  shared->text = std::move(*result);
  *json = shared->text.c_str();
  return TOKENPOOL_OK;
}

int report(tokenpool_lease* lease, const client::Report& words, int* watched) {
  Shared* shared = lease->shared.get();
  const auto result = lease->lease.report(words);
  if (!result) return fail(shared, result.error());
  if (watched != nullptr) *watched = *result ? 1 : 0;
  return TOKENPOOL_OK;
}

}  // namespace

extern "C" {

tokenpool_pool* tokenpool_connect(const tokenpool_options* options) {
  try {
    tokenpool_options words = TOKENPOOL_OPTIONS_INIT;
    if (!copy_in(options, &words, sizeof words)) return nullptr;
    client::Options how;
    how.name = plain(words.name);
    how.address = text(words.address);
    how.cookie = text(words.cookie);
    how.makeflags = text(words.makeflags);
    if (words.lease != 0) how.lease = words.lease;
    how.patience = client::Milliseconds(words.patience_ms);
    how.launcher = words.launcher != 0;
    how.protocol_only = words.protocol_only != 0;
    auto pool = std::make_unique<tokenpool_pool>();
    pool->shared = std::make_shared<Shared>();
    pool->shared->pool = client::Pool::connect(how);
    return pool.release();
  } catch (...) {
    return nullptr;
  }
}

void tokenpool_free(tokenpool_pool* pool) {
  if (pool == nullptr) return;
  pool->shared->pool.reset();
  delete pool;
}

int tokenpool_mode(const tokenpool_pool* pool) {
  return pool == nullptr ? TOKENPOOL_SINGLE : static_cast<int>(pool->shared->pool->mode());
}

const char* tokenpool_mode_name(const tokenpool_pool* pool) {
  return pool == nullptr ? "" : client::to_string(pool->shared->pool->mode());
}

const char* tokenpool_reason(const tokenpool_pool* pool) {
  return pool == nullptr ? "" : client::to_string(pool->shared->pool->reason());
}

const char* tokenpool_jobserver_reason(const tokenpool_pool* pool) {
  return pool == nullptr ? "" : client::to_string(pool->shared->pool->jobserver_reason());
}

int tokenpool_slots(const tokenpool_pool* pool) {
  return pool == nullptr ? 0 : pool->shared->pool->slots();
}

int tokenpool_connected(const tokenpool_pool* pool) {
  return pool != nullptr && pool->shared->pool->connected() ? 1 : 0;
}

uint64_t tokenpool_session(const tokenpool_pool* pool) {
  return pool == nullptr ? 0 : pool->shared->pool->session();
}

const char* tokenpool_server(tokenpool_pool* pool) {
  if (pool == nullptr) return "";
  Shared* shared = pool->shared.get();
  const int done = guarded(shared, [&] {
    shared->text = shared->pool->server();
    return TOKENPOOL_OK;
  });
  return done == TOKENPOOL_OK ? shared->text.c_str() : "";
}

const char* tokenpool_last_error(const tokenpool_pool* pool, int* code) {
  const bool known = pool != nullptr;
  if (code != nullptr) *code = known ? pool->shared->error.code : kInvalid;
  return known ? pool->shared->error.message.c_str() : "the pool is NULL";
}

int tokenpool_acquire(tokenpool_pool* pool, const tokenpool_wanted* wanted,
                      tokenpool_lease** lease) {
  return acquire(pool, wanted, false, lease);
}

int tokenpool_try_acquire(tokenpool_pool* pool, const tokenpool_wanted* wanted,
                          tokenpool_lease** lease) {
  return acquire(pool, wanted, true, lease);
}

int tokenpool_status(tokenpool_pool* pool, const char** json) {
  return tokenpool_call(pool, "status", nullptr, json);
}

int tokenpool_call(tokenpool_pool* pool, const char* method, const char* params,
                   const char** json) {
  if (pool == nullptr) return TOKENPOOL_FAILED;
  Shared* shared = pool->shared.get();
  return guarded(shared, [&] {
    if (method == nullptr || json == nullptr) {
      return fail(shared, kInvalid, "call: method or json is NULL");
    }
    return answer_text(shared, shared->pool->call(method, params == nullptr ? "{}" : params), json);
  });
}

void tokenpool_release(tokenpool_lease* lease) {
  if (lease == nullptr) return;
  guarded(lease->shared.get(), [&] { return lease->lease.release(); });
  delete lease;
}

int tokenpool_release_some(tokenpool_lease* lease, int count) {
  if (lease == nullptr) return 0;
  // Without memory the release could not be sent, but the slots are no longer counted as held.
  const int left = guarded(lease->shared.get(), [&] { return lease->lease.release_some(count); });
  return left < 0 ? lease->lease.slots() : left;
}

int tokenpool_resize(tokenpool_lease* lease, int min, int max, int* slots) {
  if (lease == nullptr) return TOKENPOOL_FAILED;
  Shared* shared = lease->shared.get();
  return guarded(shared, [&] {
    const auto result = lease->lease.resize(min, max);
    if (!result) return fail(shared, result.error());
    if (slots != nullptr) *slots = *result;
    return static_cast<int>(TOKENPOOL_OK);
  });
}

int tokenpool_report(tokenpool_lease* lease, const tokenpool_job_report* given, int* watched) {
  if (lease == nullptr) return TOKENPOOL_FAILED;
  Shared* shared = lease->shared.get();
  return guarded(shared, [&] {
    tokenpool_job_report words = TOKENPOOL_JOB_REPORT_INIT;
    if (given == nullptr || !copy_in(given, &words, sizeof words)) {
      return fail(shared, kInvalid, "report: the report is NULL or has no size of its own");
    }
    client::Report all;
    all.pid = words.pid;
    all.start = words.start;
    if (words.peak_memory >= 0) all.peak_memory = static_cast<std::uint64_t>(words.peak_memory);
    if (words.cpu_seconds >= 0) all.cpu_seconds = words.cpu_seconds;
    if (words.exit >= 0) all.exit = words.exit;
    return report(lease, all, watched);
  });
}

int tokenpool_hand_to(tokenpool_lease* lease, int32_t pid, uint64_t start, int* watched) {
  if (lease == nullptr) return TOKENPOOL_FAILED;
  return guarded(lease->shared.get(), [&] {
    client::Report words;
    words.pid = pid;
    words.start = start;
    return report(lease, words, watched);
  });
}

uint64_t tokenpool_detach(tokenpool_lease* lease) {
  if (lease == nullptr) return 0;
  const std::uint64_t number = lease->lease.detach();
  delete lease;
  return number;
}

uint64_t tokenpool_lease_id(const tokenpool_lease* lease) {
  return lease == nullptr ? 0 : lease->lease.id();
}

int tokenpool_lease_slots(const tokenpool_lease* lease) {
  return lease == nullptr ? 0 : lease->lease.slots();
}

int tokenpool_lease_watched(const tokenpool_lease* lease) {
  return lease != nullptr && lease->lease.watched() ? 1 : 0;
}

tokenpool_ticket tokenpool_begin(tokenpool_pool* pool, const tokenpool_wanted* given) {
  if (pool == nullptr) return 0;
  Shared* shared = pool->shared.get();
  tokenpool_ticket ticket = 0;
  guarded(shared, [&] {
    const auto wanted = wanted_of(given);
    if (!wanted) return fail(shared, kInvalid, "begin: wanted has no size of its own");
    ticket = shared->pool->begin(*wanted);
    return static_cast<int>(TOKENPOOL_OK);
  });
  return ticket;
}

int tokenpool_take(tokenpool_pool* pool, tokenpool_ticket ticket, tokenpool_lease** lease) {
  if (pool == nullptr) return TOKENPOOL_FAILED;
  Shared* shared = pool->shared.get();
  return guarded(shared, [&] {
    if (lease == nullptr) return fail(shared, kInvalid, "take: lease is NULL");
    auto taken = shared->pool->take(ticket);
    if (!taken) return static_cast<int>(TOKENPOOL_WAITING);
    return hand_out(shared, pool->shared, std::move(*taken), lease);
  });
}

void tokenpool_drop(tokenpool_pool* pool, tokenpool_ticket ticket) {
  if (pool == nullptr) return;
  guarded(pool->shared.get(), [&] {
    pool->shared->pool->drop(ticket);
    return static_cast<int>(TOKENPOOL_OK);
  });
}

int tokenpool_fd(const tokenpool_pool* pool) {
  return pool == nullptr ? -1 : pool->shared->pool->fd();
}

int tokenpool_events(const tokenpool_pool* pool) {
  return pool == nullptr ? 0 : pool->shared->pool->events();
}

int tokenpool_timeout_ms(const tokenpool_pool* pool) {
  return pool == nullptr ? -1 : pool->shared->pool->timeout_ms();
}

int tokenpool_process(tokenpool_pool* pool) {
  if (pool == nullptr) return TOKENPOOL_FAILED;
  return guarded(pool->shared.get(), [&] {
    pool->shared->pool->process();
    return static_cast<int>(TOKENPOOL_OK);
  });
}

int tokenpool_take_notice(tokenpool_pool* pool, tokenpool_notice* notice) {
  if (pool == nullptr) return TOKENPOOL_FAILED;
  Shared* shared = pool->shared.get();
  return guarded(shared, [&] {
    tokenpool_notice out = TOKENPOOL_NOTICE_INIT;
    if (notice == nullptr || notice->size < sizeof out) {
      return fail(shared, kInvalid, "take_notice: notice is NULL or has no size of its own");
    }
    auto taken = shared->pool->take_notice();
    if (!taken) return static_cast<int>(TOKENPOOL_WAITING);
    shared->notice = std::move(*taken);
    out.size = notice->size;
    out.kind = static_cast<int32_t>(shared->notice.kind);
    out.slots = shared->notice.slots;
    out.lease = shared->notice.lease;
    out.deadline_ms = shared->notice.deadline.count();
    out.reason = shared->notice.reason.c_str();
    out.params = shared->notice.params.c_str();
    *notice = out;
    return static_cast<int>(TOKENPOOL_OK);
  });
}

int tokenpool_cancel(tokenpool_pool* pool, tokenpool_ticket ticket, int* cancelled) {
  if (pool == nullptr) return TOKENPOOL_FAILED;
  Shared* shared = pool->shared.get();
  return guarded(shared, [&] {
    const auto result = shared->pool->cancel(ticket);
    if (!result) return fail(shared, result.error());
    if (cancelled != nullptr) *cancelled = *result ? 1 : 0;
    return static_cast<int>(TOKENPOOL_OK);
  });
}

int tokenpool_wait(tokenpool_pool* pool, int most_ms) {
  if (pool == nullptr) return TOKENPOOL_FAILED;
  return guarded(pool->shared.get(), [&] {
    std::optional<client::Milliseconds> most;
    if (most_ms >= 0) most = client::Milliseconds(most_ms);
    pool->shared->pool->wait(most);
    return static_cast<int>(TOKENPOOL_OK);
  });
}

}  // extern "C"
