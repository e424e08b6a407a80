// What `tokenpool doctor` concludes from what it has seen. Pure: facts in, conclusions out.
#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <vector>

#include "cli/surroundings.h"
#include "core/slot_range.h"
#include "dialect/makeflags.h"
#include "dialect/tool.h"
#include "proc/capacity.h"
#include "proc/probe.h"
#include "tokenpool/client.hpp"

namespace tokenpool::cli {

/// A build tool on PATH.
struct ToolFacts {
  std::string name;  ///< as it was looked for: "make", "ninja", ...
  std::string path;  ///< absolute
  dialect::Tool tool;
  friend bool operator==(const ToolFacts&, const ToolFacts&) = default;
};

/// What a client of the protocol started here would do.
struct ClientFacts {
  client::Mode mode = client::Mode::single;
  client::Reason reason = client::Reason::no_address;
  client::JobserverReason jobserver = client::JobserverReason::no_makeflags;
  std::string seen;  ///< why_nobody_answers() at TOKENPOOL_ADDR where that is unreachable
  friend bool operator==(const ClientFacts&, const ClientFacts&) = default;
};

/// What `run` and `exec` go by without options (cli/defaults.h).
struct DefaultsFacts {
  std::vector<std::string> files;  ///< that were read
  std::vector<std::string> notes;  ///< what of them is ignored
  std::string wrong;               ///< why they start nothing; empty: they do
  core::SlotRange slots;           ///< without -j
};

struct Facts {
  proc::Probe probe;
  proc::Capacity capacity;
  std::vector<ToolFacts> tools;
  Environment environment;
  std::string shims_folder;                   ///< empty: there is none
  std::optional<Surroundings> surroundings;   ///< of the pool that we run in, if any
  std::vector<dialect::JobserverWord> alive;  ///< those named in MAKEFLAGS that somebody serves
  ClientFacts client;
  DefaultsFacts defaults;
};

struct Finding {
  bool attention = false;  ///< the pool would be left or exceeded; else for information
  std::string
      subject;         ///< a tool's name, a variable's name, "tracking", "shims" or "configuration"
  std::string text;    ///< what is so
  std::string remedy;  ///< what to do about it; may be empty
  friend bool operator==(const Finding&, const Finding&) = default;
};

struct Diagnosis {
  bool exact = false;             ///< `run --track auto` tracks exactly, else it infers
  std::string tracking_reason;    ///< why
  std::string slots_reason;       ///< why the default is capacity.usable
  std::vector<Finding> findings;  ///< those that need attention first
  friend bool operator==(const Diagnosis&, const Diagnosis&) = default;

  /// Nothing needs attention.
  [[nodiscard]] bool well() const;
};

Diagnosis diagnose(const Facts& facts);

}  // namespace tokenpool::cli
