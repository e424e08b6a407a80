#include <algorithm>
#include <array>
#include <cctype>
#include <cerrno>
#include <chrono>
#include <cstdlib>
#include <cstring>
#include <ctime>
#include <filesystem>
#include <optional>
#include <system_error>
#include <vector>

#include <dirent.h>
#include <fcntl.h>
#include <sys/random.h>
#include <sys/stat.h>
#include <unistd.h>

#include "jobserver/limits.h"
#include "jobserver/run_folder.h"

namespace tokenpool::jobserver {
namespace {

constexpr std::string_view kPrefix = "tokenpool-";
constexpr std::string_view kLetters = "abcdefghijklmnopqrstuvwxyz0123456789";
constexpr std::size_t kRandomLetters = 8;
constexpr std::size_t kBootDigits = 8;

struct Descriptor {
  explicit Descriptor(int number) : fd(number) {}
  ~Descriptor() {
    if (fd >= 0) ::close(fd);
  }
  Descriptor(const Descriptor&) = delete;
  Descriptor& operator=(const Descriptor&) = delete;
  const int fd;
};

// "tokenpool-12345678-", or "tokenpool-" where the boot is not known.
std::string prefix_of_this_boot() {
  const Descriptor file(::open("/proc/sys/kernel/random/boot_id", O_RDONLY | O_CLOEXEC));
  std::array<char, kBootDigits> digits{};
  const bool known = file.fd >= 0 && ::read(file.fd, digits.data(), digits.size()) ==
                                         static_cast<ssize_t>(digits.size());
  std::string prefix(kPrefix);
  return known ? prefix + std::string(digits.data(), digits.size()) + "-" : prefix;
}

// Calls visit(name) for each entry until it answers false. False when the folder cannot be read.
template <typename Visit>
bool for_each_name(int folder, Visit visit) {
  const int fd = ::openat(folder, ".", O_RDONLY | O_DIRECTORY | O_CLOEXEC);
  DIR* dir = fd >= 0 ? ::fdopendir(fd) : nullptr;
  if (dir == nullptr) {
    if (fd >= 0) ::close(fd);
    return false;
  }
  while (const dirent* entry = ::readdir(dir)) {
    const std::string name = entry->d_name;
    if (name != "." && name != ".." && !visit(name)) break;
  }
  ::closedir(dir);
  return true;
}

bool suits_makeflags(const std::string& path) {
  return std::all_of(path.begin(), path.end(), [](unsigned char c) {
    return std::isalnum(c) != 0 || std::strchr("_./-", c) != nullptr;
  });
}

std::vector<std::string> run_names_in(int parent, const std::string& prefix) {
  std::vector<std::string> names;
  std::size_t seen = 0;
  for_each_name(parent, [&](const std::string& name) {
    struct stat status{};
    if (name.size() == prefix.size() + kRandomLetters && name.starts_with(prefix) &&
        name.find_first_not_of(kLetters, prefix.size()) == std::string::npos &&
        ::fstatat(parent, name.c_str(), &status, AT_SYMLINK_NOFOLLOW) == 0 &&
        status.st_uid == ::geteuid()) {
      names.push_back(name);
    }
    return ++seen < kMaxSweptEntries && names.size() < kMaxSweptRuns;
  });
  return names;
}

// -1 when it is no folder or not as we make them: ours, closed to all but those named in its access
// control list, whose bound stands where the mode has the group's rights.
int open_folder(int parent, const std::string& name) {
  const int fd = ::openat(parent, name.c_str(), O_RDONLY | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC);
  struct stat status{};
  if (fd < 0) return -1;
  if (::fstat(fd, &status) == 0 && status.st_uid == ::geteuid() &&
      (status.st_mode & 0707) == 0700) {
    return fd;
  }
  ::close(fd);
  return -1;
}

bool is_of_kind(int folder, const std::string& name, mode_t kind) {
  struct stat status{};
  return ::fstatat(folder, name.c_str(), &status, AT_SYMLINK_NOFOLLOW) == 0 &&
         (status.st_mode & S_IFMT) == kind && status.st_uid == ::geteuid() &&
         (kind == S_IFDIR || status.st_nlink == 1);
}

bool is_tool_note(int folder, const std::string& name) {
  return is_of_kind(folder, name, S_IFREG) &&
         std::ranges::any_of(kToolNotes,
                             [&](std::string_view begin) { return name.starts_with(begin); });
}

// The names in `folder` if is_ours(name) holds for each and they are not too many.
template <typename IsOurs>
std::optional<std::vector<std::string>> names_if_all(int folder, IsOurs is_ours) {
  std::vector<std::string> names;
  bool all = true;
  const bool readable = for_each_name(folder, [&](const std::string& name) {
    names.push_back(name);
    all = is_ours(name) && names.size() <= kMaxToolFiles;
    return all;
  });
  if (!readable || !all) return std::nullopt;
  return names;
}

bool is_ours(int folder, const std::string& name) {
  if (name == kFifoName || name == kNewFifoName) return is_of_kind(folder, name, S_IFIFO);
  if (name == kSocketName) return is_of_kind(folder, name, S_IFSOCK);
  if (name == kEnvironmentName) return is_of_kind(folder, name, S_IFREG);
  if (name != kToolsName) return false;
  const Descriptor tools(open_folder(folder, name));
  return tools.fd >= 0 && names_if_all(tools.fd, [&](const std::string& note) {
                            return is_tool_note(tools.fd, note);
                          }).has_value();
}

bool has_no_reader(int folder, const std::string& fifo) {
  const Descriptor end(
      ::openat(folder, fifo.c_str(), O_WRONLY | O_NONBLOCK | O_NOFOLLOW | O_CLOEXEC));
  return end.fd < 0 && errno == ENXIO;
}

// Nobody can tell a run that was killed while it made its FIFO from one that is just doing it.
bool is_past_setup(int folder) {
  struct stat status{};
  if (::fstat(folder, &status) != 0) return false;
  const auto age = std::chrono::seconds(std::time(nullptr) - status.st_mtim.tv_sec);
  return age > kMaxSetup;
}

bool is_dead(int folder, const std::vector<std::string>& names) {
  const auto has = [&](std::string_view name) {
    return std::find(names.begin(), names.end(), name) != names.end();
  };
  if (has(kFifoName)) return has_no_reader(folder, std::string(kFifoName));
  return is_past_setup(folder) &&
         (!has(kNewFifoName) || has_no_reader(folder, std::string(kNewFifoName)));
}

void remove_files(int folder, const std::vector<std::string>& names) {
  for (const auto& name : names) ::unlinkat(folder, name.c_str(), 0);
}

void remove_tools(int folder) {
  const std::string name(kToolsName);
  {
    const Descriptor tools(open_folder(folder, name));
    if (tools.fd < 0) return;
    const auto notes = names_if_all(
        tools.fd, [&](const std::string& note) { return is_tool_note(tools.fd, note); });
    if (notes) remove_files(tools.fd, *notes);
  }
  ::unlinkat(folder, name.c_str(), AT_REMOVEDIR);
}

/// TMPDIR; empty where it is not set, or, with `why`, where it is of no use.
std::string temporary_folder(std::string* why) {
  const char* value = std::getenv("TMPDIR");
  if (value == nullptr || *value == '\0') return {};
  const std::string named = std::string("TMPDIR=") + value;
  std::error_code unknown;
  std::string path = std::filesystem::absolute(value, unknown).string();
  if (unknown) {
    *why = named + " is relative, and the current folder is not known (" + unknown.message() + ")";
    return {};
  }
  while (!path.empty() && path.back() == '/') path.pop_back();
  if (suits_makeflags(path)) return path;
  const bool relative = *value != '/';
  *why = named + (relative ? ", here " + path + "," : "") +
         " has characters that make and ninja cannot take in a FIFO's path";
  return {};
}

std::string runtime_folder() {
  const char* value = std::getenv("XDG_RUNTIME_DIR");
  const std::string path = value == nullptr ? "" : value;
  return path.starts_with('/') && suits_makeflags(path) ? path : std::string();
}

}  // namespace

RunPlaces run_places() {
  RunPlaces places;
  const std::string named = temporary_folder(&places.why_not_usual);
  for (const std::string& place :
       {named, std::string("/tmp"), runtime_folder(), std::string("/dev/shm")}) {
    if (!place.empty()) places.paths.push_back(place);
  }
  return places;
}

std::string usual_run_place() {
  const std::vector<std::string> paths = run_places().paths;
  const auto usable = std::ranges::find_if(paths, [](const std::string& path) {
    return ::faccessat(AT_FDCWD, path.c_str(), W_OK | X_OK, AT_EACCESS) == 0;
  });
  return usable == paths.end() ? paths.front() : *usable;
}

std::vector<std::string> run_names(const std::string& folder) {
  const Descriptor top(::open(folder.c_str(), O_RDONLY | O_DIRECTORY | O_CLOEXEC));
  return top.fd < 0 ? std::vector<std::string>() : run_names_in(top.fd, prefix_of_this_boot());
}

std::vector<std::string> run_folders(const std::string& parent) {
  std::vector<std::string> folders;
  const Descriptor top(::open(parent.c_str(), O_RDONLY | O_DIRECTORY | O_CLOEXEC));
  if (top.fd < 0) return folders;
  for (const auto& name : run_names_in(top.fd, prefix_of_this_boot())) {
    if (const Descriptor folder(open_folder(top.fd, name)); folder.fd >= 0) {
      folders.emplace_back(parent).append("/").append(name);
    }
  }
  return folders;
}

std::string new_run_name() {
  std::array<unsigned char, kRandomLetters> random{};
  if (::getrandom(random.data(), random.size(), 0) < 0) {
    const auto now = std::chrono::steady_clock::now().time_since_epoch().count();
    std::memcpy(random.data(), &now, std::min(sizeof now, random.size()));
  }
  std::string name = prefix_of_this_boot();
  for (const unsigned char byte : random) name += kLetters[byte % kLetters.size()];
  return name;
}

void remove_dead_runs(const std::string& parent, const std::string& own,
                      const std::function<bool(const std::string& name)>& may_go) {
  const std::string prefix = prefix_of_this_boot();
  const Descriptor top(::open(parent.c_str(), O_RDONLY | O_DIRECTORY | O_CLOEXEC));
  if (top.fd < 0 || prefix == kPrefix) return;
  for (const auto& name : run_names_in(top.fd, prefix)) {
    if (name == own) continue;
    const Descriptor folder(open_folder(top.fd, name));
    if (folder.fd < 0) continue;
    const auto names =
        names_if_all(folder.fd, [&](const std::string& one) { return is_ours(folder.fd, one); });
    if (!names || !is_dead(folder.fd, *names) || !may_go(name)) continue;
    remove_tools(folder.fd);
    // The FIFO last: as long as it is there, the next run can tell that this one is dead.
    remove_files(folder.fd, {std::string(kSocketName), std::string(kEnvironmentName),
                             std::string(kNewFifoName)});
    remove_files(folder.fd, {std::string(kFifoName)});
    ::unlinkat(top.fd, name.c_str(), AT_REMOVEDIR);
  }
}

}  // namespace tokenpool::jobserver
