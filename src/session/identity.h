// What every arbiter that speaks the protocol begins with.
#pragma once

#include <string>

#include "session/dispatcher.h"

namespace tokenpool::session {

/// The configuration of this process, with an epoch of its own. `implicit`: see DispatcherConfig.
DispatcherConfig own_config(std::string cookie, int implicit);

/// The first number for leases of the arbiter with this epoch: far from those of any other, which
/// clients may still declare.
core::LeaseId first_lease_of(const std::string& epoch);

}  // namespace tokenpool::session
