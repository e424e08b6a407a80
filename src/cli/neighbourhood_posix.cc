#include <unistd.h>

#include "cli/neighbourhood.h"
#include "core/limits.h"
#include "jobserver/environment.h"
#include "proc/environ.h"
#include "proc/process.h"

namespace tokenpool::cli {

std::optional<Surroundings> own_surroundings() {
  std::vector<Environment> ancestors;
  for (pid_t pid = getppid(); pid > 0 && ancestors.size() < core::kMaxAncestors;) {
    ancestors.push_back(proc::initial_environment(pid));
    const auto process = proc::read_process(pid);
    pid = process ? process->parent : 0;
  }
  return find_surroundings(proc::own_environment(), ancestors, [](const std::string& fifo) {
    wire::JobserverWord word;
    word.form = wire::JobserverWord::Form::fifo;
    word.path = fifo;
    return jobserver::is_alive(word);
  });
}

}  // namespace tokenpool::cli
