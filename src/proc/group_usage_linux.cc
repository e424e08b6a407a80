#include <algorithm>
#include <charconv>
#include <string_view>

#include "proc/group_usage.h"

namespace tokenpool::proc {

GroupUsage::GroupUsage(const std::string& folder) {
  if (folder.empty()) return;
  file_ = KeptFile(folder + "/cpu.stat");
  // A v1 group of the cpu controller has a cpu.stat of another kind.
  if (file_.is_open() && file_.read().starts_with("usage_usec ")) return;
  file_ = KeptFile(folder + "/cpuacct.usage");
  in_nanoseconds_ = true;
}

std::optional<double> GroupUsage::seconds() {
  std::string_view text = file_.read();
  if (!in_nanoseconds_)
    text.remove_prefix(std::min(text.size(), std::string_view("usage_usec ").size()));
  double value = 0;
  const auto [stop, error] = std::from_chars(text.data(), text.data() + text.size(), value);
  if (text.empty() || error != std::errc()) return std::nullopt;
  return value * (in_nanoseconds_ ? 1e-9 : 1e-6);
}

}  // namespace tokenpool::proc
