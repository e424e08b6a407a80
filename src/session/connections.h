// The sockets of the protocol: accepts, reads, writes and closes for a Dispatcher.
//
// All sockets are in one set of their own (epoll), which the event loop of the arbiter waits for as
// for a single descriptor: a batch of lines costs the loop one wake-up.
#pragma once

#include <chrono>
#include <cstdint>
#include <functional>
#include <memory>

#include <sys/types.h>

#include "session/dispatcher.h"

namespace tokenpool::session {

/// One thread. Neither copies nor moves.
class Connections {
 public:
  /// Borrows `dispatcher`. Whoever connects to a Unix socket must be `user` or root, or admitted.
  Connections(Dispatcher* dispatcher, uid_t user);
  ~Connections();
  Connections(const Connections&) = delete;
  Connections& operator=(const Connections&) = delete;

  /// Readable when serve() has something to do. -1: no descriptor was left.
  [[nodiscard]] int fd() const;
  /// `user` may connect from now on, too.
  void admit(uid_t user);
  /// Accepts on the listening socket `fd` from now on; it stays the caller's.
  void listen_on(int fd, bool is_unix);
  void stop_listening();
  /// Does what there is to do, at most about a hundred reads, and calls `after` before it sends
  /// what the dispatcher has to say. Never blocks.
  void serve(const std::function<void()>& after);
  /// Sends what the dispatcher has to say, closes what it wants closed.
  void flush();
  /// Closes every connection. Leases end with it.
  void close_all();

 private:
  struct Impl;
  std::unique_ptr<Impl> impl_;
};

}  // namespace tokenpool::session
