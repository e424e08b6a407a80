// What `tokenpool doctor` prints for people.
#pragma once

#include <string>

#include "cli/diagnosis.h"

namespace tokenpool::cli {

/// The whole text, with a newline at the end. Not meant to be parsed: see cli/json.h for that.
std::string to_text(const Facts& facts, const Diagnosis& diagnosis, bool colour);

}  // namespace tokenpool::cli
