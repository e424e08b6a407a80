#include <algorithm>
#include <array>
#include <cerrno>
#include <cstdint>
#include <cstring>
#include <fstream>
#include <vector>

#include <endian.h>
#include <fcntl.h>
#include <linux/posix_acl.h>
#include <linux/posix_acl_xattr.h>
#include <sys/fsuid.h>
#include <sys/stat.h>
#include <sys/xattr.h>
#include <unistd.h>

#include "proc/user_access.h"

namespace tokenpool::proc {
namespace {

constexpr const char* kAccessList = "system.posix_acl_access";
constexpr std::size_t kMaxEntries = 64;

// As in the file system: little-endian.
struct Entry {
  std::uint16_t tag = 0;
  std::uint16_t rights = 0;
  std::uint32_t id = htole32(ACL_UNDEFINED_ID);
};
static_assert(sizeof(Entry) == sizeof(posix_acl_xattr_entry));

Entry entry(unsigned tag, unsigned rights, std::uint32_t id = ACL_UNDEFINED_ID) {
  return {htole16(static_cast<std::uint16_t>(tag)), htole16(static_cast<std::uint16_t>(rights)),
          htole32(id)};
}

// What the mode alone says, where there is no list.
std::vector<Entry> list_of_mode(mode_t mode) {
  return {entry(ACL_USER_OBJ, mode >> 6 & 7U), entry(ACL_GROUP_OBJ, mode >> 3 & 7U),
          entry(ACL_OTHER, mode & 7U)};
}

std::vector<Entry> list_of(const std::string& path, mode_t mode) {
  std::array<char, sizeof(posix_acl_xattr_header) + kMaxEntries * sizeof(Entry)> raw{};
  const ssize_t size = ::getxattr(path.c_str(), kAccessList, raw.data(), raw.size());
  if (size <= static_cast<ssize_t>(sizeof(posix_acl_xattr_header))) return list_of_mode(mode);
  std::vector<Entry> list((static_cast<std::size_t>(size) - sizeof(posix_acl_xattr_header)) /
                          sizeof(Entry));
  std::memcpy(list.data(), raw.data() + sizeof(posix_acl_xattr_header),
              list.size() * sizeof(Entry));
  return list;
}

int set_list(const std::string& path, const std::vector<Entry>& list) {
  const posix_acl_xattr_header header{htole32(POSIX_ACL_XATTR_VERSION)};
  std::vector<char> raw(sizeof header + list.size() * sizeof(Entry));
  std::memcpy(raw.data(), &header, sizeof header);
  std::memcpy(raw.data() + sizeof header, list.data(), list.size() * sizeof(Entry));
  return ::setxattr(path.c_str(), kAccessList, raw.data(), raw.size(), 0) == 0 ? 0 : errno;
}

}  // namespace

int allow_user(const std::string& path, uid_t user, unsigned rights) {
  struct stat status{};
  if (::stat(path.c_str(), &status) != 0) return errno;
  std::vector<Entry> list = list_of(path, status.st_mode);
  const Entry wanted = entry(ACL_USER, rights, user);
  std::erase_if(list, [&](const Entry& one) {
    return le16toh(one.tag) == ACL_MASK || (one.tag == wanted.tag && one.id == wanted.id);
  });
  list.push_back(wanted);
  // Nobody loses by it what he has: the mask, which bounds users and groups, has all their rights.
  unsigned mask = 0;
  for (const Entry& one : list) {
    const unsigned tag = le16toh(one.tag);
    if (tag != ACL_USER_OBJ && tag != ACL_OTHER) mask |= le16toh(one.rights);
  }
  list.push_back(entry(ACL_MASK, mask));
  std::sort(list.begin(), list.end(), [](const Entry& a, const Entry& b) {
    return std::pair(le16toh(a.tag), le32toh(a.id)) < std::pair(le16toh(b.tag), le32toh(b.id));
  });
  return set_list(path, list);
}

bool user_may(const std::string& path, uid_t user, int rights) {
  // Together with the user id of the file system those of root's rights that concern files go, and
  // come back (capabilities(7)).
  const auto before = static_cast<uid_t>(::setfsuid(user));
  const bool may = ::faccessat(AT_FDCWD, path.c_str(), rights, AT_EACCESS) == 0;
  ::setfsuid(before);
  return may;
}

std::optional<uid_t> user_outside(pid_t pid, uid_t user) {
  std::ifstream map("/proc/" + std::to_string(pid) + "/uid_map");
  std::uint64_t inside = 0;
  std::uint64_t outside = 0;
  std::uint64_t count = 0;
  while (map >> inside >> outside >> count) {
    if (user >= inside && user - inside < count) return static_cast<uid_t>(outside + user - inside);
  }
  return std::nullopt;
}

}  // namespace tokenpool::proc
