// The C++ client behind the driver contract of tests/conformance/README.md: commands in, answers
// out.
//
// One poll loop, so that the client reconnects and notices things while no command is under way,
// and so that the end of stdin ends the driver whatever it waits for.
#include <array>
#include <cerrno>
#include <cstdio>
#include <functional>
#include <iostream>
#include <map>
#include <memory>
#include <optional>
#include <string>
#include <utility>
#include <vector>

#include <nlohmann/json.hpp>
#include <poll.h>
#include <unistd.h>

#include "tokenpool/client.hpp"

namespace {

using nlohmann::json;
using tokenpool::client::Error;
using tokenpool::client::Lease;
using tokenpool::client::Mode;
using tokenpool::client::Notice;
using tokenpool::client::Pool;
using tokenpool::client::Report;
using tokenpool::client::Ticket;
using tokenpool::client::Wanted;

json failed(const Error& error) {
  return {{"ok", false}, {"code", error.code}, {"error", error.message}};
}

template <typename T>
void get(const json& from, const char* name, T* value) {
  if (const auto at = from.find(name); at != from.end()) *value = at->get<T>();
}

template <typename T>
void get(const json& from, const char* name, std::optional<T>* value) {
  if (const auto at = from.find(name); at != from.end()) *value = at->get<T>();
}

Wanted wanted_of(const json& command) {
  Wanted wanted;
  get(command, "min", &wanted.min);
  get(command, "max", &wanted.max);
  get(command, "type", &wanted.type);
  get(command, "target", &wanted.target);
  get(command, "memory", &wanted.memory);
  get(command, "priority", &wanted.priority);
  get(command, "pid", &wanted.pid);
  get(command, "start", &wanted.start);
  std::optional<std::int64_t> timeout;
  get(command, "timeout_ms", &timeout);
  if (timeout) wanted.timeout = std::chrono::milliseconds(*timeout);
  return wanted;
}

const char* method_of(Notice::Kind kind) {
  switch (kind) {
    case Notice::Kind::recall:
      return "recall";
    case Notice::Kind::revoke:
      return "revoke";
    case Notice::Kind::event:
      return "event";
    case Notice::Kind::lost:
      return "lost";
  }
  return "";
}

class Driver {
 public:
  // Answers what the command is answered with once it answers something.
  using Wait = std::function<std::optional<json>()>;

  Wait carry_out(const json& command) {
    const auto what = command.at("do").get<std::string>();
    std::string key;
    get(command, "key", &key);
    if (what == "connect") return now(connect());
    if (!pool_) return now(failed({0, what + ": connect comes first"}));
    if (what == "begin" || what == "acquire") {
      tickets_[key] = pool_->begin(wanted_of(command));
      if (what == "begin") return now({{"ok", true}});
    }
    if (what == "await" || what == "acquire") return [this, key] { return await(key); };
    if (what == "wait_connected") return connection(true);
    if (what == "wait_disconnected") return connection(false);
    if (what == "wait_notice") {
      const auto method = command.at("method").get<std::string>();
      return [this, method] { return notice(method); };
    }
    if (what == "cancel") return now(cancel(key));
    if (what == "status") return now(status());
    if (what == "leases") return now(leases());
    if (what == "close") return now(close());
    return now(on_lease(what, leases_[key], command));
  }

  void quit() { close(); }

  // The connection, to be polled; none without one.
  [[nodiscard]] pollfd interest() const {
    return {
        .fd = pool_ ? pool_->fd() : -1, .events = pool_ ? pool_->events() : short{0}, .revents = 0};
  }
  [[nodiscard]] int timeout_ms() const { return pool_ ? pool_->timeout_ms() : -1; }
  void process() {
    if (pool_) pool_->process();
  }

 private:
  static Wait now(const json& answer) {
    return [answer] { return std::optional<json>(answer); };
  }

  json connect() {
    pool_ = Pool::connect({});
    json answer = {{"ok", true},
                   {"mode", to_string(pool_->mode())},
                   {"reason", to_string(pool_->reason())},
                   {"slots", pool_->slots()}};
    if (pool_->mode() == Mode::single) {
      answer["jobserver_reason"] = to_string(pool_->jobserver_reason());
    }
    return answer;
  }

  std::optional<json> await(const std::string& key) {
    auto taken = pool_->take(tickets_[key]);
    if (!taken) return std::nullopt;
    tickets_.erase(key);
    if (!*taken) return failed(taken->error());
    leases_[key] = std::move(**taken);
    return json{{"ok", true}, {"lease", leases_[key].id()}, {"slots", leases_[key].slots()}};
  }

  Wait connection(bool there) {
    return [this, there]() -> std::optional<json> {
      if (pool_->connected() != there) return std::nullopt;
      return json{{"ok", true}};
    };
  }

  std::optional<json> notice(const std::string& method) {
    while (auto one = pool_->take_notice()) notices_.push_back(std::move(*one));
    for (auto at = notices_.begin(); at != notices_.end(); ++at) {
      if (method != method_of(at->kind)) continue;
      const json params = json::parse(at->params);
      notices_.erase(at);
      return json{{"ok", true}, {"params", params}};
    }
    return std::nullopt;
  }

  json cancel(const std::string& key) {
    const auto cancelled = pool_->cancel(tickets_[key]);
    if (!cancelled) return failed(cancelled.error());
    return {{"ok", true}, {"cancelled", *cancelled}};
  }

  json status() {
    const auto text = pool_->status();
    if (!text) return failed(text.error());
    return {{"ok", true}, {"status", json::parse(*text)}};
  }

  json leases() {
    json rows = json::object();
    for (const auto& [key, lease] : leases_) {
      if (lease.slots() > 0) rows[key] = {{"lease", lease.id()}, {"slots", lease.slots()}};
    }
    return {{"ok", true}, {"leases", rows}, {"connected", pool_->connected()}};
  }

  json close() {
    pool_.reset();
    leases_.clear();
    tickets_.clear();
    return {{"ok", true}};
  }

  static json on_lease(const std::string& what, Lease& lease, const json& command) {
    if (what == "release") {
      int slots = 0;
      get(command, "slots", &slots);
      return {{"ok", true}, {"slots", slots == 0 ? lease.release() : lease.release_some(slots)}};
    }
    if (what == "resize") {
      const auto slots = lease.resize(command.at("min").get<int>(), command.at("max").get<int>());
      if (!slots) return failed(slots.error());
      return {{"ok", true}, {"slots", *slots}};
    }
    if (what == "report") {
      Report report;
      get(command, "pid", &report.pid);
      get(command, "start", &report.start);
      get(command, "peak_memory", &report.peak_memory);
      get(command, "cpu_seconds", &report.cpu_seconds);
      get(command, "exit", &report.exit);
      const auto watched = lease.report(report);
      if (!watched) return failed(watched.error());
      return {{"ok", true}};
    }
    return failed({0, what + ": no such command"});
  }

  std::unique_ptr<Pool> pool_;
  std::map<std::string, Ticket> tickets_;
  std::map<std::string, Lease> leases_;
  std::vector<Notice> notices_;
};

void answer(const json& line) { std::cout << line.dump() << std::endl; }

// The next whole line of `bytes`, taken off it.
std::optional<std::string> take_line(std::string* bytes) {
  const std::size_t end = bytes->find('\n');
  if (end == std::string::npos) return std::nullopt;
  std::string line = bytes->substr(0, end);
  bytes->erase(0, end + 1);
  return line;
}

// Commands in their order, the next one when the one before is answered. True: quit.
bool answer_commands(Driver* driver, std::string* input, Driver::Wait* wait) {
  while (true) {
    if (*wait) {
      const auto ready = (*wait)();
      if (!ready) return false;
      answer(*ready);
      *wait = nullptr;
    }
    const auto line = take_line(input);
    if (!line) return false;
    const json command = json::parse(*line);
    if (command.at("do") == "quit") {
      driver->quit();
      answer({{"ok", true}});
      return true;
    }
    *wait = driver->carry_out(command);
  }
}

}  // namespace

int main() {
  Driver driver;
  std::string input;
  Driver::Wait wait;
  while (!answer_commands(&driver, &input, &wait)) {
    std::array<pollfd, 2> what{pollfd{.fd = STDIN_FILENO, .events = POLLIN, .revents = 0},
                               driver.interest()};
    if (poll(what.data(), what.size(), driver.timeout_ms()) < 0 && errno != EINTR) return 1;
    if (what[0].revents != 0) {
      std::array<char, 65536> part{};
      const ssize_t got = read(STDIN_FILENO, part.data(), part.size());
      if (got == 0) return 0;
      if (got > 0) input.append(part.data(), static_cast<std::size_t>(got));
    }
    driver.process();
  }
  return 0;
}
