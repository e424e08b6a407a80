#include "cli/type_limits.h"

#include <algorithm>
#include <cstdint>
#include <string_view>

#include "cli/command_line.h"
#include "core/limits.h"
#include "wire/protocol.h"

namespace tokenpool::cli {

wire::Result<std::map<std::string, int>> parse_type_limits(const std::vector<std::string>& words) {
  std::map<std::string, int> limits;
  for (const std::string& word : words) {
    const auto equals = std::min(word.find('='), word.size());
    const std::string type = word.substr(0, equals);
    const bool has_number = equals < word.size();
    const auto number = number_of(std::string_view(word).substr(has_number ? equals + 1 : equals));
    const std::int64_t limit = number.value_or(-1);
    if (!wire::is_type(type) || limit < 0 || limit > core::kMaxSlots) {
      return usage("the limit '" + word + "' is wrong: give TYPE=N, N from 0 to " +
                   std::to_string(core::kMaxSlots) + ", for example link=2");
    }
    limits[type] = static_cast<int>(limit);
  }
  if (limits.size() > core::kMaxLimits) {
    return usage(std::to_string(limits.size()) + " types have a limit: give at most " +
                 std::to_string(core::kMaxLimits));
  }
  return limits;
}

}  // namespace tokenpool::cli
