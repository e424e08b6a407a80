// The members that requests have, and how a name is found among them. Internal to the codec.
#pragma once

#include <array>
#include <cstddef>
#include <cstdint>
#include <optional>
#include <string>
#include <string_view>

#include "wire/protocol.h"
#include "wire/protocol_json.h"

namespace tokenpool::wire {

/// In the order of kMemberNames.
enum class Member : std::uint8_t {
  protocol,
  cookie,
  name,
  pid,
  start,
  lease,
  launcher,
  resume,
  min,
  max,
  type,
  target,
  memory,
  priority,
  timeout_ms,
  slots,
  peak_memory,
  cpu_seconds,
  exit,
  id,
  limits,
  paused,
  unknown,
};
inline constexpr std::size_t kMembers = static_cast<std::size_t>(Member::unknown);
inline constexpr std::array<std::string_view, kMembers> kMemberNames = {
    "protocol",    "cookie",      "name", "pid",    "start",  "lease",    "launcher",   "resume",
    "min",         "max",         "type", "target", "memory", "priority", "timeout_ms", "slots",
    "peak_memory", "cpu_seconds", "exit", "id",     "limits", "paused"};

inline std::string_view name_of(Member member) {
  return kMemberNames[static_cast<std::size_t>(member)];
}

/// Member::unknown: the protocol has none of that name.
Member member_of(std::string_view name);

/// What an object has; those that it does not have are missing. The last of a name counts.
struct Members {
  std::array<JsonValue, kMembers + 1> values;  ///< the last one: of some unknown name

  [[nodiscard]] const JsonValue& operator[](Member member) const {
    return values[static_cast<std::size_t>(member)];
  }
  JsonValue& operator[](Member member) { return values[static_cast<std::size_t>(member)]; }
  [[nodiscard]] bool has(Member member) const {
    return !(*this)[member].is(JsonValue::Kind::missing);
  }
};

/// Takes members out of an object, with their bounds. The first that is wrong is kept as a sentence
/// for people; what is taken after it is of no use.
class MemberReader {
 public:
  explicit MemberReader(const Members& members) : members_(members) {}

  [[nodiscard]] bool has(Member member) const { return members_.has(member); }
  [[nodiscard]] const JsonValue& operator[](Member member) const { return members_[member]; }

  /// Names one that must be there and is not.
  void require(Member member);
  /// `out` stays as it is where the member is missing or wrong.
  template <typename T>
  void whole(Member member, std::int64_t low, std::int64_t high, T* out) {
    const JsonValue& value = members_[member];
    if (value.is(JsonValue::Kind::missing)) return;
    if (!value.is(JsonValue::Kind::whole) || value.whole < low || value.whole > high) {
      return wrong_whole(member, low, high);
    }
    *out = static_cast<T>(value.whole);
  }
  void boolean(Member member, bool* out);
  void seconds(Member member, double* out);
  /// `low` to `high` bytes without control characters.
  void text(Member member, std::size_t low, std::size_t high, std::string* out);
  void type(Member member, std::string* out);

  void fail(Member member, std::string_view rule);
  /// The whole sentence; none: nothing is wrong.
  void fail_with(const std::string& fault) {
    if (!failed()) fault_ = fault;
  }
  [[nodiscard]] const std::string& fault() const { return fault_; }
  [[nodiscard]] bool failed() const { return !fault_.empty(); }

 private:
  void wrong_whole(Member member, std::int64_t low, std::int64_t high);

  const Members& members_;
  std::string fault_;
};

inline constexpr std::string_view kIdRule =
    "a whole number from 0 to 9007199254740991 or a text of 1 to 64 bytes";
/// Nothing: it is no id of a request.
std::optional<CallId> to_id(const JsonValue& value);

}  // namespace tokenpool::wire
