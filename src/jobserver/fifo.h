// The FIFO that unmodified clients read: one byte per free token, one FIFO per run, mode 0600, in a
// folder of its own (0700). Why a real FIFO, and why inherited descriptors on it too: DESIGN.md.
#pragma once

#include <string>

#include "proc/process.h"
#include "wire/error.h"

namespace tokenpool::jobserver {

/// Owns the FIFO and its folder. While it lives, readers and writers always have a peer: nobody
/// ever sees end of file. Neither copies nor moves. Every process that inherits it by fork shares
/// it; only remove() takes it off the disk.
class Fifo {
 public:
  Fifo() = default;
  ~Fifo();
  Fifo(const Fifo&) = delete;
  Fifo& operator=(const Fifo&) = delete;

  /// Chooses folder() and path() in `parent`, without a slash at its end; touches nothing. So
  /// another process can know what to remove before there is anything.
  void choose_name(const std::string& parent);
  /// Makes the chosen folder and the FIFO in it. Error 125 when they cannot be made; nothing is
  /// left then.
  wire::Result<void> create();
  /// Takes over `fd`, the FIFO that another process has created under the chosen name.
  void adopt(int fd);

  /// The descriptor that keeps it open, for handing it to another process.
  [[nodiscard]] int fd() const { return fd_; }

  [[nodiscard]] const std::string& path() const { return path_; }
  [[nodiscard]] const std::string& folder() const { return folder_; }
  [[nodiscard]] const proc::FileId& id() const { return id_; }

  /// Bytes that lie in the FIFO now (FIONREAD).
  [[nodiscard]] int level() const;
  /// Takes up to `count` bytes out; answers how many there were. Never blocks.
  int take(int count) const;
  /// Puts `count` bytes in; answers how many went in, fewer only when somebody filled the pipe.
  int put(int count) const;

  /// Descriptors for the build, one for reading and one for writing, each a description of its own
  /// without O_NONBLOCK, numbered high but below 1024 (make's FD_SET) and above 2, close-on-exec.
  /// Error 125 when no descriptor is left.
  wire::Result<void> open_ends(int* read_end, int* write_end) const;

  /// Whether path() still names this FIFO.
  [[nodiscard]] bool is_on_disk() const;
  /// Removes FIFO and folder from the disk. Safe to call twice.
  void remove();

 private:
  std::string folder_;
  std::string path_;
  proc::FileId id_;
  int fd_ = -1;  ///< O_RDWR | O_NONBLOCK
};

}  // namespace tokenpool::jobserver
