// What another user may do with a file, and how one is let use it.
//
// Sources: acl(5), <linux/posix_acl_xattr.h>, path_resolution(7), user_namespaces(7), setfsuid(2).
#pragma once

#include <optional>
#include <string>

#include <sys/types.h>

namespace tokenpool::proc {

/// Lets `user` use the file at `path` with `rights` (as in chmod, 0 to 7) besides those who may
/// already, by an entry in its access control list. For the owner or root. 0, or an errno:
/// EOPNOTSUPP where the file system keeps no such lists, and as many as E2BIG or ENOSPC.
int allow_user(const std::string& path, uid_t user, unsigned rights);

/// Whether `user` reaches the file at `path` and may use it with `rights` (R_OK, W_OK, X_OK),
/// whatever groups he is in. For root, whose thread takes his place for a moment; anybody else gets
/// an answer about himself.
bool user_may(const std::string& path, uid_t user, int rights);

/// Our number of the user whom the process `pid` calls `user`. Empty: nobody has that number there,
/// or it is gone.
std::optional<uid_t> user_outside(pid_t pid, uid_t user);

}  // namespace tokenpool::proc
