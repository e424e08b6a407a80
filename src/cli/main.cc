#include <csignal>
#include <cstdio>
#include <string>
#include <string_view>
#include <vector>

#include "cli/commands.h"
#include "cli/exec.h"
#include "shim/real_tool.h"
#include "shim/shim.h"
#include "shim/wrap_shim.h"

int main(int argc, char** argv) {
  using namespace tokenpool;
  // A shim is started once per compiler call of some builds: nothing may come before it.
  const std::string_view self = argc > 0 ? argv[0] : "tokenpool";
  const std::string_view name = self.substr(self.rfind('/') + 1);
  if (shim::is_shim_name(name)) return shim::shim_main(argc, argv);
  if (shim::is_wrap_shim(name)) return shim::wrap_main(argc, argv);
  if (name == cli::kLauncherName) return cli::exec_launcher({argv + 1, argv + argc});
  return cli::dispatch({argv + (argc > 0 ? 1 : 0), argv + argc});
}
