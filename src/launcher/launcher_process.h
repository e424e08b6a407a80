// The launcher's job as a process, and the signals while it runs.
#pragma once

#include <cstdint>
#include <functional>
#include <memory>
#include <optional>
#include <string>
#include <utility>
#include <vector>

#include <sys/types.h>

#include "wire/error.h"

namespace tokenpool::launcher {

struct JobSpec {
  std::vector<std::string> argv;  ///< not empty; argv[0] is looked up on PATH
  /// Set in the job's environment, which is this process's otherwise; no value: taken out.
  std::vector<std::pair<std::string, std::optional<std::string>>> environment;
  int nice = 0;  ///< its least niceness
};

/// What the job is told when it may begin.
struct JobTerms {
  int slots = 1;
  std::uint64_t lease = 0;  ///< its number; 0: none
};

struct JobEnd {
  int status = 0;  ///< 0..255; 128 + the signal
  double cpu_seconds = 0;
  std::uint64_t peak_memory = 0;  ///< bytes; of the largest of the job's processes (getrusage(2))
};

class JobProcess {
 public:
  /// Forks; the job waits for execute() and ends by itself when this process does before that.
  /// `spec_of` is called in the job with its terms. `inherited` are descriptors that the job is to
  /// have. Error 125 when no process or descriptor
  /// is left. Afterwards SIGCHLD, SIGPIPE and SIGXFSZ are as this class needs them; the job has
  /// them as they were.
  static wire::Result<std::unique_ptr<JobProcess>> start(
      const std::function<JobSpec(const JobTerms&)>& spec_of, const std::vector<int>& inherited);
  /// A job that executes is left alone; one that waits still ends. Signals are not let through
  /// again.
  ~JobProcess();
  JobProcess(const JobProcess&) = delete;
  JobProcess& operator=(const JobProcess&) = delete;

  [[nodiscard]] pid_t pid() const { return pid_; }
  /// Lets the job execute; `name` is what the user calls it. From now on no signal ends this
  /// process but SIGKILL, its own faults and stop signals. Error 125, and 126 and 127 as
  /// cannot_execute() tells; the job has ended then.
  wire::Result<void> execute(const std::string& name, const JobTerms& terms);
  /// After execute(): polls readable when on_signals() has something to do.
  [[nodiscard]] int fd() const { return signals_; }
  /// Passes on what has come, except what the terminal sent. Answers once, when the job has ended.
  std::optional<JobEnd> on_signals();

 private:
  JobProcess() = default;
  std::optional<JobEnd> reap();

  pid_t pid_ = 0;     ///< 0: it has been waited for
  int link_ = -1;     ///< to the job until it executes
  int signals_ = -1;  ///< signalfd(2)
};

}  // namespace tokenpool::launcher
