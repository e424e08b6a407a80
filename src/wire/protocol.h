// The messages of the protocol, version 1: what a client may call, what an arbiter answers. The
// contract is tokenpool-protocol(7); this header only gives it types.
//
// Pure values: no socket, no clock. protocol_codec.h turns them into lines and lines into them.
#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <string_view>
#include <utility>
#include <variant>
#include <vector>

namespace tokenpool::wire {

inline constexpr int kProtocolVersion = 1;
inline constexpr std::size_t kCookieDigits = 64;  ///< hexadecimal, 256 bits
/// 64 hexadecimal digits of either case.
bool is_cookie(std::string_view text);
/// What `type` and the names in `limits` may be.
bool is_type(std::string_view text);

enum class ErrorCode : std::int32_t {
  parse_error = -32700,
  invalid_request = -32600,
  method_not_found = -32601,
  invalid_params = -32602,
  internal_error = -32603,
  not_authorized = -32001,
  unsupported_protocol = -32002,
  unavailable = -32003,
  cancelled = -32004,
  impossible = -32005,
  no_such_lease = -32006,
  too_many = -32007,
  draining = -32008,
};

/// The `id` of a request: none for a notification.
using CallId = std::variant<std::monostate, std::int64_t, std::string>;

/// A process as its client names it. `start` is field 22 of /proc/PID/stat; 0: not given.
struct NamedProcess {
  std::int32_t pid = 0;
  std::uint64_t start = 0;
  friend bool operator==(const NamedProcess&, const NamedProcess&) = default;
};

/// What `acquire` asks for, and what `resume` declares of a lease.
struct JobWords {
  std::string type;
  std::string target;
  std::uint64_t memory = 0;  ///< bytes
  int priority = 0;
  std::optional<NamedProcess> process;  ///< the lease belongs to it
  friend bool operator==(const JobWords&, const JobWords&) = default;
};

struct ResumedLease {
  std::uint64_t lease = 0;
  int slots = 1;
  JobWords job;
  friend bool operator==(const ResumedLease&, const ResumedLease&) = default;
};

struct HelloCall {
  int protocol = kProtocolVersion;
  std::string cookie;
  std::string name;
  NamedProcess process;
  std::uint64_t lease = 0;  ///< that the client runs under; 0: none
  bool launcher = false;
  std::optional<std::vector<ResumedLease>> resume;
  friend bool operator==(const HelloCall&, const HelloCall&) = default;
};
struct AcquireCall {
  int min = 1;
  int max = 1;
  JobWords job;
  std::optional<std::int64_t> timeout_ms;
  friend bool operator==(const AcquireCall&, const AcquireCall&) = default;
};
struct ReleaseCall {
  std::uint64_t lease = 0;
  int slots = 0;  ///< 0: all
  friend bool operator==(const ReleaseCall&, const ReleaseCall&) = default;
};
struct ResizeCall {
  std::uint64_t lease = 0;
  int min = 1;
  int max = 1;
  friend bool operator==(const ResizeCall&, const ResizeCall&) = default;
};
struct ReportCall {
  std::uint64_t lease = 0;
  std::optional<NamedProcess> process;
  std::optional<std::uint64_t> peak_memory;  ///< bytes
  std::optional<double> cpu_seconds;
  std::optional<int> exit;
  friend bool operator==(const ReportCall&, const ReportCall&) = default;
};
struct CancelCall {
  CallId id;
  friend bool operator==(const CancelCall&, const CancelCall&) = default;
};
struct StatusCall {
  friend bool operator==(const StatusCall&, const StatusCall&) = default;
};
struct SubscribeCall {
  friend bool operator==(const SubscribeCall&, const SubscribeCall&) = default;
};
struct SetCall {
  std::optional<int> slots;
  /// A type and its limit; none: no limit.
  std::vector<std::pair<std::string, std::optional<int>>> limits;
  std::optional<bool> paused;
  std::uint64_t ended_lease = 0;  ///< that lease ends, whoever has it; 0: none
  friend bool operator==(const SetCall&, const SetCall&) = default;
};

using Call = std::variant<HelloCall, AcquireCall, ReleaseCall, ResizeCall, ReportCall, CancelCall,
                          StatusCall, SubscribeCall, SetCall>;

struct CallRequest {
  CallId id;
  Call call;
  friend bool operator==(const CallRequest&, const CallRequest&) = default;
};

/// Why a line is no request that can be carried out, as it is to be answered.
struct Refusal {
  ErrorCode code = ErrorCode::invalid_request;
  std::string message;
  /// To answer with; none: the answer's id is null.
  CallId id;
  /// A notification: nothing is answered.
  bool silent = false;
  /// The line was no message at all; session::kMaxBadLines of them close the connection.
  bool garbage = false;
  friend bool operator==(const Refusal&, const Refusal&) = default;
};

}  // namespace tokenpool::wire
