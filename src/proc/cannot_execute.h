// Why a command could not be executed, for people.
#pragma once

#include <string>

#include "wire/error.h"

namespace tokenpool::proc {

/// `name` is the word that execvp(3) was given, `error` its errno. Status 127 when it was not
/// found, 126 when it cannot be executed. Looks at the file to tell more.
wire::Error cannot_execute(const std::string& name, int error);

}  // namespace tokenpool::proc
