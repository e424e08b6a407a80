// What `tokenpool doctor` prints for people.
#pragma once

#include <string>

#include "cli/diagnosis.h"

namespace tokenpool::cli {

/// The verdict, what was found, and what is concluded from it; with `details` also what was looked
/// at. A newline at the end; nothing in it can control a terminal but the colours. Not meant to be
/// parsed: see cli/json.h for that.
std::string to_text(const Facts& facts, const Diagnosis& diagnosis, bool colour, bool details);

}  // namespace tokenpool::cli
