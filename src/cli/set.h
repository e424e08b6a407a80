// `tokenpool set`, `pause` and `resume`: changes what an arbiter hands out.
#pragma once

#include <string>
#include <string_view>
#include <vector>

#include "wire/error.h"
#include "wire/protocol.h"

namespace tokenpool::cli {

/// `words` follow the command's name. One call, after all of them were checked. Prints what is set
/// now and answers the status to exit with: 0; 1 no arbiter can be reached, or it refused, or
/// stdout takes nothing; 2 the words make no sense.
int set(const std::vector<std::string>& words);
int pause(const std::vector<std::string>& words);
int resume(const std::vector<std::string>& words);

/// "jobs=4", "limit.link=2", "limit.link=none", "lease.7=0"; of a key given twice the last one
/// counts. Error 2 names the word and says what to give instead. Pure.
wire::Result<wire::SetCall> parse_set(const std::vector<std::string>& words);

/// The params of the call, a JSON object. Pure.
std::string set_params(const wire::SetCall& call);

/// The result of a `set` as one line without a newline: "slots 4, limits link=2", with ", paused"
/// where it is; "no limits" where there are none. Error 1: it is no such result. Pure.
wire::Result<std::string> set_text(std::string_view result);

}  // namespace tokenpool::cli
