// A Unix socket that one process serves, whatever became of the one before it.
#pragma once

#include <string>
#include <vector>

#include "proc/listening_socket.h"

namespace tokenpool::proc {

/// Owns a listening socket, its name and its lock (PATH.lock, flock(2)). Neither copies nor moves.
class ServedSocket {
 public:
  ServedSocket() = default;
  ~ServedSocket();  ///< closes, and removes the names if they are its own
  ServedSocket(const ServedSocket&) = delete;
  ServedSocket& operator=(const ServedSocket&) = delete;

  /// Takes the lock, removes the socket of one that died, and listens. Error 125: the folder cannot
  /// be used, or another process serves it (its pid is named).
  wire::Result<void> open(const wire::Address& address);
  [[nodiscard]] int fd() const { return fd_; }

 private:
  int fd_ = -1;
  int lock_ = -1;
  std::string path_;
};

/// The secret in `path`: read if the file is there, is ours and closed to others, else made (mode
/// 0600). Error 125 says why it cannot be used. `*was_there` tells which.
wire::Result<std::string> read_or_make_cookie(const std::string& path, bool* was_there);

}  // namespace tokenpool::proc
