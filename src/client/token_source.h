// The tokens of a GNU make jobserver, as a client of it takes and returns them.
//
// Facts: GNU make's manual, "POSIX Jobserver Interaction": a token is one byte, and the same byte
// is to be written back; --jobserver-auth=R,W or =fifo:PATH, and the older --jobserver-fds=R,W.
#pragma once

#include <memory>
#include <optional>
#include <string>
#include <string_view>

#include "tokenpool/client.hpp"

namespace tokenpool::client {

class TokenSource {
 public:
  TokenSource() = default;
  virtual ~TokenSource() = default;
  TokenSource(const TokenSource&) = delete;
  TokenSource& operator=(const TokenSource&) = delete;

  /// One token, if there is one; never waits.
  virtual std::optional<char> take() = 0;
  virtual void give(char token) = 0;
  /// Polls with events() when there may be a token.
  [[nodiscard]] virtual int fd() const = 0;
  [[nodiscard]] virtual short events() const = 0;
};

struct Jobserver {
  JobserverReason reason = JobserverReason::no_makeflags;
  std::unique_ptr<TokenSource> source;  ///< where reason is ok
  int slots = 1;                        ///< of -jN; 1: unknown
};

/// Opens the jobserver that the value of MAKEFLAGS names: the last -auth, else the last -fds. It is
/// opened as descriptions of our own (a FIFO by its path, descriptors through /proc/self/fd or
/// /dev/fd), because O_NONBLOCK on an inherited one would be everybody's.
Jobserver open_jobserver(const std::optional<std::string>& makeflags);

}  // namespace tokenpool::client
