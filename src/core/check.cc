#include "core/check.h"

#include <cstdio>
#include <cstdlib>

namespace tokenpool::core {

void check_failed(const char* condition, const char* file, int line) {
  std::fprintf(stderr, "tokenpool: internal error: CHECK(%s) failed at %s:%d\n", condition, file,
               line);
  std::abort();
}

}  // namespace tokenpool::core
