#include "wire/version.h"

namespace tokenpool::wire {

std::string_view version() { return TOKENPOOL_VERSION; }

}  // namespace tokenpool::wire
