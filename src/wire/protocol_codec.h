// Lines of the protocol from its messages and messages from its lines; see wire/protocol.h.
//
// All functions are pure and bounded by core/limits.h; a line of any bytes is answered, none can
// make them recurse or allocate more than a few times its own length. `line` comes without its
// newline; what is appended to `out` ends with one.
#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <string_view>
#include <variant>
#include <vector>

#include "wire/protocol.h"
#include "wire/protocol_results.h"

namespace tokenpool::wire {

// --- the arbiter's side ---

/// Checks everything that tokenpool-protocol(7) says of a request by itself: JSON, UTF-8, depth,
/// the envelope, each member's type and bounds, min <= max. A wrong `protocol` or cookie of `hello`
/// is no refusal here (the cookie's length and digits neither): the session decides.
std::variant<CallRequest, Refusal> parse_request(std::string_view line);

void append_result(std::string* out, const CallId& id, const HelloResult& result);
void append_result(std::string* out, const CallId& id, const AcquireResult& result);
/// Of `release` and `resize`.
void append_slots_result(std::string* out, const CallId& id, int slots);
/// Of `report` (none: an empty object) and `subscribe` (none).
void append_watched_result(std::string* out, const CallId& id, std::optional<bool> watched);
void append_cancelled_result(std::string* out, const CallId& id, bool cancelled);
/// Rows beyond kMaxStatusRows and kMaxRecoveryRows are left out, and the last ones of `leases` and
/// `waiting` where their names are so long that the line would not fit into kMaxLine.
void append_result(std::string* out, const CallId& id, const StatusResult& result);
/// Of `set`.
void append_set_result(std::string* out, const CallId& id, int slots,
                       const std::vector<LimitUse>& limits, bool paused);
/// `id` none: null. Bytes of `message` that are no UTF-8 become U+FFFD.
void append_error(std::string* out, const CallId& id, ErrorCode code, std::string_view message);

/// `event`: members that are 0 or empty are left out, `free` and `kind` never.
struct Event {
  std::string kind;
  std::uint64_t lease = 0;
  std::uint64_t session = 0;
  std::string name;
  std::string target;
  std::string type;
  int slots = 0;
  int free = 0;
  std::uint64_t lost = 0;
  int tokens = 0;            ///< of the GNU make jobserver, for which the next two are
  std::int32_t pid = 0;      ///< of who took, returned or lost them
  std::string command = {};  ///< ... and its command line
};
void append_event(std::string* out, const Event& event);
void append_recall(std::string* out, std::uint64_t lease, int slots);
void append_revoke(std::string* out, std::uint64_t lease, std::string_view reason,
                   std::int64_t deadline_ms);

// --- the client's side ---

/// Members at their defaults are left out.
void append_request(std::string* out, const CallRequest& request);

/// What a client reads: an answer, or a notification. Members that the line does not have are as
/// they are here; members that nobody knows are left out.
struct Answer {
  enum class Kind : std::uint8_t { result, error, notification };
  Kind kind = Kind::result;
  CallId id;            ///< of an answer; none: null
  ErrorCode code{};     ///< of an error; may be one that ErrorCode does not name
  std::string message;  ///< of an error
  std::string method;   ///< of a notification

  std::uint64_t session = 0;
  std::string server;
  int protocol = 0;
  std::string epoch;
  std::vector<std::uint64_t> resumed;
  std::uint64_t lease = 0;
  std::optional<int> slots;
  int paid = 0;
  std::optional<bool> watched;
  std::optional<bool> cancelled;
  std::string reason;
  std::int64_t deadline_ms = 0;

  std::string body;  ///< the text of `result` or of a notification's `params`, JSON
};
/// Nothing: it is no message of an arbiter (no JSON object, no JSON-RPC, or a member above has
/// another type than it must have).
std::optional<Answer> parse_answer(std::string_view line);

/// The whole of a `status` result from Answer::body. Nothing: it is none.
std::optional<StatusResult> parse_status(std::string_view body);

/// "internal_error" and so on, for people; "error" for a code that ErrorCode does not name.
std::string_view to_string(ErrorCode code);

}  // namespace tokenpool::wire
