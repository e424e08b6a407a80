#include <utility>

#include <unistd.h>

#include "cli/neighbourhood.h"
#include "core/limits.h"
#include "jobserver/environment.h"
#include "jobserver/run_folder.h"
#include "proc/environ.h"
#include "proc/process.h"

namespace tokenpool::cli {
namespace {

// What the run has kept whose FIFO `pid` has open: the front has, and everybody who did not close
// what it inherited. The last one, because a run inside of another inherits the outer one's.
Environment kept_by_descriptors(pid_t pid) {
  Environment found;
  for (const std::string& file : proc::open_files(pid)) {
    if (!file.ends_with("/" + std::string(jobserver::kFifoName))) continue;
    if (auto kept = jobserver::kept_environment(file); !kept.empty()) found = std::move(kept);
  }
  return found;
}

Environment environment_of(pid_t pid) {
  Environment environment = proc::initial_environment(pid);
  return value_of(environment, "TOKENPOOL_FIFO") ? environment : kept_by_descriptors(pid);
}

bool is_alive(const std::string& fifo) {
  dialect::JobserverWord word;
  word.form = dialect::JobserverWord::Form::fifo;
  word.path = fifo;
  return jobserver::is_alive(word);
}

}  // namespace

std::vector<Environment> own_runs() {
  std::vector<Environment> runs;
  for (const std::string& folder : jobserver::run_folders(jobserver::usual_run_place())) {
    const std::string fifo = folder + "/" + std::string(jobserver::kFifoName);
    if (auto kept = jobserver::kept_environment(fifo); !kept.empty() && is_alive(fifo)) {
      runs.push_back(std::move(kept));
    }
  }
  return runs;
}

std::optional<Surroundings> own_surroundings() {
  std::vector<Environment> ancestors;
  for (pid_t pid = getpid(); pid > 0 && ancestors.size() < core::kMaxAncestors;) {
    ancestors.push_back(environment_of(pid));
    const auto process = proc::read_process(pid);
    pid = process ? process->parent : 0;
  }
  return find_surroundings(proc::own_environment(), ancestors, is_alive);
}

}  // namespace tokenpool::cli
