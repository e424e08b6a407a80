#include <algorithm>
#include <charconv>
#include <utility>

#include <unistd.h>

#include "core/limits.h"
#include "proc/random.h"
#include "session/identity.h"
#include "wire/version.h"

namespace tokenpool::session {
namespace {

constexpr std::size_t kEpochDigits = 16;
constexpr int kLeaseNumberBits = 20;

}  // namespace

DispatcherConfig own_config(std::string cookie, int implicit) {
  return {std::move(cookie), "tokenpool " + std::string(wire::version()),
          proc::random_digits(kEpochDigits), ::getpid(), implicit};
}

core::LeaseId first_lease_of(const std::string& epoch) {
  std::uint32_t random = 0;
  std::from_chars(epoch.data(), epoch.data() + std::min<std::size_t>(epoch.size(), 8), random, 16);
  return ((static_cast<core::LeaseId>(random) << kLeaseNumberBits) & (core::kMaxNumber >> 1)) + 1;
}

}  // namespace tokenpool::session
