// A build whose processes are what the test says: pids that no kernel gives.
#pragma once

#include <map>

#include "core/lease_desk.h"
#include "core/pool_desk.h"
#include "watch/build_view.h"

namespace tokenpool::watch {

inline constexpr pid_t kFakePid = 1 << 23;  // PID_MAX_LIMIT is half of that

class FakeBuild final : public Walks {
 public:
  static core::ProcessId process(int number) { return {kFakePid + number, 100}; }

  /// Process 0 is the root of them all.
  proc::CensusRow& set(int number, int parent, char state = 'S') {
    proc::CensusRow& row = rows[number];
    row.who = process(number);
    row.parent = parent < 0 ? 1 : kFakePid + parent;
    row.state = state;
    row.threads = 1;
    row.delay_seconds = 0;
    return row;
  }
  const proc::CensusSample& walk() override {
    sample = {.at = now};
    for (const auto& [number, row] : rows) sample.rows.push_back(row);
    ++walks;
    return sample;
  }
  /// A second later.
  BuildView next() {
    now += std::chrono::seconds(1);
    BuildView view{.now = now, .leases = &leases.pool, .root = kFakePid, .walks = this};
    view.pool = &tokens;
    view.tracked = true;
    view.exhausted = exhausted;
    view.out = out;
    return view;
  }

  std::map<int, proc::CensusRow> rows;
  proc::CensusSample sample;
  core::Instant now{};
  int walks = 0;
  bool exhausted = true;
  int out = 0;
  core::Pool tokens{3};
  core::LeaseDesk leases{4};
};

}  // namespace tokenpool::watch
