#include "host/kept_byte.h"

#include <algorithm>

namespace tokenpool::host {

bool KeptByte::keep(int free, core::Instant now) {
  if (kept_ > 0 || free <= 1) return false;
  kept_ = 1;
  since_ = now;
  // Stays as it is while the byte comes and goes: to set a timer each time would cost more.
  if (!due_) due_ = since_ + kKeep;
  return true;
}

int KeptByte::take(int wanted) {
  const int taken = std::min(kept_, wanted);
  kept_ -= taken;
  return taken;
}

int KeptByte::late(core::Instant now) {
  if (!due_ || *due_ > now) return 0;
  due_.reset();
  if (kept_ == 0) return 0;
  if (since_ + kKeep <= now) return all();
  due_ = since_ + kKeep;
  return 0;
}

}  // namespace tokenpool::host
