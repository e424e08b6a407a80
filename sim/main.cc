// tokenpool_sim: random histories of builds around the real core, one seed each.
#include <charconv>
#include <cstdint>
#include <cstdio>
#include <optional>
#include <random>
#include <string>
#include <string_view>

#include "sim/world.h"

namespace {

using tokenpool::sim::Fault;

struct Options {
  std::uint64_t seed = 1;
  std::uint64_t histories = 10000;
  int steps = 400;
  bool verbose = false;
  Fault fault = Fault::none;
};

constexpr const char* kUsage =
    "usage: tokenpool_sim [--seed S|fresh] [--histories N] [--steps M] [-v]\n"
    "                     [--break FAULT]\n"
    "--seed fresh: a seed that nobody knows before; it is printed\n"
    "--break: a world that does this wrong, which must not go unnoticed: byte-lost, death-unseen,\n"
    "         supply-lost, session-kept, limit-ignored, owner-unseen, time-ignored, "
    "grace-skipped\n";

const char* name_of(Fault fault) {
  switch (fault) {
    case Fault::none:
      return "none";
    case Fault::byte_lost:
      return "byte-lost";
    case Fault::death_unseen:
      return "death-unseen";
    case Fault::supply_lost:
      return "supply-lost";
    case Fault::session_kept:
      return "session-kept";
    case Fault::limit_ignored:
      return "limit-ignored";
    case Fault::owner_unseen:
      return "owner-unseen";
    case Fault::time_ignored:
      return "time-ignored";
    case Fault::grace_skipped:
      return "grace-skipped";
  }
  return "none";
}

bool read_fault(int argc, char** argv, int* index, Fault* fault) {
  if (++*index >= argc) return false;
  for (const Fault one :
       {Fault::byte_lost, Fault::death_unseen, Fault::supply_lost, Fault::session_kept,
        Fault::limit_ignored, Fault::owner_unseen, Fault::time_ignored, Fault::grace_skipped}) {
    if (std::string_view(argv[*index]) != name_of(one)) continue;
    *fault = one;
    return true;
  }
  return false;
}

// Small enough to be read aloud, and far from the seeds that always run.
std::uint64_t fresh_seed() { return 1'000'000 + std::random_device()() % 1'000'000'000; }

template <typename Number>
bool read_number(int argc, char** argv, int* index, Number* value) {
  if (++*index >= argc) return false;
  const std::string_view text = argv[*index];
  const auto [end, error] = std::from_chars(text.data(), text.data() + text.size(), *value);
  return error == std::errc{} && end == text.data() + text.size();
}

std::optional<Options> parse(int argc, char** argv) {
  Options options;
  for (int i = 1; i < argc; ++i) {
    const std::string_view word = argv[i];
    bool good = true;
    if (word == "--seed" && i + 1 < argc && std::string_view(argv[i + 1]) == "fresh") {
      ++i;
      options.seed = fresh_seed();
    } else if (word == "--seed") {
      good = read_number(argc, argv, &i, &options.seed);
    } else if (word == "--histories") {
      good = read_number(argc, argv, &i, &options.histories);
    } else if (word == "--steps") {
      good = read_number(argc, argv, &i, &options.steps);
    } else if (word == "--break") {
      good = read_fault(argc, argv, &i, &options.fault);
    } else if (word == "-v") {
      options.verbose = true;
    } else {
      good = false;
    }
    if (!good) return std::nullopt;
  }
  return options;
}

}  // namespace

int main(int argc, char** argv) {
  const std::optional<Options> options = parse(argc, argv);
  if (!options) {
    std::fputs(kUsage, stderr);
    return 2;
  }
  std::uint64_t granted = 0;
  std::uint64_t recovered = 0;
  std::uint64_t leases = 0;
  std::uint64_t reservations = 0;
  for (std::uint64_t i = 0; i < options->histories; ++i) {
    const std::uint64_t seed = options->seed + i;
    tokenpool::sim::World world(seed, options->verbose, options->fault);
    if (const auto failure = world.run(options->steps)) {
      const std::string replayed = std::to_string(seed);
      const std::string fault =
          options->fault == Fault::none ? "" : std::string(" --break ") + name_of(options->fault);
      std::printf("seed %s: %s\nreplay: tokenpool_sim --seed %s --histories 1 --steps %d -v%s\n",
                  replayed.c_str(), failure->c_str(), replayed.c_str(), options->steps,
                  fault.c_str());
      return 1;
    }
    granted += world.granted();
    recovered += world.recovered();
    leases += world.leases();
    reservations += world.reservations();
    if ((i + 1) % 1000 == 0) {
      std::printf("%s histories, %s tokens granted, %s recovered, %s leases, %s reservations\n",
                  std::to_string(i + 1).c_str(), std::to_string(granted).c_str(),
                  std::to_string(recovered).c_str(), std::to_string(leases).c_str(),
                  std::to_string(reservations).c_str());
      std::fflush(stdout);
    }
  }
  std::printf("%s histories from seed %s: every token accounted for\n",
              std::to_string(options->histories).c_str(), std::to_string(options->seed).c_str());
  return 0;
}
