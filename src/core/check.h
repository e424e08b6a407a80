// CHECK: for what can only be false if Tokenpool itself is wrong. It stays in release builds,
// because the design survives a crash of the arbiter but not a ledger that lies.
#pragma once

namespace tokenpool::core {

/// Prints the broken condition with its place on stderr and aborts. Never returns.
[[noreturn]] void check_failed(const char* condition, const char* file, int line);

}  // namespace tokenpool::core

#define TOKENPOOL_CHECK(condition)                     \
  (static_cast<bool>(condition) ? static_cast<void>(0) \
                                : ::tokenpool::core::check_failed(#condition, __FILE__, __LINE__))
