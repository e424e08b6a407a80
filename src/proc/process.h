// What /proc and the pidfd tell about one process or about all of them. Every answer may be stale
// when it arrives: processes end while they are read, and "gone" is an ordinary answer, not an
// error.
//
// Sources: proc(5), pidfd_open(2), <linux/pidfd.h> (PIDFD_GET_INFO with PIDFD_INFO_EXIT,
// Linux 6.15). Thread-safe: no state.
#pragma once

#include <array>
#include <cstdint>
#include <functional>
#include <optional>
#include <string>
#include <vector>

#include <sys/types.h>

#include "core/process_id.h"

namespace tokenpool::proc {

struct ProcessInfo {
  core::ProcessId id;
  pid_t parent = 0;
  pid_t session = 0;
  pid_t group = 0;
  char state = '?';  ///< R S D T Z X … as in proc(5)
  std::string name;  ///< of the program, 15 bytes at most; a zombie's, too
  friend bool operator==(const ProcessInfo&, const ProcessInfo&) = default;
};

/// Whether a process in `state` has ended and only waits to be reaped.
constexpr bool is_ended(char state) { return state == 'Z' || state == 'X' || state == 'x'; }

/// Nothing when there is no such process (any more). A thread id answers for its own thread.
std::optional<ProcessInfo> read_process(pid_t pid);

/// Whether `tid` is the first thread of a process, whose number is the process's.
bool is_process(pid_t tid);

/// The process that thread `tid` belongs to; 0 when it is gone.
pid_t process_of_thread(pid_t tid);

/// Whether exactly this process still runs (a zombie does not). Where no descriptor is left to look
/// at it, any process of that number.
bool is_alive(core::ProcessId id);

/// The command line, blanks between the words, cut at `max_bytes`; the name in brackets for a
/// zombie or kernel thread; empty when the process is gone.
std::string command_of(pid_t pid, std::size_t max_bytes = 120);

/// The calls of a thread that read or wrote, each counted when it has ended.
struct IoCounts {
  std::uint64_t bytes_read = 0;
  std::uint64_t reads = 0;   ///< those that failed, too
  std::uint64_t writes = 0;  ///< those that failed, too
  friend bool operator==(const IoCounts&, const IoCounts&) = default;
};

/// Of thread `tid` (/proc/TID/task/TID/io, proc(5)). Nothing where the kernel does not tell
/// (CONFIG_TASK_IO_ACCOUNTING), when it is gone or may not be looked at.
std::optional<IoCounts> io_counts(pid_t tid);

/// What the caller remembers of a process that is gone.
using Remembered = std::function<std::optional<ProcessInfo>(pid_t)>;

/// Parents of `process` up to, without, `root`: nearest first, at most core::kMaxAncestors. Empty
/// when `root` is not among them: the process does not belong to the build. Of a parent that ends
/// meanwhile `remembered` is asked; where that knows nothing, its child's new parent is next.
std::vector<core::ProcessId> ancestors_below(const ProcessInfo& process, pid_t root,
                                             const Remembered& remembered = {});

/// Living children of all threads of `pid`, zombies left out. Needs no privilege.
std::vector<ProcessInfo> children_of(pid_t pid);

/// All living descendants of `pid`, `pid` left out.
std::vector<ProcessInfo> descendants_of(pid_t pid);

/// The number of the pid namespace that `pid` lives in. 0 when it is gone or may not be looked at.
std::uint64_t pid_namespace(pid_t pid);

/// Every process id in /proc, threads left out.
std::vector<pid_t> all_processes();

/// A file, whatever its name.
struct FileId {
  dev_t device = 0;
  ino_t inode = 0;
  friend bool operator==(const FileId&, const FileId&) = default;
};

/// Whether descriptor `fd` of process or thread `pid` is `file`. False as well when it may not be
/// looked at.
bool descriptor_is(pid_t pid, int fd, const FileId& file);

/// Whether thread `tid` is stopped or waits in a write(2) on its descriptor `fd`
/// (/proc/TID/syscall). False as well when it may not be looked at.
bool is_writing(pid_t tid, int fd);

/// Whether a thread of `pid` waits in a read(2) of `file`, a pipe. Where its call may not be looked
/// at: whether one waits for some pipe, and `pid` has `file` open.
bool waits_to_read(pid_t pid, const FileId& file);

/// Whether `pid` has a descriptor `fd`. False as well when it may not be looked at.
bool has_descriptor(pid_t pid, int fd);

/// Whether descriptor `fd` of `pid` has O_NONBLOCK (/proc/PID/fdinfo). False when it is gone.
bool descriptor_is_nonblocking(pid_t pid, int fd);

/// Whether the program that `pid` runs is `file`. False as well when it may not be looked at.
bool runs_program(pid_t pid, const FileId& file);

/// The program of this process; no file where /proc is not there.
FileId own_program();

struct Opener {
  pid_t pid = 0;
  bool under_other_number = false;  ///< than the `usual` ones, perhaps besides them
  friend bool operator==(const Opener&, const Opener&) = default;
};

/// The processes that have `file` open, as far as they may be looked at. Costs about 10 us a
/// process.
std::vector<Opener> processes_with_open(const FileId& file, const std::array<int, 2>& usual);

/// Whether `pid` has opened `file` itself, or made it its own: under another number than the
/// `usual` ones, or close-on-exec. False as well when it may not be looked at.
bool uses_file(pid_t pid, const FileId& file, const std::array<int, 2>& usual);

/// What the descriptors of `pid` name (/proc/PID/fd): paths, "pipe:[7]", "/gone (deleted)", in
/// the order of their numbers. The first kMaxOpenFiles of them; empty when they may not be looked
/// at.
inline constexpr std::size_t kMaxOpenFiles = 2048;
std::vector<std::string> open_files(pid_t pid);

/// Whether the environment that `pid` was started with holds the exact string "NAME=value".
bool environment_has(pid_t pid, const std::string& assignment);

/// pidfd_open(2), close-on-exec; -1 with errno when it fails. The descriptor polls readable when
/// the process has ended.
int open_pidfd(pid_t pid);

/// So many descriptors stay free for what is opened for a moment only: files of /proc, folders, a
/// connection that is told that there is no room.
inline constexpr int kSpareDescriptors = 8;
/// Whether `fd`, just opened, may be kept.
bool is_to_spare(int fd);

/// Whether a signal waits for the process to go on: one that it does not block, and not one that
/// stops or continues it. False when it is gone.
bool has_waiting_signal(pid_t pid);

/// How the process behind `pidfd` (which has ended) ended: from the kernel (6.15 and later), else
/// from its zombie's stat, else unknown.
core::EndCause end_cause(int pidfd, pid_t pid);

}  // namespace tokenpool::proc
