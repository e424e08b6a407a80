#include <cerrno>

#include <fcntl.h>
#include <sys/stat.h>
#include <unistd.h>

#include "jobserver/run_folder.h"
#include "proc/file.h"
#include "proc/tool_version.h"
#include "shim/shim_files.h"

namespace tokenpool::shim {
namespace {

constexpr std::size_t kMostCached = 8192;

// Which file it is, and in which state.
std::string cache_key(const std::string& path) {
  struct stat info{};
  if (stat(path.c_str(), &info) != 0) return {};
  return path + " " + std::to_string(info.st_dev) + " " + std::to_string(info.st_ino) + " " +
         std::to_string(info.st_mtim.tv_sec) + "." + std::to_string(info.st_mtim.tv_nsec) + "\n";
}

bool is_end(int fd, const struct stat& fifo, int mode) {
  struct stat info{};
  if (fstat(fd, &info) != 0 || info.st_dev != fifo.st_dev || info.st_ino != fifo.st_ino) {
    return false;
  }
  const int access_mode = fcntl(fd, F_GETFL) & O_ACCMODE;
  return access_mode == mode || access_mode == O_RDWR;
}

int hold_end(const std::string& path, const struct stat& fifo, int mode, int number) {
  if (is_end(number, fifo, mode)) {
    fcntl(number, F_SETFD, 0);
    return number;
  }
  // O_NONBLOCK only for the open: a FIFO that lost its peer meanwhile must not hang the shim.
  const int fd = open(path.c_str(), mode | O_NONBLOCK | O_CLOEXEC);
  if (fd < 0) return -1;
  fcntl(fd, F_SETFL, mode);
  const bool is_free = fcntl(number, F_GETFD) < 0 || fd == number;
  const int held = fd == number ? fd : fcntl(fd, F_DUPFD, is_free ? number : number + 1);
  if (fd == number) {
    fcntl(fd, F_SETFD, 0);
  } else {
    close(fd);
  }
  return held;
}

}  // namespace

std::string tools_folder(const std::string& fifo) {
  std::string folder = fifo.substr(0, fifo.find_last_of('/') + 1);
  folder += jobserver::kToolsName;
  mkdir(folder.c_str(), 0700);
  return folder;
}

bool claim(const std::string& folder, std::string_view mark) {
  const std::string path = folder + "/" + std::string(mark);
  const int fd = open(path.c_str(), O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC, 0600);
  if (fd < 0) return errno != EEXIST;
  close(fd);
  return true;
}

dialect::Tool known_tool(dialect::ToolKind kind, const std::string& path,
                         const std::string& folder) {
  const std::string key = cache_key(path);
  const std::string file = folder + "/version-" + proc::hashed_name(key);
  if (const auto cached = proc::read_start(file, kMostCached);
      cached && !key.empty() && cached->starts_with(key)) {
    return dialect::describe_tool(kind, std::string_view(*cached).substr(key.size()));
  }
  const auto output = proc::known_version_output(path);
  if (!output) return dialect::describe_tool(kind, "");
  const std::string first_line = output->substr(0, output->find('\n'));
  proc::replace_file(file, key + first_line + "\n");
  return dialect::describe_tool(kind, first_line);
}

dialect::Jobserver hold_ends(dialect::Jobserver pool) {
  struct stat fifo{};
  if (stat(pool.fifo.c_str(), &fifo) != 0) return pool;
  const int read_fd = hold_end(pool.fifo, fifo, O_RDONLY, pool.read_fd);
  const int write_fd = hold_end(pool.fifo, fifo, O_WRONLY, pool.write_fd);
  dialect::Jobserver held = pool;
  held.read_fd = read_fd;
  held.write_fd = write_fd;
  return dialect::validate(held) ? held : pool;
}

}  // namespace tokenpool::shim
