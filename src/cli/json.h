// What the commands print with --json: one object, two blanks of indent, a newline at the end. The
// keys are documented in tokenpool-doctor(1) and tokenpool-env(1); they are added to, never
// renamed. Bytes that are no UTF-8 become U+FFFD.
#pragma once

#include <string>

#include "cli/diagnosis.h"
#include "cli/surroundings.h"

namespace tokenpool::cli {

std::string to_json(const Facts& facts, const Diagnosis& diagnosis);
std::string to_json(const Surroundings& surroundings);

}  // namespace tokenpool::cli
