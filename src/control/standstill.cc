#include "control/standstill.h"

#include <algorithm>

namespace tokenpool::control {

bool Standstill::is_over(Since* since, bool still, std::chrono::nanoseconds patience,
                         core::Instant now) {
  if (!still) {
    *since = {};
    return false;
  }
  if (!since->first) since->first = now;
  return ++since->looks > kStandstillLooks && now - *since->first >= patience;
}

std::chrono::nanoseconds Standstill::pause() const {
  if (patience_.count() == 0) return kLongestLookPause;
  return std::min<std::chrono::nanoseconds>(kLongestLookPause, patience_ / (kStandstillLooks + 1));
}

bool Standstill::look(Movement movement, core::Instant now) {
  const bool none = is_over(&none_, movement == Movement::none, patience_, now);
  const bool disk = is_over(&disk_, movement != Movement::some, kDiskPatience * patience_, now);
  if (!none && !disk) return false;
  none_ = {.first = now};
  disk_ = {.first = now};
  return true;
}

}  // namespace tokenpool::control
