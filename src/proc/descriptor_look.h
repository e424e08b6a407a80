// Looks at the descriptors of the same threads again and again.
//
// The folder of a thread that was looked at twice stays open (/proc/TID/fd, proc(5)) while there
// are descriptors to spare, so that a further look costs one system call and no path. That a
// descriptor is another file is believed for the calls on it that follow closely, since a loop that
// reads a file byte by byte makes thousands; that it is the file is never believed, only seen.
//
// Nothing is believed when somebody may have opened the file meanwhile: Python reads the last byte
// of each module on the number that its next file gets.
//
// What can go wrong: a process that has just read another file under a number duplicates the file
// onto that number and makes its call on it within kSoon. That call is not noticed. Whoever uses
// this has to find such calls in another way, and says forget() when it has found any; the next
// call on that number is looked at after kBelieved calls at the latest. One thread.
#pragma once

#include <array>
#include <chrono>
#include <cstddef>

#include <sys/types.h>

#include "proc/process.h"

namespace tokenpool::proc {

class DescriptorLook {
 public:
  DescriptorLook() = default;
  ~DescriptorLook();
  DescriptorLook(const DescriptorLook&) = delete;
  DescriptorLook& operator=(const DescriptorLook&) = delete;

  /// How many calls in a row are believed to be on another file, each so soon after the one before
  /// of the same thread on the same descriptor.
  static constexpr int kBelieved = 63;
  static constexpr std::chrono::nanoseconds kSoon = std::chrono::milliseconds(1);

  /// Whether descriptor `fd` of `thread`, which makes a call on it at `now` (time since any fixed
  /// point), is `file`. As descriptor_is(), but for what is believed. `watch`: what reports who
  /// opens the file (inotify(7) or fanotify(7)), -1: nothing does. While there is something to be
  /// read from it nothing is believed; who has read from it that somebody opened the file says
  /// forget().
  [[nodiscard]] bool is(pid_t thread, int fd, const FileId& file, std::chrono::nanoseconds now,
                        int watch);
  /// Believes nothing any more.
  void forget();

 private:
  struct Other {
    int fd = -1;
    int left = 0;
    std::chrono::nanoseconds seen{};
  };
  struct Kept {
    pid_t thread = 0;
    int folder = -1;              ///< -1: seen once only
    std::array<Other, 2> others;  ///< one to read from and one to write to
    std::size_t next = 0;
  };
  static void drop(Kept* kept);
  static bool look(Kept* kept, pid_t thread, int fd, const FileId& file);
  // As many as have calls under way at a time, roughly; who shares a place with another is looked
  // at by its path.
  std::array<Kept, 64> kept_{};
};

}  // namespace tokenpool::proc
