// Processes of the build that ignore the pool: found, named and paid for. The law is
// control/billing.h, when it is worth a look control/census_pace.h; this class has the eyes.
#pragma once

#include <string>
#include <vector>

#include "control/billing.h"
#include "control/census_pace.h"
#include "proc/build_load.h"
#include "proc/process.h"
#include "watch/build_view.h"

namespace tokenpool::watch {

/// One thread, the arbiter's.
class BillingWatch {
 public:
  /// `group`: folder of the build's control group; empty: there is none. What starting `program`
  /// and waiting in it costs is nobody's job: exec and shims, many at a time.
  BillingWatch(const std::string& group, proc::FileId program, core::Instant now);

  /// When look() is due: every half second. As a rule it costs some 5 us.
  [[nodiscard]] core::Instant due() const { return due_; }
  /// Who is accused by now is in accused().
  void look(const BuildView& view);
  /// False: it was not accused.
  bool process_ended(core::ProcessId who) { return billing_.ended(who); }
  /// Who ignores the pool at present, first the one that was found first.
  [[nodiscard]] const std::vector<control::Accusation>& accused() const {
    return billing_.accused();
  }
  /// Slots that the build has to do without, at present.
  [[nodiscard]] int withheld() const { return billing_.withheld(); }

 private:
  [[nodiscard]] control::BillingSample sample_of(const BuildView& view,
                                                 const proc::CensusSample& census,
                                                 std::vector<control::Holding> holdings,
                                                 int loose) const;

  proc::BuildLoad load_;
  proc::FileId program_;
  proc::CensusRates rates_;
  control::CensusPace pace_;
  control::Billing billing_;
  core::Instant due_;
};

}  // namespace tokenpool::watch
