#include "launcher/launcher.h"

namespace tokenpool::launcher {

std::string with_slots(std::string_view word, int slots) {
  constexpr std::string_view kPlain = "{slots}";
  constexpr std::string_view kQuoted = "{{slots}}";
  std::string text;
  while (!word.empty()) {
    if (word.starts_with(kQuoted)) {
      text += kPlain;
      word.remove_prefix(kQuoted.size());
    } else if (word.starts_with(kPlain)) {
      text += std::to_string(slots);
      word.remove_prefix(kPlain.size());
    } else {
      text += word.front();
      word.remove_prefix(1);
    }
  }
  return text;
}

}  // namespace tokenpool::launcher
