// Whether this process is the one that tells something that many like it could tell.
//
// A build without an arbiter may start a thousand launchers. Whoever reads their standard error is
// to be told once: the first that writes to an open file (a terminal, a log, a pipe) marks it, for
// all that have inherited it. Under ninja, ctest and GNU parallel, which give each job a pipe or
// file of its own, only the first process that the tool has started tells.
#pragma once

namespace tokenpool::launcher {

/// True for the first caller among all processes that share the open file of `fd`. The mark is its
/// F_SETSIG (fcntl(2)), which means SIGIO as without it, and lasts as long as the file is open
/// anywhere. False as well where it is not to be found out in time, and when `fd` is not open.
bool is_first_to_tell(int fd);

}  // namespace tokenpool::launcher
