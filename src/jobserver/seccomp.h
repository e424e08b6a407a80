// The kernel's side of exact tracking: a seccomp filter that stops every one-byte read and write on
// a descriptor above 2, whatever is read or written on the descriptors that the build inherits,
// their duplication onto 0 to 2, whoever wants packets, whoever becomes a subreaper and, of root's
// processes, whoever becomes another user; and the listener through which the arbiter answers these
// calls. Where nothing else tells how a process ended, it stops those that end by themselves, too.
//
// Sources: seccomp(2), seccomp_unotify(2), <linux/seccomp.h>. Linux 5.5
// (SECCOMP_USER_NOTIF_FLAG_CONTINUE) or later; SECCOMP_USER_NOTIF_FD_SYNC_WAKE_UP from 6.6 is used
// where it is there.
#pragma once

#include <array>
#include <cstdint>
#include <optional>
#include <unordered_map>

#include <sys/types.h>

namespace tokenpool::jobserver {

/// Installs the filter in the calling thread, for it and everything it will execute, and answers
/// the listener (close-on-exec). Without CAP_SYS_ADMIN it sets no_new_privs, else it leaves it
/// alone so that setuid programs keep working. -1 with errno: EBUSY under another listener, EINVAL
/// or ENOSYS on old kernels, EACCES or EPERM in some sandboxes.
/// `exits`: Call::exit is stopped as well. For root Call::user is.
int install_filter(int read_end, int write_end, bool exits = false);

enum class Call : std::uint8_t {
  read,
  write,
  duplicate,
  packets,    ///< fcntl(F_SETFL) with O_DIRECT, which makes a packet of each write to a pipe
  subreaper,  ///< prctl(PR_SET_CHILD_SUBREAPER), not to stop being one
  exit,       ///< exit_group(2): who ends without it was killed
  user,       ///< of setuid(2) and its like, for who runs as root
};

/// One stopped call.
struct Notification {
  std::uint64_t id = 0;  ///< the kernel's cookie for it
  pid_t thread = 0;      ///< in our own pid namespace
  Call call = Call::read;
  int fd = -1;  ///< the caller's descriptor; of a duplicate the old one; of an exit its status; of
                ///< a user the effective one, -1 where he stays; of no meaning for a subreaper
  std::uint64_t address =
      0;  ///< of the bytes in the caller's memory; of a duplicate the new descriptor
  std::uint64_t count = 0;  ///< how many bytes; more than one only on an inherited descriptor
  friend bool operator==(const Notification&, const Notification&) = default;
};

/// Where the kernel writes the call that it hands out (a struct seccomp_notif). It hands out each
/// call once: in memory that outlives the receiver, the next one finds what this one did not come
/// to. Zeroed, there is none.
struct Receipt {
  std::array<std::uint64_t, 10> words{};
  /// The call that was received last.
  [[nodiscard]] std::optional<Notification> call() const;
};

enum class Delivery : std::uint8_t {
  done,        ///< the caller goes on
  gone,        ///< it died or was interrupted before
  unwritable,  ///< its memory cannot be written; it still waits for an answer
};

enum class Received : std::uint8_t {
  call,
  nothing,  ///< nobody is stopped now
  hung_up,  ///< nobody is under the filter any more, or ever will be
};

/// The listener's end of the filter. Not thread-safe. Does not own the descriptor.
class Listener {
 public:
  explicit Listener(int fd);
  ~Listener();
  Listener(const Listener&) = delete;
  Listener& operator=(const Listener&) = delete;

  [[nodiscard]] int fd() const { return fd_; }
  /// The next stopped call, if there is one now, is in `receipt`, whose former call is forgotten.
  /// Never blocks as long as nobody else receives.
  [[nodiscard]] Received receive(Receipt* receipt) const;
  /// The same where the listener has just been found readable (POLLIN) and nobody has received
  /// since: then it does not ask again whether it is. Would block where that is not so.
  [[nodiscard]] Received receive_ready(Receipt* receipt) const;
  /// Whether the kernel still waits for an answer to `id`.
  [[nodiscard]] bool is_waiting(std::uint64_t id) const;
  /// Writes a token to where the caller's read wants it; answer_one() then ends the read.
  [[nodiscard]] Delivery write_token(const Notification& notification) const;
  /// The caller's read or write returns 1. One that a signal reaches in the very moment of the
  /// answer makes its call again although the kernel has taken the answer (kernel/seccomp.c,
  /// seccomp_do_user_notification). So of a thread that was interrupted once it is
  /// looked first whether it still waits; if not, it is `gone`.
  [[nodiscard]] Delivery answer_one(const Notification& notification) const;
  /// The caller's call fails with `error` (a positive errno).
  [[nodiscard]] Delivery answer_error(const Notification& notification, int error) const;
  /// The kernel carries the call out as if there were no filter.
  [[nodiscard]] Delivery let_continue(const Notification& notification) const;
  /// Nobody is under the filter any more (or ever will be).
  [[nodiscard]] bool hung_up() const;

 private:
  void note_interrupted(pid_t thread) const;
  [[nodiscard]] bool is_being_interrupted(const Notification& notification) const;
  [[nodiscard]] Delivery send(std::uint64_t id, std::int64_t value, std::int32_t error,
                              std::uint32_t flags) const;
  int fd_;
  /// Threads that were, at some time: each with its /proc/TID/syscall.
  mutable std::unordered_map<pid_t, int> interrupted_;
};

}  // namespace tokenpool::jobserver
