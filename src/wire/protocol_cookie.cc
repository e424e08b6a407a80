#include "wire/protocol.h"

namespace tokenpool::wire {

bool is_cookie(std::string_view text) {
  return text.size() == kCookieDigits &&
         text.find_first_not_of("0123456789abcdefABCDEF") == std::string_view::npos;
}

}  // namespace tokenpool::wire
