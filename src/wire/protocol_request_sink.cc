#include "wire/protocol_request_sink.h"

#include "core/limits.h"
#include "wire/limits.h"

namespace tokenpool::wire {
namespace {

using Kind = JsonValue::Kind;

constexpr std::int64_t kMaxPid = INT32_MAX;

}  // namespace

void take_process(MemberReader& members, NamedProcess* process) {
  members.whole(Member::pid, 1, kMaxPid, &process->pid);
  members.whole(Member::start, 0, kMaxNumber, &process->start);
}

void take_job(MemberReader& members, JobWords* job) {
  members.type(Member::type, &job->type);
  members.text(Member::target, 0, kMaxTargetBytes, &job->target);
  members.whole(Member::memory, 0, kMaxNumber, &job->memory);
  members.whole(Member::priority, -kMaxPriority, kMaxPriority, &job->priority);
  NamedProcess process;
  take_process(members, &process);
  // `start` alone names nobody.
  if (members.has(Member::pid)) job->process = process;
}

void take_lease(MemberReader& members, std::uint64_t* lease) {
  members.require(Member::lease);
  members.whole(Member::lease, 1, kMaxNumber, lease);
}

void ResumeList::end_entry(const Members& entry) {
  ++count;
  if (!fault.empty()) return;
  if (count > kMaxResumed) {
    fault = "resume: at most " + std::to_string(kMaxResumed) + " leases";
    return;
  }
  ResumedLease lease;
  MemberReader members(entry);
  take_lease(members, &lease.lease);
  members.require(Member::slots);
  members.whole(Member::slots, 1, core::kMaxSlots, &lease.slots);
  take_job(members, &lease.job);
  if (members.failed()) {
    fault = "resume[" + std::to_string(count - 1) + "]." + members.fault();
    return;
  }
  leases.push_back(std::move(lease));
}

JsonValue* LimitList::place(std::string_view name, JsonValue* nowhere) {
  if (is_too_long) return nowhere;
  for (auto& [type, value] : entries) {
    if (type == name) return &value;
  }
  is_too_long = entries.size() == core::kMaxLimits;
  return is_too_long ? nowhere : &entries.emplace_back(name, JsonValue()).second;
}

void RequestSink::key(std::string_view name) {
  if (skipped_ > 0) return;
  switch (level_) {
    case Level::envelope:
      current_ = name == "params"    ? &params
                 : name == "method"  ? &method
                 : name == "id"      ? &id
                 : name == "jsonrpc" ? &version
                                     : &ignored_;
      break;
    case Level::params:
      current_ = &members[member_of(name)];
      break;
    case Level::entry:
      current_ = &(*entry_)[member_of(name)];
      break;
    case Level::limits:
      current_ = limits.place(name, &ignored_);
      break;
    case Level::outside:
    case Level::resume:
      break;
  }
}

void RequestSink::value(const JsonValue& value) {
  if (skipped_ > 0) return;
  if (level_ == Level::resume) return resume.end_entry(Members());
  *current_ = value;
}

void RequestSink::enter_params() {
  level_ = Level::params;
  // The last of two counts, and nothing of the first.
  if (has_params_) {
    members = {};
    resume = {};
    limits = {};
  }
  has_params_ = true;
}

void RequestSink::open(Kind kind, std::size_t /*at*/) {
  const bool is_object = kind == Kind::object;
  if (skipped_ > 0) {
    ++skipped_;
    return;
  }
  if (level_ == Level::resume) {
    if (is_object) {
      entry_.emplace();
      level_ = Level::entry;
      return;
    }
    resume.end_entry(Members());
    skipped_ = 1;
    return;
  }
  *current_ = {};
  current_->kind = kind;
  if (level_ == Level::outside && is_object) {
    level_ = Level::envelope;
  } else if (level_ == Level::envelope && is_object && current_ == &params) {
    enter_params();
  } else if (level_ == Level::params && !is_object && current_ == &members[Member::resume]) {
    resume = {};
    level_ = Level::resume;
  } else if (level_ == Level::params && is_object && current_ == &members[Member::limits]) {
    limits = {};
    level_ = Level::limits;
  } else {
    skipped_ = 1;
  }
}

void RequestSink::close(std::size_t /*end*/) {
  if (skipped_ > 0) {
    --skipped_;
    return;
  }
  switch (level_) {
    case Level::entry:
      resume.end_entry(*entry_);
      level_ = Level::resume;
      break;
    case Level::resume:
    case Level::limits:
      level_ = Level::params;
      break;
    case Level::params:
      level_ = Level::envelope;
      break;
    case Level::envelope:
    case Level::outside:
      level_ = Level::outside;
      break;
  }
}

}  // namespace tokenpool::wire
