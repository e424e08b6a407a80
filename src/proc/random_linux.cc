#include <cerrno>

#include <sys/random.h>

#include "core/check.h"
#include "proc/random.h"

namespace tokenpool::proc {

std::string random_digits(std::size_t count) {
  constexpr char kDigits[] = "0123456789abcdef";
  std::string text(count, '0');
  std::size_t done = 0;
  while (done < count) {
    const ssize_t n = ::getrandom(text.data() + done, count - done, 0);
    TOKENPOOL_CHECK(n > 0 || errno == EINTR);
    if (n > 0) done += static_cast<std::size_t>(n);
  }
  for (char& c : text) c = kDigits[static_cast<unsigned char>(c) & 15U];
  return text;
}

}  // namespace tokenpool::proc
