#include "watch/elastic.h"

#include <algorithm>

namespace tokenpool::watch {

Elastic::Elastic(core::SlotRange range, int slots, const std::string& own, core::Instant now)
    : range_(range),
      governor_(range.min, range.max, std::clamp(slots, range.min, range.max)),
      meter_("", proc::allowed_cpus(), own),
      due_(now + control::kGovernorStep),
      slots_(slots) {
  (void)meter_.read(now);
}

int Elastic::step(const BuildView& view) {
  const core::Instant now = view.now;
  if (now < due_) return slots_;
  due_ = now + control::kGovernorStep;
  if (const auto load = meter_.read(now)) {
    control::LoadSample sample;
    sample.use = load->use;
    sample.own = load->own.value_or(std::min<double>(load->use, view.in_use));
    sample.delay = load->delay;
    sample.capacity = load->capacity;
    sample.disk_stall = load->disk_stall;
    sample.in_use = view.in_use;
    sample.exhausted = view.exhausted;
    slots_ = governor_.step(sample, now);
  }
  return std::clamp(std::max(slots_, view.needed), range_.min, range_.max);
}

}  // namespace tokenpool::watch
