#include <sys/random.h>
#include <sys/resource.h>

#include "proc/build_mark.h"

namespace tokenpool::proc {
namespace {

// No limit that anybody sets on purpose is that high, and none below it is infinite.
constexpr BuildMark kLeast = BuildMark{1} << 60;

}  // namespace

BuildMark new_build_mark() {
  rlimit limit{};
  if (::getrlimit(RLIMIT_RTTIME, &limit) != 0 || limit.rlim_cur != RLIM_INFINITY) return 0;
  BuildMark random = 0;
  if (::getrandom(&random, sizeof random, 0) != static_cast<ssize_t>(sizeof random)) return 0;
  return kLeast + random % kLeast;
}

void carry_build_mark(BuildMark mark) {
  rlimit limit{};
  if (mark == 0 || ::getrlimit(RLIMIT_RTTIME, &limit) != 0) return;
  limit.rlim_cur = mark;
  ::setrlimit(RLIMIT_RTTIME, &limit);
}

bool has_build_mark(pid_t pid, BuildMark mark) {
  rlimit limit{};
  return ::prlimit(pid, RLIMIT_RTTIME, nullptr, &limit) == 0 && limit.rlim_cur == mark;
}

}  // namespace tokenpool::proc
