#include <fstream>
#include <map>
#include <optional>
#include <sstream>
#include <string_view>

#include "proc/cgroup_paths.h"

namespace tokenpool::proc {
namespace {

std::vector<std::string> split(const std::string& text, char separator) {
  std::vector<std::string> parts;
  std::istringstream stream(text);
  for (std::string part; std::getline(stream, part, separator);) parts.push_back(part);
  return parts;
}

bool lists(const std::string& comma_list, const std::string& word) {
  for (const std::string& entry : split(comma_list, ',')) {
    if (entry == word) return true;
  }
  return false;
}

/// mountinfo writes blanks and backslashes as three octal digits.
std::string unescape(const std::string& text) {
  std::string plain;
  for (std::size_t i = 0; i < text.size(); ++i) {
    if (text[i] == '\\' && i + 3 < text.size()) {
      plain += static_cast<char>((text[i + 1] - '0') * 64 + (text[i + 2] - '0') * 8 +
                                 (text[i + 3] - '0'));
      i += 3;
    } else {
      plain += text[i];
    }
  }
  return plain;
}

struct Mount {
  int version = 0;
  std::string root;
  std::string point;
};

std::optional<Mount> read_mount(const std::string& line, const std::string& controller) {
  const std::vector<std::string> words = split(line, ' ');
  std::size_t dash = 6;
  while (dash < words.size() && words[dash] != "-") ++dash;
  if (dash + 3 >= words.size()) return std::nullopt;
  Mount mount{0, unescape(words[3]), unescape(words[4])};
  if (words[dash + 1] == "cgroup2") mount.version = 2;
  if (words[dash + 1] == "cgroup" && lists(words[dash + 3], controller)) mount.version = 1;
  if (mount.version == 0) return std::nullopt;
  return mount;
}

/// Without a cgroup namespace a container's mount shows only its own part of the tree: the mount's
/// root is a prefix of the path that /proc/self/cgroup names.
std::string folder_below(const Mount& mount, const std::string& path) {
  std::string_view below = path;
  if (mount.root != "/") {
    if (!below.starts_with(mount.root)) return mount.point;
    below.remove_prefix(mount.root.size());
    if (!below.empty() && below.front() != '/') return mount.point;
  }
  if (below.empty() || below == "/" || below.starts_with("/..")) return mount.point;
  return mount.point + std::string(below);
}

}  // namespace

std::vector<CgroupPath> cgroup_paths(const std::string& root, const std::string& controller) {
  std::map<int, std::string> own;  // by version
  std::ifstream groups(root + "/proc/self/cgroup");
  for (std::string line; std::getline(groups, line);) {
    const std::size_t first = line.find(':');
    const std::size_t second = first == std::string::npos ? first : line.find(':', first + 1);
    if (second == std::string::npos) continue;
    const std::string controllers = line.substr(first + 1, second - first - 1);
    if (controllers.empty()) own[2] = line.substr(second + 1);
    if (lists(controllers, controller)) own[1] = line.substr(second + 1);
  }
  std::map<int, CgroupPath> found;
  std::ifstream mounts(root + "/proc/self/mountinfo");
  for (std::string line; std::getline(mounts, line);) {
    const std::optional<Mount> mount = read_mount(line, controller);
    if (!mount || !own.contains(mount->version) || found.contains(mount->version)) continue;
    found[mount->version] = {mount->version, mount->point,
                             folder_below(*mount, own[mount->version])};
  }
  std::vector<CgroupPath> paths;
  paths.reserve(found.size());
  for (auto& [version, path] : found) paths.push_back(path);
  return paths;
}

}  // namespace tokenpool::proc
