#include "sim/traces/trace.h"

#include <algorithm>
#include <cstdio>
#include <fstream>
#include <sstream>

#include "sim/traces/machine.h"

namespace tokenpool::traces {
namespace {

std::optional<RecordedJob> parse_job(const std::string& line, int place) {
  std::istringstream words(line);
  RecordedJob job;
  std::string name;
  if (!(words >> job.work >> job.wait >> name) || job.work < 0 || job.wait < 0) return {};
  job.work = std::max(job.work / 1000, kTick);
  job.wait /= 1000;
  for (int before = 0; words >> before;) {
    if (before < 0 || before >= place) return {};
    job.before.push_back(before);
  }
  return words.eof() ? std::optional(job) : std::nullopt;
}

}  // namespace

double Trace::work() const {
  double sum = 0;
  for (const RecordedJob& job : jobs) sum += job.work;
  return sum;
}

double Trace::wait() const {
  double sum = 0;
  for (const RecordedJob& job : jobs) sum += job.wait;
  return sum;
}

double Trace::longest_chain() const {
  std::vector<double> end;
  double longest = 0;
  for (const RecordedJob& job : jobs) {
    double start = 0;
    for (const int before : job.before) {
      start = std::max(start, end[static_cast<std::size_t>(before)]);
    }
    end.push_back(start + job.work + job.wait);
    longest = std::max(longest, end.back());
  }
  return longest;
}

std::optional<Trace> read_trace(const std::string& path) {
  std::ifstream file(path);
  Trace trace;
  trace.name = path.substr(path.find_last_of('/') + 1);
  trace.name = trace.name.substr(0, trace.name.find('.'));
  std::string line;
  for (int number = 1; std::getline(file, line); ++number) {
    if (line.empty() || line.front() == '#') continue;
    const auto job = parse_job(line, static_cast<int>(trace.jobs.size()));
    if (!job) {
      std::fprintf(stderr, "%s:%d: not CPU-MS WAIT-MS NAME [EARLIER-JOB…]: %s\n", path.c_str(),
                   number, line.c_str());
      return {};
    }
    trace.jobs.push_back(*job);
  }
  if (trace.jobs.empty()) {
    std::fprintf(stderr, "%s cannot be read or has no job; sim/traces/record.py writes traces\n",
                 path.c_str());
    return {};
  }
  return trace;
}

Trace one_after_another(const Trace& trace, int builds) {
  Trace all{.name = trace.name, .jobs = {}};
  for (int build = 0; build < builds; ++build) {
    const auto first = static_cast<int>(all.jobs.size());
    for (RecordedJob job : trace.jobs) {
      for (int& before : job.before) before += first;
      all.jobs.push_back(std::move(job));
    }
  }
  return all;
}

}  // namespace tokenpool::traces
