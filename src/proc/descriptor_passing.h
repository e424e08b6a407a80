// Messages with descriptors attached, between our own processes (unix(7), SCM_RIGHTS).
#pragma once

#include <cstddef>
#include <span>
#include <vector>

#include <sys/types.h>

namespace tokenpool::proc {

/// Descriptors that one message can carry.
inline constexpr std::size_t kMaxPassed = 16;

/// Sends one message of a SOCK_SEQPACKET socket; never raises SIGPIPE. False with errno when the
/// peer is gone or its buffer is full. The caller keeps its descriptors.
bool send_message(int socket, std::span<const std::byte> data, std::span<const int> descriptors);

struct Message {
  ssize_t size = 0;              ///< 0: the peer is gone; negative: errno tells
  std::vector<int> descriptors;  ///< close-on-exec, the caller's to close
  bool truncated = false;        ///< some did not fit under the limit of open files
};

/// Waits for one message and puts its first bytes into `data`.
Message receive_message(int socket, std::span<std::byte> data);

}  // namespace tokenpool::proc
