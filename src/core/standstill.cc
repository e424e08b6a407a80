#include "core/standstill.h"

namespace tokenpool::core {

bool Standstill::look(bool stands_still, Instant now) {
  if (!stands_still) {
    since_.reset();
    return false;
  }
  if (!since_) {
    since_ = now;
    looks_ = 0;
  }
  if (++looks_ <= kStandstillLooks || now - *since_ < patience_) return false;
  since_ = now;
  looks_ = 0;
  return true;
}

}  // namespace tokenpool::core
