// Pool::connect: what the environment names, and the way from an arbiter to one slot.
#include <algorithm>
#include <cstdlib>
#include <utility>

#include <unistd.h>

#include "client/arbiter_engine.h"
#include "client/local_engine.h"
#include "client/text.h"
#include "client/token_source.h"
#include "proc/process.h"
#include "wire/limits.h"

namespace tokenpool::client {
namespace {

std::optional<std::string> from_environment(const std::optional<std::string>& given,
                                            const char* name) {
  if (given) return given;
  const char* value = std::getenv(name);
  if (value == nullptr) return std::nullopt;
  return std::string(value);
}

wire::HelloCall hello_of(const Options& options, const std::string& cookie) {
  wire::HelloCall hello;
  hello.cookie = cookie;
  hello.launcher = options.launcher;
  hello.process.pid = getpid();
  hello.name = clean_text(options.name, wire::kMaxNameBytes);
  if (const auto self = proc::read_process(getpid())) {
    hello.process.start = self->id.start;
    if (hello.name.empty()) hello.name = clean_text(self->name, wire::kMaxNameBytes);
  }
  if (hello.name.empty()) hello.name = "client";
  const auto lease = from_environment(std::nullopt, "TOKENPOOL_LEASE");
  hello.lease = options.lease.value_or(parse_lease(lease.value_or("")));
  return hello;
}

std::shared_ptr<Engine> connect_arbiter(const Options& options, Engine::Why* why) {
  Reason* const reason = &why->reason;
  const auto address = from_environment(options.address, "TOKENPOOL_ADDR");
  const auto cookie = from_environment(options.cookie, "TOKENPOOL_COOKIE");
  std::vector<Address> addresses;
  if (!address || address->empty()) {
    *reason = Reason::no_address;
  } else if (addresses = parse_addresses(*address); addresses.empty()) {
    *reason = Reason::bad_address;
  } else if (!cookie || cookie->empty()) {
    *reason = Reason::no_cookie;
  } else if (!wire::is_cookie(*cookie)) {
    *reason = Reason::bad_cookie;
  } else {
    auto engine = std::make_shared<ArbiterEngine>(std::move(addresses), hello_of(options, *cookie),
                                                  std::max(options.patience, Milliseconds(0)));
    *reason = engine->connect();
    if (*reason == Reason::ok) return engine;
    why->said = engine->reason_text();
  }
  return nullptr;
}

// What else the user is to look at is told by the reason's name; see Pool::reason().
std::string barred_because(Reason reason) {
  return std::string("no arbiter can be asked: ") + to_string(reason) +
         "; see TOKENPOOL_ADDR and TOKENPOOL_COOKIE in tokenpool-protocol(7)";
}

}  // namespace

std::unique_ptr<Pool> Pool::connect(const Options& options) {
  Engine::Why why;
  if (auto engine = connect_arbiter(options, &why)) {
    return std::unique_ptr<Pool>(new Pool(std::move(engine)));
  }
  if (options.protocol_only) {
    why.jobserver = JobserverReason::ok;
    return std::unique_ptr<Pool>(
        new Pool(std::make_shared<LocalEngine>(why, nullptr, 1, barred_because(why.reason))));
  }
  Jobserver jobserver = open_jobserver(from_environment(options.makeflags, "MAKEFLAGS"));
  why.jobserver = jobserver.reason;
  if (jobserver.source != nullptr) why.mode = Mode::jobserver;
  return std::unique_ptr<Pool>(new Pool(std::make_shared<LocalEngine>(
      why, std::move(jobserver.source), jobserver.slots, std::string())));
}

}  // namespace tokenpool::client
