// Standard descriptors that lead nowhere.
#pragma once

namespace tokenpool::proc {

/// Makes `fd` name /dev/null, for reading and writing, without close-on-exec. Where that cannot be
/// opened, `fd` is closed.
void lead_nowhere(int fd);

}  // namespace tokenpool::proc
