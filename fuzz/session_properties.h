// What must hold for any sessions. Shared by the fuzz target and the test that replays its corpus;
// what does not hold aborts.
#pragma once

#include <string_view>

namespace tokenpool::fuzz {

/// Any life of an arbiter, as the bytes tell it: clients that come, speak (lines of the protocol or
/// any bytes, whole or in pieces), read or not, hang up and die, and time that passes. Every
/// message is one line that a client understands, every request is answered once as long as its
/// session is there, nothing is granted that is not there, and in the end everything is back.
void check_session(std::string_view bytes);

}  // namespace tokenpool::fuzz
