#include <array>
#include <charconv>
#include <climits>
#include <cstdlib>
#include <fstream>
#include <string_view>

#include <fcntl.h>
#include <sys/stat.h>
#include <unistd.h>

#include "jobserver/environment.h"
#include "jobserver/run_folder.h"
#include "proc/environ.h"

namespace tokenpool::jobserver {
namespace {

bool has_reader(const std::string& fifo) {
  struct stat info{};
  if (stat(fifo.c_str(), &info) != 0 || !S_ISFIFO(info.st_mode)) return false;
  // Without a reader this open fails with ENXIO (fifo(7)).
  const int fd = open(fifo.c_str(), O_WRONLY | O_NONBLOCK | O_CLOEXEC);
  if (fd < 0) return false;
  close(fd);
  return true;
}

bool is_folder(const std::string& path) {
  struct stat info{};
  return stat(path.c_str(), &info) == 0 && S_ISDIR(info.st_mode);
}

// A file that some other program has opened under such a number is none of the pool's.
bool are_ends_of_one_fifo(int read_fd, int write_fd) {
  struct stat reads{};
  struct stat writes{};
  if (fstat(read_fd, &reads) != 0 || fstat(write_fd, &writes) != 0) return false;
  return S_ISFIFO(reads.st_mode) && reads.st_nlink > 0 && reads.st_dev == writes.st_dev &&
         reads.st_ino == writes.st_ino && (fcntl(read_fd, F_GETFL) & O_ACCMODE) != O_WRONLY &&
         (fcntl(write_fd, F_GETFL) & O_ACCMODE) != O_RDONLY;
}

std::string kept_path(const std::string& fifo) {
  return fifo.substr(0, fifo.rfind('/') + 1) + std::string(kEnvironmentName);
}

int number_or(std::string_view text, int otherwise) {
  int number = 0;
  const auto [end, error] = std::from_chars(text.begin(), text.end(), number);
  return error == std::errc() && end == text.end() ? number : otherwise;
}

}  // namespace

// What was inherited cannot be close-on-exec; all descriptors of our own are.
static bool is_inherited_pipe(int fd) {
  struct stat status{};
  const int flags = fcntl(fd, F_GETFD);
  return flags >= 0 && (flags & FD_CLOEXEC) == 0 && fstat(fd, &status) == 0 &&
         (S_ISFIFO(status.st_mode) || S_ISSOCK(status.st_mode));
}

bool is_alive(const dialect::JobserverWord& word) {
  using Form = dialect::JobserverWord::Form;
  switch (word.form) {
    case Form::fifo:
      return has_reader(word.path);
    case Form::descriptors:
      return is_inherited_pipe(word.read_fd) && is_inherited_pipe(word.write_fd);
    case Form::negative:
    case Form::semaphore:
    case Form::invalid:
      return false;
  }
  return false;
}

std::optional<SurroundingPool> pool_in_environment() {
  const std::string_view fds = proc::own_variable("TOKENPOOL_FDS");
  const std::size_t comma = fds.find(',');
  if (comma == std::string_view::npos) return std::nullopt;
  SurroundingPool pool;
  pool.jobserver.fifo = proc::own_variable("TOKENPOOL_FIFO");
  pool.jobserver.read_fd = number_or(fds.substr(0, comma), -1);
  pool.jobserver.write_fd = number_or(fds.substr(comma + 1), -1);
  pool.jobserver.slots = number_or(proc::own_variable("TOKENPOOL_JOBS"), -1);
  pool.shims_folder = proc::own_variable("TOKENPOOL_SHIMS");
  if (!dialect::validate(pool.jobserver)) return std::nullopt;
  if (has_reader(pool.jobserver.fifo)) return pool;
  if (!are_ends_of_one_fifo(pool.jobserver.read_fd, pool.jobserver.write_fd)) return std::nullopt;
  pool.jobserver.fifo = "/proc/self/fd/" + std::to_string(pool.jobserver.read_fd);
  if (!has_reader(pool.jobserver.fifo)) return std::nullopt;
  return pool;
}

bool names_pool_in_environment(const dialect::JobserverWord& word) {
  return word.form == dialect::JobserverWord::Form::fifo &&
         word.path == proc::own_variable("TOKENPOOL_FIFO");
}

void keep_environment(const std::string& fifo, const std::vector<std::string>& environment) {
  std::string text;
  for (const std::string& variable : environment) {
    const std::string_view name = std::string_view(variable).substr(0, variable.find('='));
    if (name == "PATH" || concerns_pool(name)) text += variable + '\0';
  }
  const std::string path = kept_path(fifo);
  const int fd = open(path.c_str(), O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC, 0600);
  if (fd < 0) return;
  const bool written = write(fd, text.data(), text.size()) == static_cast<ssize_t>(text.size());
  close(fd);
  if (!written) unlink(path.c_str());
}

std::vector<std::string> kept_environment(const std::string& fifo) {
  std::vector<std::string> variables;
  std::ifstream file(kept_path(fifo), std::ios::binary);
  for (std::string one; std::getline(file, one, '\0');) variables.push_back(one);
  return variables;
}

std::string find_shims_folder() {
  std::array<char, PATH_MAX> buffer{};
  const ssize_t size = readlink("/proc/self/exe", buffer.data(), buffer.size());
  if (size <= 0) return {};
  const std::string_view exe(buffer.data(), static_cast<std::size_t>(size));
  const std::string folder(exe.substr(0, exe.find_last_of('/')));
  if (std::string beside = folder + "/shims"; is_folder(beside)) return beside;
  const std::size_t up = folder.find_last_of('/');
  if (up == std::string::npos) return {};
  std::string installed = folder.substr(0, up) + "/lib/tokenpool/shims";
  return is_folder(installed) ? installed : std::string();
}

}  // namespace tokenpool::jobserver
