// Gathers what a request has while its line is parsed. Internal to the codec.
#pragma once

#include <cstddef>
#include <cstdint>
#include <optional>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "wire/protocol.h"
#include "wire/protocol_json.h"
#include "wire/protocol_members.h"

namespace tokenpool::wire {

/// The entries of `resume`. Once one is wrong none is kept any more.
struct ResumeList {
  std::vector<ResumedLease> leases;
  std::size_t count = 0;
  std::string fault;

  void end_entry(const Members& entry);
};

/// The entries of `limits`, unchecked.
struct LimitList {
  std::vector<std::pair<std::string_view, JsonValue>> entries;  ///< at most core::kMaxLimits
  bool is_too_long = false;

  /// Where the value of that name belongs.
  JsonValue* place(std::string_view name, JsonValue* nowhere);
};

/// What `acquire` and an entry of `resume` have in common.
void take_job(MemberReader& members, JobWords* job);
void take_process(MemberReader& members, NamedProcess* process);
void take_lease(MemberReader& members, std::uint64_t* lease);

/// The envelope and the params, whatever the method: it may come last.
class RequestSink final : public JsonSink {
 public:
  void key(std::string_view name) override;
  void value(const JsonValue& value) override;
  void open(JsonValue::Kind kind, std::size_t at) override;
  void close(std::size_t end) override;

  JsonValue root;
  JsonValue version;
  JsonValue id;
  JsonValue method;
  JsonValue params;
  Members members;  ///< of params
  ResumeList resume;
  LimitList limits;

 private:
  enum class Level : std::uint8_t { outside, envelope, params, resume, entry, limits };

  void enter_params();

  Level level_ = Level::outside;
  bool has_params_ = false;
  int skipped_ = 0;             ///< levels below one that matters
  JsonValue* current_ = &root;  ///< where the next value belongs
  JsonValue ignored_;
  std::optional<Members> entry_;  ///< the one of `resume` that is open
};

}  // namespace tokenpool::wire
