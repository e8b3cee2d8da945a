// DATA_DIR/journal.stuck: which partners' records do not get into their databases, and why, for
// `postbackctl journal stat`, which does not ask the server. Text, a line per partner, without
// anything that could steer a terminal; there is no file while nothing is stuck. It tells what the
// server saw last: one that was killed leaves it behind.
//
// Writer: the drain's thread. Readers: other processes.
#pragma once

#include <string>
#include <string_view>
#include <vector>

#include "base/status.h"

namespace postback::journal {

// `folder`: DATA_DIR/journal.
inline std::string stuck_file_path(const std::string& folder) {
  return folder + ".stuck";
}

// Empty `lines`: the file goes. Blocks.
base::Status write_stuck_file(const std::string& folder, std::string_view lines);

// No lines when there is no file.
std::vector<std::string> read_stuck_file(const std::string& folder);

}  // namespace postback::journal
