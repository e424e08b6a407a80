// What a shim keeps in the pool's folder, and the descriptors that it hands on.
//
// The folder `tools` beside the FIFO belongs to the build and goes with it. Nothing in it is
// needed: where it cannot be written, tools are asked again and notes repeat. The names in it begin
// as jobserver::kToolNotes says, so that what a dead run left can be told from other things.
#pragma once

#include <string>
#include <string_view>

#include "dialect/makeflags.h"
#include "dialect/tool.h"

namespace tokenpool::shim {

/// `tools` beside `fifo`, made if it is not there.
std::string tools_folder(const std::string& fifo);

/// True for the first process of the build that claims `mark`, and for all when it cannot be kept.
bool claim(const std::string& folder, std::string_view mark);

/// What is known of the tool at `path`, asked once for each path, inode and modification time.
/// A tool that does not tell its version is described as unknown and asked again next time.
dialect::Tool known_tool(dialect::ToolKind kind, const std::string& path,
                         const std::string& folder);

/// Makes sure that `pool`'s descriptors are its FIFO, inheritable, one for reading and one for
/// writing. One that was closed is opened again under its number; where its number is another
/// file's by now, that file is left alone and another number is taken. Answers the pool with the
/// numbers as they are; on failure with those that it came with.
dialect::Jobserver hold_ends(dialect::Jobserver pool);

}  // namespace tokenpool::shim
