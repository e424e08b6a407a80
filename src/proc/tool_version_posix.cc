#include <algorithm>
#include <optional>
#include <string_view>

#include <sys/stat.h>
#include <unistd.h>

#include "proc/file.h"
#include "proc/tool.h"
#include "proc/tool_version.h"
#include "proc/user_cache.h"

namespace tokenpool::proc {
namespace {

constexpr std::size_t kMostKept = 1024;
constexpr std::string_view kEnd = "\nend\n";  // what was cut does not have it

bool is_elf(const std::string& file) {
  return read_start(file, 4).value_or("") ==
         "\x7f"
         "ELF";
}

std::string time_text(const timespec& time) {
  return std::to_string(time.tv_sec) + "." + std::to_string(time.tv_nsec);
}

// Which file it is, and in which state. Empty: it is gone.
std::string key_of(const std::string& tool) {
  struct stat info{};
  if (::stat(tool.c_str(), &info) != 0) return {};
  return tool + " " + std::to_string(info.st_dev) + " " + std::to_string(info.st_ino) + " " +
         std::to_string(info.st_size) + " " + time_text(info.st_mtim) + " " +
         time_text(info.st_ctim) + "\n";
}

bool is_printable(std::string_view text) {
  return std::all_of(text.begin(), text.end(), [](char c) {
    const auto code = static_cast<unsigned char>(c);
    return c == '\n' || c == '\t' || (code >= 0x20 && code != 0x7f);
  });
}

// Ours alone: nobody else has written it, nor can.
bool is_own(const std::string& path, mode_t kind) {
  struct stat info{};
  return ::lstat(path.c_str(), &info) == 0 && (info.st_mode & S_IFMT) == kind &&
         info.st_uid == ::geteuid() && (info.st_mode & 022) == 0;
}

// Below a cache, or a home without one, that is this user's: what root would make in another
// user's, he could not use. Empty: there is none.
std::string folder_for_versions() {
  const std::string cache = user_cache();
  const std::string home = cache.substr(0, cache.rfind('/'));
  struct stat info{};
  const bool exists = ::stat(cache.c_str(), &info) == 0 || ::stat(home.c_str(), &info) == 0;
  if (cache.empty() || !exists || info.st_uid != ::geteuid()) return {};
  std::string folder = cache;
  ::mkdir(folder.c_str(), 0700);
  for (const char* below : {"/tokenpool", "/versions"}) {
    folder += below;
    if (::mkdir(folder.c_str(), 0755) != 0 && !is_own(folder, S_IFDIR)) return {};
  }
  return folder;
}

std::optional<std::string> kept(const std::string& file, const std::string& key) {
  if (!is_own(file, S_IFREG)) return std::nullopt;
  const auto text = read_start(file, key.size() + kMostKept + kEnd.size() + 1);
  if (!text || !text->starts_with(key) || !text->ends_with(kEnd)) return std::nullopt;
  const std::size_t size = text->size() - key.size();
  if (size < kEnd.size() || size > kMostKept + kEnd.size()) return std::nullopt;
  std::string output = text->substr(key.size(), size - kEnd.size());
  return is_printable(output) ? std::optional(std::move(output)) : std::nullopt;
}

}  // namespace

wire::Result<std::string> known_version_output(const std::string& tool) {
  const std::string key = is_elf(tool) ? key_of(tool) : std::string();
  const std::string folder = key.empty() ? std::string() : folder_for_versions();
  const std::string file = folder + "/" + hashed_name(tool);
  if (!folder.empty()) {
    if (auto output = kept(file, key)) return *std::move(output);
  }
  auto output = tool_version_output(tool);
  if (!output) return output;
  output->resize(std::min(output->size(), kMostKept));
  // One that was replaced meanwhile may have been either.
  if (!folder.empty() && is_printable(*output) && key_of(tool) == key) {
    replace_file(file, key + *output + std::string(kEnd));
  }
  return output;
}

}  // namespace tokenpool::proc
