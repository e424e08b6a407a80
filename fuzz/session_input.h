// The bytes of an input as decisions, and the lines of the protocol that they decide on.
#pragma once

#include <algorithm>
#include <cstdint>
#include <string>
#include <string_view>
#include <vector>

#include "core/lease.h"
#include "core/process_id.h"

namespace tokenpool::fuzz {

inline constexpr std::string_view kCookie =
    "0123456789abcdef0123456789abcdef0123456789abcdef0123456789abcdef";

/// Never ends: behind the last byte there are zeros.
class Bytes {
 public:
  explicit Bytes(std::string_view text) : text_(text) {}
  [[nodiscard]] bool is_empty() const { return text_.empty(); }
  unsigned next() {
    if (text_.empty()) return 0;
    const auto byte = static_cast<unsigned char>(text_.front());
    text_.remove_prefix(1);
    return byte;
  }
  std::size_t below(std::size_t count) { return next() % count; }
  std::string_view take(std::size_t count) {
    const auto taken = text_.substr(0, count);
    text_.remove_prefix(taken.size());
    return taken;
  }

 private:
  std::string_view text_;
};

/// What a line may name.
struct Names {
  std::vector<core::LeaseId> leases;  ///< that there are, or were
  std::vector<core::ProcessId> processes;
};

/// Writes requests that are right by themselves.
class Lines {
 public:
  Lines(Bytes* bytes, const Names* names) : bytes_(*bytes), names_(*names) {}

  std::string hello(core::ProcessId own) {
    const unsigned how = bytes_.next();
    std::string params = R"({"protocol":)";
    params += how % 32 == 31 ? '2' : '1';
    params.append(R"(,"cookie":")").append(kCookie.substr(how % 16 == 15 ? 1 : 0));
    params += R"(","name":"client","pid":)" + std::to_string(own.pid);
    if (how % 2 == 0) params += R"(,"start":)" + std::to_string(own.start);
    if (how % 4 == 1) params += R"(,"launcher":true)";
    if ((how & 0x10U) != 0) params += R"(,"lease":)" + lease();
    if ((how & 0x20U) != 0) params += R"(,"resume":[)" + resumed() + "]";
    return request("hello", params);
  }
  std::string acquire() {
    std::string params = range();
    const unsigned how = bytes_.next();
    if ((how & 0x01U) != 0) params += ',' + process();
    if ((how & 0x02U) != 0) params += R"(,"timeout_ms":)" + std::to_string(time());
    if ((how & 0x04U) != 0) params += R"(,"type":")" + type() + '"';
    if ((how & 0x08U) != 0) {
      params += R"(,"priority":)" + std::to_string(static_cast<int>(bytes_.below(5)) - 2);
    }
    if ((how & 0x10U) != 0) params += R"(,"target":"a\"\\\u00e9b")";
    return request("acquire", params);
  }
  std::string release() {
    std::string params = R"({"lease":)" + lease();
    if (const auto slots = bytes_.below(4); slots > 0) {
      params += R"(,"slots":)" + std::to_string(slots);
    }
    return request("release", params);
  }
  std::string resize() {
    const std::string slots = range();
    return request("resize", R"({"lease":)" + lease() + ',' + slots.substr(1));
  }
  std::string report() {
    std::string params = R"({"lease":)" + lease();
    if (bytes_.below(2) != 0) params += ',' + process();
    return request("report", params);
  }
  std::string cancel() { return request("cancel", R"({"id":)" + id()); }
  std::string set() {
    const unsigned how = bytes_.next();
    std::string members;
    if ((how & 0x01U) != 0) members += R"(,"slots":)" + std::to_string(1 + bytes_.below(9));
    if ((how & 0x02U) != 0) members += R"(,"paused":)" + std::string(how & 4U ? "true" : "false");
    if ((how & 0x08U) != 0) {
      const auto limit = bytes_.below(4);
      members += R"(,"limits":{")" + type() + "\":";
      members += (limit == 3 ? "null" : std::to_string(limit)) + "}";
    }
    return request("set", "{" + members.substr(members.empty() ? 0 : 1));
  }
  std::string plain(std::string_view method) { return request(method, "{"); }

 private:
  /// `params` without its last brace.
  std::string request(std::string_view method, const std::string& params) {
    std::string text = R"({"jsonrpc":"2.0",)";
    if (bytes_.below(8) != 7) text += R"("id":)" + id() + ',';
    text.append(R"("method":")").append(method).append(R"(","params":)");
    return text + params + "}}\n";
  }
  // Few, so that some are in use.
  std::string id() {
    const auto number = bytes_.below(9);
    return number == 8 ? R"("8")" : std::to_string(number);
  }
  std::string range() {
    const auto min = 1 + bytes_.below(6);
    return R"({"min":)" + std::to_string(min) + R"(,"max":)" +
           std::to_string(min + bytes_.below(4));
  }
  std::string lease() {
    const auto which = bytes_.below(names_.leases.size() + 3);
    if (which < names_.leases.size()) return std::to_string(names_.leases[which]);
    return which == names_.leases.size() ? "9007199254740991" : std::to_string(which + 1);
  }
  std::string process() {
    const auto& who = names_.processes[bytes_.below(names_.processes.size())];
    const auto off = bytes_.below(8) == 7 ? 1U : 0U;
    return R"("pid":)" + std::to_string(who.pid) + R"(,"start":)" + std::to_string(who.start + off);
  }
  std::string type() { return bytes_.below(2) == 0 ? "link" : "cc"; }
  unsigned time() { return bytes_.below(3) == 0 ? 0 : bytes_.next() * 10; }
  std::string resumed() {
    std::string list;
    for (auto count = bytes_.below(4); count > 0; --count) {
      if (!list.empty()) list += ',';
      list += R"({"lease":)" + lease() + R"(,"slots":)" + std::to_string(1 + bytes_.below(4));
      if (bytes_.below(2) != 0) list += ',' + process();
      list += '}';
    }
    return list;
  }

  Bytes& bytes_;
  const Names& names_;
};

}  // namespace tokenpool::fuzz
