#include <array>
#include <cerrno>
#include <cstddef>
#include <cstdint>
#include <cstdio>
#include <cstring>
#include <vector>

#include <fcntl.h>
#include <linux/audit.h>
#include <linux/filter.h>
#include <linux/seccomp.h>
#include <poll.h>
#include <sys/ioctl.h>
#include <sys/prctl.h>
#include <sys/syscall.h>
#include <sys/uio.h>
#include <unistd.h>

#include "jobserver/seccomp.h"
#include "proc/process.h"

namespace tokenpool::jobserver {
namespace {

constexpr std::uint32_t native_architecture() {
#if defined(__x86_64__)
  return AUDIT_ARCH_X86_64;
#elif defined(__aarch64__)
  return AUDIT_ARCH_AARCH64;
#elif defined(__riscv)
  return AUDIT_ARCH_RISCV64;
#elif defined(__powerpc64__)
  return AUDIT_ARCH_PPC64LE;
#elif defined(__s390x__)
  return AUDIT_ARCH_S390X;
#endif
}

// The machine's other architecture and its exit_group: a 32-bit helper ends well, too.
#if defined(__x86_64__)
constexpr std::uint32_t kOtherArchitecture = AUDIT_ARCH_I386;
constexpr std::uint32_t kOtherExit = 252;
#elif defined(__aarch64__)
constexpr std::uint32_t kOtherArchitecture = AUDIT_ARCH_ARM;
constexpr std::uint32_t kOtherExit = 248;
#else
constexpr std::uint32_t kOtherArchitecture = native_architecture();
constexpr std::uint32_t kOtherExit = __NR_exit_group;
#endif

// Where the low and the high half of a 64-bit argument stand in seccomp_data.
constexpr bool kLittle = __BYTE_ORDER__ == __ORDER_LITTLE_ENDIAN__;
constexpr std::uint32_t low_half(int argument) {
  return static_cast<std::uint32_t>(offsetof(seccomp_data, args) +
                                    8 * static_cast<std::size_t>(argument) + (kLittle ? 0 : 4));
}
constexpr std::uint32_t high_half(int argument) {
  return static_cast<std::uint32_t>(offsetof(seccomp_data, args) +
                                    8 * static_cast<std::size_t>(argument) + (kLittle ? 4 : 0));
}

constexpr sock_filter load(std::uint32_t offset) {
  return BPF_STMT(BPF_LD | BPF_W | BPF_ABS, offset);
}
constexpr sock_filter jump_equal(std::uint32_t value, std::uint8_t yes, std::uint8_t no) {
  return BPF_JUMP(BPF_JMP | BPF_JEQ | BPF_K, value, yes, no);
}
constexpr sock_filter jump_has(std::uint32_t bits, std::uint8_t yes, std::uint8_t no) {
  return BPF_JUMP(BPF_JMP | BPF_JSET | BPF_K, bits, yes, no);
}
constexpr sock_filter jump_greater(std::uint32_t value, std::uint8_t yes, std::uint8_t no) {
  return BPF_JUMP(BPF_JMP | BPF_JGT | BPF_K, value, yes, no);
}
constexpr sock_filter answer(std::uint32_t value) { return BPF_STMT(BPF_RET | BPF_K, value); }

#if defined(__NR_dup2)
constexpr std::uint32_t kDup2 = __NR_dup2;
#else
constexpr std::uint32_t kDup2 = __NR_dup3;
#endif

constexpr std::array<std::uint32_t, 4> kUserCalls{__NR_setuid, __NR_setreuid, __NR_setresuid,
                                                  __NR_setfsuid};

// The call numbers are compared first, since all other calls of the build pay for every instruction
// that runs before they are let through. A call of a foreign architecture that happens to have one
// of these numbers is sorted out next. Jump targets are counted from the following instruction.
std::vector<sock_filter> filter_for(int read_end, int write_end, bool exits) {
  // Replaced by the distance to the instruction that they name.
  constexpr std::uint8_t to_allow = 0xff;
  constexpr std::uint8_t to_prctl = 0xfe;
  constexpr std::uint8_t to_exit = 0xfd;
  constexpr std::uint8_t to_other_exit = 0xfc;
  constexpr std::uint8_t to_here = 0xfb;
  constexpr std::uint8_t to_fcntl = 0xfa;
  std::vector<sock_filter> filter{
      /*  0 */ load(offsetof(seccomp_data, nr)),
      /*  1 */ jump_equal(__NR_read, 3, 0),
      /*  2 */ jump_equal(__NR_write, 2, 0),
      /*  3 */ jump_equal(kDup2, 12, 0),
      /*  4 */ jump_equal(__NR_dup3, 11, to_allow),
      // read, write: on an inherited descriptor, or of one byte on any above 2
      /*  5 */ load(low_half(0)),
      /*  6 */ jump_equal(static_cast<std::uint32_t>(read_end), 6, 0),
      /*  7 */ jump_equal(static_cast<std::uint32_t>(write_end), 5, 0),
      /*  8 */ jump_greater(2, 0, to_allow),
      /*  9 */ load(low_half(2)),
      /* 10 */ jump_equal(1, 0, to_allow),
      /* 11 */ load(high_half(2)),
      /* 12 */ jump_equal(0, 0, to_allow),
      /* 13 */ load(offsetof(seccomp_data, arch)),
      /* 14 */ jump_equal(native_architecture(), 0, to_allow),
      /* 15 */ answer(SECCOMP_RET_USER_NOTIF),
      // dup2, dup3: from an inherited descriptor onto a standard one
      /* 16 */ load(low_half(0)),
      /* 17 */ jump_equal(static_cast<std::uint32_t>(read_end), 1, 0),
      /* 18 */ jump_equal(static_cast<std::uint32_t>(write_end), 0, to_allow),
      /* 19 */ load(low_half(1)),
      /* 20 */ jump_greater(2, to_allow, 0),
      /* 21 */ load(offsetof(seccomp_data, arch)),
      /* 22 */ jump_equal(native_architecture(), 0, to_allow),
      /* 23 */ answer(SECCOMP_RET_USER_NOTIF),
  };
  std::vector<sock_filter> others{jump_equal(__NR_prctl, to_prctl, 0),
                                  jump_equal(__NR_fcntl, to_fcntl, 0)};
  if (::geteuid() == 0) {
    for (const std::uint32_t call : kUserCalls) others.push_back(jump_equal(call, to_here, 0));
  }
  if (exits) {
    others.push_back(jump_equal(__NR_exit_group, to_exit, 0));
    others.push_back(jump_equal(kOtherExit, to_other_exit, 0));
  }
  filter.insert(filter.begin() + 1, others.begin(), others.end());
  const std::size_t fcntl = filter.size();
  filter.insert(filter.end(), {load(low_half(1)), jump_equal(F_SETFL, 0, to_allow),
                               load(low_half(2)), jump_has(O_DIRECT, to_here, to_allow)});
  const std::size_t prctl = filter.size();
  filter.insert(filter.end(), {load(low_half(0)), jump_equal(PR_SET_CHILD_SUBREAPER, 0, to_allow),
                               load(low_half(1)), jump_equal(0, to_allow, 0)});
  const std::size_t here = filter.size();
  filter.insert(filter.end(),
                {load(offsetof(seccomp_data, arch)), jump_equal(native_architecture(), 0, to_allow),
                 answer(SECCOMP_RET_USER_NOTIF)});
  const std::size_t exit = filter.size();
  filter.insert(filter.end(), {load(offsetof(seccomp_data, arch)),
                               jump_equal(native_architecture(), 2, to_allow)});
  const std::size_t other_exit = filter.size();
  filter.insert(filter.end(),
                {load(offsetof(seccomp_data, arch)), jump_equal(kOtherArchitecture, 0, to_allow),
                 answer(SECCOMP_RET_USER_NOTIF)});
  const std::size_t allow = filter.size();
  filter.push_back(answer(SECCOMP_RET_ALLOW));
  for (std::size_t i = 0; i < filter.size(); ++i) {
    if (BPF_CLASS(filter[i].code) != BPF_JMP) continue;
    for (std::uint8_t* distance : {&filter[i].jt, &filter[i].jf}) {
      const std::size_t target = *distance == to_allow        ? allow
                                 : *distance == to_prctl      ? prctl
                                 : *distance == to_fcntl      ? fcntl
                                 : *distance == to_exit       ? exit
                                 : *distance == to_here       ? here
                                 : *distance == to_other_exit ? other_exit
                                                              : i + 1 + *distance;
      *distance = static_cast<std::uint8_t>(target - i - 1);
    }
  }
  return filter;
}

Call call_of(const seccomp_data& data) {
  const auto number = static_cast<std::uint32_t>(data.nr);
  if (data.arch != native_architecture() || number == __NR_exit_group) return Call::exit;
  switch (number) {
    case __NR_read:
      return Call::read;
    case __NR_write:
      return Call::write;
    case __NR_fcntl:
      return Call::packets;
    case __NR_prctl:
      return Call::subreaper;
    case __NR_setuid:
    case __NR_setreuid:
    case __NR_setresuid:
    case __NR_setfsuid:
      return Call::user;
    default:
      return Call::duplicate;
  }
}

constexpr unsigned long kSetFlags = SECCOMP_IOW(4, std::uint64_t);  // SECCOMP_IOCTL_NOTIF_SET_FLAGS
constexpr std::uint64_t kSyncWakeUp = 1;  // SECCOMP_USER_NOTIF_FD_SYNC_WAKE_UP, Linux 6.6

constexpr int kLooks = 1000;
constexpr std::size_t kMaxInterrupted = 64;

int install_listener(int read_end, int write_end, bool exits) {
  auto filter = filter_for(read_end, write_end, exits);
  const sock_fprog program{static_cast<unsigned short>(filter.size()), filter.data()};
  return static_cast<int>(
      ::syscall(SYS_seccomp, SECCOMP_SET_MODE_FILTER, SECCOMP_FILTER_FLAG_NEW_LISTENER, &program));
}

}  // namespace

int install_filter(int read_end, int write_end, bool exits) {
  const int fd = install_listener(read_end, write_end, exits);
  if (fd >= 0 || errno != EACCES) return fd;
  if (::prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0) != 0) return -1;
  return install_listener(read_end, write_end, exits);
}

Listener::Listener(int fd) : fd_(fd) {
  // Refused before 6.6, where wake-ups across cores cost somewhat more.
  (void)::ioctl(fd_, kSetFlags, kSyncWakeUp);
}

static_assert(sizeof(Receipt) == sizeof(seccomp_notif));

std::optional<Notification> Receipt::call() const {
  seccomp_notif stopped{};
  std::memcpy(&stopped, words.data(), sizeof stopped);
  if (stopped.id == 0) return std::nullopt;
  // The real user comes before the effective one.
  const bool second = stopped.data.nr == __NR_setreuid || stopped.data.nr == __NR_setresuid;
  return Notification{.id = stopped.id,
                      .thread = static_cast<pid_t>(stopped.pid),
                      .call = call_of(stopped.data),
                      .fd = static_cast<int>(stopped.data.args[second ? 1 : 0]),
                      .address = stopped.data.args[1],
                      .count = stopped.data.args[2]};
}

Received Listener::receive(Receipt* receipt) const {
  while (true) {
    pollfd ready{fd_, POLLIN, 0};
    if (::poll(&ready, 1, 0) != 1) return Received::nothing;
    if ((ready.revents & POLLIN) == 0) {
      return (ready.revents & POLLHUP) != 0 ? Received::hung_up : Received::nothing;
    }
    // The next one may be fine.
    if (receive_ready(receipt) == Received::call) return Received::call;
    if (errno != ENOENT && errno != EINTR) return Received::nothing;
  }
}

// The kernel counts the calls that were ever made less those that were received or found dead, and
// blocks at zero (kernel/seccomp.c, seccomp_notify_recv). One that is there is among them, and if
// its caller dies before it is received the answer is ENOENT.
Received Listener::receive_ready(Receipt* receipt) const {
  *receipt = {};  // the kernel insists on it
  return ::ioctl(fd_, SECCOMP_IOCTL_NOTIF_RECV, receipt) == 0 ? Received::call : Received::nothing;
}

bool Listener::is_waiting(std::uint64_t id) const {
  return ::ioctl(fd_, SECCOMP_IOCTL_NOTIF_ID_VALID, &id) == 0;
}

Delivery Listener::send(std::uint64_t id, std::int64_t value, std::int32_t error,
                        std::uint32_t flags) const {
  seccomp_notif_resp response{};
  response.id = id;
  response.val = value;
  response.error = error;
  response.flags = flags;
  while (::ioctl(fd_, SECCOMP_IOCTL_NOTIF_SEND, &response) != 0) {
    if (errno != EINTR) return Delivery::gone;
  }
  return Delivery::done;
}

Delivery Listener::write_token(const Notification& notification) const {
  // The thread is stopped in its call as long as the id is valid. Were it killed and reaped right
  // behind this check, its id could be reused only after the whole pid space went round, which
  // takes longer than the next system call.
  if (!is_waiting(notification.id)) return Delivery::gone;
  char token = '+';
  const iovec local{&token, 1};
  const iovec remote{reinterpret_cast<void*>(notification.address), 1};
  if (::process_vm_writev(notification.thread, &local, 1, &remote, 1, 0) != 1) {
    return errno == ESRCH ? Delivery::gone : Delivery::unwritable;
  }
  return Delivery::done;
}

Listener::~Listener() {
  for (const auto& [thread, fd] : interrupted_) ::close(fd);
}

// A thread that a signal has woken runs. As little time as possible lies between this look and the
// answer: less than it takes until a thread that is woken meanwhile finds its answer there.
bool Listener::is_being_interrupted(const Notification& notification) const {
  const auto known = interrupted_.find(notification.thread);
  if (known == interrupted_.end()) return false;
  for (int looks = 0; looks < kLooks; ++looks) {
    char first = 0;
    if (::pread(known->second, &first, 1, 0) != 1) {
      ::close(known->second);  // of another thread that had this number, or not to be looked at
      interrupted_.erase(known);
      return false;
    }
    if (first != 'r') return false;  // "running"
    if (!is_waiting(notification.id)) return true;
  }
  return false;
}

void Listener::note_interrupted(pid_t thread) const {
  if (interrupted_.contains(thread) || interrupted_.size() >= kMaxInterrupted) return;
  std::array<char, 32> path{};
  std::snprintf(path.data(), path.size(), "/proc/%d/syscall", thread);
  const int fd = ::open(path.data(), O_RDONLY | O_CLOEXEC);
  if (fd < 0) return;
  if (proc::is_to_spare(fd)) {
    interrupted_.emplace(thread, fd);
  } else {
    ::close(fd);
  }
}

Delivery Listener::answer_one(const Notification& notification) const {
  Delivery delivery = Delivery::gone;
  if (!is_being_interrupted(notification)) delivery = send(notification.id, 1, 0, 0);
  if (delivery == Delivery::gone) note_interrupted(notification.thread);
  return delivery;
}

Delivery Listener::answer_error(const Notification& notification, int error) const {
  return send(notification.id, 0, -error, 0);
}

Delivery Listener::let_continue(const Notification& notification) const {
  return send(notification.id, 0, 0, SECCOMP_USER_NOTIF_FLAG_CONTINUE);
}

bool Listener::hung_up() const {
  pollfd ready{fd_, 0, 0};
  return ::poll(&ready, 1, 0) == 1 && (ready.revents & POLLHUP) != 0;
}

}  // namespace tokenpool::jobserver
