// What `tokenpool status` prints: a table for people, lines for programs. Pure.
#pragma once

#include <cstddef>
#include <string>
#include <string_view>
#include <vector>

#include "cli/page.h"
#include "cli/recent_ends.h"
#include "wire/error.h"
#include "wire/plain_text.h"
#include "wire/protocol_results.h"

namespace tokenpool::cli {

/// The whole status of the arbiter at `address`, lines that end with a newline each. Not meant to
/// be parsed. What clients call themselves and their targets cannot control the terminal.
/// `ended`: jobs that a watch has seen end.
std::string to_text(const wire::StatusResult& status, std::string_view address,
                    const StatusView& view, const std::vector<EndedJob>& ended = {});

/// The result of a `status` as --json prints it: its members as they are behind "schema"
/// ("tokenpool-status") and "version" (1); two blanks of indent, a newline at the end. Error 1: it
/// is no JSON object.
wire::Result<std::string> status_json(std::string_view result);

/// What the first line of a watch tells where nothing is drawn, with a newline: for people, as
/// event_text(), and for programs, the members of the result behind "kind" ("status").
std::string state_text(const wire::StatusResult& status);
std::string state_json(std::string_view result);

/// The params of an `event` as a line for people, with a newline: "granted lease=12 slots=2
/// type=link free=3 name=cc target=bin/app", of those that it has.
std::string event_text(std::string_view params);
/// ... and for programs: the params as they are, in one line.
std::string event_json(std::string_view params);

using wire::age_text;

}  // namespace tokenpool::cli
