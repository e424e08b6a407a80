// What the system has too little of, as an error with what to do about it.
#pragma once

#include <cerrno>
#include <cstring>
#include <string>

#include "wire/error.h"

namespace tokenpool::proc {

inline constexpr const char* kMoreFiles = "raise the limit of open files (ulimit -n)";
inline constexpr const char* kMoreProcesses = "raise the limit of processes (ulimit -u)";

/// Error 125 of the call that has just set errno: "cannot WHAT: REASON; ADVICE".
inline wire::Error shortage(const std::string& what, const char* advice) {
  return {125, "cannot " + what + ": " + std::strerror(errno) + "; " + advice};
}

}  // namespace tokenpool::proc
