#include "watch/news.h"

#include <array>
#include <cstdio>

#include "wire/plain_text.h"

namespace tokenpool::watch {

std::string uncooperative_line(const board::UncooperativeRow& row) {
  const std::string command = wire::short_command(row.command.data());
  std::array<char, 32> cores{};
  std::snprintf(cores.data(), cores.size(), "%.1f", row.cores);
  return "process " + std::to_string(row.pid) + " (" + command +
         ") does not follow the pool: it wants " + cores.data() +
         " CPUs more than it has slots, and the rest of the build has so many slots fewer until it "
         "stops; let it read MAKEFLAGS, run it with tokenpool exec --slots N, or (its compilers "
         "and linkers) with tokenpool run --wrap";
}

std::string outsider_line(const board::OtherUserRow& row) {
  return "process " + std::to_string(row.pid) + " (" + wire::short_command(row.command.data()) +
         ") goes on as user " + std::to_string(row.user) + ", who may not use " +
         row.out_of_reach.data() +
         ", so that what it starts runs outside of the pool; put TMPDIR and XDG_DATA_HOME, and "
         "this "
         "program, where all may enter";
}

}  // namespace tokenpool::watch
