// What system calls cost, in nanoseconds each.
//
// bench_calls ROUNDS [bare]
// bench_calls bare COMMAND…
// bench_calls old-kernel COMMAND…
//
// The first prints "token NS" (a pair: take and give, in the surrounding pool or else in a pipe),
// "foreign NS" (one call: a byte through a pipe of its own), "getppid NS". With `bare`, it is put
// under a filter of the same reach whose listener does nothing but let every call go on: the floor
// of exact tracking. The second executes COMMAND under that filter, the third where the kernel does
// not tell how a process has ended, as before Linux 6.15.
#include <algorithm>
#include <csignal>
#include <cstddef>
#include <cstring>
#include <vector>

#include <linux/filter.h>
#include <linux/seccomp.h>
#include <sys/ioctl.h>
#include <sys/prctl.h>
#include <sys/socket.h>
#include <sys/syscall.h>
#include <sys/wait.h>

#include "bench_client.h"

namespace {

using tokenpool::bench::die;
using tokenpool::bench::Ends;
using tokenpool::bench::now_ns;

// The median of the rounds' parts, so that what else the machine does in between does not count.
template <typename Call>
double cost(int rounds, Call call) {
  constexpr int kParts = 100;
  const int part = std::max(1, rounds / kParts);
  for (int i = 0; i < rounds / 10; ++i) call();
  std::vector<double> each;
  for (int i = 0; i < kParts; ++i) {
    const std::int64_t begin = now_ns();
    for (int j = 0; j < part; ++j) call();
    each.push_back(static_cast<double>(now_ns() - begin) / part);
  }
  std::nth_element(each.begin(), each.begin() + kParts / 2, each.end());
  return each[kParts / 2];
}

int install_bare_filter() {
  sock_filter program[] = {
      BPF_STMT(BPF_LD | BPF_W | BPF_ABS, offsetof(seccomp_data, nr)),
      BPF_JUMP(BPF_JMP | BPF_JEQ | BPF_K, SYS_read, 1, 0),
      BPF_JUMP(BPF_JMP | BPF_JEQ | BPF_K, SYS_write, 0, 5),
      BPF_STMT(BPF_LD | BPF_W | BPF_ABS, offsetof(seccomp_data, args[2])),
      BPF_JUMP(BPF_JMP | BPF_JEQ | BPF_K, 1, 0, 3),
      BPF_STMT(BPF_LD | BPF_W | BPF_ABS, offsetof(seccomp_data, args[0])),
      BPF_JUMP(BPF_JMP | BPF_JGT | BPF_K, 2, 0, 1),
      BPF_STMT(BPF_RET | BPF_K, SECCOMP_RET_USER_NOTIF),
      BPF_STMT(BPF_RET | BPF_K, SECCOMP_RET_ALLOW),
  };
  const sock_fprog filter{sizeof program / sizeof program[0], program};
  ::prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0);
  const long fd =
      ::syscall(SYS_seccomp, SECCOMP_SET_MODE_FILTER, SECCOMP_FILTER_FLAG_NEW_LISTENER, &filter);
  if (fd < 0) die("seccomp");
  return static_cast<int>(fd);
}

[[noreturn]] void let_everything_go_on(int listener) {
  // What tokenpool asks for too: the listener runs on the caller's core (Linux 6.6).
  (void)::ioctl(listener, SECCOMP_IOW(4, std::uint64_t), 1UL);
  while (true) {
    seccomp_notif call{};
    if (::ioctl(listener, SECCOMP_IOCTL_NOTIF_RECV, &call) != 0) {
      if (errno == EINTR || errno == ENOENT) continue;
      die("SECCOMP_IOCTL_NOTIF_RECV");
    }
    seccomp_notif_resp answer{};
    answer.id = call.id;
    answer.flags = SECCOMP_USER_NOTIF_FLAG_CONTINUE;
    (void)::ioctl(listener, SECCOMP_IOCTL_NOTIF_SEND, &answer);
  }
}

// The filter is for the child only: who answers must not have to wait for itself.
void put_under_bare_filter() {
  int link[2];
  if (::socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, link) != 0) die("socketpair");
  const pid_t child = ::fork();
  if (child < 0) die("fork");
  if (child == 0) {
    const int listener = install_bare_filter();
    if (::write(link[1], &listener, sizeof listener) != sizeof listener) die("write");
    char word[2];
    if (::read(link[1], word, 2) != 2) die("read");
    ::close(listener);
    return;
  }
  int number = -1;
  if (::read(link[0], &number, sizeof number) != sizeof number) die("read");
  const int child_fd = static_cast<int>(::syscall(SYS_pidfd_open, child, 0));
  const int listener = static_cast<int>(::syscall(SYS_pidfd_getfd, child_fd, number, 0));
  if (listener < 0) die("pidfd_getfd");
  const pid_t server = ::fork();
  if (server == 0) let_everything_go_on(listener);
  if (::write(link[0], "go", 2) != 2) die("write");
  int status = 0;
  ::waitpid(child, &status, 0);
  ::kill(server, SIGKILL);
  ::waitpid(server, nullptr, 0);
  std::exit(WIFEXITED(status) ? WEXITSTATUS(status) : 1);
}

// PIDFD_GET_INFO is unknown to the ioctl of an older kernel (ENOTTY).
void take_pidfd_info_away() {
  constexpr unsigned kPidfdGetInfo = 0xC040FF0B;  // see src/proc/pidfd_info.h
  sock_filter program[] = {
      BPF_STMT(BPF_LD | BPF_W | BPF_ABS, offsetof(seccomp_data, nr)),
      BPF_JUMP(BPF_JMP | BPF_JEQ | BPF_K, SYS_ioctl, 0, 3),
      BPF_STMT(BPF_LD | BPF_W | BPF_ABS, offsetof(seccomp_data, args[1])),
      BPF_JUMP(BPF_JMP | BPF_JEQ | BPF_K, kPidfdGetInfo, 0, 1),
      BPF_STMT(BPF_RET | BPF_K, SECCOMP_RET_ERRNO | ENOTTY),
      BPF_STMT(BPF_RET | BPF_K, SECCOMP_RET_ALLOW),
  };
  const sock_fprog filter{sizeof program / sizeof program[0], program};
  ::prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0);
  if (::syscall(SYS_seccomp, SECCOMP_SET_MODE_FILTER, 0, &filter) != 0) die("seccomp");
}

}  // namespace

int main(int argc, char** argv) {
  if (argc < 2) return 2;
  const bool is_bare = std::strcmp(argv[1], "bare") == 0;
  const bool is_old = std::strcmp(argv[1], "old-kernel") == 0;
  if (is_bare || is_old) {
    if (argc < 3) return 2;
    is_bare ? put_under_bare_filter() : take_pidfd_info_away();
    ::execvp(argv[2], argv + 2);
    die(argv[2]);
  }
  const int rounds = std::atoi(argv[1]);
  if (argc > 2 && std::strcmp(argv[2], "bare") == 0) put_under_bare_filter();
  Ends pool = tokenpool::bench::surrounding_pool();
  if (pool.read < 0) pool = tokenpool::bench::plain_pool(3);
  const Ends own = tokenpool::bench::plain_pool(0);
  std::printf("token %.1f\n", cost(rounds, [&] {
                tokenpool::bench::take(pool);
                tokenpool::bench::give(pool);
              }));
  std::printf("foreign %.1f\n", cost(rounds, [&] {
                                  tokenpool::bench::give(own);
                                  tokenpool::bench::take(own);
                                }) / 2);
  std::printf("getppid %.1f\n", cost(rounds * 20, [] { ::syscall(SYS_getppid); }));
  return 0;
}
