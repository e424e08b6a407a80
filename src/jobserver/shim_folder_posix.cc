#include <array>
#include <cerrno>
#include <climits>
#include <cstdlib>
#include <cstring>
#include <optional>
#include <set>
#include <vector>

#include <dirent.h>
#include <sys/stat.h>
#include <unistd.h>

#include "dialect/tool.h"
#include "jobserver/environment.h"
#include "jobserver/shim_folder.h"
#include "proc/environ.h"
#include "proc/file.h"
#include "proc/tool.h"

namespace tokenpool::jobserver {
namespace {

constexpr std::string_view kWrapPlace = "/tokenpool/wrap/";
constexpr std::string_view kShimsPlace = "/tokenpool/shims/";

wire::Error failure(const std::string& what, int error) {
  return {125, "--wrap: cannot make " + what + ": " + std::strerror(error) +
                   "; set XDG_DATA_HOME to a folder that stays and can be written"};
}

// In the order in which they are tried. Root's home is closed to the users as whom builds go on.
std::vector<std::string> data_folders() {
  const auto absolute = [](const char* variable) {
    const std::string_view value = proc::own_variable(variable);
    return value.starts_with('/') ? std::string(value) : std::string();
  };
  if (auto data = absolute("XDG_DATA_HOME"); !data.empty()) return {std::move(data)};
  std::vector<std::string> folders;
  if (::geteuid() == 0) folders.emplace_back("/var/lib");
  if (const auto home = absolute("HOME"); !home.empty()) folders.push_back(home + "/.local/share");
  return folders;
}

wire::Result<void> make_folders(const std::string& path) {
  for (std::size_t slash = path.find('/', 1);; slash = path.find('/', slash + 1)) {
    const std::string folder = path.substr(0, slash);
    if (::mkdir(folder.c_str(), 0755) != 0 && errno != EEXIST && errno != EROFS &&
        errno != EACCES) {
      return tl::unexpected(failure("the folder " + folder, errno));
    }
    if (slash == std::string::npos) break;
  }
  struct stat info{};
  if (::stat(path.c_str(), &info) == 0 && S_ISDIR(info.st_mode)) {
    // It comes before all others on PATH.
    if (info.st_uid == ::geteuid() && (info.st_mode & 022) == 0) return {};
    return tl::unexpected(wire::Error{125, "--wrap: the folder " + path +
                                               " is another user's, or others may write to it; "
                                               "set XDG_DATA_HOME to one of your own"});
  }
  return tl::unexpected(failure("the folder " + path, S_ISREG(info.st_mode) ? ENOTDIR : errno));
}

std::optional<std::string> own_program() {
  std::array<char, PATH_MAX> buffer{};
  const ssize_t size = ::readlink("/proc/self/exe", buffer.data(), buffer.size());
  if (size <= 0) return std::nullopt;
  return std::string(buffer.data(), static_cast<std::size_t>(size));
}

// Whoever looks into the folder meanwhile finds the old link or the new one.
wire::Result<void> make_link(const std::string& program, const std::string& link) {
  std::array<char, PATH_MAX> buffer{};
  const ssize_t size = ::readlink(link.c_str(), buffer.data(), buffer.size());
  if (size > 0 && std::string_view(buffer.data(), static_cast<std::size_t>(size)) == program) {
    return {};
  }
  const std::string temporary = link + ".new-" + std::to_string(::getpid());
  ::unlink(temporary.c_str());
  if (::symlink(program.c_str(), temporary.c_str()) == 0 &&
      ::rename(temporary.c_str(), link.c_str()) == 0) {
    return {};
  }
  const int error = errno;
  ::unlink(temporary.c_str());
  return tl::unexpected(failure("the link " + link, error));
}

void add_defaults(const dialect::WrapNames& names, std::string_view folder,
                  std::set<std::string>* found) {
  const std::string path = folder.empty() ? "." : std::string(folder);
  DIR* dir = ::opendir(path.c_str());
  if (dir == nullptr) return;
  while (const dirent* entry = ::readdir(dir)) {
    const std::string name = entry->d_name;
    if (!dialect::wraps_by_default(names, name) || found->contains(name)) continue;
    std::string file = path;
    file.append("/").append(name);
    if (proc::find_tool(file, {}, {})) found->insert(name);
  }
  ::closedir(dir);
}

std::set<std::string> names_on_path(const dialect::WrapNames& names, const std::string& search_path,
                                    std::vector<std::string>* missing) {
  std::set<std::string> found;
  for (std::string_view rest = search_path; names.defaults;) {
    const std::size_t colon = rest.find(':');
    add_defaults(names, rest.substr(0, colon), &found);
    if (colon == std::string_view::npos) break;
    rest.remove_prefix(colon + 1);
  }
  for (const std::string& name : names.added) {
    if (proc::find_tool(name, search_path, {})) {
      found.insert(name);
    } else {
      missing->push_back(name);
    }
  }
  return found;
}

std::string id_of(const std::string& program, const std::set<std::string>& names) {
  std::string all = program + '\0';
  for (const std::string& name : names) all += name + '\0';
  return proc::hashed_name(all);
}

wire::Result<std::string> make_links_below(const std::string& folder, const std::string& program,
                                           const std::set<std::string>& names) {
  if (folder.find(':') != std::string::npos) {
    return tl::unexpected(wire::Error{125, "--wrap: the folder " + folder +
                                               " cannot be on PATH, it has a colon; set "
                                               "XDG_DATA_HOME to another one"});
  }
  if (auto made = make_folders(folder); !made) return tl::unexpected(made.error());
  for (const std::string& name : names) {
    std::string link = folder + "/";
    link += name;
    if (auto made = make_link(program, link); !made) return tl::unexpected(made.error());
  }
  return folder;
}

// Links to this program under `names`, in a folder of their own below the place.
wire::Result<std::string> make_links(std::string_view place, const std::set<std::string>& names) {
  const auto program = own_program();
  if (!program) return tl::unexpected(failure("links to this program", errno));
  wire::Result<std::string> made = tl::unexpected(wire::Error{
      125,
      "--wrap: no place for the shims, neither XDG_DATA_HOME nor HOME is an absolute path; set one "
      "of them"});
  for (const std::string& folder : data_folders()) {
    made = make_links_below(folder + std::string(place) + id_of(*program, names), *program, names);
    if (made) break;
  }
  return made;
}

}  // namespace

wire::Result<WrapFolder> make_wrap_folder(const dialect::WrapNames& names,
                                          const std::string& search_path) {
  WrapFolder folder;
  const auto found = names_on_path(names, search_path, &folder.missing);
  auto path = make_links(kWrapPlace, found);
  if (!path) return tl::unexpected(path.error());
  folder.path = *std::move(path);
  return folder;
}

std::string make_shims_folder() {
  std::string installed = find_shims_folder();
  if (!installed.empty()) return installed;
  return make_links(kShimsPlace, {dialect::kShimNames.begin(), dialect::kShimNames.end()})
      .value_or("");
}

std::string make_bsd_shims_folder(const std::string& search_path) {
  std::set<std::string> names;
  for (const std::string_view name : dialect::kBsdMakes) {
    if (proc::find_tool(name, search_path, {})) names.emplace(name);
  }
  return names.empty() ? std::string() : make_links(kShimsPlace, names).value_or("");
}

bool is_in_wrap_folder(std::string_view path) {
  return path.find(kWrapPlace) != std::string_view::npos;
}

}  // namespace tokenpool::jobserver
