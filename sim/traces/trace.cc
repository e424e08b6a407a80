#include "sim/traces/trace.h"

#include <algorithm>
#include <cstdio>
#include <fstream>
#include <set>
#include <sstream>
#include <string_view>
#include <tuple>
#include <utility>

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

constexpr std::string_view kNinjaLog = "# ninja log v";

/// A line of .ninja_log; times in milliseconds since ninja began.
struct LoggedOutput {
  int begin = 0;
  int end = 0;
  std::string name;
  std::string command;  ///< its hash: the outputs of one job have the same
};

std::optional<LoggedOutput> parse_output(const std::string& line) {
  std::istringstream words(line);
  LoggedOutput output;
  std::string changed;
  if (!(words >> output.begin >> output.end >> changed >> output.name >> output.command)) return {};
  return output.begin < 0 || output.end < output.begin ? std::nullopt : std::optional(output);
}

std::vector<RecordedJob> jobs_of(std::vector<LoggedOutput> outputs) {
  std::sort(outputs.begin(), outputs.end(), [](const auto& a, const auto& b) {
    return std::tie(a.begin, a.end, a.name) < std::tie(b.begin, b.end, b.name);
  });
  std::vector<RecordedJob> jobs;
  std::vector<int> ends;
  std::set<std::pair<int, std::string>> known;
  for (const LoggedOutput& output : outputs) {
    if (!known.emplace(output.begin, output.command).second) continue;
    RecordedJob job{
        .work = std::max((output.end - output.begin) / 1000.0, kTick), .wait = 0, .before = {}};
    for (int other = 0; !output.name.ends_with(".o") && other < std::ssize(ends); ++other) {
      if (ends[static_cast<std::size_t>(other)] <= output.begin) job.before.push_back(other);
    }
    jobs.push_back(std::move(job));
    ends.push_back(output.end);
  }
  return jobs;
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
  std::vector<LoggedOutput> outputs;
  bool is_log = false;
  for (int number = 1; std::getline(file, line); ++number) {
    is_log = is_log || (number == 1 && line.starts_with(kNinjaLog));
    if (line.empty() || line.front() == '#') continue;
    if (is_log) {
      if (const auto output = parse_output(line)) {
        outputs.push_back(*output);
        continue;
      }
      std::fprintf(stderr, "%s:%d: not BEGIN END TIME OUTPUT HASH, as ninja writes it: %s\n",
                   path.c_str(), number, line.c_str());
      return {};
    }
    const auto job = parse_job(line, static_cast<int>(trace.jobs.size()));
    if (!job) {
      std::fprintf(stderr, "%s:%d: not CPU-MS WAIT-MS NAME [EARLIER-JOB…]: %s\n", path.c_str(),
                   number, line.c_str());
      return {};
    }
    trace.jobs.push_back(*job);
  }
  if (is_log) trace.jobs = jobs_of(std::move(outputs));
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
