// A client's end of a connection: what it has said, and so what it may be told.
#pragma once

#include <algorithm>
#include <map>
#include <string>
#include <string_view>
#include <utility>
#include <variant>
#include <vector>

#include "core/check.h"
#include "core/process_id.h"
#include "wire/limits.h"
#include "wire/protocol_codec.h"

namespace tokenpool::fuzz {

class Client {
 public:
  /// These bytes are sent.
  void say(std::string_view bytes) {
    for (const char c : bytes) {
      if (c != '\n') {
        line_ += c;
      } else {
        expect(std::exchange(line_, {}));
      }
    }
  }
  /// These bytes have come; `closes`: and no others will.
  void hear(std::string_view bytes, bool closes) {
    while (!bytes.empty()) {
      const auto end = bytes.find('\n');
      TOKENPOOL_CHECK(end != std::string_view::npos && end < wire::kMaxLine);
      const auto message = wire::parse_answer(bytes.substr(0, end));
      TOKENPOOL_CHECK(message.has_value());
      take(*message, closes);
      bytes.remove_prefix(end + 1);
    }
  }
  /// Has been told that it is let in.
  [[nodiscard]] bool is_member() const { return is_member_; }
  [[nodiscard]] std::size_t unanswered() const {
    std::size_t count = 0;
    for (const auto& [id, asked] : asked_) count += asked.answers;
    return count;
  }

  core::ProcessId process;
  bool reads = true;

 private:
  /// What was asked with one id and is not answered.
  struct Asked {
    std::size_t answers = 0;
    std::vector<std::pair<int, int>> ranges;  ///< min and max of each acquire among it
  };

  void expect(std::string_view line) {
    if (line.ends_with('\r')) line.remove_suffix(1);
    if (line.empty()) return;
    const auto parsed = wire::parse_request(line);
    if (const auto* refusal = std::get_if<wire::Refusal>(&parsed)) {
      if (!refusal->silent) ++asked_[refusal->id].answers;
      return;
    }
    const auto& request = std::get<wire::CallRequest>(parsed);
    if (request.id == wire::CallId()) return;
    Asked& asked = asked_[request.id];
    ++asked.answers;
    if (const auto* acquire = std::get_if<wire::AcquireCall>(&request.call)) {
      asked.ranges.emplace_back(acquire->min, acquire->max);
    }
  }
  void take(const wire::Answer& message, bool closes) {
    using Kind = wire::Answer::Kind;
    if (message.kind == Kind::notification) return TOKENPOOL_CHECK(message.method == "event");
    const auto entry = asked_.find(message.id);
    if (entry == asked_.end()) {
      // Too long a line, or no hello: told without being asked, and closed.
      TOKENPOOL_CHECK(message.kind == Kind::error && message.id == wire::CallId() && closes);
      return;
    }
    if (message.kind == Kind::result) check_result(message, entry->second);
    if (--entry->second.answers == 0) asked_.erase(entry);
  }
  void check_result(const wire::Answer& result, const Asked& asked) {
    if (result.session != 0) is_member_ = true;
    if (result.lease == 0) return;
    TOKENPOOL_CHECK(result.slots && result.paid >= 0 && result.paid <= *result.slots);
    const auto& ranges = asked.ranges;
    TOKENPOOL_CHECK(std::any_of(ranges.begin(), ranges.end(), [&](const auto& range) {
      return *result.slots >= range.first && *result.slots <= range.second;
    }));
  }

  bool is_member_ = false;
  std::string line_;  ///< said, and not ended
  std::map<wire::CallId, Asked> asked_;
};

}  // namespace tokenpool::fuzz
